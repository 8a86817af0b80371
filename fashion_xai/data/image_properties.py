"""How a photo looks, whatever it shows: sharpness, grey or coloured, and a fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from fashion_xai.data.images import Box
from fashion_xai.data.masks import silhouette

GREY = 4
"""Largest difference of the colour channels, in grey levels, in 99 % of a photo without colour."""


@dataclass(frozen=True)
class ImageProperties:
    """What is known of a photo without asking the network.

    Args:
        height, width: of the photo as it came, in pixels.
        sharpness: variance of the Laplacian of the grey levels, all photos at one size
            (Pech-Pacheco et al. 2000); ≥ 0, larger is sharper.
        grey: a photo without colour.
        fingerprint: 64 bits of its perceptual hash; near-duplicates have the same.
        product: bool (H, W), the silhouette in the padded input, or None.
    """

    height: int
    width: int
    sharpness: float
    grey: bool
    fingerprint: int
    product: np.ndarray | None

    FIELDS: ClassVar = (
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("sharpness", pa.float32()),
        ("grey", pa.bool_()),
        ("fingerprint", pa.uint64()),
    )
    """Its columns in the audit's table."""

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name, _ in self.FIELDS}


def measure_image(photo: np.ndarray, canvas: np.ndarray, box: Box) -> ImageProperties:
    """Look at a photo.

    Args:
        photo: uint8 RGB (height, width, 3).
        canvas, box: the same photo letterboxed, see ``images.letterbox``.
    """
    import imagehash  # loads SciPy: not for those who only read an audit

    fitted = canvas[box.top : box.top + box.height, box.left : box.left + box.width]
    grey = cv2.cvtColor(fitted, cv2.COLOR_RGB2GRAY)
    red, green, blue = cv2.split(fitted)  # numpy's max over an axis of three takes far longer
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    spread = np.percentile(highest - lowest, 99)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    bits = imagehash.phash(Image.fromarray(small)).hash
    return ImageProperties(
        height=photo.shape[0],
        width=photo.shape[1],
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        grey=bool(spread <= GREY),
        fingerprint=int(np.packbits(bits).view(">u8")[0]),
        product=silhouette(canvas),
    )
