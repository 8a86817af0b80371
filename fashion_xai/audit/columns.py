"""What an audit says of a product: the columns of its table, made of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from fashion_xai.audit.label_issues import label_quality
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.image_properties import ImageProperties, measure_image
from fashion_xai.data.labels import CATEGORY_PATH
from fashion_xai.inference import Beside, ReadProduct
from fashion_xai.maps import cams
from fashion_xai.trust.faithfulness import pointing

EMBEDDING = 96
"""Numbers in place of a product's pooled features: enough to tell which products are alike."""


class AuditColumns:
    """The work of an audit, see :class:`fashion_xai.engines.work.Work`: the columns that
    :func:`fashion_xai.audit.engine.run` tells of. A product's ``side`` is the split it is in.

    Args:
        titles: False keeps none.
    """

    without: Mapping[str, Any] = MappingProxyType({})

    beside: Beside | None = staticmethod(measure_image)

    def __init__(self, titles: bool = True):
        self.titles = titles

    def fields(self, classifier: FashionClassifier) -> list[tuple[str, pa.DataType]]:
        return _fields(classifier)

    def columns(
        self, classifier: FashionClassifier, batch: Sequence[ReadProduct]
    ) -> dict[str, Sequence[Any]]:
        return _columns(classifier, batch, self.titles)


def _columns(
    classifier: FashionClassifier, batch: Sequence[ReadProduct], titles: bool
) -> dict[str, Sequence[Any]]:
    products = [read.product for read in batch]
    passes = [read.forward_pass for read in batch]
    properties: list[ImageProperties] = [read.beside for read in batch]
    logits = {h: np.stack([f.logits[h] for f in passes]) for h in classifier.attributes}
    features = np.stack([f.features for f in passes])
    probabilities = classifier.decoder.probabilities(logits)
    predicted = classifier.decoder.labels(probabilities)
    alone = {h: p.argmax(1) for h, p in probabilities.items()}
    pooled = features.mean((1, 2))
    embedded = pooled @ _projection(features.shape[-1])
    columns: dict[str, Sequence[Any]] = {
        "title": [p.title if titles else "" for p in products],
        "split": [p.side or None for p in products],
        **{n: [getattr(x, n) for x in properties] for n, _ in ImageProperties.FIELDS},
        "one_product": classifier.are_one_product(pooled, logits),
        "consistent": _consistent(classifier, alone).tolist(),
        "embedding": list(embedded.astype(np.float16)),
    }
    masks = [x.product for x in properties]
    for head in classifier.attributes:
        truth = [p.labels.get(head) for p in products]
        found = _head_columns(
            classifier, head, truth, predicted[head], probabilities[head], logits[head], features
        )
        off = [_off_product(*pair) for pair in zip(found["map"], masks, strict=True)]
        columns |= {f"{head}_{name}": values for name, values in found.items()}
        columns[f"{head}_off_product"] = off
    return columns


