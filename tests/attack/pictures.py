"""Pictures that cost a decoder far more than they weigh."""

from __future__ import annotations

import io
import struct
from functools import cache

from PIL import Image

from examples import garments
from tests.bad_uploads import png


@cache
def good() -> bytes:
    """An honest photo."""
    return encoded(Image.fromarray(garments.draw("shirt", "Red", (400, 300))), "JPEG")


@cache
def transparent(side: int = 7_000) -> bytes:
    """49 megapixels of RGBA in some 200 KB: within the caps."""
    return encoded(Image.new("RGBA", (side, side), (200, 30, 30, 128)), "PNG")


@cache
def enormous() -> bytes:
    """177 megapixels, within Pillow's own limit and over ours; the header is what counts."""
    return png(13_300, 13_300, b"")


@cache
def endless_scans(repeats: int = 1_000) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(Image.fromarray(garments.draw("dress", "Red", (1_600, 1_200))), "JPEG",
                   progressive=True, quality=60)  # fmt: skip
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * repeats + b"\xff\xd9"


@cache
def endless_strips(count: int = 2_000_000) -> bytes:
    """A TIFF that says it has two million strips, each of them the same byte."""
    width, height = 16, count
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, count, 8 + 2 + 9 * 12 + 4),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, count, 8 + 2 + 9 * 12 + 4),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 8) * count


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()
