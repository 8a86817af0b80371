"""Files come as uploads and in no other way: no address or path that a visitor names is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio.utils import get_upload_folder
from pydantic import BaseModel, ValidationError

REFUSAL = "Addresses are not opened here; send the file itself."

NO_UPLOAD = (
    "Expected an uploaded file; gradio_client's handle_file(PATH) uploads one. Received something "
    "else."
)


def open_no_address() -> None:
    """From now on Gradio refuses inputs that name an address instead of a file.

    It would download them itself, for any component, without our cap on bytes. All its downloads
    go through the one function that is replaced here; it has no setting for it.
    """

    async def refuse(url: str):
        raise gr.Error(REFUSAL, print_exception=False)

    processing_utils.async_ssrf_protected_get = refuse


def only_uploads(page: gr.Blocks) -> None:
    """From now on the page's components take files from the folder of uploads only.

    Gradio moves and checks only inputs that call themselves files: ``{"path": "/etc/passwd"}``
    passes unchecked. What a component is given goes through its ``data_model``, whose reading is
    replaced here; what that cannot read becomes our sentence and no traceback.
    """
    for block in page.blocks.values():
        model = getattr(block, "data_model", None)
        if model is not None and not hasattr(model, GUARDED):
            _guard(model)


GUARDED = "only_uploads"


def _guard(model: Any) -> None:
    read = model.model_validate.__func__

    def model_validate(cls: Any, obj: Any, **options: Any) -> BaseModel:
        try:
            found = read(cls, obj, **options)
        except ValidationError:
            raise gr.Error(NO_UPLOAD, print_exception=False) from None
        folder = Path(get_upload_folder()).resolve()
        if any(not Path(path).resolve().is_relative_to(folder) for path in _paths(obj)):
            raise gr.Error(NO_UPLOAD, print_exception=False)
        return found

    model.model_validate = classmethod(model_validate)
    setattr(model, GUARDED, True)


def _paths(value: Any) -> Iterator[str]:
    """What an input names as a file, however deep; contents written as an address count too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "path" and isinstance(inner, str):
                yield inner
            elif name == "url" and isinstance(inner, str) and inner.startswith("data:"):
                yield "/"
            else:
                yield from _paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner)


def refuses_paths(page: gr.Blocks) -> bool:
    """Whether every component that takes files refuses one that was not uploaded."""
    given = {"path": __file__}
    for block in page.blocks.values():
        model = getattr(block, "data_model", None)
        for value in (given, [given]):
            try:
                if model is not None and model.model_validate(value, context={}):
                    return False
            except gr.Error:
                continue
            except ValidationError:
                return False  # it would be a traceback: the guard is not in place
    return True


async def refuses_addresses(folder: str) -> bool:
    """Whether Gradio's own download of an input's address, to a folder, ends in our refusal."""
    try:
        await processing_utils.async_ssrf_protected_download("http://127.0.0.1:9/x", folder)
    except gr.Error as error:
        return error.message == REFUSAL
    except Exception:  # whatever a changed Gradio raises instead: the guard is not in place
        return False
    return False
