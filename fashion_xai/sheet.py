"""A contact sheet: one photo and the maps of its heads, labelled, as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from fashion_xai import methods, overlay
from fashion_xai.records import Explanation

COLUMNS = 4
INCHES = 2.6


def contact_sheet(
    photo: np.ndarray,
    explanations: Sequence[Explanation],
    size: tuple[int, int],
    signed: bool = False,
    one_scale: bool = False,
) -> bytes:
    """The photo, then one labelled overlay per map, each with its scale.

    Args:
        photo: uint8 RGB (height, width, 3), not letterboxed.
        explanations: the maps, of one photo.
        size: (H, W) of the network's input.
        signed: show what speaks against, too.
        one_scale: the same colours mean the same evidence in all maps; else each map has its own
            scale.

    Returns:
        The sheet as encoded PNG.
    """
    peaks = [peak_of(e, signed) for e in explanations]
    if one_scale:
        peaks = [max(peaks)] * len(peaks)
    rows = -(-(len(explanations) + 1) // COLUMNS)
    # Not pyplot: its figures are global, and servers draw in several threads.
    figure = Figure(figsize=(INCHES * COLUMNS, 1.55 * INCHES * rows))
    figure.set_layout_engine("constrained", h_pad=0.1)
    FigureCanvasAgg(figure)
    cells = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    cells[0].imshow(photo)
    cells[0].set_title("photo", fontsize=9)
    colours = overlay.SIGNED_COLOURS if signed else overlay.COLOURS
    for cell, e, peak in zip(cells[1:], explanations, peaks):
        cell.imshow(overlay.blend(photo, e.heatmap, e.box, size, peak=peak, signed=signed))
        cell.set_title(caption(e), fontsize=8)
        scale = Normalize(-peak if signed else 0, peak or 1)
        bar = figure.colorbar(ScalarMappable(scale, colours), ax=cell, location="bottom",
                              shrink=0.8, pad=0.01)  # fmt: skip
        bar.ax.tick_params(labelsize=6)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def peak_of(e: Explanation, signed: bool) -> float:
    """The strongest evidence of a map, ≥ 0: what its scale ends at."""
    return float(max(np.abs(e.heatmap).max() if signed else e.heatmap.max(), 0.0))


def caption(e: Explanation) -> str:
    """What the map explains, with how sure the answer is and how strong the evidence."""
    unit = methods.METHODS[e.method].unit.split(",")[0]
    versus = "" if e.against is None else f"\nrather than {e.against}"
    if e.evidence_for <= 0:
        strength = "no positive evidence"
    else:
        strength = f"+{e.evidence_for:.2f} / {e.evidence_against:.2f} {unit}"
    answer = e.prediction
    says = f"{answer.probability:.0%}" if e.target == answer.label else f"answer: {answer.label}"
    return f"{answer.attribute}: {e.target} ({says}){versus}\n{strength}"
