"""Attacks on the open demo, each bounded: it sends no more than a defence needs to show itself.

An attack is a function of a target that returns '' where the defence held, else what broke.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
from gradio_client import Client, handle_file

from demo.views import words
from fashion_xai.data.labels import ATTRIBUTES
from tests.attack.pictures import endless_scans, endless_strips, enormous, good, transparent
from tests.attack.target import Target, Watch

Attack = Callable[[Target], str]

OPEN: dict[str, Attack] = {}
LOCKED: dict[str, Attack] = {}
"""Name → attack, on a demo for everybody and on one with a log-in."""


def attack(name: str, table: dict[str, Attack] = OPEN) -> Callable[[Attack], Attack]:
    def add(function: Attack) -> Attack:
        table[name] = function
        return function

    return add


@attack("1 memory kept for a component that takes blobs")
def blobs(t: Target) -> str:
    large = str(50_000_000)
    with Watch(t) as watch:
        components = t.get("/config").json()["components"]
        editors = [c["id"] for c in components if c["type"] == "imageeditor"]
        for component in editors or [0, 20, 40]:
            form = {"fn_name": "accept_blobs", "component_id": str(component), "session_hash": "x",
                    "id": "1", "type": "layer", "index": large}  # fmt: skip
            reply = t.post("/gradio_api/component_server", data=form, files={"file": b"x"})
            if reply.status_code != 404:
                return f"component_server answers {reply.status_code}"
    return _too_much(watch, 50)


@attack("2 a picture of 177 megapixels beside the photo's own door")
def beside_the_door(t: Target) -> str:
    file = t.upload("layer.png", enormous())
    editor = {"background": file, "layers": [file], "composite": file, "id": None}
    with Watch(t) as watch:
        for name in ("hide_painted", "predict", "look"):
            data = {
                "hide_painted": [file, editor],
                "predict": [file],
                "look": [file, "gradcam-odds"],
            }[name]
            session = f"beside-{name}"
            if t.join(t.event(name), data, session).status_code == 200:
                t.answer(session)
        reply = t.post("/api/predict", content=enormous())
        if reply.status_code != 400 or "megapixels" not in reply.json()["error"]:
            return f"/api/predict: {reply.status_code}"
    return _too_much(watch, 100)


@attack("3 eight photos of 49 megapixels with transparency at once")
def large_at_once(t: Target) -> str:
    with Watch(t) as watch, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: t.post("/api/predict", content=transparent()), range(8)))
    codes = Counter(r.status_code for r in replies)
    if set(codes) - {200, 503} or not codes[200]:
        return f"answers {dict(codes)}"
    return _too_much(watch, 900)


@attack("4 JPEGs of a thousand scans and TIFFs of two million strips, 45 at once")
def slow_to_decode(t: Target) -> str:
    with ThreadPoolExecutor(45) as pool:
        photos = [endless_scans()] * 40 + [endless_strips()] * 5
        replies = list(pool.map(lambda p: t.post("/api/predict", content=p), photos))
    for reply in replies:
        if reply.status_code != 400 or "are decoded" not in reply.json()["error"]:
            return f"answers {reply.status_code}: {reply.text[:80]}"
    return ""


@attack("5 addresses that the server is to fetch")
def addresses(t: Target) -> str:
    with _listener() as (address, asked):
        spellings = [f"file={address}", f"file/{address}", f"file={address.upper()}",
                     f"file=%20{address}", f"file%3D{address}", f"file=%09{address}",
                     f"file/%20{address}", f"file={address.replace(':', '%3A')}",
                     f"proxy={address}", f"proxy/{address}", "file=//127.0.0.1/x",
                     f"file=ftp{address[4:]}", f"file=/{address}"]  # fmt: skip
        for spelling in spellings:
            for prefix in ("/gradio_api/", "/"):
                reply = t.get(prefix + spelling, follow_redirects=True)
                if reply.status_code not in (403, 404):
                    return f"{prefix}{spelling}: {reply.status_code}"
        named = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        inputs = {"predict": [named], "batch": [[named]], "save": [named, "gradcam", *[None] * 12]}
        for name, data in inputs.items():
            event = t.event(
                {"batch": "answer_batch"}.get(name, name) if name != "batch" else "batch"
            )
            if t.join(event, data, f"address-{name}").status_code == 200:
                t.answer(f"address-{name}")
        return f"the server asked for {asked}" if asked else ""


@attack("5b files of the server, by their paths")
def paths(t: Target) -> str:
    photo = str(Path(__file__).resolve().parents[2] / "demo/examples/green-tshirt.png")
    inside = f"data:image/jpeg;base64,{b64encode(good()).decode()}"
    own = ({"path": photo}, {"path": photo, "meta": {"_type": "x"}}, photo,
           {"path": photo, "meta": {"_type": "gradio.FileData"}},
           {"path": "demo/examples/green-tshirt.png"}, {"path": f"/proc/self/cwd/{photo}"},
           {"path": None, "url": inside})  # fmt: skip
    for number, given in enumerate(own):
        inputs = {"predict": [given], "explain": [given, "gradcam"], "batch": [[given]]}
        for name, data in inputs.items():
            session = f"path-{number}-{name}"
            if t.join(t.event(name), data, session).status_code != 200:
                continue
            if '"label"' in json.dumps(t.answer(session)):
                return f"{name} opened {given}"
    return ""


@attack("6 bodies of 300 MB that are no files")
def large_bodies(t: Target) -> str:
    paths = ("/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/call/predict",
             "/gradio_api/run/predict", "/gradio_api/reset", "/login", "/health")  # fmt: skip
    with Watch(t) as watch:
        for path in paths:
            announced = {"content-length": "300000000", "content-type": "application/json"}
            if (code := _begun(t, path, announced)) not in (404, 413):
                return f"{path} with its length: {code}"
            reply = t.post(path, content=_chunks(12))  # no length: 12 MB in chunks
            if reply.status_code not in (404, 413, 422):  # 422: refused unread
                return f"{path} in chunks: {reply.status_code}"
    return _too_much(watch, 60)


@attack("7 batches that nobody reads, of one large photo named 200 times")
def unread_batches(t: Target) -> str:
    file = t.upload("large.png", transparent())
    event = t.event("batch")
    with Watch(t) as watch:
        codes = Counter(t.join(event, [[file] * 200], f"unread{i}").status_code for i in range(60))
    if codes[200] > 12:
        return f"{codes[200]} of 60 were taken"
    answer = Client(t.url, verbose=False).predict(_photo(), api_name="/predict")
    return _too_much(watch, 900) if "gender" in answer else "a visitor got no answer"


@attack("8 so many sessions that another visitor's is forgotten")
def sessions(t: Target) -> str:
    file = t.upload("photo.jpg", good())
    t.join(t.event("look"), [file, "gradcam"], "visitor")
    t.answer("visitor")
    redraw, heads = t.event("redraw"), words.in_order(ATTRIBUTES)
    none: list = [None] * len(heads)
    empty = [None, "gradcam", *none, *none]
    with Watch(t) as watch, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: t.join(redraw, empty, f"crowd{i}"), range(510)))
    chosen = ["Women" if head == "gender" else None for head in heads]
    t.join(redraw, [file, "gradcam", *chosen, *none], "visitor")
    outcome = t.answer("visitor")
    if not outcome["success"] or f"{words.title('gender')}: Women" not in str(outcome["output"]):
        return f"the visitor's choice: {str(outcome['output'])[:120]}"
    return _too_much(watch, 150)


@attack("9 zips of very many files, and one named again and again")
def zips(t: Target) -> str:
    many = t.upload("many.zip", _zip({f"{i}.png": b"" for i in range(5_000)}))
    few = t.upload("few.zip", _zip({f"{i}.png": b"" for i in range(100)}))
    sizes = []
    for files in ([many], [few] * 400):
        session = f"zip{len(files)}"
        t.join(t.event("batch"), [files], session)
        sizes.append(len(str(t.answer(session))))
        t.join(t.event("run"), [files], session)
        sizes.append(len(str(t.answer(session))))
    return f"answers of {sizes} characters" if max(sizes) > 300_000 else ""


@attack("11 twenty files of 19 MB in one upload")
def large_upload(t: Target) -> str:
    headers = {"content-length": str(20 * 19_000_000),
               "content-type": "multipart/form-data; boundary=x"}  # fmt: skip
    if (code := _begun(t, "/gradio_api/upload", headers)) != 413:
        return f"it is answered {code}"
    chunked = {"content-type": "multipart/form-data; boundary=x"}
    code = t.post("/gradio_api/upload", content=_chunks(1), headers=chunked).status_code
    return "" if code == 411 else f"without a length: {code}"


@attack("16 ranges, forwarded hosts and routes that make no sense")
def nonsense(t: Target) -> str:
    file = t.upload("photo.jpg", good())["path"]
    for span in ("bytes=-5-3", "bytes=9-3", "bytes=a-b", "lines=1-2", "bytes=-", "bytes=1-2,5-9"):
        reply = t.get(f"/gradio_api/file={file}", headers={"range": span})
        if reply.status_code not in (200, 206, 416):
            return f"{span}: {reply.status_code}"
    evil = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https",
            "x-gradio-server": "http://evil.example"}  # fmt: skip
    for path in ("/config", "/"):
        if "evil.example" in t.get(path, headers=evil).text:
            return f"{path} repeats a forwarded host"
    for path in ("/monitoring", "/gradio_api/deep_link", "/gradio_api/vibe-code", "/docs",
                 "/openapi.json", "/gradio_api/dev/reload"):  # fmt: skip
        if t.get(path).status_code != 404:
            return f"{path} is offered"
    return ""


@attack("6 a large body without a log-in", LOCKED)
def large_body_locked(t: Target) -> str:
    with Watch(t) as watch:
        announced = {"content-length": "200000000", "content-type": "application/json"}
        for path in ("/gradio_api/cancel", "/gradio_api/queue/join", "/api/predict"):
            if (code := _begun(t, path, announced)) not in (401, 413):
                return f"{path}: {code}"
    return _too_much(watch, 40)


@attack("12 what asks for no log-in", LOCKED)
def without_login(t: Target) -> str:
    for path in ("/result/x", "/result/x/maps.png", "/config", "/gradio_api/info",
                 "/gradio_api/queue/data?session_hash=x", "/gradio_api/queue/status",
                 "/gradio_api/heartbeat/x", "/gradio_api/file=/etc/hosts",
                 "/gradio_api/call/predict/x", "/gradio_api/token"):  # fmt: skip
        if (code := t.get(path).status_code) not in (401, 403):
            return f"{path}: {code}"
    return ""


@attack("16 a log-out that ends somebody else's session", LOCKED)
def others_logout(t: Target) -> str:
    assert t.login
    data = dict(zip(("username", "password"), t.login, strict=True))
    with httpx.Client(base_url=t.url) as one, httpx.Client(base_url=t.url) as other:
        for client in (one, other):
            if client.post("/login", data=data).status_code != 200:
                return "no log-in"
        one.get("/logout")
        one.get("/logout?all_session=true")
        codes = one.get("/config").status_code, other.get("/config").status_code
    return "" if codes == (401, 200) else f"after a log-out: own {codes[0]}, other {codes[1]}"


@attack("13 three hundred passwords", LOCKED)
def passwords(t: Target) -> str:
    def form(i: int) -> int:
        wrong = {"username": "ann", "password": f"guess{i}"}
        return t.post("/login", data=wrong, headers=_elsewhere(i)).status_code

    def basic(i: int) -> int:
        return t.post("/api/predict", auth=("ann", f"guess{i}"), headers=_elsewhere(i)).status_code

    tried = [f(i) for f in (form, basic) for i in range(40)]
    return "" if tried.count(429) >= 60 else f"{Counter(tried)} of 80 guesses"


def _elsewhere(i: int) -> dict[str, str]:
    """A header that claims another address each time."""
    return {"x-forwarded-for": f"10.0.0.{i}"}


def _too_much(watch: Watch, megabytes: float) -> str:
    return f"it took {watch.grown:.0f} MB" if watch.grown > megabytes else ""


def _begun(t: Target, path: str, headers: dict[str, str]) -> int:
    """The status of a POST of which only the headers and a first part are ever sent."""
    import http.client

    host = t.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.putrequest("POST", path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(b"x" * 1_000)
    try:
        return connection.getresponse().status
    except TimeoutError:  # it waits for the body
        return 0
    finally:
        connection.close()


def _chunks(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield b"[" * 1_000_000


def _zip(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def _photo():
    from tests.conftest import ROOT

    return handle_file(str(ROOT / "demo" / "examples" / "pink-dress.png"))


class _listener:
    """A web server on this machine that remembers what it is asked for."""

    def __enter__(self) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # the standard library's name
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/photo.png", asked

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
