"""Do the heads look at the same places, and at the product? Figures over a set of photos."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np

from fashion_xai import methods
from fashion_xai.classifier import FashionClassifier
from fashion_xai.faithfulness import pointing
from fashion_xai.metrics import mean_with_interval
from fashion_xai.sanity import similarity
from fashion_xai.silhouette import silhouette


def compare_heads(
    classifier: FashionClassifier,
    photos: Iterable[np.ndarray],
    method: str = methods.DEFAULT,
) -> dict[str, Any]:
    """How much the heads' maps overlap, and how much of their evidence lies on the product.

    Args:
        photos: uint8 RGB.
        method: how the maps are made.

    Returns:
        ``photos``; ``overlap``: "head head" → the mean Spearman rank correlation of their maps,
        −1–1; ``on_product``: head → share of the positive evidence on the silhouette, ``mean``,
        ``low``, ``high`` (95 %, bootstrap), with ``area``, the product's share of the photo:
        what a map that is even all over would have. Photos without a studio background have no
        silhouette and count for the overlap only; ``with_product`` says how many have one.
    """
    shares: dict[str, list[float]] = {head: [] for head in classifier.attributes}
    overlaps: dict[str, list[float]] = {
        f"{a} {b}": [] for a, b in combinations(classifier.attributes, 2)
    }
    areas: list[float] = []
    seen = 0
    for reading in classifier.read(list(photos)):
        seen += 1
        maps = {
            head: e.heatmap for head, e in classifier.explanations(reading, method=method).items()
        }
        for a, b in combinations(maps, 2):
            overlaps[f"{a} {b}"].append(similarity(maps[a], maps[b]))
        product = silhouette(reading.pixels)
        if product is None:
            continue
        areas.append(float(product.mean()))
        for head, heatmap in maps.items():
            shares[head].append(pointing(heatmap, product))
    return {
        "photos": seen,
        "with_product": len(areas),
        "area": float(np.mean(areas)) if areas else None,
        "overlap": {pair: float(np.mean(values)) for pair, values in overlaps.items()},
        "on_product": {head: mean_with_interval(np.array(x)) for head, x in shares.items()}
        if areas
        else {},
    }
