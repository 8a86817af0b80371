"""Truncated and bit-flipped zips and photos, and random forms: answers and sentences, no more."""

import contextlib
import io
import tempfile
import zipfile
from pathlib import Path

import httpx
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from examples import garments
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from tests.field import icc

BAG = Image.fromarray(garments.draw("bag", "Red", (64, 48)))


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    BAG.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def photos() -> list[bytes]:
    """One of each format and mode, some with a profile."""
    profile = icc.rgb(icc.ADOBE_RGB, 2.2)
    found = [encoded(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")]
    found += [encoded("PNG", mode) for mode in ("L", "LA", "RGBA", "P", "1", "I;16")]
    found += [encoded("TIFF", mode) for mode in ("CMYK", "LAB", "F")]
    found += [encoded(kind, icc_profile=profile) for kind in ("JPEG", "PNG", "TIFF", "AVIF")]
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        found.append(encoded("HEIF"))
    return found


PHOTOS = photos()


@st.composite
def damaged(draw, originals):
    """A file cut off, with bits flipped, bytes repeated, or another's tail."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 12))):
        place = draw(st.integers(0, len(data) - 1))
        data[place] ^= 1 << draw(st.integers(0, 7))
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    if draw(st.integers(0, 3)) == 0:
        data += draw(st.sampled_from(originals))[draw(st.integers(0, 60)) :]
    return bytes(data)


@given(damaged(PHOTOS))
def fuzz_photos(data):
    try:
        rgb = images.load(data)
    except images.ImageError as error:
        assert str(error).count("\n") == 0
        return
    assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size


def a_zip(how: int) -> bytes:
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w", how) as file:
        garments.write_catalogue(Path(folder) / "c", per_kind=1, size=(16, 12))
        for path in sorted(Path(folder).rglob("*.*")):
            file.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


ZIPS = [a_zip(how) for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)]


@given(damaged(ZIPS))
def fuzz_zips(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.zip"
        file.write_bytes(data)
        try:
            catalogue = Catalogue(file)
        except CatalogueError as error:
            assert str(error)
            return
        for product in catalogue.products:
            with contextlib.suppress(images.ImageError):
                catalogue.photo(product)


@pytest.fixture(scope="module")
def client(small_url):
    with httpx.Client(base_url=small_url, timeout=60) as client:
        yield client


KINDS = [
    "",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    'Multipart/Form-Data; boundary="x"',
    "application/x-www-form-urlencoded",
    "image/jpeg",
    "text/plain; charset=utf-16",
]
HEAD = b"Content-Disposition: form-data"
PARTS = [
    b"--x\r\n",
    b"--x--\r\n",
    b"\r\n",
    HEAD + b'; name="a"; filename="b"\r\n\r\n',
    HEAD + b"\r\n\r\n",
    b"Content-Type: image/png\r\n",
    PHOTOS[0],
    b"\0" * 9,
]
PAIRS = st.tuples(st.sampled_from(["method", "pictures", "x", ""]), st.text(max_size=5))
QUERY = st.lists(PAIRS, max_size=3)


@given(
    st.sampled_from(["predict", "explain"]),
    st.sampled_from(KINDS),
    st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=40)), max_size=8).map(b"".join),
    QUERY,
)
def fuzz_forms(client, route, kind, body, query):
    reply = client.post(f"/api/{route}", content=body, params=query, headers={"content-type": kind})
    assert reply.status_code in (200, 400, 413, 429, 503), reply.text
    if reply.status_code != 200:
        assert reply.json()["error"]


@given(damaged(PHOTOS))
def fuzz_photos_over_http(client, data):
    reply = client.post("/api/predict", content=data)
    assert reply.status_code in (200, 400), reply.text
    assert "gender" in reply.json() or reply.json()["error"]
