"""Files come as uploads and in no other way: no address that a visitor names is ever opened."""

from __future__ import annotations

import gradio as gr
from gradio import processing_utils

REFUSAL = "Addresses are not opened here; send the file itself."


def open_no_address() -> None:
    """From now on Gradio refuses inputs that name an address instead of a file.

    It would download them itself, for any component, without our cap on bytes. All its downloads
    go through the one function that is replaced here; it has no setting for it.
    """

    async def refuse(url: str):
        raise gr.Error(REFUSAL, print_exception=False)

    processing_utils.async_ssrf_protected_get = refuse


async def refuses_addresses(folder: str) -> bool:
    """Whether Gradio's own download of an input's address, to a folder, ends in our refusal."""
    try:
        await processing_utils.async_ssrf_protected_download("http://127.0.0.1:9/x", folder)
    except gr.Error as error:
        return error.message == REFUSAL
    except Exception:  # whatever a changed Gradio raises instead: the guard is not in place
        return False
    return False
