"""Heatmap + photo → picture. The only place where maps are scaled."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np

from fashion_xai.data.images import Box

COLOURS = "inferno"
"""Perceptually uniform, and readable without colour vision."""

SIGNED_COLOURS = "PuOr_r"
"""Orange speaks for, purple against: told apart with every kind of colour vision."""

OUTLINED = 0.5
"""Of the strongest evidence: where it begins, an outline shows on dark clothes too."""

WIDTH = 140
"""The longer side of the photo over the width of the outline's lines, white in and black out."""


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


def intensity(heatmap: np.ndarray, peak: float | None = None, signed: bool = False) -> np.ndarray:
    """Evidence scaled to 0–1, or to −1–1 with what speaks against it; all zero if there is none.

    Args:
        heatmap: any shape.
        peak: the value that becomes 1, the same for several maps that shall be compared; None
            takes the map's own maximum.
        signed: keep the negative cells, which are cut to zero otherwise.
    """
    kept = heatmap if signed else np.maximum(heatmap, 0)
    top = float(np.abs(kept).max()) if peak is None else peak
    return np.clip(kept / top, -1, 1) if top > 0 else np.zeros_like(kept)


def colour(values: np.ndarray, signed: bool = False) -> np.ndarray:
    """:func:`intensity` (h, w) → uint8 RGBA (h, w, 4): as opaque as the evidence is strong."""
    if signed:
        rgba = matplotlib.colormaps[SIGNED_COLOURS](0.5 + values / 2)
    else:
        rgba = matplotlib.colormaps[COLOURS](values)
    rgba[..., 3] = np.abs(values)
    return (rgba * 255).round().astype(np.uint8)


def blend(
    photo: np.ndarray,
    heatmap: np.ndarray,
    box: Box,
    size: tuple[int, int],
    alpha: float = 0.7,
    peak: float | None = None,
    signed: bool = False,
) -> np.ndarray:
    """The photo with the evidence laid over it, and an outline around the strongest.

    Args:
        photo: uint8 RGB (height, width, 3), not letterboxed.
        heatmap: raw (h, w).
        box, size: as in :func:`fit_to_photo`.
        alpha: 0 shows the photo alone, 1 covers it where the evidence is strongest.
        peak, signed: see :func:`intensity`.

    Returns:
        uint8 RGB (height, width, 3); the photo itself where there is no evidence to show.
    """
    fitted = fit_to_photo(heatmap, box, size, photo.shape[:2])
    values = intensity(fitted, peak, signed)
    layer = colour(values, signed).astype(np.float32)
    opacity = layer[..., 3:] / 255 * alpha
    blended = photo * (1 - opacity) + layer[..., :3] * opacity
    for line, grey in zip(outline(values), (255, 0), strict=True):
        blended[line] += (grey - blended[line]) * alpha
    return blended.round().astype(np.uint8)


def outline(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where :func:`intensity` (h, w) crosses :data:`OUTLINED`, either sign: the lines inside and
    outside, bool (h, w) each."""
    strong = np.abs(values) >= OUTLINED
    reach = max(1, round(max(values.shape) / WIDTH))
    padded = np.pad(strong, reach, mode="edge")
    h, w = values.shape
    crossed = np.zeros_like(strong)
    for y, x in ((0, reach), (2 * reach, reach), (reach, 0), (reach, 2 * reach)):
        crossed |= padded[y : y + h, x : x + w] != strong
    return crossed & strong, crossed & ~strong


def png(picture: np.ndarray) -> bytes:
    """A uint8 RGB picture (H, W, 3) as a PNG file's bytes."""
    _, data = cv2.imencode(".png", picture[..., ::-1])
    return data.tobytes()
