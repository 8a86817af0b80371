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
from typing import BinaryIO, NamedTuple, TypeGuard

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

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
}
"""Pillow's name of a format → how its files' names end. HEIF is what phones save; it needs the
extra "formats"."""

SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1",
               b"msf1", b"heif")  # fmt: skip
"""What an HEIF file says it is (ISO/IEC 23008-12, annex B)."""

WHITE = 255

ImageLike = bytes | bytearray | str | PathLike | BinaryIO | Image.Image | np.ndarray

_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, IndexError,
           OverflowError, RuntimeError, struct.error, zlib.error)  # fmt: skip
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


def load(image: ImageLike, notes: list[str] | None = None) -> np.ndarray:
    """Read a picture of any mode.

    Args:
        image: encoded bytes, a path, an open file, a PIL image, or an array (H, W), (H, W, 1),
            (H, W, 3) or (H, W, 4) of uint8, uint16 (0–65,535) or float (0–255).
        notes: takes what is to be said of the picture, such as that its profile is damaged.

    Returns:
        uint8 (H, W, 3) in sRGB: an embedded colour profile is converted
        (:mod:`fashion_xai.data.colour_profiles`). Transparency lies on white, EXIF rotation is
        applied, of an
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
    notes = [] if notes is None else notes
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    elif isinstance(image, bytes | bytearray | memoryview):
        return _decode(bytes(image), notes)
    elif isinstance(image, str | PathLike):
        return _decode(_read_file(Path(image)), notes)
    elif is_open_file(image):
        return _decode(_read_open(image), notes)
    if not isinstance(image, Image.Image):
        raise TypeError(
            "Expected an image as bytes, path, open file, PIL image or numpy array. "
            f"Received: {type(image).__name__}"
        )
    _check_pixels(image)
    return _to_rgb(image, notes)


def is_open_file(image: object) -> TypeGuard[BinaryIO]:
    """Whether it is something to read from, such as a ``BytesIO``."""
    return not isinstance(image, Image.Image) and callable(getattr(image, "read", None))


def _read_open(file: BinaryIO) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise ImageError("Expected a file opened in binary mode.")
    return data


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


def shrunk(rgb: np.ndarray, side: int) -> np.ndarray:
    """A photo whose longest side is at most ``side`` pixels; a smaller one as it is."""
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = [max(1, round(length * scale)) for length in rgb.shape[1::-1]]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


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
    picture = open_picture(data)
    return picture.width * picture.height


def _decode(data: bytes, notes: list[str]) -> np.ndarray:
    with warnings.catch_warnings():
        # Our own cap decides about size; other warnings concern metadata we do not use.
        warnings.simplefilter("ignore")
        return _to_rgb(open_picture(data), notes)


def open_picture(data: bytes) -> Image.Image:
    """A picture whose header was read, within the caps; its pixels are not decoded yet.

    Raises:
        ImageError: as :func:`load`.
    """
    if not data:
        raise ImageError("The file is empty; expected a photo.")
    if len(data) > MAX_BYTES:
        raise ImageError(_too_heavy(len(data)))
    try:
        _check_effort(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
                _register_heif()
            picture = Image.open(io.BytesIO(data), formats=list(FORMATS))
    except ImageError:
        raise
    except _BROKEN as error:
        raise ImageError(
            "This file is not a photo that can be read; expected JPEG, PNG, WebP, GIF, BMP, TIFF, "
            "AVIF or HEIC."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large("more pixels")) from error
    _check_pixels(picture)
    return picture


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            'HEIC photos need: pip install "fashion-xai[formats]"; or save it as JPEG.'
        ) from None
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener(thumbnails=False)


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


def _to_rgb(picture: Image.Image, notes: list[str]) -> np.ndarray:
    try:
        _scale_hole(picture)  # before anything is decoded: then a file's depth is forgotten
        turn = _UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
        profile = picture.info.get("icc_profile")
        small = _averaged(picture)
        if profile:
            small = _in_srgb(small, profile, notes)
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


def _in_srgb(picture: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """The picture's colours as its profile means them, its transparency as it is."""
    from fashion_xai.data.colour_profiles import to_srgb  # few photos have one

    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("LA" if picture.mode in ("LA", "La") else "RGBA")
        *bands, alpha = picture.split()
        picture = Image.merge("L" if len(bands) == 1 else "RGB", bands)
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    try:
        picture = to_srgb(picture, profile)
    except ValueError as error:
        notes.append(str(error))
    if alpha is None:
        return picture
    picture = picture.convert("RGB")
    picture.putalpha(alpha)
    return picture


def _averaged(picture: Image.Image) -> Image.Image:
    """The picture in 8 bits, reduced by a whole factor where it is far larger than needed.

    Decoded once and in the fewest bytes: a JPEG at a half, a quarter or an eighth of its size.
    """
    factor = max(1, max(picture.size) // LONGEST)
    picture.draft(None, (picture.width // factor, picture.height // factor))
    factor = max(1, max(picture.size) // LONGEST)
    deep = picture.mode.startswith("I;16")
    if factor > 1:
        if deep and "transparency" in picture.info:
            picture, deep = _from_deep_grey(picture, deep), False
        if deep:
            picture = picture.convert("I")
        elif picture.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "I", "F"):
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        elif picture.mode in ("L", "RGB") and picture.has_transparency_data:
            picture = picture.convert("RGBA")  # one colour is the hole: it must not be averaged
        picture = picture.reduce(factor)
    return _from_deep_grey(picture, deep) if deep or picture.mode in ("I", "F") else picture


def _from_deep_grey(picture: Image.Image, deep: bool) -> Image.Image:
    """16-bit integers and floats → 8 bits. Pillow's own convert clips instead of scaling."""
    hole = picture.info.get("transparency") if picture.mode.startswith("I") else None
    values = np.nan_to_num(np.asarray(picture, np.float32))
    top = 1.0 if picture.mode == "F" and values.max() <= 1 else 255.0
    if picture.mode != "F" and (deep or values.max() > 255):
        top = 65535.0
    grey = np.clip(values * (255 / top), 0, 255).round().astype(np.uint8)
    if not isinstance(hole, int):
        return Image.fromarray(grey)
    return Image.fromarray(np.dstack([grey, np.where(values == hole, 0, 255).astype(np.uint8)]))


def _scale_hole(picture: Image.Image) -> None:
    """A PNG names the colour of its holes in the bits of its file (PNG, 11.3.2.1); Pillow reads the
    pixels in 8 bits and leaves that number as it is."""
    hole = picture.info.get("transparency")
    tile = getattr(picture, "tile", None)
    raw = tile[0][3] if picture.format == "PNG" and tile else None
    if isinstance(hole, tuple) and raw == "RGB;16B":
        picture.info["transparency"] = tuple(level >> 8 for level in hole)
    elif isinstance(hole, int) and raw in ("L;2", "L;4"):
        picture.info["transparency"] = hole * (85 if raw == "L;2" else 17)


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
