"""A coarse map brought to a finer grid along the edges of its photo: the guided filter."""

from __future__ import annotations

import cv2
import numpy as np

GRID = (64, 48)
"""Cells of the answer: eight times as many a side as the shipped model's maps."""

RADIUS = 4
"""Of the windows in which map and colours are compared, in cells of :data:`GRID`."""

SMOOTHNESS = 1e-3
"""ε: colour variance (colours in 0–1) below which a window counts as even."""

SHARPNESS = 0.25
"""Share of the answer that follows the edges; the rest is spread by :data:`SPREAD`."""

SPREAD = 0.35
"""Standard deviation of that spread, in cells of the coarse map."""


def along_edges(
    heatmaps: np.ndarray,
    pixels: np.ndarray,
    grid: tuple[int, int] = GRID,
    radius: int = RADIUS,
    smoothness: float = SMOOTHNESS,
    sharpness: float = SHARPNESS,
    spread: float = SPREAD,
) -> np.ndarray:
    """Refine maps with their photo (guided filter with a colour guide: He et al. 2013,
    doi:10.1109/TPAMI.2012.213, equations 14–16).

    In every window a map is approximated by a linear function of the colours, so that its
    borders move to the photo's edges, and what is even in the photo gets an even value. A unit of
    the network sees more than its cell, most of it near the middle (Luo et al. 2016,
    arXiv:1701.04128, section 2): so only a share of the answer is that sharp, and the rest is
    spread by a Gaussian. No pass through the network. The evidence is moved and never
    made: the sum stays. It says nothing new about the network, and it takes for granted that the
    evidence follows visible edges; how faithful that is, is measured like any map.

    Args:
        heatmaps: raw (n, h, w); what they share of the work is done once.
        pixels: uint8 (H, W, 3), the padded input.
        grid: cells of the answer.
        radius, smoothness, sharpness, spread: see :data:`RADIUS`, :data:`SMOOTHNESS`,
            :data:`SHARPNESS` (1 is the paper's filter) and :data:`SPREAD`.

    Returns:
        float32 (n, *grid), in the maps' unit per cell of the finer grid; a map keeps its sum.
    """
    size = grid[::-1]
    guide = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255

    def mean(x: np.ndarray) -> np.ndarray:
        side = 2 * radius + 1
        return cv2.blur(np.ascontiguousarray(x), (side, side), borderType=cv2.BORDER_REFLECT)

    colour = mean(guide)
    products = np.einsum("yxi,yxj->yxij", guide, guide).reshape(*grid, 9)
    # OpenCV filters at most four channels at a time.
    variance = np.stack([mean(products[..., i]) for i in range(9)], -1).reshape(*grid, 3, 3)
    variance -= np.einsum("yxi,yxj->yxij", colour, colour)
    precision = np.linalg.inv(variance + smoothness * np.eye(3, dtype=np.float32))
    answers = np.empty((len(heatmaps), *grid), np.float32)
    reach = spread * grid[0] / heatmaps.shape[1]
    for heatmap, answer in zip(heatmaps, answers, strict=True):
        coarse = cv2.resize(heatmap.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        value = mean(coarse)
        covariance = mean(guide * coarse[..., None]) - colour * value[..., None]
        slope = (precision @ covariance[..., None])[..., 0]
        offset = value - (slope * colour).sum(-1)
        sharp = (mean(slope) * guide).sum(-1) + mean(offset)
        soft = cv2.GaussianBlur(sharp, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
        answer[:] = sharpness * sharp + (1 - sharpness) * soft
        answer *= heatmap.size / answer.size
        answer += (heatmap.sum() - answer.sum()) / answer.size  # windows at the border weigh less
    return answers
