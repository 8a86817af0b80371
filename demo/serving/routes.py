"""What the server answers at all: a list of routes. Whatever Gradio offers beyond it is refused.

A new version of Gradio may bring routes that write, fetch or remember for anybody; what is not
named here does not exist for a visitor.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fashion_xai.data import images

JSON = 1_000_000
"""Bytes of a body that is no file."""

PHOTO = images.MAX_BYTES + 1_000_000
"""Bytes of a photo, and of the form around it."""

UPLOAD = 200_000_000
"""Bytes of an upload, several files together."""


class Route(NamedTuple):
    """One kind of request.

    Args:
        path: pattern of the whole path.
        methods: HTTP methods.
        cap: bytes that a body may have.
        open: whether it needs no log-in, where there is one.
        work: whether it makes the server work: counted by ``--limit``.
        kind: "photo" (read into memory), "upload" (written to disk), "login", or "".
    """

    path: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    cap: int = 0
    open: bool = False
    work: bool = False
    kind: str = ""


_POST = ("POST",)
_NAME = r"[A-Za-z0-9_.\-]{1,100}"

ROUTES = (
    Route(r"/health", open=True),
    Route(r"/api/openapi\.json"),
    Route(rf"/result/{_NAME}(/{_NAME})?"),
    Route(r"/api/(predict|explain)", _POST, PHOTO, work=True, kind="photo"),
    # The page. Where there is a log-in it is Gradio's log-in form.
    Route(r"/", open=True),
    Route(r"/(static|assets|svelte)/.*", open=True),
    Route(
        r"/(theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d+)?)",
        open=True,
    ),
    Route(r"/gradio_api/(theme\.css|user|login_check|app_id|startup-events)/?", open=True),
    Route(r"/login/?", _POST, 10_000, open=True, kind="login"),
    Route(r"/logout", open=True),
    # What the page and Gradio's clients ask for.
    Route(r"/config/?"),
    Route(r"/gradio_api/(info/?|openapi\.json|token|queue/status|upload_progress)"),
    Route(rf"/gradio_api/heartbeat/{_NAME}"),
    Route(r"/gradio_api/file=.+"),
    Route(r"/gradio_api/upload", _POST, UPLOAD, work=True, kind="upload"),
    Route(r"/gradio_api/queue/join", _POST, JSON, work=True),
    Route(r"/gradio_api/queue/data"),
    Route(rf"/gradio_api/(run|api|call|call/v2)/{_NAME}/?", _POST, JSON, work=True),
    Route(rf"/gradio_api/call/(v2/)?{_NAME}/{_NAME}"),
    Route(r"/gradio_api/(cancel|reset)/?", _POST, JSON),
)

MCP = (
    Route(r"/gradio_api/mcp(/.*)?", ("GET", "HEAD", "DELETE", "OPTIONS")),
    Route(r"/gradio_api/mcp(/.*)?", _POST, JSON, work=True),
)
"""With ``--mcp``."""

ADDRESS = re.compile(
    r"/(file|proxy)\b.*?[a-z][a-z0-9+.\-]{2,}:|/file=\s*[/\\]{2}|/proxy\b", re.I | re.S
)
"""A path that asks to fetch an address for the visitor, in any spelling."""


class Table:
    """Finds the route of a request.

    Args:
        routes: that are answered.
    """

    def __init__(self, routes: tuple[Route, ...] = ROUTES):
        self._routes = [(re.compile(route.path, re.DOTALL), route) for route in routes]

    def find(self, method: str, path: str) -> Route | None:
        """The route that answers, or None where there is none."""
        return next(
            (r for pattern, r in self._routes if method in r.methods and pattern.fullmatch(path)),
            None,
        )
