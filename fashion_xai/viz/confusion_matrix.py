"""A confusion matrix as a picture whose cells can be found again where somebody clicks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CELL, NAMES, EDGE = 28, 170, 44
"""Pixels: side of a cell, room for the labels left and below, room above and right."""

DPI = 100
LONGEST = 24
"""Characters of a label that are shown."""


def draw(frame: pd.DataFrame, title: str) -> np.ndarray:
    """True labels down, predicted ones across; the darker a cell the more products.

    Args:
        frame: counts, or rates 0–1, see ``confusions.matrix``.
        title: above the matrix.

    Returns:
        uint8 RGB; find cells with :func:`cell_at`.
    """
    side = len(frame) * CELL
    width, height = NAMES + side + EDGE, EDGE + side + NAMES
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((NAMES / width, NAMES / height, side / width, side / height))
    values = frame.to_numpy(float)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=max(values.max(), 1e-9), aspect="auto")
    places = range(len(frame))
    axes.set_xticks(places, [_short(x) for x in frame.columns], rotation=90, fontsize=8)
    axes.set_yticks(places, [_short(x) for x in frame.index], fontsize=8)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    axes.set_title(title, fontsize=10)
    whole = (values == values.round()).all()
    for i, j in np.argwhere(values > 0):
        text = f"{values[i, j]:.0f}" if whole else f"{values[i, j]:.2f}".lstrip("0")
        colour = "white" if values[i, j] > values.max() / 2 else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def cell_at(x: int, y: int, size: int) -> tuple[int, int] | None:
    """Row and column of the cell at a pixel of :func:`draw`'s picture of ``size`` labels."""
    row, column = (y - EDGE) // CELL, (x - NAMES) // CELL
    return (row, column) if 0 <= row < size and 0 <= column < size else None


def _short(label: str) -> str:
    # $ would start matplotlib's formulas.
    text = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
    return text.replace("$", r"\$")
