"""The only preprocessing in the project: any picture → letterboxed RGB in 0–255.

Training, library and demo all come through :func:`prepare`, so that a model never sees a
photo treated in two ways.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

SIZE = (256, 192)
"""Height and width of the shipped model's input: the 3:4 of the catalogue's photos."""

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
MAX_SCANS = 64
"""Of a progressive JPEG; encoders write about ten, and each is a pass over all pixels."""

MAX_PIECES = 65_536
"""Strips or tiles of a TIFF; each costs time however small it is."""

LONGEST = 1536
"""Pixels of the longest side from which a picture is averaged down by a whole factor."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif",
            ".tiff")  # fmt: skip
"""Of files in those formats."""

WHITE = 255

ImageLike = bytes | str | PathLike | Image.Image | np.ndarray

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, IndexError,
           OverflowError, struct.error, zlib.error)  # fmt: skip
"""What Pillow's decoders raise for damaged files."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns the picture upright (Exif 2.3, tag 0x0112)."""


class ImageError(ValueError):
    """A picture that cannot be used; the message is one sentence for the person who sent it."""


class Box(NamedTuple):
    """Where the photo lies inside the padded input, in pixels."""

    top: int
    left: int
    height: int
    width: int


def load(image: ImageLike) -> np.ndarray:
    """Read a picture of any mode.

    Args:
        image: encoded bytes, a path, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4) of uint8, uint16 (0–65,535) or float (0–255).

    Returns:
        uint8 RGB (H, W, 3). Transparency lies on white, EXIF rotation is applied, of an
        animation the first frame is taken. A side of two times :data:`LONGEST` and more is averaged
        down by the whole factor that leaves at least ``LONGEST``, while it is decoded where the
        format allows: the network sees a tenth of that, and memory stays small.

    Raises:
        ImageError: not a picture, damaged, larger than ``MAX_BYTES`` / ``MAX_PIXELS``, or made to
            take long: over ``MAX_SCANS`` or ``MAX_PIECES``.
        TypeError: something other than the types above.

    >>> load(np.zeros((2, 3), np.uint8)).shape  # grey becomes RGB
    (2, 3, 3)
    """
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    elif isinstance(image, bytes | bytearray | memoryview):
        return _decode(bytes(image))
    elif isinstance(image, str | PathLike):
        return _decode(_read_file(Path(image)))
    if not isinstance(image, Image.Image):
        raise TypeError(
            "Expected an image as bytes, path, PIL image or numpy array. "
            f"Received: {type(image).__name__}"
        )
    _check_pixels(image)
    return _to_rgb(image)


def letterbox(rgb: np.ndarray, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, Box]:
    """Fit a photo into ``size`` without distortion, centred on white.

    Args:
        rgb: uint8 (h, w, 3).
        size: (H, W) of the canvas.

    Returns:
        The uint8 canvas (H, W, 3) and the :class:`Box` that the photo fills.
    """
    height, width = size
    scale = min(height / rgb.shape[0], width / rgb.shape[1])
    h = min(height, max(1, round(rgb.shape[0] * scale)))
    w = min(width, max(1, round(rgb.shape[1] * scale)))
    # INTER_AREA averages when shrinking (no moiré from fabrics); cubic keeps edges when enlarging.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    box = Box((height - h) // 2, (width - w) // 2, h, w)
    canvas = np.full((height, width, 3), WHITE, np.uint8)
    canvas[box.top : box.top + h, box.left : box.left + w] = cv2.resize(
        rgb, (w, h), interpolation=method
    )
    return canvas, box


def prepare(image: ImageLike, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Any picture → the model's input: float32 (H, W, 3) in 0–255. Raises as :func:`load`."""
    return letterbox(load(image), size)[0].astype(np.float32)


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(_too_heavy(path.stat().st_size))
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror or error}.") from error


def pixels(image: bytes | str | PathLike) -> int:
    """How many pixels an encoded picture has, from its header alone. Raises as :func:`load`."""
    data = image if isinstance(image, bytes) else _read_file(Path(image))
    picture = _open(data)
    return picture.width * picture.height


