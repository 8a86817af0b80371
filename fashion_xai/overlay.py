"""Heatmap + photo → picture. The only place where maps are scaled."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np

from fashion_xai.images import Box

COLOURS = "inferno"
"""Perceptually uniform, and readable without colour vision."""


def fit_to_photo(
    heatmap: np.ndarray, box: Box, size: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Stretch a map over the padded input, cut the photo out, and bring it to the photo's size.

    Args:
        heatmap: (h, w), any unit.
        box: where the photo lies inside the padded input, in pixels.
        size: (H, W) of the padded input.
        shape: (height, width) of the photo.

    Returns:
        float32 (height, width), in the map's unit.
    """
    stretched = cv2.resize(
        heatmap.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR
    )
    part = stretched[box.top : box.top + box.height, box.left : box.left + box.width]
    return cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def intensity(heatmap: np.ndarray, peak: float | None = None) -> np.ndarray:
    """Positive evidence scaled to 0–1: ``max(map, 0) / peak``; all zero if there is none.

    Args:
        heatmap: any shape.
        peak: the value that becomes 1; None takes the map's own maximum.
    """
    positive = np.maximum(heatmap, 0)
    top = float(positive.max()) if peak is None else peak
    return np.clip(positive / top, 0, 1) if top > 0 else np.zeros_like(positive)


def colour(values: np.ndarray) -> np.ndarray:
    """0–1 (h, w) → uint8 RGBA (h, w, 4): as opaque as the evidence is strong."""
    rgba = matplotlib.colormaps[COLOURS](values)
    rgba[..., 3] = values
    return (rgba * 255).round().astype(np.uint8)


def blend(
    photo: np.ndarray,
    heatmap: np.ndarray,
    box: Box,
    size: tuple[int, int],
    alpha: float = 0.7,
    peak: float | None = None,
) -> np.ndarray:
    """The photo with its positive evidence laid over it.

    Args:
        photo: uint8 RGB (height, width, 3), not letterboxed.
        heatmap: raw (h, w).
        box, size: as in :func:`fit_to_photo`.
        alpha: 0 shows the photo alone, 1 covers it where the evidence is strongest.
        peak: see :func:`intensity`.

    Returns:
        uint8 RGB (height, width, 3); the photo itself where there is no positive evidence.
    """
    fitted = fit_to_photo(heatmap, box, size, photo.shape[:2])
    layer = colour(intensity(fitted, peak)).astype(np.float32)
    opacity = layer[..., 3:] / 255 * alpha
    return (photo * (1 - opacity) + layer[..., :3] * opacity).round().astype(np.uint8)
