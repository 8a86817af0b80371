"""Every upload of the corpus gets an answer or a sentence, and the next good photo its answer."""

import io

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from fashion_xai import ImageError
from fashion_xai.data import images
from tests.bad_uploads import ANSWER, EITHER, MESSAGE, PHOTO, corpus, encoded, turned

CORPUS = corpus()
KNOWN = ("The file is empty", "This file is not a photo", "The photo is damaged", "The picture has",
         "The file has")  # fmt: skip


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 60
    assert sum(kind == MESSAGE for _, kind in CORPUS.values()) >= 30


@pytest.mark.parametrize("name", CORPUS)
def test_the_library_reads_it_or_says_why_not(name):
    data, kind = CORPUS[name]
    try:
        photo = images.load(data)
    except ImageError as error:
        assert kind in (MESSAGE, EITHER) and str(error).startswith(KNOWN), error
    else:
        assert kind in (ANSWER, EITHER)
        assert photo.dtype == np.uint8 and photo.shape[2] == 3


def test_the_server_answers_each_and_then_a_good_photo(small_url):
    good = encoded()
    expected = httpx.post(f"{small_url}/api/predict", content=good).json()
    for name, (data, kind) in CORPUS.items():
        reply = httpx.post(f"{small_url}/api/explain", content=data, timeout=60)
        assert reply.status_code in ({ANSWER: (200,), MESSAGE: (400,)}.get(kind, (200, 400))), name
        if reply.status_code == 400:
            assert reply.json()["error"].startswith(KNOWN), name
        after = httpx.post(f"{small_url}/api/predict", content=good)
        assert after.json() == expected, name
    assert httpx.get(f"{small_url}/health").json()["waiting"] == 0


def test_the_page_gives_the_same_sentences(small_url, tmp_path):
    client = Client(small_url, verbose=False)
    for name in ("html as jpg", "svg with a script", "png of 50,000 × 50,000", "PNG cut at 10 %"):
        file = tmp_path / "photo.jpg"
        file.write_bytes(CORPUS[name][0])
        with pytest.raises(AppError, match="|".join(KNOWN)):
            client.predict(handle_file(str(file)), api_name="/predict")


def test_a_turned_photo_is_turned_back():
    upright = images.load(io.BytesIO(encoded(kind="PNG")).getvalue())
    turned_back = images.load(encoded(PHOTO.rotate(90, expand=True), exif=turned(6), quality=95))
    assert turned_back.shape == upright.shape
    assert np.abs(turned_back.astype(int) - upright).mean() < 6
