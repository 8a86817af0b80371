"""The sanity check of Adebayo et al. 2018, arXiv:1810.03292: a map must depend on the weights.

Layer by layer, from the heads down, the weights are made random, and each map is compared with
the one before. A map that stays as it is, as an edge detector does, explains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from scipy.stats import spearmanr

from fashion_xai.classifier import FashionClassifier
from fashion_xai.maps.geometry import stretch
from fashion_xai.metrics import mean_with_interval
from fashion_xai.models.efficientnet import set_weights

STAGES = 4
"""The heads, then the other layers in this many steps less one."""


def cascade(
    classifier: FashionClassifier,
    photos: Sequence[np.ndarray],
    names: Sequence[str],
    heads: Sequence[str],
    stages: int = STAGES,
    seed: int = 0,
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Randomise from the heads down and follow each method's maps.

    A layer is randomised by shuffling the entries of each of its weights: what it has learnt
    goes, the scale of its outputs stays (Adebayo et al. draw them anew, which for batch
    normalisation would change the scale too). The maps keep explaining the labels that the
    trained network predicted.

    Args:
        photos: uint8 RGB.
        names: methods.
        heads: whose maps.
        stages: at least 1; the first shuffles the heads alone.
        seed: of the shuffling.

    Returns:
        Method → head → one entry per stage: ``layers``, how many are random by then, and the
        Spearman rank correlation with the trained network's map, −1–1: ``mean``, ``low``,
        ``high`` (95 %, bootstrap over photos). 0 means: nothing in common.
    """
    rng = np.random.default_rng(seed)
    labels = [{h: p[h].label for h in heads} for p in classifier.predict(list(photos))]
    trained = _maps(classifier, photos, names, labels)
    copy = keras.models.clone_model(classifier.bundle.model)
    set_weights(copy, classifier.bundle.model.get_weights())
    answers: dict[str, dict[str, list[dict[str, Any]]]] = {n: {h: [] for h in heads} for n in names}
    shuffled = 0
    for layers in _stages(copy, classifier.attributes, stages):
        for layer in layers:
            layer.set_weights([_shuffled(w, rng) for w in layer.get_weights()])
        shuffled += len(layers)
        random = FashionClassifier(replace(classifier.bundle, model=copy))
        changed = _maps(random, photos, names, labels)
        for name in names:
            for head in heads:
                same = np.array(
                    [
                        similarity(a[head], b[head])
                        for a, b in zip(trained[name], changed[name], strict=True)
                    ]
                )
                answers[name][head].append({"layers": shuffled, **mean_with_interval(same)})
    return answers


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of any sizes; 0 where one of them is even."""
    shape = max(one.shape, other.shape)
    a, b = stretch(one, shape).ravel(), stretch(other, shape).ravel()
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)


def _maps(classifier, photos, names, labels) -> dict[str, list[dict[str, np.ndarray]]]:
    """Method → per photo: head → map of the given label."""
    forward_passes = list(classifier.read(list(photos)))
    return {
        name: [
            {
                head: e.heatmap
                for head, e in classifier.explanations(
                    forward_pass, list(targets), targets, method=name
                ).items()
            }
            for forward_pass, targets in zip(forward_passes, labels, strict=True)
        ]
        for name in names
    }


def _stages(model: keras.Model, heads: Sequence[str], stages: int) -> list[list[Any]]:
    """The heads, then the other layers with trainable weights, the last ones first, in groups."""
    first = [model.get_layer(name) for name in heads]
    others = [x for x in reversed(model.layers) if x.trainable_weights and x not in first]
    groups = np.array_split(np.arange(len(others)), max(stages - 1, 1))[: stages - 1]
    return [first, *([others[i] for i in group] for group in groups)]


def _shuffled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(weights.ravel()).reshape(weights.shape)
