"""The API says what it did: no parameter is overlooked, every refusal is ``{"error": …}``."""

import httpx
import pytest

from tests import garments


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
