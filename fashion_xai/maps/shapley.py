"""SHAP's partition explainer on the cells of a photo: an optional extra.

``pip install "fashion-xai[shap]"`` brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fashion_xai.maps.geometry import blurred

EVALUATIONS = 200
"""Passes per photo, for all heads together; more split the groups of cells further."""

CELLS = 2
"""Cells a side of the answer per cell of the network's feature map."""


def partition_shap(
    forward: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    pixels: np.ndarray,
    grid: tuple[int, int],
    targets: Mapping[str, np.ndarray],
    evaluations: int = EVALUATIONS,
) -> dict[str, np.ndarray]:
    """Owen values of the cells (Lundberg & Lee 2017, arXiv:1705.07874; hierarchical: Owen 1977).

    The photo is halved again and again into rectangles; each one's credit is what the score gains
    when it turns from blurred to sharp, averaged over what else is sharp along that hierarchy.
    The map's sum is the score of the photo less that of the wholly blurred photo. All heads share
    the passes. Where ``evaluations`` do not suffice to split a rectangle, its cells share alike.
    Not for haste: it costs as much as hundreds of answers.

    Args:
        forward: float32 photos (n, H, W, 3) → head → logits (n, labels).
        pixels: (H, W, 3) in 0–255.
        grid: (h, w) cells of the map; they must divide (H, W).
        targets: head → coefficients (labels,); the score is ``logits @ coefficients``.
        evaluations: at most this many passes.

    Returns:
        Head → float32 (h, w), in logits gained per cell; negative where showing a cell lowers
        the score.
    """
    import shap

    photo = pixels.astype(np.float32)
    hidden = blurred(photo)
    tall, wide = photo.shape[0] // grid[0], photo.shape[1] // grid[1]

    def scores(shown: np.ndarray) -> np.ndarray:
        """Which cells are shown (n, h, w, 1), 0 or 1 → scores (n, heads)."""
        visible = shown.repeat(tall, 1).repeat(wide, 2)
        logits = forward((visible * photo + (1 - visible) * hidden).astype(np.float32))
        return np.stack([logits[head] @ c for head, c in targets.items()], 1)

    # To shap the "image" is one number a cell: 1 shows it, and the masker puts 0.
    every = np.ones((1, *grid, 1), np.float32)
    masker = shap.maskers.Image(np.zeros((*grid, 1), np.float32), (*grid, 1))
    explain = shap.PartitionExplainer(scores, masker)
    values = explain(every, max_evals=evaluations, batch_size=32, silent=True).values[0, ..., 0, :]
    return {head: values[..., i].astype(np.float32) for i, head in enumerate(targets)}
