"""The gate that every request passes before Gradio sees it: what, who, how often and how much."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from demo.serving.routes import ADDRESS, Route, Table
from demo.serving.storage import Storage
from demo.serving.uploads import REFUSAL
from demo.serving.visitors import Proxies, Visitors

Login = tuple[str, str]
"""User and password."""

IN_MEMORY = 200_000_000
"""Bytes of photos' bodies that are read into memory at a time, all requests together."""

SECONDS = 300.0
"""That a body may take to arrive."""

PATIENCE = 10.0
"""Seconds in which what is left of a refused body is thrown away."""

CLOSE = {"connection": "close"}

FORWARDED = (b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for", b"x-gradio-server")
"""What a proxy says of the request; anybody may write it."""


class Gate:
    """ASGI middleware. In this order: the route, the rate, the log-in, the size; then the body.

    Args:
        app: that answers.
        routes: what is answered.
        visitors: what each address has used up.
        storage: where uploads need room.
        login: asked for on all but the open routes; None lets everybody in.
        reading: number of open streams by session, kept up to date here for whoever asks whether
            somebody still waits for an answer.
    """

    def __init__(
        self,
        app: Any,
        routes: Table,
        visitors: Visitors,
        storage: Storage,
        login: Login | None,
        reading: Counter[str],
    ):
        self.app, self.routes, self.visitors = app, routes, visitors
        self.storage, self.login, self.reading = storage, login, reading
        self.in_memory = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":  # nothing here uses one
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._refusal(scope)
        if answer is not None:
            await _refuse(answer, receive, send)
            return
        route = self.routes.find(scope["method"], scope["path"])
        assert route is not None  # else it was refused
        await self._answer(_mended(scope), receive, send, route)

    def _refusal(self, scope) -> JSONResponse | None:
        """Why a request goes no further; None where it may."""
        path, headers, address = scope["path"], Headers(scope=scope), _address(scope)
        if ADDRESS.search(path):
            return JSONResponse({"error": REFUSAL}, 403)
        route = self.routes.find(scope["method"], path)
        if route is None:
            return JSONResponse({"error": "There is nothing here."}, 404)
        if route.work and (wait := self.visitors.ask(address)):
            return _wait(wait, "Too many requests from your address")
        if self.login and (refused := self._stranger(scope, route, headers, address)):
            return refused
        size = _length(headers)
        if size is not None and size > route.cap:
            return _too_large(route)
        if route.kind == "upload":
            if size is None:
                return JSONResponse({"error": "An upload needs a Content-Length."}, 411)
            if wait := self.visitors.upload(address, size):
                return _wait(wait, "Your address has uploaded as much as it may for now")
            self.storage.sweep(coming=size)
        return None

    def _stranger(self, scope, route: Route, headers: Headers, address: str) -> JSONResponse | None:
        """The refusal of who is not logged in; wrong passwords are counted."""
        given = headers.get("authorization", "")
        if (given or route.kind == "login") and (wait := self.visitors.barred(address)):
            return _wait(wait, "Too many wrong passwords from your address")
        if route.open or _has_token(scope, headers):
            return None
        if given and self.login and _matches(given, self.login):
            return None
        if given:
            self.visitors.wrong_password(address)
        words = "Log in on the page, or with HTTP Basic authentication."
        answer = JSONResponse({"error": words, "detail": "Not authenticated"}, 401)
        if not scope["path"].startswith(("/gradio_api", "/config")):  # no box over the page's form
            answer.headers["www-authenticate"] = 'Basic realm="fashion_xai"'
        return answer

    async def _answer(self, scope, receive, send, route: Route) -> None:
        """Let the app answer, with a body that ends at the cap, and its streams counted."""
        body = _Body(self, route, receive)
        started = False

        async def watched(message):
            nonlocal started
            if body.refusal and not started:
                return  # the app speaks of a visitor who left; we know better
            if message["type"] == "http.response.start":
                started = True
                if route.kind == "login" and message["status"] == 400:
                    self.visitors.wrong_password(_address(scope))
            await send(message)

        session = _session(scope)
        if session:
            self.reading[session] += 1
        try:
            await self.app(scope, body.receive, watched)
        except (ClientDisconnect, ConnectionError):
            if not body.refusal:  # the app was told that the visitor left, and says so
                raise
        finally:
            body.release()
            if session:
                self.reading[session] -= 1
                if not self.reading[session]:
                    del self.reading[session]
        if body.refusal and not started:
            await body.refusal(scope, receive, send)


class _Body:
    """A request's body on its way to the app: cut off where it is too much or too slow.

    Args:
        gate: that counts what all bodies hold in memory.
        route: of the request.
        source: the server's ``receive``.
    """

    def __init__(self, gate: Gate, route: Route, source: Callable[[], Awaitable[Any]]):
        self.gate, self.route, self.source = gate, route, source
        self.taken, self.whole = 0, False
        self.ends = time.monotonic() + SECONDS
        self.refusal: JSONResponse | None = None

    async def receive(self) -> Any:
        """The next part; ``http.disconnect`` after one that is refused."""
        if self.refusal:
            return {"type": "http.disconnect"}
        if self.whole:  # what comes now is the end of the connection, whenever
            return await self.source()
        try:
            message = await asyncio.wait_for(self.source(), max(0.0, self.ends - time.monotonic()))
        except TimeoutError:
            self.refusal = JSONResponse({"error": "The body came too slowly."}, 408, CLOSE)
            return {"type": "http.disconnect"}
        self.whole = not message.get("more_body", False)
        size = len(message.get("body", b""))
        self.taken += size
        if self.route.kind == "photo":
            self.gate.in_memory += size
        if self.taken > self.route.cap:
            self.refusal = _too_large(self.route)
        elif self.gate.in_memory > IN_MEMORY and self.route.kind == "photo":
            self.refusal = _busy()
        return {"type": "http.disconnect"} if self.refusal else message

    def release(self) -> None:
        """The body is no longer held."""
        if self.route.kind == "photo":
            self.gate.in_memory -= self.taken


class Forwarded:
    """ASGI middleware: what proxies say of a request holds only where they are trusted."""

    def __init__(self, app: Any, proxies: Proxies):
        self.app, self.proxies = app, proxies
        self._behind = ProxyHeadersMiddleware(app, trusted_hosts="*")

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _address(scope) in self.proxies:
            await self._behind(scope, receive, send)
        else:
            kept = [(k, v) for k, v in scope["headers"] if k.lower() not in FORWARDED]
            await self.app({**scope, "headers": kept}, receive, send)


async def _refuse(answer: JSONResponse, receive, send) -> None:
    """Answer before the body has come, then let it come and throw it away, for a while.

    Closed at once, the connection would be reset under a client that is still sending, which would
    see an error and not our sentence.
    """
    start = {"type": "http.response.start", "status": answer.status_code}
    await send({**start, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            more = True
            while more:
                message = await receive()
                more = message["type"] == "http.request" and message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _address(scope) -> str:
    return (scope.get("client") or ("",))[0]


def _length(headers: Headers) -> int | None:
    """The length a body is announced with; 0 for none, None where it comes in chunks."""
    text = headers.get("content-length", "")
    if text.isascii() and text.isdigit():
        return int(text)
    return None if "transfer-encoding" in headers else 0


def _has_token(scope, headers: Headers) -> bool:
    """Whether the request carries the cookie that Gradio's log-in has set."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return False
    tokens = getattr(scope.get("app"), "tokens", {})
    return any(n.startswith("access-token-") and c.value in tokens for n, c in cookies.items())


def _matches(given: str, login: Login) -> bool:
    """Whether an Authorization header has the user and password, compared in constant time."""
    kind, _, coded = given.partition(" ")
    try:
        text = base64.b64decode(coded, validate=True)
    except ValueError:
        return False
    return kind.lower() == "basic" and hmac.compare_digest(text, ":".join(login).encode())


def _session(scope) -> str | None:
    """Whose answers a stream waits for: a session's, or those of one event."""
    if scope["path"] == "/gradio_api/queue/data":
        found = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
        return found[0] or None
    match = re.fullmatch(r"/gradio_api/call/(?:v2/)?[^/]+/([^/]+)", scope["path"])
    return match[1] if match and scope["method"] == "GET" else None


def _mended(scope) -> dict[str, Any]:
    """The request without what Gradio answers wrongly.

    A range that makes no sense is ignored (RFC 9110, 14.2), and a log-out ends the visitor's own
    session instead of all those of the account.
    """
    scope = dict(scope)
    scope["headers"] = [
        (k, v) for k, v in scope["headers"] if k.lower() != b"range" or _sound(v.decode("latin-1"))
    ]
    if scope["path"] == "/logout":
        scope["query_string"] = b"all_session=false"
    return scope


def _sound(text: str) -> bool:
    """Whether a Range header names one range of bytes whose end is not before its start."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", text.strip())
    if not match or not any(match.groups()):
        return False
    first, last = match.groups()
    return not (first and last) or int(first) <= int(last)


def _too_large(route: Route) -> JSONResponse:
    most = f"{route.cap / 1e6:g} MB" if route.cap else "nothing"
    return JSONResponse(
        {"error": f"The body is too large; at most {most} may be sent here."},
        413,
        CLOSE,
    )


def _busy() -> JSONResponse:
    return JSONResponse(
        {"error": "Too many photos are arriving; please try again in a few seconds."},
        503,
        {"retry-after": "5"},
    )


def _wait(seconds: int, why: str) -> JSONResponse:
    return JSONResponse(
        {"error": f"{why}; please try again in {seconds} s."},
        429,
        {"retry-after": str(seconds)},
    )
