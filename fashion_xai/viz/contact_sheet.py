"""One photo and its maps, labelled, as one picture: the heads of one method, or of every method."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import ParamSpec

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fashion_xai.maps import methods
from fashion_xai.models.outputs import Explanation
from fashion_xai.viz import overlay

P = ParamSpec("P")

COLUMNS = 4
INCHES = 2.6

LINE = 38
"""Characters of a title's line: what has room above a map."""

TICKS = 3
"""Steps of a map's scale: more and their numbers run into each other."""


def draw(
    photo: np.ndarray,
    explanations: Sequence[Explanation],
    size: tuple[int, int],
    signed: bool = False,
    one_scale: bool = False,
    badges: Sequence[str] | None = None,
) -> Figure:
    """The photo, then one labelled overlay per map, each with its scale.

    Args:
        photo: uint8 RGB (height, width, 3), not letterboxed.
        explanations: the maps, of one photo.
        size: (H, W) of the network's input.
        signed: show what speaks against, too.
        one_scale: the same colours mean the same evidence in all maps; else each map has its own
            scale.
        badges: a line under each map's caption, such as ``trust_card.badge``; '' for none.

    Returns:
        The sheet; :func:`contact_sheet` is the same as encoded PNG.
    """
    peaks = [peak_of(e, signed) for e in explanations]
    if one_scale:
        peaks = [max(peaks)] * len(peaks)
    rows = -(-(len(explanations) + 1) // COLUMNS)
    figure, cells = _figure(rows, COLUMNS, 1.55)
    cells[0].imshow(photo)
    cells[0].set_title("photo", fontsize=9)
    colours = overlay.SIGNED_COLOURS if signed else overlay.COLOURS
    for cell, e, peak, badge in zip(
        cells[1:], explanations, peaks, badges or [""] * len(explanations)
    ):
        cell.imshow(overlay.blend(photo, e.heatmap, e.box, size, peak=peak, signed=signed))
        lines = [*caption(e).split("\n"), badge]
        cell.set_title("\n".join(fill(x, LINE) for x in lines if x), fontsize=8)
        scale = Normalize(-peak if signed else 0, peak or 1)
        bar = figure.colorbar(ScalarMappable(scale, colours), ax=cell, location="bottom",
                              shrink=0.8, pad=0.01)  # fmt: skip
        bar.ax.tick_params(labelsize=6)
        bar.locator = MaxNLocator(TICKS)
        bar.update_ticks()
    return figure


def gallery(
    photo: np.ndarray, table: Mapping[str, Mapping[str, Explanation]], size: tuple[int, int]
) -> bytes:
    """Every head by every method: a row per head, a column per method, each map on its own scale.

    Args:
        photo: uint8 RGB (height, width, 3), not letterboxed.
        table: method → head → map.
        size: (H, W) of the network's input.

    Returns:
        The gallery as encoded PNG.
    """
    heads = list(next(iter(table.values())))
    figure, cells = _figure(len(heads), len(table), photo.shape[0] / photo.shape[1], inches=1.35)
    places = iter(cells)
    for row, head in enumerate(heads):
        for name, maps in table.items():
            cell, e = next(places), maps[head]
            cell.imshow(overlay.blend(photo, e.heatmap, e.box, size))
            if row == 0:
                cell.set_title(name, fontsize=9)
            if cell.get_subplotspec().is_first_col():
                cell.text(-0.06, 0.5, f"{head}\n{e.target}", transform=cell.transAxes,
                          rotation=90, ha="right", va="center", fontsize=8)  # fmt: skip
    return _png(figure, dpi=80)


def _figure(rows: int, columns: int, shape: float, inches: float = INCHES):
    """A figure of cells without axes, each ``shape`` times as high as wide; and the cells."""
    # Not pyplot: its figures are global, and servers draw in several threads.
    figure = Figure(figsize=(inches * columns, shape * inches * rows))
    figure.set_layout_engine("constrained", h_pad=0.1 if inches == INCHES else 0.02)
    FigureCanvasAgg(figure)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    return figure, cells


def _png(figure: Figure, dpi: int = 110) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _encoded(drawing: Callable[P, Figure]) -> Callable[P, bytes]:
    """The same function, whose picture comes as encoded PNG."""

    def encoded(*args: P.args, **kwargs: P.kwargs) -> bytes:
        return _png(drawing(*args, **kwargs))

    return encoded


contact_sheet = _encoded(draw)
"""As :func:`draw`; the sheet as encoded PNG."""


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
