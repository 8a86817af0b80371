"""A self-contained HTML page: tables, figures and photos in one file that needs no network.

All is made by Jinja templates that escape what they are given; a ``Markup`` is HTML already.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


def templates(folder: Path) -> Environment:
    """The templates of a folder; whatever they are given is escaped, a missing name is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_TEMPLATES = templates(Path(__file__).parent / "templates")
_PARTS = _TEMPLATES.get_template("parts.html").module

_NUMBERS = re.compile(r"[\d.,–−% +-]*\d[\d.,–−% -]*")
"""Cells of digits only, spans such as 88.2–93.8 and changes such as +3 too: aligned right."""


def page(title: str, *parts: str) -> Markup:
    """A whole document. Parts that are no ``Markup`` are text, and escaped."""
    return Markup(_TEMPLATES.get_template("page.html").render(title=title, parts=parts))


def joined(parts: Iterable[str]) -> Markup:
    """Parts in a row; those that are no ``Markup`` are escaped."""
    return Markup("\n").join(parts)


def paragraph(text: str) -> Markup:
    """Text as a paragraph."""
    return _PARTS.paragraph(text)  # type: ignore[attr-defined]


def heading(text: str, level: int = 2, anchor: str = "") -> Markup:
    """A heading; 2 for a section, 3 inside one. ``anchor``: its name for :func:`contents`."""
    return _PARTS.heading(text, level, anchor)  # type: ignore[attr-defined]


def contents(links: Iterable[tuple[str, str]]) -> Markup:
    """Links to the headings of a page: (text, anchor) each."""
    return _PARTS.contents(list(links))  # type: ignore[attr-defined]


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """Text, numbers or ``Markup`` as a table; numbers are aligned right."""
    cells = [[_cell(value) for value in row] for row in rows]
    return _PARTS.table(header, cells, caption)  # type: ignore[attr-defined]


def _cell(value: object) -> tuple[str, bool]:
    """A cell's text, and whether it is a number."""
    if isinstance(value, Markup):
        return value, False
    if isinstance(value, float):  # numpy's float64 is one
        text = f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"
    else:
        text = f"{value:,}" if isinstance(value, int | np.integer) else str(value)
    return text, bool(_NUMBERS.fullmatch(text))


def folded(summary: str, inside: Markup) -> Markup:
    """HTML that is closed at first, for what is long."""
    return _PARTS.folded(summary, inside)  # type: ignore[attr-defined]


def image(png: bytes, alt: str) -> Markup:
    """An encoded PNG as part of the page."""
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return _PARTS.image(uri, alt)  # type: ignore[attr-defined]


def sheet(photos: Iterable[tuple[np.ndarray, str]]) -> Markup:
    """A contact sheet of (uint8 RGB photo, caption) pairs."""
    shown = [(data_uri(photo), caption) for photo, caption in photos]
    return _PARTS.sheet(shown)  # type: ignore[attr-defined]


def figure(picture: np.ndarray | None, words: str) -> Markup:
    """A picture with its caption, or '' for none."""
    if picture is None:
        return Markup()
    return _PARTS.figure(data_uri(picture), words)  # type: ignore[attr-defined]


def thumbnail(photo: np.ndarray, words: str) -> Markup:
    """A small uint8 RGB photo, for a table's cell."""
    return _PARTS.thumbnail(data_uri(photo), words)  # type: ignore[attr-defined]


def drawing(picture: np.ndarray, alt: str) -> Markup:
    """A uint8 RGB picture with text or lines in it, without loss."""
    return _PARTS.image(data_uri(picture, ".png"), alt)  # type: ignore[attr-defined]


def tile(pictures: Iterable[Markup], words: str = "") -> Markup:
    """Figures of one product side by side, and words below."""
    return _PARTS.tile(Markup().join(pictures), words)  # type: ignore[attr-defined]


def tiles(parts: Iterable[Markup]) -> Markup:
    """Tiles, as many in a row as there is room for."""
    return _PARTS.tiles(Markup().join(parts))  # type: ignore[attr-defined]


def data_uri(picture: np.ndarray, suffix: str = ".jpg") -> str:
    """A uint8 RGB or RGBA picture as a data URI, JPEG or PNG by the suffix."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_JPEG_QUALITY, 85] if suffix == ".jpg" else []
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, order), options)
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def png(figure) -> bytes:
    """A matplotlib figure as PNG bytes; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)  # nothing happens to one that pyplot does not know
    return buffer.getvalue()
