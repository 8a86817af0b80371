"""A self-contained HTML page: tables, figures and photos in one file that needs no network."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

STYLE = """
:root {color-scheme: light}
body {font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
      color: #1c1c1e; background: #fff}
h1 {font-size: 1.7rem} h2 {font-size: 1.25rem; margin-top: 2.4rem} h3 {font-size: 1.05rem}
table {border-collapse: collapse; margin: .6rem 0} caption {text-align: left; font-weight: 600}
th, td {padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: left}
td.n {text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums}
img.figure {max-width: 100%; height: auto}
.sheet {display: flex; flex-wrap: wrap; gap: .6rem}
.sheet figure {margin: 0; width: 7.5rem; break-inside: avoid}
.sheet img {width: 100%; border: 1px solid #ddd}
.sheet figcaption {font-size: .75rem; line-height: 1.25; overflow-wrap: anywhere}
.tiles {display: flex; flex-wrap: wrap; gap: .8rem}
.tile {border: 1px solid #ddd; border-radius: 6px; padding: .5rem; break-inside: avoid}
.tile .row {display: flex; gap: .4rem} .tile figure {margin: 0; width: 120px}
.tile img {width: 120px} .tile figcaption {font-size: .72rem; line-height: 1.2; color: #444}
.tile p {font-size: .78rem; margin: .3rem 0 0; max-width: 32rem; overflow-wrap: anywhere}
.scroll {overflow-x: auto} .note {color: #555}
@media print {body {margin: 0; max-width: none} h2 {break-after: avoid}}
"""


_NUMBERS = re.compile(r"[\d.,–−% -]*\d[\d.,–−% -]*")
"""Cells of digits only, spans such as 88.2–93.8 too: aligned right."""


def page(title: str, *parts: str) -> str:
    """A whole document. ``parts`` are HTML: whatever comes from data must be escaped by now."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def heading(text: str, level: int = 2) -> str:
    """A heading; 2 for a section, 3 inside one."""
    return f"<h{level}>{escape(text)}</h{level}>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Text or numbers as a table; numbers are aligned right. Everything is escaped."""
    top = "".join(f'<th scope="col">{escape(str(x))}</th>' for x in header)
    body = "".join("<tr>" + "".join(_cell(x) for x in row) + "</tr>" for row in rows)
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table>{named}<thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, float):  # numpy's float64 is one
        text = f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"
    else:
        text = f"{value:,}" if isinstance(value, int | np.integer) else str(value)
    return f'<td class="n">{text}</td>' if _NUMBERS.fullmatch(text) else f"<td>{escape(text)}</td>"


def folded(summary: str, inside: str) -> str:
    """HTML that is closed at first, for what is long."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def image(png: bytes, alt: str) -> str:
    """An encoded PNG as part of the page."""
    data = base64.b64encode(png).decode()
    return f'<img class="figure" src="data:image/png;base64,{data}" alt="{escape(alt)}">'


def sheet(photos: Iterable[tuple[np.ndarray, str]]) -> str:
    """A contact sheet of (uint8 RGB photo, caption) pairs."""
    figures = [
        f'<figure><img src="{data_uri(photo)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for photo, caption in photos
    ]
    return f'<div class="sheet">{"".join(figures)}</div>'


def figure(picture: np.ndarray | None, words: str) -> str:
    """A picture with its caption, or '' for none."""
    if picture is None:
        return ""
    return (
        f'<figure><img src="{data_uri(picture)}" alt="{escape(words, quote=True)}">'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


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
