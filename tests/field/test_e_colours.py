"""Colours as they were meant, in every mode, and the formats that phones save."""

import contextlib
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai.__main__ import main
from fashion_xai.audit import engine
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue
from tests.field import icc
from tests.field.shops import rows_of, shop

TEAL = (0, 128, 128)
ADOBE = icc.rgb(icc.ADOBE_RGB, 2.19921875)
P3 = icc.rgb(icc.DISPLAY_P3, None)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode, value, size=(8, 6)):
    return Image.new(mode, size, value)


def near(rgb, colour, by=2):
    return np.abs(rgb.astype(int) - colour).max() <= by


def test_the_issues_own_example():
    assert icc.stored(TEAL, icc.ADOBE_RGB, 2.19921875) == [72, 127, 127]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("colour", [TEAL, (200, 40, 60), (12, 90, 200), (255, 255, 255)])
def test_profiles_are_converted_in_every_format(kind, colour):
    for profile, primaries, gamma in (
        (ADOBE, icc.ADOBE_RGB, 2.19921875), (P3, icc.DISPLAY_P3, None)
    ):  # fmt: skip
        there = tuple(icc.stored(colour, primaries, gamma))
        how = {"quality": 100} if kind in ("JPEG", "AVIF") else {}
        how |= {"lossless": True} if kind == "WEBP" else {}
        how |= {"subsampling": 0} if kind == "JPEG" else {}
        how |= {"subsampling": "4:4:4"} if kind == "AVIF" else {}
        data = encoded(solid("RGB", there, (64, 48)), kind, icc_profile=profile, **how)
        assert near(images.load(data), colour, {"JPEG": 4, "AVIF": 10}.get(kind, 2))


def test_srgb_by_any_name_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    profile = icc.rgb(icc.SRGB, None)
    data = encoded(Image.fromarray(pixels), icc_profile=profile)
    np.testing.assert_array_equal(images.load(data), pixels)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparency_stays(mode):
    there = (*icc.stored(TEAL, icc.ADOBE_RGB, 2.19921875), 255)
    picture = Image.new("RGBA", (8, 6), there)
    picture.paste((0, 0, 0, 0), (0, 0, 4, 6))
    if mode == "LA":  # grey keeps its level in Adobe RGB but for the curve
        picture = picture.convert("LA")
    if mode == "P":
        picture = picture.quantize(8)
    found = images.load(encoded(picture, icc_profile=ADOBE))
    assert found[3, 1].tolist() == [255, 255, 255]
    if mode != "LA":
        assert near(found[3, 6], TEAL)
    else:
        assert len(set(found[3, 6].tolist())) == 1


def test_grey_profiles():
    """A linear grey of 55 / 255 is as light as 128 in sRGB."""
    data = encoded(solid("L", 55), icc_profile=icc.grey(1.0))
    assert near(images.load(data), (128, 128, 128))
    # A grey photo with its camera's RGB profile: white stays white, the curve is the profile's.
    assert near(images.load(encoded(solid("L", 255), icc_profile=ADOBE)), (255, 255, 255), 1)
    deep = Image.fromarray(np.full((6, 8), 55 * 257, np.uint16))
    assert near(images.load(encoded(deep, icc_profile=icc.grey(1.0))), (128, 128, 128))


def test_cmyk_profiles():
    """Ink that a printer's profile says is dark violet, and Pillow's arithmetic calls cyan."""
    inks = {}
    for c in (0, 1):
        for m in (0, 1):
            for y in (0, 1):
                for k in (0, 1):
                    inks[c, m, y, k] = (95.0 - 30 * c - 20 * m - 10 * y - 30 * k, 0.0, 0.0)
    inks[1, 0, 0, 0] = (30.0, 40.0, -60.0)
    data = encoded(solid("CMYK", (255, 0, 0, 0)), "TIFF", icc_profile=icc.cmyk(inks))
    red, green, blue = images.load(data)[0, 0].astype(int)
    assert blue > 120 and red > 40 and green < 60
    assert images.load(encoded(solid("CMYK", (255, 0, 0, 0)), "TIFF"))[0, 0].tolist() == [
        0,
        255,
        255,
    ]
    large = encoded(solid("CMYK", (255, 0, 0, 0), (3200, 20)), "TIFF", icc_profile=icc.cmyk(inks))
    assert near(images.load(large)[0, 0], (red, green, blue), 1)  # reduced first, converted then


@pytest.mark.parametrize(
    "profile, mode",
    [(b"nonsense", "RGB"), (ADOBE[:200], "RGB"), (ADOBE[:128] + bytes(400), "L"),
     (icc.grey(2.2), "RGB"), (ADOBE, "CMYK")],
)  # fmt: skip
def test_damaged_and_foreign_profiles_are_ignored_and_said(
    profile, mode, tmp_path, capsys, small_bundle
):
    value = {"RGB": (10, 20, 30), "L": 77, "CMYK": (0, 255, 255, 0)}[mode]
    kind = "TIFF" if mode == "CMYK" else "PNG"
    plain = images.load(encoded(solid(mode, value), kind))
    data, notes = encoded(solid(mode, value), kind, icc_profile=profile), []
    np.testing.assert_array_equal(images.load(data, notes), plain)
    (note,) = notes
    assert note.startswith("its colour profile is") and note.endswith("ignored")
    (tmp_path / "a.img").write_bytes(data)
    assert main(["predict", str(tmp_path / "a.img"), "--bundle", str(small_bundle)]) == 0
    assert f"note: {tmp_path / 'a.img'}: {note}" in capsys.readouterr().err


