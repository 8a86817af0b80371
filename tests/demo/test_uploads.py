"""Addresses instead of files: refused over every way in, and nothing is fetched."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from demo.serving.uploads import REFUSAL
from examples import garments
from fashion_xai import ATTRIBUTES
from fashion_xai.viz import html
from tests.server import start


@pytest.fixture(scope="module")
def url(small_bundle):
    process, address = start("--bundle", str(small_bundle), "--mcp")
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def elsewhere():
    """A web server, and the paths it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # the standard library's name
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/photo.png", asked
    server.shutdown()


def named(address: str) -> dict:
    return {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("public", [False, True])
def test_an_address_is_no_input(url, elsewhere, public):
    address, asked = elsewhere
    given = named("https://example.com/photo.png" if public else address)
    client = Client(url, verbose=False)
    for args, name in (((given,), "/predict"), ((given, "gradcam"), "/explain")):
        with pytest.raises(AppError, match=REFUSAL):
            client.predict(*args, api_name=name)
    with pytest.raises(AppError, match=REFUSAL):
        client.predict([given], api_name="/batch")
    # Gradio looks for files in every input, a text box too.
    photo = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.png", b"x")}).json()[0]
    uploaded = {"path": photo, "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError, match=REFUSAL):
        client.predict(uploaded, given, api_name="/explain")
    assert not asked


def test_no_route_fetches_for_the_visitor(url, elsewhere):
    address, asked = elsewhere
    for path in (f"file={address}", f"file=HTTPS://example.com/{address}", f"file/{address}",
                 f"proxy={address}", f"file=%20{address}", "file=//127.0.0.1/x"):  # fmt: skip
        reply = httpx.get(f"{url}/gradio_api/{path}")
        assert reply.status_code == 403 and reply.json()["error"] == REFUSAL
    assert not asked


def test_language_models_get_the_three_endpoints_and_send_files_themselves(url, elsewhere):
    address, asked = elsewhere
    photo = html.data_uri(garments.draw("bag", "Red"))

    async def talk():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {t.name: t for t in (await session.list_tools()).tools}
            good = await session.call_tool("predict", {"photo": photo})
            bad = await session.call_tool("predict", {"photo": address})
            return tools, good, bad

    # In a thread of its own: a browser that another test opened keeps a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        tools, good, bad = pool.submit(asyncio.run, talk()).result()
    assert set(tools) == {"predict", "explain", "answer_batch"}
    assert all(t.description for t in tools.values())
    assert not good.isError and all(a in good.content[0].text for a in ATTRIBUTES)
    assert bad.isError and not asked
