"""The gate's parts: routes, proxies, rates, ranges, log-ins and bodies, without a server."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from demo.serving import gate
from demo.serving.gate import Forwarded, Gate
from demo.serving.routes import ADDRESS, MCP, ROUTES, Table
from demo.serving.visitors import Proxies, Visitors, rate


class Room:
    """A storage that always has room."""

    def sweep(self, coming=0):
        pass


async def echo(scope, receive, send):
    """Answers with the size of the body, and with the headers it was given."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(b"x-seen-" + k, v) for k, v in scope["headers"]]
    headers += [(b"x-query", scope["query_string"]), (b"x-client", scope["client"][0].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(size).encode()})


def made(visitors=None, login=None):
    return Gate(echo, Table(ROUTES), visitors or Visitors(), Room(), login, Counter())


def ask(app, method, path, client="10.0.0.1", **options):
    async def go():
        transport = httpx.ASGITransport(app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as c:
            return await c.request(method, path, **options)

    # In a thread of its own: a browser that another test opened keeps a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, go()).result()


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=http://h/x", "/gradio_api/file/http://h/x", "/file=HTTPS://h",
     "/file/http:/h",
     "/gradio_api/file= http://h", "/gradio_api/file=\thttp://h", "/gradio_api/file=//h/x",
     "/gradio_api/file=\\\\h\\x", "/gradio_api/file=gopher://h", "/gradio_api/proxy=http://h",
     "/proxy/h", "/gradio_api/file=a\nhttp://h"],
)  # fmt: skip
def test_addresses_are_known_in_any_spelling(path):
    assert ADDRESS.search(path)


@pytest.mark.parametrize("path", ["/gradio_api/file=/tmp/x/a.png", r"/gradio_api/file=C:\x\a.png"])
def test_files_are_no_addresses(path):
    assert not ADDRESS.search(path) and Table().find("GET", path)


def test_only_routes_of_the_list_are_answered():
    assert ask(made(), "GET", "/health").status_code == 200
    nowhere = (("GET", "/monitoring"), ("POST", "/gradio_api/component_server"),
               ("POST", "/health"), ("DELETE", "/"), ("GET", "/gradio_api/mcp/"))  # fmt: skip
    for method, path in nowhere:
        reply = ask(made(), method, path)
        assert reply.status_code == 404 and reply.json() == {"error": "There is nothing here."}
    assert Table(ROUTES + MCP).find("POST", "/gradio_api/mcp/")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size, status", [(10, 200), (11, 413)])
def test_a_body_ends_at_the_cap_of_its_route(chunked, size, status):
    async def parts():
        for _ in range(size):
            yield b"x" * 100_000

    content = parts() if chunked else b"x" * 100_000 * size
    reply = ask(made(), "POST", "/gradio_api/queue/join", content=content)
    assert reply.status_code == status
    assert reply.text == "1000000" or "at most 1 MB" in reply.json()["error"]


def test_bodies_in_memory_have_one_budget(monkeypatch):
    app = made()
    monkeypatch.setattr(gate, "IN_MEMORY", 1_000)
    assert ask(app, "POST", "/api/predict", content=b"x" * 1_000).status_code == 200
    assert ask(app, "POST", "/api/predict", content=b"x" * 1_001).status_code == 503
    assert app.in_memory == 0
    monkeypatch.setattr(gate, "SECONDS", -1.0)
    assert ask(app, "POST", "/api/predict", content=b"x").status_code == 408


def test_a_log_in_comes_before_the_body_and_guesses_are_slowed_down():
    app = made(login=("ann", "se:cret"))
    assert ask(app, "GET", "/health").status_code == ask(app, "GET", "/").status_code == 200
    refused = ask(app, "POST", "/gradio_api/cancel", content=b"x" * 2_000_000)
    assert refused.status_code == 401 and "www-authenticate" not in refused.headers
    refused = ask(app, "GET", "/result/x")
    assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic")
    right = httpx.BasicAuth("ann", "se:cret")
    assert ask(app, "GET", "/result/x", auth=right).status_code == 200
    wrong = [ask(app, "GET", "/result/x", auth=("ann", str(i))).status_code for i in range(12)]
    assert wrong == [401] * 10 + [429] * 2
    assert ask(app, "GET", "/result/x", auth=right).status_code == 429  # who guesses has to wait
    assert ask(app, "GET", "/result/x", client="10.0.0.2", auth=right).status_code == 200
    assert ask(app, "GET", "/result/x", headers={"authorization": "Basic !"}).status_code == 429


def test_uploads_of_an_address_are_counted_and_need_a_length():
    app = made(Visitors(uploaded=1_000_000))
    sizes = [ask(app, "POST", "/gradio_api/upload", content=b"x" * 400_000) for _ in range(3)]
    assert [r.status_code for r in sizes] == [200, 200, 429]
    other = ask(app, "POST", "/gradio_api/upload", client="10.0.0.2", content=b"x" * 400_000)
    assert other.status_code == 200


@pytest.mark.parametrize("text, seconds", [("60/min", 60), ("5/s", 1), ("9 / hour", 3600)])
def test_rates(text, seconds):
    assert rate(text).get_expiry() == seconds


@pytest.mark.parametrize("text", ["", "60", "0/min", "-1/s", "5/year", "a/min"])
def test_other_rates_are_refused_in_words(text):
    with pytest.raises(ValueError, match="Expected a rate such as 60/min"):
        rate(text)


def test_a_household_shares_its_rate_and_another_does_not():
    visitors = Visitors(rate("2/hour"))
    assert [visitors.ask(f"2001:db8::{i}") for i in (1, 2)] == [0, 0]
    assert visitors.ask("2001:db8::3") > 0
    assert visitors.ask("2001:db8:0:1::3") == 0 and visitors.ask("::ffff:10.0.0.1") == 0


def test_only_trusted_proxies_are_believed():
    claims = {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-host": "evil",
        "x-forwarded-proto": "https",
    }
    app = Forwarded(made(), Proxies(["10.0.0.0/8"]))
    believed = ask(app, "GET", "/health", headers=claims)
    assert believed.headers["x-client"] == "1.2.3.4"
    assert believed.headers["x-seen-x-forwarded-host"] == "evil"
    other = ask(app, "GET", "/health", client="11.0.0.1", headers=claims)
    assert other.headers["x-client"] == "11.0.0.1"
    assert not [k for k in other.headers if k.startswith("x-seen-x-forwarded")]
    assert "anything" in Proxies(["*"]) and "10.0.0.1" not in Proxies()
    with pytest.raises(ValueError):
        Proxies(["nonsense"])


@pytest.mark.parametrize(
    "span, kept",
    [("bytes=0-5", True), ("bytes=5-", True), ("bytes=-5", True), ("bytes=-5-3", False),
     ("bytes=9-3", False), ("bytes=-", False), ("items=0-5", False), ("bytes=1-2,4-5", False)],
)  # fmt: skip
def test_ranges_that_make_no_sense_are_ignored(span, kept):
    reply = ask(made(), "GET", "/gradio_api/file=/x", headers={"range": span})
    assert ("x-seen-range" in reply.headers) is kept


def test_a_log_out_is_the_visitors_own():
    reply = ask(made(), "GET", "/logout?all_session=true")
    assert reply.headers["x-query"] == "all_session=false"
