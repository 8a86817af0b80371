"""Masks of a photo: the product on a light studio background, and a model's face.

The product is what is not reached from the photo's border. Its mask is used to replace backgrounds
in training and corruption tests; both tell where a map's evidence lies.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

TOLERANCE = 14
"""Largest difference to the background's grey, per channel, that still counts as background."""

LIGHTEST = 200
"""A border whose median is darker than this is no studio background."""

LEAST, MOST = 0.03, 0.97
"""Shares of the photo between which a mask is believed."""


LOWEST = 0.35
"""Of the photo's height: what the detector finds with its middle below is print or pattern."""

SMALLEST, LARGEST = 0.1, 0.35
"""Side of a face as a share of the photo's height."""


def silhouette(rgb: np.ndarray) -> np.ndarray | None:
    """Find the product in a studio photo.

    The background is the region connected to the border whose pixels differ from the border's
    median by at most ``TOLERANCE``; small openings of one pixel are not followed. White products
    on white may lose parts.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        bool (H, W), True on the product; None where the photo has no light, even background, or
        the mask would be (nearly) nothing or everything.
    """
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    background = np.median(border, axis=0)
    if background.min() < LIGHTEST:
        return None
    lowest, highest = np.ceil(background - TOLERANCE), np.floor(background + TOLERANCE)
    light = cv2.inRange(rgb, lowest, highest) > 0
    # A rim of background around the photo joins all parts of it that touch the border.
    framed = np.pad(light, 1, constant_values=True).astype(np.uint8)
    # A one-pixel bridge through a pale edge would drain the product.
    opened = cv2.morphologyEx(framed, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    opened[[0, -1]], opened[:, [0, -1]] = 1, 1
    _, parts = cv2.connectedComponents(opened, connectivity=4)
    outside = parts == parts[0, 0]
    # What opening took from the background's rim comes back.
    grown = cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) * framed
    product = np.asarray(grown[1:-1, 1:-1] == 0)
    return product if LEAST <= product.mean() <= MOST else None


def set_on(photo: np.ndarray, product: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The product in front of another background.

    Args:
        photo: uint8 RGB (h, w, 3).
        product: bool (h, w), its silhouette.
        behind: uint8 RGB (H, W, 3); the photo is brought to this size.

    Returns:
        uint8 RGB (H, W, 3).
    """
    height, width = behind.shape[:2]
    method = cv2.INTER_AREA if height < photo.shape[0] else cv2.INTER_CUBIC
    front = cv2.resize(photo, (width, height), interpolation=method)
    # A pixel of the pale rim goes with the studio, the edge stays soft.
    solid = cv2.erode(product.astype(np.uint8), np.ones((2, 2), np.uint8)).astype(np.float32)
    alpha = cv2.resize(solid, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return (alpha * front + (1 - alpha) * behind).round().astype(np.uint8)


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
def _detector() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
