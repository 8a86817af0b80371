"""Plain HTTP beside the page: answers, refusals, health, headers, logs, and the end."""

import asyncio
import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request

from demo import api
from examples import garments
from fashion_xai import ATTRIBUTES
from fashion_xai.data import images
from fashion_xai.maps import methods
from tests.conftest import ROOT
from tests.server import free_port, start


@pytest.fixture
def bag(tmp_path):
    garments.save("bag", tmp_path / "bag.png", "Red")
    return tmp_path / "bag.png"


def test_maps_over_http_are_the_librarys(url, bag, shipped):
    for method in (None, "gradcam"):
        query = {} if method is None else {"method": method}
        reply = httpx.post(f"{url}/api/explain", params=query, content=bag.read_bytes())
        answer = reply.raise_for_status().json()
        expected = shipped.explain(bag, method=method or methods.DEFAULT)
        assert list(answer) == [*ATTRIBUTES, "one_product", "similar", "maps"]
        (forward_pass,) = shipped.read([bag])
        near = shipped.similar(forward_pass)
        assert [x["id"] for x in answer["similar"]] == [product.id for product in near]
        assert answer["similar"][0]["labels"] == near[0].labels and len(near) == 8
        for attribute, e in expected.items():
            assert answer[attribute]["label"] == e.prediction.label
            got = answer["maps"][attribute]
            assert (got["target"], got["method"]) == (e.target, e.method)
            np.testing.assert_allclose(got["heatmap"], e.heatmap, atol=1e-3)


def test_pictures_come_on_request(url, bag):
    reply = httpx.post(f"{url}/api/explain", params={"pictures": "true"}, content=bag.read_bytes())
    for found in reply.json()["maps"].values():
        data = base64.b64decode(found["picture"].split(",", 1)[1])
        picture = Image.open(io.BytesIO(data))
        picture.load()
        assert picture.size == (300, 400) and picture.format == "JPEG"


def test_a_form_works_as_well_as_bare_bytes(url, bag):
    bare = httpx.post(f"{url}/api/predict", content=bag.read_bytes()).json()
    form = httpx.post(f"{url}/api/predict", files={"photo": bag.read_bytes()}).json()
    assert bare == form and "maps" not in bare
    huge = {"photo": b"\xff" * 20_500_000}
    refused = httpx.post(f"{url}/api/predict", files=huge, timeout=60)
    assert refused.status_code == 400 and "at most 20 MB" in refused.json()["error"]


@pytest.mark.parametrize(
    "content, query, complaint",
    [
        (b"", {}, "The file is empty"),
        (b"<html>", {}, "not a photo that can be read"),
        (b"\xff" * 20_500_000, {}, "at most 20 MB"),
        (None, {"method": "scorecam"}, "Expected a method of gradcam-odds"),
        (None, {"method": "magic"}, "Received: 'magic'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(url, bag, content, query, complaint):
    data = bag.read_bytes() if content is None else content
    reply = httpx.post(f"{url}/api/explain", params=query, content=data, timeout=60)
    assert reply.status_code == 400 and complaint in reply.json()["error"]
    empty = httpx.post(f"{url}/api/explain", files={}, data={"a": "b"})
    assert empty.status_code == 400


def test_no_more_than_the_cap_is_read_of_a_form():
    """A form that never ends: the server stops listening instead of keeping it."""
    asked = 0

    async def receive():
        nonlocal asked
        asked += 1
        start = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
        body = (start if asked == 1 else b"") + b"a" * 1_000_000
        return {"type": "http.request", "body": body, "more_body": asked < 60}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    # In a thread of its own: a browser that another test opened keeps a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        data = pool.submit(asyncio.run, api._body(request)).result()
    assert asked == 20 and len(data) > images.MAX_BYTES


def test_health_and_headers(url, shipped):
    reply = httpx.get(f"{url}/health")
    body = reply.json()
    assert body["status"] == "ok" and body["waiting"] == 0 and body["seconds_up"] > 0
    assert body["model"] == shipped.bundle.card["sha256"]["model.keras"]
    for answer in (reply, httpx.get(url)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-frame-options" not in answer.headers  # a Space shows the page in a frame


def test_a_line_a_request_and_a_stop_that_finishes(bag):
    """The first SIGTERM lets what is in flight end; the log has a line for each request."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "demo/app.py", "--port", str(port)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},  # as in a container: lines stay whole
    )  # fmt: skip
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    while not any(line.startswith("Ready") for line in lines):
        assert process.poll() is None, lines
        time.sleep(0.1)
    data = bag.read_bytes()
    answers: list[int] = []

    def ask():
        reply = httpx.post(f"http://127.0.0.1:{port}/api/explain", content=data, timeout=60)
        answers.append(reply.status_code)

    clients = [threading.Thread(target=ask) for _ in range(12)]
    for client in clients:
        client.start()
    while not answers:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    for client in clients:
        client.join()
    assert process.wait(timeout=60) == 0
    reader.join(timeout=10)
    # Nothing is cut off: each got its maps, or a sentence that the server is stopping.
    assert len(answers) == 12 and set(answers) <= {200, 503}
    logged = [json.loads(line.split("Z ", 1)[1]) for line in lines if re.match(r"\d{4}-\d\d", line)]
    assert len(logged) == 12
    good = next(line for line in logged if "refused" not in line)
    assert good["what"] == "http explain" and good["bytes"] == len(data)
    assert good["size"] == [400, 300] and set(good["ms"]) == {
        "decode",
        "network",
        "answer",
        "total",
    }
    assert len({line["id"] for line in logged}) == 12


def test_a_log_in_guards_the_page_and_the_api(bag, small_bundle, monkeypatch):
    monkeypatch.setenv("FASHION_AUTH", "ann:se:cret")
    process, url = start("--bundle", str(small_bundle))
    try:
        data = bag.read_bytes()
        assert httpx.post(f"{url}/api/predict", content=data).status_code == 401
        wrong = httpx.post(f"{url}/api/predict", content=data, auth=("ann", "guess"))
        assert wrong.status_code == 401 and "www-authenticate" in wrong.headers
        right = httpx.post(f"{url}/api/predict", content=data, auth=("ann", "se:cret"))
        assert right.json()["gender"]["label"]
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        assert httpx.post(f"{url}/gradio_api/call/predict", json={"data": []}).status_code == 401
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ValueError, match="expected user:password"):
        api.login("ann")
    assert api.login(None) is None


def test_a_second_ctrl_c_stops_at_once():
    process, _ = start()
    os.killpg(process.pid, signal.SIGSTOP)  # both signals wait for it
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGCONT)
    assert process.wait(timeout=10) == 1
