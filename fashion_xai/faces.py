"""Where a model's face shows in a product photo: to ask whether a head looks there."""

from __future__ import annotations

from functools import cache

import numpy as np
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

LOWEST = 0.35
"""Of the photo's height: what the detector finds with its middle below is print or pattern."""

SMALLEST, LARGEST = 0.1, 0.35
"""Side of a face as a share of the photo's height."""


def face(rgb: np.ndarray) -> np.ndarray | None:
    """Find a frontal face in the upper part of a photo (local binary patterns in a cascade, Liao
    et al. 2007, as scikit-image ships it).

    Args:
        rgb: uint8 (H, W, 3), 256 pixels high or so: smaller faces than 24 pixels are not found.

    Returns:
        bool (H, W), True in the rectangle of the largest face; None where there is none.
    """
    height = rgb.shape[0]
    smallest, largest = round(SMALLEST * height), round(LARGEST * height)
    found = _detector().detect_multi_scale(rgb, 1.1, 1, (smallest, smallest), (largest, largest))
    high = [f for f in found if f["r"] + f["height"] / 2 < LOWEST * height]
    if not high:
        return None
    best = max(high, key=lambda f: f["width"])
    place = np.zeros(rgb.shape[:2], bool)
    place[best["r"] : best["r"] + best["height"], best["c"] : best["c"] + best["width"]] = True
    return place


@cache
def _detector() -> Cascade:
    return Cascade(lbp_frontal_face_cascade_filename())
