"""Classify fashion photos by six attributes, and see what each answer rests on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fashion_xai._version import __version__

if TYPE_CHECKING:
    from fashion_xai.bundle import BundleError
    from fashion_xai.catalogue import Catalogue, CatalogueError
    from fashion_xai.classifier import RUNNER_UP, FashionClassifier
    from fashion_xai.images import ImageError
    from fashion_xai.labels import ATTRIBUTES, Taxonomy, Vocabulary
    from fashion_xai.records import Explanation, Prediction

__all__ = [
    "ATTRIBUTES",
    "RUNNER_UP",
    "BundleError",
    "Catalogue",
    "CatalogueError",
    "Explanation",
    "FashionClassifier",
    "ImageError",
    "Prediction",
    "Taxonomy",
    "Vocabulary",
    "__version__",
]

_HOMES = {
    "ATTRIBUTES": "labels",
    "RUNNER_UP": "classifier",
    "BundleError": "bundle",
    "Catalogue": "catalogue",
    "CatalogueError": "catalogue",
    "Explanation": "records",
    "FashionClassifier": "classifier",
    "ImageError": "images",
    "Prediction": "records",
    "Taxonomy": "labels",
    "Vocabulary": "labels",
}


def __getattr__(name: str) -> Any:
    """A public name from the module that has it, on first use (PEP 562).

    Whoever only reads pictures, as the demo's decoding processes do, never loads TensorFlow.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
