"""Files come as uploads and in no other way: no address that a visitor names is ever opened."""

from __future__ import annotations

import re

import gradio as gr
from gradio import processing_utils
from starlette.responses import JSONResponse

REFUSAL = "Addresses are not opened here; send the file itself."
FETCHING = re.compile(r"/(file=\s*https?:|proxy=)", re.IGNORECASE)
"""Gradio's routes that would fetch an address for the visitor."""


def photo_input(**options) -> gr.Image:
    """An image input that hands over the file as it came.

    ``gr.Image`` decodes before our function runs: for a file it cannot read the visitor would
    get its technical error and never our sentence. (Replaced on the instance: for a subclass
    Gradio would write a stub file beside this one.)
    """
    photo = gr.Image(type="filepath", **options)
    photo.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return photo


def open_no_address() -> None:
    """From now on Gradio refuses inputs that name an address instead of a file.

    It would download them itself, for any component, without our cap on bytes. All its downloads
    go through the one function that is replaced here; it has no setting for it.
    """

    async def refuse(url: str):
        raise gr.Error(REFUSAL, print_exception=False)

    processing_utils.async_ssrf_protected_get = refuse


class NoAddresses:
    """ASGI middleware that refuses :data:`FETCHING`."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and FETCHING.search(scope["path"]):
            await JSONResponse({"error": REFUSAL}, 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)
