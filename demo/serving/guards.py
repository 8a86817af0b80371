"""Whether each guard is in place, asked of the app itself before the first visitor comes."""

from __future__ import annotations

import tempfile
from typing import Any

import httpx

from demo.serving import uploads
from demo.serving.queue_guard import QueueGuard

ADDRESS = "http://127.0.0.1:9/x"

PROBES = (
    ("GET", f"/gradio_api/file={ADDRESS}", 403, "addresses after /file="),
    ("GET", f"/gradio_api/file/{ADDRESS}", 403, "addresses after /file/"),
    ("GET", f"/gradio_api/proxy={ADDRESS}", 403, "the proxy"),
    ("POST", "/gradio_api/component_server", 404, "functions of components"),
    ("GET", "/gradio_api/deep_link", 404, "deep links, which are kept on disk"),
    ("GET", "/monitoring", 404, "the monitoring page"),
)
"""Method, path, the status that must come back, and what would be open otherwise."""

PRIVATE = ("/result/x", "/config", "/gradio_api/queue/data?session_hash=x")
"""What asks for a log-in where there is one."""


async def missing(app: Any, guard: QueueGuard, folder: str, login: bool) -> list[str]:
    """What is open that should be closed; empty where all is well.

    Args:
        app: the ASGI app as it is served.
        guard: of the page's queue.
        folder: where a download would go.
        login: whether there is a log-in.
    """
    found = []
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 9))
    async with httpx.AsyncClient(transport=transport, base_url="http://guards.invalid") as client:
        for method, path, status, what in PROBES:
            if (await client.request(method, path)).status_code != status:
                found.append(what)
        large = {"content-length": "100000000", "content-type": "application/json"}
        reply = await client.post("/gradio_api/cancel", content=b"{}", headers=large)
        if reply.status_code not in (401, 413):
            found.append("bodies of any size")
        if login:
            for path in PRIVATE:
                if (await client.get(path)).status_code != 401:
                    found.append(f"{path} without a log-in")
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        if not await uploads.refuses_addresses(empty):
            found.append("addresses as inputs")
    if not uploads.refuses_paths(app.get_blocks()):
        found.append("files of the server as inputs")
    if not guard.in_place:
        found.append("the queue")
    return found
