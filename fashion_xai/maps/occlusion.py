"""Occlusion: hide a window of the photo and see what the logits lose. No gradients, any model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fashion_xai.maps.geometry import blurred

BATCH = 48


def occlusion(
    forward: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    pixels: np.ndarray,
    grid: tuple[int, int],
    targets: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """What each target's logit loses when a window is blurred away (Zeiler & Fergus 2014,
    arXiv:1311.2901, section 4.2, with a blur instead of grey).

    A window is two cells high and wide, centred on its cell, so that neighbours overlap by half.
    All heads share the passes: height × width of the grid, and one for the photo as it is. It
    asks about causes: a region that matters only together with another one gets nothing, and the
    hidden window itself can look like something new to the network.

    Args:
        forward: float32 photos (n, H, W, 3) → head → logits (n, labels).
        pixels: (H, W, 3) in 0–255.
        grid: (h, w) cells of the map.
        targets: head → coefficients (labels,); the score is ``logits @ coefficients``.

    Returns:
        Head → float32 (h, w), in logits lost per window; negative where hiding raises the score.
    """
    photo = pixels.astype(np.float32)
    hidden = blurred(photo)
    pictures = np.stack([photo, *(_without(photo, hidden, w) for w in windows(pixels, grid))])
    parts = [forward(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    maps = {}
    for head, coefficients in targets.items():
        scores = np.concatenate([part[head] for part in parts]) @ coefficients
        maps[head] = (scores[0] - scores[1:]).reshape(grid).astype(np.float32)
    return maps


def windows(pixels: np.ndarray, grid: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Rows and columns of each cell's window, row by row."""
    height, width = pixels.shape[:2]
    tall, wide = height / grid[0], width / grid[1]

    def span(cell: int, side: float, end: int) -> slice:
        return slice(max(0, round((cell - 0.5) * side)), min(end, round((cell + 1.5) * side)))

    return [
        (span(i, tall, height), span(j, wide, width))
        for i in range(grid[0])
        for j in range(grid[1])
    ]


def _without(photo: np.ndarray, hidden: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    changed = photo.copy()
    changed[window] = hidden[window]
    return changed
