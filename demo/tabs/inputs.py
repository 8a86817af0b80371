"""Inputs that hand over what the visitor sent, for our own sentences about it, and what to try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

EXAMPLES = sorted(str(p) for p in (Path(__file__).parents[1] / "examples").glob("*.png"))
"""Photos that a visitor can try the page with."""


def photo_input(**options: Any) -> gr.Image:
    """An image input that hands over the file's path.

    ``gr.Image`` decodes before our function runs: for a file it cannot read the visitor would
    get its technical error and never our sentence. (Replaced on the instance: for a subclass
    Gradio would write a stub file beside this one.)
    """
    photo = gr.Image(type="filepath", **options)
    photo.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return photo


def choice_input(*choices: Any, **options: Any) -> gr.Dropdown:
    """A drop-down that hands over any text.

    Gradio compares with the choices that it remembers for a session, and forgets sessions when many
    come: what is chosen from what the page still shows would be an error. We check it ourselves.
    """
    choice = gr.Dropdown(*choices, **options)
    choice.preprocess = lambda payload: payload if isinstance(payload, str) else None  # type: ignore[method-assign]
    return choice
