"""Classify fashion photos by six attributes, and see what each answer rests on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fashion_xai._version import __version__

if TYPE_CHECKING:
    from fashion_xai.classifier import RUNNER_UP, FashionClassifier
    from fashion_xai.data.catalogue import Catalogue, CatalogueError
    from fashion_xai.data.images import ImageError
    from fashion_xai.data.labels import ATTRIBUTES, Taxonomy, Vocabulary
    from fashion_xai.maps import cams, methods
    from fashion_xai.models.bundle import BundleError
    from fashion_xai.models.outputs import Explanation, Prediction
    from fashion_xai.network import Network

__all__ = [
    "ATTRIBUTES",
    "RUNNER_UP",
    "BundleError",
    "Catalogue",
    "CatalogueError",
    "Explanation",
    "FashionClassifier",
    "ImageError",
    "Network",
    "Prediction",
    "Taxonomy",
    "Vocabulary",
    "__version__",
    "cams",
    "methods",
]

_HOMES = {
    "ATTRIBUTES": "data.labels",
    "RUNNER_UP": "classifier",
    "BundleError": "models.bundle",
    "Catalogue": "data.catalogue",
    "CatalogueError": "data.catalogue",
    "Explanation": "models.outputs",
    "FashionClassifier": "classifier",
    "ImageError": "data.images",
    "Network": "network",
    "Prediction": "models.outputs",
    "Taxonomy": "data.labels",
    "Vocabulary": "data.labels",
}
_MODULES = {"cams": "maps.cams", "methods": "maps.methods"}


def __getattr__(name: str) -> Any:
    """A public name from the module that has it, on first use (PEP 562).

    Whoever only reads pictures, as the demo's decoding processes do, never loads TensorFlow.
    """
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
