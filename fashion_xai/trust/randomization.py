"""The sanity check of Adebayo et al. 2018, arXiv:1810.03292: a map must depend on the weights.

Layer by layer, from the heads down, the weights are made random, and each map is compared with
the one before. A map that stays as it is, as an edge detector does, explains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.stats import spearmanr

from fashion_xai.classifier import FashionClassifier
from fashion_xai.maps.geometry import stretch
from fashion_xai.metrics import mean_with_interval
from fashion_xai.models.onnx_network import BIAS, KERNEL

WEIGHED = ("Conv", "MatMul", "Gemm", "Add")
"""Operators of ONNX whose constants are learnt; an Add's are a bias."""

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

    A layer, one operator of the ONNX graph with the batch normalisation that is folded into it,
    is randomised by shuffling the entries of each of its weights: what it has learnt goes, their
    scale stays (Adebayo et al. draw them anew). The maps keep explaining the labels that the
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

    Raises:
        ValueError: a bundle without ``model.onnx``.
    """
    if classifier.bundle.graph is None:
        raise ValueError(
            f"{classifier.bundle.folder}: the sanity check needs its model.onnx: "
            f"python -m training.export {classifier.bundle.folder}"
        )
    rng = np.random.default_rng(seed)
    labels = [{h: p[h].label for h in heads} for p in classifier.predict(list(photos))]
    trained = _maps(classifier, photos, names, labels)
    copy = onnx.ModelProto()
    copy.CopyFrom(classifier.bundle.graph)
    answers: dict[str, dict[str, list[dict[str, Any]]]] = {n: {h: [] for h in heads} for n in names}
    shuffled = 0
    for layers in _stages(copy.graph, classifier.attributes, stages):
        for weights in layers:
            for tensor in weights:
                _shuffle(tensor, rng)
        shuffled += len(layers)
        random = FashionClassifier(replace(classifier.bundle, graph=copy))
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


def _stages(
    graph: onnx.GraphProto, heads: Sequence[str], stages: int
) -> list[list[list[onnx.TensorProto]]]:
    """The heads, then the other layers, the last ones first, in groups; a layer is its weights."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    first = [[tensors.pop(form.format(head)) for form in (KERNEL, BIAS)] for head in heads]
    others = []
    for node in reversed(graph.node):
        if node.op_type not in WEIGHED:
            continue
        weights = [tensors.pop(name) for name in node.input if name in tensors]
        if weights:
            others.append(weights)
    groups = np.array_split(np.arange(len(others)), max(stages - 1, 1))[: stages - 1]
    return [first, *([others[i] for i in group] for group in groups)]


def _shuffle(tensor: onnx.TensorProto, rng: np.random.Generator) -> None:
    """The entries in another order, in place."""
    old = numpy_helper.to_array(tensor)
    new = rng.permutation(old.ravel()).reshape(old.shape)
    tensor.CopyFrom(numpy_helper.from_array(new, tensor.name))
