"""A coarse map brought to a finer grid along the edges of its photo: the guided filter."""

from __future__ import annotations

from collections.abc import Callable

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
        pixels: uint8 (H, W, 3), the padded input; (H, W, 1) counts as grey.
        grid: cells of the answer.
        radius, smoothness, sharpness, spread: see :data:`RADIUS`, :data:`SMOOTHNESS`,
            :data:`SHARPNESS` (1 is the paper's filter) and :data:`SPREAD`.

    Returns:
        float32 (n, *grid), in the maps' unit per cell of the finer grid; a map keeps its sum.
    """
    size = grid[::-1]
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    guide = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    side = 2 * radius + 1

    def mean(x: np.ndarray) -> np.ndarray:  # (*grid, anything), in each window
        blurred = cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT)
        return blurred.reshape(x.shape)

    colours = [guide[..., k, None] for k in range(3)]
    means = [x[..., None] for x in cv2.split(mean(guide))]
    precision = _precision(colours, means, mean, smoothness)
    # One map a channel: all of them are filtered at once.
    maps = np.ascontiguousarray(np.moveaxis(heatmaps, 0, -1), np.float32)
    coarse = cv2.resize(maps, size, interpolation=cv2.INTER_LINEAR).reshape(*grid, -1)
    value = mean(coarse)
    covariance = [mean(x * coarse) - m * value for x, m in zip(colours, means)]
    slopes = [sum(p * c for p, c in zip(row, covariance)) for row in precision]
    sharp = mean(value - sum(s * m for s, m in zip(slopes, means)))
    sharp += sum(mean(s) * x for s, x in zip(slopes, colours))
    reach = spread * grid[0] / heatmaps.shape[1]
    soft = cv2.GaussianBlur(sharp, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    answers = sharpness * sharp + (1 - sharpness) * soft.reshape(sharp.shape)
    answers *= heatmaps[0].size / (grid[0] * grid[1])
    # Windows at the border weigh less.
    answers += (maps.sum((0, 1)) - answers.sum((0, 1))) / (grid[0] * grid[1])
    return np.ascontiguousarray(np.moveaxis(answers, -1, 0))


def _precision(
    colours: list[np.ndarray],
    means: list[np.ndarray],
    mean: Callable[[np.ndarray], np.ndarray],
    smoothness: float,
) -> list[list[np.ndarray]]:
    """The inverse of each window's covariance of the colours plus ε, by cofactors: 3 × 3 maps.
    ``np.linalg.inv`` of as many small matrices takes three times as long as all the rest."""

    def entry(i: int, j: int) -> np.ndarray:
        found = mean(colours[i] * colours[j]).astype(np.float64) - means[i] * means[j]
        return found + smoothness if i == j else found

    xx, yy, zz = entry(0, 0), entry(1, 1), entry(2, 2)
    xy, xz, yz = entry(0, 1), entry(0, 2), entry(1, 2)
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    determinant = xx * a + xy * b + xz * c
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    rows = ((a, b, c), (b, d, e), (c, e, f))
    return [[(x / determinant).astype(np.float32) for x in row] for row in rows]