def test_an_audit_says_whose_profiles_it_ignored(drawn, small, tmp_path, capsys):
    data = shop(drawn, tmp_path / "shop", *rows_of(drawn))
    for name in ("1000", "1001"):
        photo = data / "images" / f"{name}.jpg"
        Image.open(photo).copy().save(photo, icc_profile=b"nonsense")
    engine.run(small, Catalogue(data), tmp_path / "audit")
    assert (
        "2 photos: its colour profile is damaged and was ignored (1000, 1001)"
        in capsys.readouterr().out
    )


def png(bits, colour_type, rows, hole):
    """A PNG by hand (its specification, second edition): Pillow writes no 16-bit colours."""
    height, width, _ = rows.shape
    if bits < 8:
        packed = b"".join(
            b"\0" + np.packbits(
                ((row.ravel()[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).ravel()
            ).tobytes()
            for row in rows
        )  # fmt: skip
    else:
        kind = ">u2" if bits == 16 else "u1"
        packed = b"".join(b"\0" + row.astype(kind).tobytes() for row in rows)

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(f">{len(hole)}H", *hole))
        + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize(
    "bits, colour_type, hole, other",
    [
        (8, 0, [0], 100), (16, 0, [0], 100 * 257), (16, 0, [40_000], 100 * 257),
        (2, 0, [3], 1), (4, 0, [15], 5), (1, 0, [0], 1),
        (8, 2, [9, 9, 9], 100), (16, 2, [40_000] * 3, 100 * 257),
    ],
)  # fmt: skip
@pytest.mark.parametrize("width", [8, 3200])
def test_holes_are_white_in_any_depth(bits, colour_type, hole, other, width):
    rows = np.full((6, width, len(hole)), other)
    rows[:, : width // 2] = hole
    found = images.load(png(bits, colour_type, rows, hole))
    assert found[-1, 1].tolist() == [255] * 3
    level = {16: 100, 8: 100, 4: 85, 2: 85, 1: 255}[bits]
    assert near(found[-1, -2], (level,) * 3, 1)


@pytest.fixture
def heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()

    def make(picture, **options):
        return encoded(picture, "HEIF", quality=95, **options)

    return make


def test_what_phones_save(heic):
    bag = garments.draw("bag", "Red", (400, 300))
    for data in (heic(Image.fromarray(bag)), encoded(Image.fromarray(bag), "AVIF", quality=95)):
        assert np.abs(images.load(data).astype(int) - bag).mean() < 3
    there = tuple(icc.stored(TEAL, icc.DISPLAY_P3, None))
    assert near(images.load(heic(solid("RGB", there, (64, 48)), icc_profile=P3)), TEAL, 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = images.load(heic(Image.fromarray(bag), exif=exif.tobytes()))
    assert turned.shape == (300, 400, 3)
    assert np.abs(turned.astype(int) - np.rot90(bag, -1)).mean() < 3


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_their_caps_hold_before_decoding(heic, kind, monkeypatch):
    data = encoded(solid("L", 9, (400, 300)).convert("RGB"), kind)
    monkeypatch.setattr(images, "MAX_PIXELS", 100_000)

    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "convert", decode)
    monkeypatch.setattr(images, "_to_rgb", decode)
    with pytest.raises(images.ImageError, match="400×300"):
        images.load(data)
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(images.ImageError, match="MB"):
        images.load(data)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_damaged_ones_are_refused(heic, kind):
    data = bytearray(encoded(Image.fromarray(garments.draw("bag", "Red", (200, 150))), kind))
    for cut in (len(data) // 2, 40, 13):
        with pytest.raises(images.ImageError):
            images.load(bytes(data[:cut]))
    rng = np.random.default_rng(0)
    for _ in range(30):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            broken[place] ^= int(rng.integers(1, 256))
        with contextlib.suppress(images.ImageError):
            assert images.load(bytes(broken)).dtype == np.uint8


def test_heic_without_its_reader_names_the_extra(heic, monkeypatch):
    data = heic(solid("RGB", TEAL, (64, 48)))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(images.ImageError, match=r"HEIC photos need: pip install"):
        images.load(data)


def test_open_files_and_bytearrays(small):
    data = encoded(Image.fromarray(garments.draw("bag", "Red", (80, 60))))
    (usual,) = small.predict(data)
    for photo in (
        io.BytesIO(data),
        bytearray(data),
        memoryview(data),
        io.BufferedReader(io.BytesIO(data)),
    ):
        (answer,) = small.predict(photo)
        assert {a: p.label for a, p in answer.items()} == {a: p.label for a, p in usual.items()}
    assert set(small.explain(io.BytesIO(data))) == set(usual)
    assert len(small.predict([io.BytesIO(data), bytearray(data)])) == 2
    with pytest.raises(images.ImageError, match="binary mode"):
        small.predict(io.StringIO("text"))