def _head_columns(
    classifier: FashionClassifier,
    head: str,
    truth: Sequence[str | None],
    predicted: np.ndarray,
    probabilities: np.ndarray,
    logits: np.ndarray,
    features: np.ndarray,
) -> dict[str, Sequence[Any]]:
    """Name → one value a product, of one head."""
    labels = classifier.vocabulary.labels[head]
    place = {label: i for i, label in enumerate(labels)}
    true = np.array([place.get(x, -1) if x is not None else -1 for x in truth])
    n = np.arange(len(predicted))
    ordered = np.sort(probabilities, 1)[:, ::-1]
    # The answer first, then the most probable others: a decoded answer need not be the top one.
    rank = np.argsort(-probabilities, 1, kind="stable")
    top = [[p, *(i for i in row if i != p)][:3] for p, row in zip(predicted, rank, strict=True)]
    kernel = classifier.network.kernels[head]
    eye = np.eye(len(labels), dtype=np.float32)

    def odds(target: np.ndarray) -> np.ndarray:
        c = np.stack([cams.against_rivals(eye[t], z) for t, z in zip(target, logits, strict=True)])
        return c @ kernel.T

    wrong = (true >= 0) & (true != predicted)
    # One product makes all maps: those of the true label too, which are kept of some.
    apart = (kernel[:, np.maximum(true, 0)] - kernel[:, predicted]).T
    weights = np.stack([odds(predicted), odds(np.maximum(true, 0)), apart], 1)
    own, theirs, difference = np.moveaxis(cams.grad_cam(features, weights), 1, 0)
    gap = logits[n, np.maximum(true, 0)] - logits[n, predicted]

    def where(mask: np.ndarray, values: Sequence[Any]) -> list[Any]:
        return [v if m else None for m, v in zip(mask, values, strict=True)]

    return {
        "true": list(truth),
        "predicted": [labels[i] for i in predicted],
        "probability": probabilities[n, predicted],
        "true_probability": where(true >= 0, probabilities[n, np.maximum(true, 0)]),
        "top3": [[labels[i] for i in row] for row in top],
        "top3_probabilities": [probabilities[i, row] for i, row in enumerate(top)],
        "margin": ordered[:, 0] - ordered[:, 1] if len(labels) > 1 else ordered[:, 0],
        "entropy": -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1),
        "quality": _known(label_quality(labels, truth, probabilities)),
        "evidence": np.maximum(own, 0).sum((1, 2)),
        "map": list(own.astype(np.float16)),
        "true_map": where(wrong, list(theirs.astype(np.float16))),
        "difference": where(wrong, list(difference.astype(np.float16))),
        "gap": where(wrong, gap),
    }


def _off_product(heatmap: np.ndarray, product: np.ndarray | None) -> float | None:
    """Share of the positive evidence off the product; None without silhouette or evidence."""
    if product is None or not (heatmap > 0).any():
        return None
    return 1 - pointing(heatmap.astype(np.float32), product)


def _known(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in values]


def _consistent(classifier: FashionClassifier, alone: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether the category heads' own answers form a path of the taxonomy; True without those."""
    size = len(next(iter(alone.values())))
    if not set(CATEGORY_PATH) <= set(alone):
        return np.ones(size, bool)
    names = [[classifier.vocabulary.labels[h][i] for i in alone[h]] for h in CATEGORY_PATH]
    return np.array([triple in classifier.taxonomy for triple in zip(*names, strict=True)])


def _projection(channels: int) -> np.ndarray:
    """Random directions that keep distances (Johnson & Lindenstrauss 1984); always the same."""
    directions = np.random.default_rng(0).normal(size=(channels, EMBEDDING))
    return (directions / np.sqrt(EMBEDDING)).astype(np.float32)


def _fields(classifier: FashionClassifier) -> list[tuple[str, pa.DataType]]:
    cells = int(np.prod(classifier.network.cells))
    text, number = pa.dictionary(pa.int32(), pa.string()), pa.float32()
    fields: list[tuple[str, pa.DataType]] = [
        ("title", pa.string()),
        ("split", pa.string()),
        *ImageProperties.FIELDS,
        ("one_product", pa.bool_()),
        ("consistent", pa.bool_()),
        ("embedding", pa.list_(pa.float16(), EMBEDDING)),
    ]
    for head in classifier.attributes:
        fields += [
            (f"{head}_true", text),
            (f"{head}_predicted", text),
            (f"{head}_probability", number),
            (f"{head}_true_probability", number),
            (f"{head}_top3", pa.list_(pa.string())),
            (f"{head}_top3_probabilities", pa.list_(number)),
            (f"{head}_margin", number),
            (f"{head}_entropy", number),
            (f"{head}_evidence", number),
            (f"{head}_off_product", number),
            *((f"{head}_{m}", pa.list_(pa.float16(), cells)) for m in ("map", "true_map")),
            (f"{head}_difference", pa.list_(pa.float16(), cells)),
            (f"{head}_gap", number),
            (f"{head}_quality", number),
        ]
    return fields
