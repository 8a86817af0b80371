"""Uploads as visitors, scanners and attackers send them, each with what must come back."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

from examples import garments

ANSWER, MESSAGE, EITHER = "answer", "message", "either"
PHOTO = Image.fromarray(garments.draw("shirt", "Red", (160, 120)))
SAVED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def encoded(picture: Image.Image = PHOTO, kind: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, data: bytes, *extra: bytes) -> bytes:
    """A PNG with any size in its header, however little data follows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + rest


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def flipped(data: bytes, seed: int) -> bytes:
    """Twenty bytes behind the header changed."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for place in rng.integers(60, len(changed), 20):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def corpus() -> dict[str, tuple[bytes, str]]:
    """Name → (bytes, what must come back)."""
    rng = np.random.default_rng(0)
    texts = {
        "empty": b"",
        "one byte": b"\xff",
        "html as jpg": b"<!doctype html><title>404</title>",
        "json": b'{"error": "not found"}',
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "svg with a script": b"<svg><script>alert(document.cookie)</script></svg>",
        "xml entities": b'<!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;</svg>',
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
        "gzip": b"\x1f\x8b\x08\x00" + bytes(32),
        "mp4": b"\x00\x00\x00\x20ftypisom" + bytes(64),
        "heic": b"\x00\x00\x00\x18ftypheic" + bytes(64),
        "python pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "a path": b"/etc/passwd",
        "a url": b"http://127.0.0.1:22/",
        "emoji": "👗".encode() * 100,
        "jpeg marker alone": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        "png signature alone": b"\x89PNG\r\n\x1a\n",
        "gif header alone": b"GIF89a\xff\xff\xff\xff\x80\x00\x00",
        "over the byte cap": b"\xff\xd8" + bytes(20_500_000),
        "zip": zipped({"a.png": encoded(kind="PNG")}),
        "zip with ../": zipped({"../../a.png": encoded(kind="PNG")}),
        "zip bomb": zipped({"a.bmp": bytes(30_000_000)}),
    }
    found = {name: (data, MESSAGE) for name, data in texts.items()}
    found |= {
        f"random bytes {i}": (rng.integers(0, 256, 4_000).astype(np.uint8).tobytes(), MESSAGE)
        for i in range(3)
    }
    for kind in SAVED:
        whole = encoded(kind=kind)
        for percent in (10, 50, 90):
            # A format whose last rows are missing may be shown or refused, never crash.
            found[f"{kind} cut at {percent} %"] = (whole[: len(whole) * percent // 100], EITHER)
        found[f"{kind} with flipped bytes"] = (flipped(whole, len(kind)), EITHER)
        found[f"{kind} whole"] = (whole, ANSWER)
    zeros = zlib.compress(bytes(3 * 10_000 * 100 + 100), 9)
    found |= {
        "png of 50,000 × 50,000": (png(50_000, 50_000, zeros), MESSAGE),
        "png of 2 billion × 1": (png(2**31 - 1, 1, zeros), MESSAGE),
        "png without pixels": (png(0, 5, zeros), MESSAGE),
        "png whose data are too short": (png(500, 400, zlib.compress(b"\0" * 99)), EITHER),
        "png with a text bomb": (
            png(4, 4, zlib.compress(bytes(4 * 13)),
                chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
            EITHER,
        ),
        "png with a broken checksum": (encoded(kind="PNG")[:-8] + b"\0" * 8, EITHER),
        "jpeg that says 65,535 × 65,535": (huge_jpeg(), MESSAGE),
        "gif that says 65,535 × 65,535": (huge_gif(), MESSAGE),
        "one pixel": (encoded(PHOTO.resize((1, 1)), "PNG"), ANSWER),
        "a line 1 × 5,000": (encoded(PHOTO.resize((1, 5_000)), "PNG"), ANSWER),
        "a line 5,000 × 1": (encoded(PHOTO.resize((5_000, 1)), "PNG"), ANSWER),
        "cmyk jpeg": (encoded(PHOTO.convert("CMYK")), ANSWER),
        "grey jpeg": (encoded(PHOTO.convert("L")), ANSWER),
        "progressive jpeg": (encoded(progressive=True), ANSWER),
        "1 bit png": (encoded(PHOTO.convert("1"), "PNG"), ANSWER),
        "palette png with transparency": (
            encoded(PHOTO.quantize(16), "PNG", transparency=0), ANSWER),
        "grey png with alpha": (encoded(PHOTO.convert("LA"), "PNG"), ANSWER),
        "16 bit grey png": (encoded(deep(), "PNG"), ANSWER),
        "32 bit float tiff": (encoded(PHOTO.convert("L").convert("F"), "TIFF"), ANSWER),
        "lossless webp": (encoded(kind="WEBP", lossless=True), ANSWER),
        "animated gif": (encoded(kind="GIF", save_all=True, append_images=[PHOTO] * 3), ANSWER),
        "animated webp": (encoded(kind="WEBP", save_all=True, append_images=[PHOTO] * 3), ANSWER),
        "animated png": (encoded(kind="PNG", save_all=True, append_images=[PHOTO] * 3), ANSWER),
        "tiff of three pages": (
            encoded(kind="TIFF", save_all=True, append_images=[PHOTO] * 2), ANSWER),
        "rotated by exif": (encoded(exif=turned(6)), ANSWER),
        "exif that makes no sense": (encoded(exif=b"Exif\0\0" + bytes(range(200))), ANSWER),
        "garbage as colour profile": (encoded(icc_profile=bytes(500)), ANSWER),
        "png with 1,000 text chunks": (encoded(kind="PNG", pnginfo=chatty()), ANSWER),
    }  # fmt: skip
    return found


def zipped(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def huge_jpeg() -> bytes:
    """The size in the frame header changed."""
    data = bytearray(encoded())
    place = data.find(b"\xff\xc0")
    data[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    return bytes(data)


def huge_gif() -> bytes:
    data = bytearray(encoded(kind="GIF"))
    data[6:10] = b"\xff\xff\xff\xff"
    return bytes(data)


def deep() -> Image.Image:
    return Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def chatty() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for i in range(1_000):
        info.add_text(f"key {i}", "<script>alert(1)</script>")
    return info
