"""Do the heads look at the same places, at the product, at a face? Figures over a set of photos."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.masks import face, silhouette
from fashion_xai.maps import methods
from fashion_xai.metrics import mean_with_interval
from fashion_xai.trust.faithfulness import pointing
from fashion_xai.trust.randomization import similarity

PLACES = {"product": silhouette, "face": face}
"""Where evidence may lie: uint8 RGB (H, W, 3) → bool (H, W), or None where there is none."""


def compare_heads(
    classifier: FashionClassifier,
    photos: Iterable[np.ndarray],
    method: str = methods.DEFAULT,
) -> dict[str, Any]:
    """How much the heads' maps overlap, and how much of their evidence lies where.

    Args:
        photos: uint8 RGB; they are taken in batches, so that any number of them fits.
        method: how the maps are made.

    Returns:
        ``photos``; ``overlap``: "head head" → the mean Spearman rank correlation of their maps,
        −1–1; ``places``: ``product`` (the silhouette; what is off it is background) and ``face`` →
        ``photos`` that have one, ``area``, its mean share of the photo (what a map that is even
        all over would have), and ``heads``: head → share of the positive evidence there, ``mean``,
        ``low``, ``high`` (95 %, bootstrap). A place that no photo has is left out.
    """
    overlaps: dict[str, list[float]] = {
        f"{a} {b}": [] for a, b in combinations(classifier.attributes, 2)
    }
    shares: dict[str, dict[str, list[float]]] = {
        place: {head: [] for head in classifier.attributes} for place in PLACES
    }
    areas: dict[str, list[float]] = {place: [] for place in PLACES}
    seen = 0
    for forward_pass in classifier.read(photos):
        seen += 1
        maps = {
            head: e.heatmap
            for head, e in classifier.explanations(forward_pass, method=method).items()
        }
        for a, b in combinations(maps, 2):
            overlaps[f"{a} {b}"].append(similarity(maps[a], maps[b]))
        for place, find in PLACES.items():
            mask = find(forward_pass.pixels)
            if mask is None:
                continue
            areas[place].append(float(mask.mean()))
            for head, heatmap in maps.items():
                shares[place][head].append(pointing(heatmap, mask))
    return {
        "photos": seen,
        "overlap": {pair: float(np.mean(values)) for pair, values in overlaps.items()},
        "places": {
            place: {
                "photos": len(areas[place]),
                "area": float(np.mean(areas[place])),
                "heads": {h: mean_with_interval(np.array(x)) for h, x in shares[place].items()},
            }
            for place in PLACES
            if areas[place]
        },
    }
