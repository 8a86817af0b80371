"""Classify fashion photos by six attributes, and see what each answer rests on."""

from fashion_xai._version import __version__
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
