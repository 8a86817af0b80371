"""The page's HTML, made by templates that escape what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from fashion_xai.viz import html

_TEMPLATES = html.templates(Path(__file__).resolve().parents[1] / "templates")


def render(template: str, /, **values: Any) -> Markup:
    """A template of ``demo/templates``, without its ending, filled in."""
    return Markup(_TEMPLATES.get_template(f"{template}.html").render(values).strip())


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
