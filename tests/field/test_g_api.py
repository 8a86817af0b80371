"""The API says what it did: no parameter is overlooked, every refusal is ``{"error": …}``."""

import subprocess
import sys
import threading
import time
import warnings
import zipfile

import httpx
import jsonschema
import openapi_spec_validator
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from examples import garments
from fashion_xai.maps import methods
from tests.server import ROOT, free_port


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    file = tmp_path_factory.mktemp("photo") / "bag.png"
    garments.save("bag", file, "Red")
    return file.read_bytes()


@pytest.mark.parametrize(
    "word, pictures",
    [("true", True), ("True", True), ("1", True), ("yes", True), ("false", False), ("0", False)],
)
def test_pictures_by_any_word_for_yes(small_url, bag, word, pictures):
    reply = httpx.post(f"{small_url}/api/explain?pictures={word}", content=bag)
    assert all(
        ("picture" in x) == pictures for x in reply.raise_for_status().json()["maps"].values()
    )


@pytest.mark.parametrize(
    "query, complaint",
    [
        ("explain?pictures=maybe", "pictures: expected true or false. Received: 'maybe'"),
        ("explain?pictures=", "pictures: expected true or false. Received: ''"),
        ("explain?picture=true&size=3", "method and pictures, once each. Received: picture, size"),
        ("explain?method=gradcam&method=layercam", "once each. Received: method, method"),
        ("predict?method=gradcam", "Expected parameters: none. Received: method"),
    ],
)
def test_other_parameters_are_named(small_url, bag, query, complaint):
    reply = httpx.post(f"{small_url}/api/{query}", content=bag)
    assert reply.status_code == 400 and complaint in reply.json()["error"]


def test_a_form_may_have_many_fields_and_any_case(small_url, bag):
    fields = {f"field{n}": "x" for n in range(40)}
    many = httpx.post(f"{small_url}/api/predict", files={"photo": bag}, data=fields)
    assert many.status_code == 200
    body = many.request.read()
    kind = many.request.headers["content-type"].replace(
        "multipart/form-data", "Multipart/Form-Data"
    )
    assert (
        httpx.post(f"{small_url}/api/predict", content=body, headers={"content-type": kind}).json()
        == many.json()
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda url, bag: httpx.post(f"{url}/api/predict", files=[("a", bag), ("b", bag)]),
        lambda url, bag: httpx.post(f"{url}/api/predict", files={}, data={"a": "b"}),
        lambda url, bag: httpx.post(
            f"{url}/api/predict", content=b"x", headers={"content-type": "multipart/form-data"}
        ),
        lambda url, bag: httpx.get(f"{url}/api/predict"),
        lambda url, bag: httpx.get(f"{url}/api/nothing"),
    ],
    ids=["two files", "no file", "no boundary", "GET", "another route"],
)
def test_every_refusal_is_an_error_in_json(small_url, bag, ask):
    reply = ask(small_url, bag)
    assert 400 <= reply.status_code < 500 and reply.json()["error"]


@pytest.fixture(scope="module")
def logged(small_bundle):
    """A demo of one's own and the lines it has printed."""
    process = subprocess.Popen(
        [sys.executable, "demo/app.py", "--port", str(port := free_port()),
         "--bundle", str(small_bundle)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
    while not any(line.startswith("Ready") for line in lines):
        assert process.poll() is None, lines
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}", lines
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "given", ["photo.jpg", "/etc/passwd", str(ROOT / "demo/examples/green-tshirt.png"), 5,
              "data:image/png;base64,aaaa", ["photo.jpg"]],
)  # fmt: skip
def test_a_plain_path_through_the_client_is_answered_with_our_sentence(logged, given):
    url, lines = logged
    client = Client(url, verbose=False)
    for arguments, name in (
        ((given,), "/predict"),
        ((given, "gradcam"), "/explain"),
        (([given],), "/batch"),
    ):
        with pytest.raises(AppError, match="handle_file"):
            client.predict(*arguments, api_name=name)
    assert not [line for line in lines if "Traceback" in line]


def test_a_file_of_the_server_is_not_opened_by_its_path(logged):
    """Gradio checks only what calls itself a file; ``{"path": …}`` alone passed it once."""
    url, _ = logged
    own = str(ROOT / "demo/examples/green-tshirt.png")
    for given in ({"path": own}, {"path": own, "meta": {"_type": "x"}}, {"path": "/etc/../" + own}):
        for name, data in (
            ("predict", [given]),
            ("batch", [[given]]),
            ("explain", [given, "gradcam"]),
        ):
            event = httpx.post(f"{url}/gradio_api/call/{name}", json={"data": data}).json()[
                "event_id"
            ]
            reply = httpx.get(f"{url}/gradio_api/call/{name}/{event}", timeout=60).text
            assert "handle_file" in reply and "label" not in reply


def test_one_name_twice_in_a_zip_gives_two_answers(logged, tmp_path):
    url, _ = logged
    for colour in ("Red", "Green"):
        garments.save("bag", tmp_path / f"{colour}.png", colour)
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        warnings.simplefilter("ignore")  # that the name is there already
        file.write(tmp_path / "Red.png", "photo.png")
        file.write(tmp_path / "Green.png", "photo.png")
    client = Client(url, verbose=False)
    found = client.predict([handle_file(tmp_path / "two.zip")], api_name="/batch")
    alone = [
        client.predict(handle_file(tmp_path / f"{c}.png"), api_name="/predict")
        for c in ("Red", "Green")
    ]
    assert [row.pop("file") for row in found] == ["photo.png"] * 2
    assert found == alone and found[0] != found[1]


def test_the_schema_describes_requests_and_replies(logged, bag):
    url, _ = logged
    schema = httpx.get(f"{url}/api/openapi.json").raise_for_status().json()
    openapi_spec_validator.validate(schema)
    assert set(schema["paths"]) == {"/api/predict", "/api/explain", "/health"}
    validators = jsonschema.validators.validator_for(schema)

    def check(path, method, status, value):
        answer = schema["paths"][path][method]["responses"][str(status)]
        part = answer["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**part, "components": schema["components"]}).validate(
            value
        )

    for path in ("/api/predict", "/api/explain"):
        reply = httpx.post(url + path, content=bag)
        check(path, "post", 200, reply.json())
        for word in ("true", "false"):
            if path == "/api/explain":
                check(
                    path,
                    "post",
                    200,
                    httpx.post(f"{url}{path}?pictures={word}", content=bag).json(),
                )
        check(path, "post", 400, httpx.post(url + path, content=b"no photo").json())
        body = schema["paths"][path]["post"]["requestBody"]["content"]
        assert {"application/octet-stream", "multipart/form-data"} <= set(body)
    check("/health", "get", 200, httpx.get(f"{url}/health").json())
    assert validators
    names = {p["name"]: p for p in schema["paths"]["/api/explain"]["post"]["parameters"]}
    assert set(names) == {"method", "pictures"}
    assert names["method"]["schema"]["enum"] == list(methods.CLOSED)
    assert "parameters" not in schema["paths"]["/api/predict"]["post"]
    # What the schema does not allow is refused, and its replies have nothing beside it.
    broken = httpx.post(f"{url}/api/predict", content=bag).json() | {"more": 1}
    with pytest.raises(jsonschema.ValidationError):
        check("/api/predict", "post", 200, broken)
