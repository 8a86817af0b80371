"""Colours as they were meant: embedded ICC profiles, converted to sRGB by LittleCMS.

Phones save photos in wider gamuts than sRGB. Read as if they were sRGB, their colours are duller
and shifted: (0, 128, 128) stored in Adobe RGB (1998) is (72, 127, 127) in its numbers.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

KEPT = 100_000
"""Bytes up to which a profile's transform is kept for the next photo; a camera's has some thousand,
a printer's CMYK half a million."""

DAMAGED = "its colour profile is damaged and was ignored"

_GRAY, _CMYK, _RGB = "GRAY", "CMYK", "RGB"


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """A picture's colours in sRGB.

    Args:
        picture: of mode L, RGB or CMYK.
        profile: ICC, as the file embeds it.

    Returns:
        Mode RGB; the same picture where the profile is sRGB.

    Raises:
        ValueError: the profile is damaged, or is one for other channels.
    """
    try:
        make = _kept if len(profile) <= KEPT else _made
        transform, mode = make(profile, picture.mode)
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError(DAMAGED) from error
    if mode != picture.mode:
        picture = picture.convert(mode)
    if transform is None:
        return picture
    try:
        converted = transform.apply(picture)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ValueError(DAMAGED) from error
    return converted


def _made(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """The transform, None where it would change nothing, and the mode it is for.

    Raises:
        ImageCms.PyCMSError: no profile that LittleCMS can use.
        ValueError: one for other channels.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    fits = {"L": (_GRAY, _RGB), "RGB": (_RGB,), "CMYK": (_CMYK,)}
    if space not in fits[mode]:
        raise ValueError(f"its colour profile is for {space} and was ignored")
    if mode == "L" and space == _RGB:  # a grey photo saved with its camera's profile
        mode = "RGB"
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB":
        steps = np.linspace(0, 255, 9).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
        there = np.asarray(transform.apply(Image.fromarray(grid)), int)
        if np.abs(there - grid).max() <= 1:  # sRGB by any of its names
            return None, mode
    return transform, mode


_kept = lru_cache(maxsize=16)(_made)
