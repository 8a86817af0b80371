"""The training products that a photo resembles most: beside each answer how many agree, and below
the answers what they are, with their photos where the server has the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from demo.views import words
from demo.views.render import render
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import split_of
from fashion_xai.models.bundle import SPLIT
from fashion_xai.models.outputs import Prediction
from fashion_xai.models.similar import SimilarProduct, agreement
from fashion_xai.viz import html

SIDE = 160
"""Longest side in pixels of a product's photo."""


class Shelf:
    """Photos of the training products, where the server has them.

    Args:
        classifier: whose products.
        catalogue: of ``--data``; None, or one that the bundle was not trained on, has none.
    """

    def __init__(self, classifier: FashionClassifier, catalogue: Catalogue | None = None):
        self._catalogue, self._by_id = catalogue, {}
        if catalogue is not None:
            split, _ = split_of(classifier.bundle.folder / SPLIT, catalogue.products)
            self._by_id = {p.id: p for p in catalogue.products if p.id in split}

    def photo(self, identity: str) -> np.ndarray | None:
        """uint8 RGB, at most :data:`SIDE` long; None where there is none that can be read."""
        product = self._by_id.get(identity)
        if product is None or self._catalogue is None:
            return None
        try:
            return images.shrunk(self._catalogue.photo(product), SIDE)
        except images.ImageError:
            return None


def agreeing(products: Sequence[SimilarProduct], answers: Mapping[str, Prediction]) -> dict:
    """Attribute → "5 of the 8 most similar products it learnt from are Tshirts."; nothing where no
    product has a label of it."""
    counts = agreement(products, {a: p.label for a, p in answers.items()})
    return {
        a: f"{n} of the {total} most similar products it learnt from: {answers[a].label}."
        for a, (n, total) in counts.items()
        if total
    }


def strip(products: Sequence[SimilarProduct], shelf: Shelf) -> Markup:
    """The products in a row: photo, and what each is called by those who labelled it."""
    if not products:
        return Markup()
    shown = []
    for product in products:
        photo = shelf.photo(product.id)
        labels = [product.labels.get(a) for a in words.in_order(product.labels)][:3]
        uri = None if photo is None else html.data_uri(photo)
        shown.append({"uri": uri, "labels": [x for x in labels if x]})
    return render("similar", products=shown, pictures=any(x["uri"] for x in shown))