def _decode(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        # Our own cap decides about size; other warnings concern metadata we do not use.
        warnings.simplefilter("ignore")
        return _to_rgb(_open(data))


def _open(data: bytes) -> Image.Image:
    """A picture whose header was read, within the caps; its pixels are not decoded yet."""
    if not data:
        raise ImageError("The file is empty; expected a photo.")
    if len(data) > MAX_BYTES:
        raise ImageError(_too_heavy(len(data)))
    try:
        _check_effort(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except ImageError:
        raise
    except _BROKEN as error:
        raise ImageError(
            "This file is not a photo that can be read; expected JPEG, PNG, WebP, GIF, BMP or TIFF."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large("more pixels")) from error
    _check_pixels(picture)
    return picture


def _check_effort(data: bytes) -> None:
    """Refuse what takes a decoder minutes for few bytes, before it begins.

    Raises:
        ImageError: too many scans or strips; others as Pillow raises them for a damaged header.
    """
    if data.startswith(b"\xff\xd8"):
        scans = data.count(b"\xff\xda")  # inside a scan 0xFF never comes before 0xDA
        if scans > MAX_SCANS:
            raise ImageError(f"The photo has {scans:,} scans; at most {MAX_SCANS} are decoded.")
    elif data.startswith((b"II", b"MM")):
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2:3] == b"+" else 8])
        file = io.BytesIO(data)
        file.seek(directory.next or 0)
        directory.load(file)
        tags = (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS)
        pieces = max(len(np.atleast_1d(directory.get(tag, ()))) for tag in tags)
        if pieces > MAX_PIECES:
            raise ImageError(
                f"The photo has {pieces:,} strips; at most {MAX_PIECES:,} are decoded."
            )


def _check_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(_too_large(f"{picture.width}×{picture.height}"))
    if not picture.width or not picture.height:
        raise ImageError("The picture has no pixels.")


def _to_rgb(picture: Image.Image) -> np.ndarray:
    try:
        turn = _UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
        small = _averaged(picture)
        if small.has_transparency_data:
            rgba = small.convert("RGBA")
            small = Image.alpha_composite(Image.new("RGBA", rgba.size, (WHITE,) * 4), rgba)
        rgb = small.convert("RGB")
        return np.array(rgb if turn is None else rgb.transpose(turn))
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large("more pixels")) from error
    except _BROKEN as error:
        raise ImageError("The photo is damaged and cannot be decoded.") from error
    except MemoryError as error:
        raise ImageError(
            "The photo needs more memory than there is; send a smaller one."
        ) from error


def _averaged(picture: Image.Image) -> Image.Image:
    """The picture in 8 bits, reduced by a whole factor where it is far larger than needed.

    Decoded once and in the fewest bytes: a JPEG at a half, a quarter or an eighth of its size.
    """
    factor = max(1, max(picture.size) // LONGEST)
    picture.draft(None, (picture.width // factor, picture.height // factor))
    factor = max(1, max(picture.size) // LONGEST)
    deep = picture.mode.startswith("I;16")
    if factor > 1:
        if deep:
            picture = picture.convert("I")
        elif picture.mode not in ("L", "LA", "RGB", "RGBA", "I", "F"):
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        elif picture.mode in ("L", "RGB") and picture.has_transparency_data:
            picture = picture.convert("RGBA")  # one colour is the hole: it must not be averaged
        picture = picture.reduce(factor)
    return _from_deep_grey(picture, deep) if deep or picture.mode in ("I", "F") else picture


def _from_deep_grey(picture: Image.Image, deep: bool) -> Image.Image:
    """16-bit integers and floats → 8 bits. Pillow's own convert clips instead of scaling."""
    values = np.nan_to_num(np.asarray(picture, np.float32))
    top = 1.0 if picture.mode == "F" and values.max() <= 1 else 255.0
    if picture.mode != "F" and (deep or values.max() > 255):
        top = 65535.0
    return Image.fromarray(np.clip(values * (255 / top), 0, 255).round().astype(np.uint8))


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"Expected an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). "
            f"Received: shape {array.shape}"
        )
    if not array.size:
        raise ImageError("The picture has no pixels.")
    if array.dtype == np.uint16:
        array = (array / 257).round().astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 255):
            raise ImageError(f"Expected values in 0–255. Received: {low:g} to {high:g}")
        if 0 < high <= 1:
            raise ImageError(
                "Float arrays are read as 0–255. Received: nothing above 1; multiply by 255."
            )
        array = array.round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ImageError(f"Expected uint8, uint16 or float values. Received: {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


def _too_heavy(size: int) -> str:
    return f"The file has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are accepted."


def _too_large(what: str) -> str:
    return f"The picture has {what}; at most {MAX_PIXELS / 1e6:.0f} megapixels are accepted."
