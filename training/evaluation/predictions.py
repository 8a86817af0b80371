"""What a bundle answers about labelled products, beside what is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue, Product, Rejected, summarise
from fashion_xai.data.labels import MISSING, Vocabulary
from fashion_xai.data.split import in_split
from fashion_xai.inference import ProductReader, read_canvases
from fashion_xai.models.decoding import Decoder
from fashion_xai.models.outputs import ForwardPass
from fashion_xai.progress import ProgressBar
from training.data.labelled import Labelled

Kept = tuple[np.ndarray, dict[str, np.ndarray]]
"""Pooled features and logits of a photo."""

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class LabelledPredictions:
    """What a bundle says about n products beside what is true.

    Args:
        truth: attribute → int (n,), negative where missing. Where one of several labels is true it
            is the answer if that is allowed, else the most probable of them.
        probabilities: attribute → calibrated probabilities (n, k).
        predicted: attribute → int (n,), the answers, decoded along the taxonomy.
        raw: attribute → int (n,), what each head says alone.
    """

    truth: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]
    predicted: dict[str, np.ndarray]
    raw: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        decoder: Decoder,
        truth: Mapping[str, np.ndarray],
        logits: Mapping[str, np.ndarray],
        allowed: Mapping[str, np.ndarray] | None = None,
    ) -> LabelledPredictions:
        """Decode logits; ``allowed`` as of :func:`training.data.packing.allowed`."""
        probabilities = decoder.probabilities(logits)
        raw = {a: p.argmax(1) for a, p in probabilities.items()}
        predicted = decoder.labels(probabilities)
        known = {
            a: y if allowed is None else resolve(y, allowed[a], predicted[a], probabilities[a])
            for a, y in truth.items()
        }
        return cls(known, probabilities, predicted, raw)


def resolve(
    truth: np.ndarray, allowed: np.ndarray, predicted: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """The truth with an index where one of several labels is true, so that every metric of indices
    counts an allowed answer as right.

    Args:
        truth: int (n,), negative where missing or one of several.
        allowed: bool (n, k).
        predicted: int (n,), the answers.
        scores: (n, k), logits or probabilities: of a wrong answer the best allowed one is taken.
    """
    several = allowed.sum(1) > 1
    right = allowed[np.arange(len(predicted)), predicted]
    best = np.where(allowed, scores, -np.inf).argmax(1)
    return np.where(several, np.where(right, predicted, best), truth)


@dataclass(frozen=True)
class Seen:
    """What the network says about n products.

    Args:
        logits: attribute → (n, k).
        pooled: (n, channels).
        products: the n products.
        rejected: those whose photo cannot be used.
    """

    logits: dict[str, np.ndarray]
    pooled: np.ndarray
    products: list[Product]
    rejected: list[Rejected]

    def shifted(self, offsets: Mapping[str, np.ndarray | float]) -> Seen:
        """As if each head's bias were larger by its offset."""
        logits = {a: x + offsets[a] for a, x in self.logits.items()}
        return replace(self, logits=logits)

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """One after the other."""
        return cls(
            {a: np.concatenate([p.logits[a] for p in parts]) for a in parts[0].logits},
            np.concatenate([p.pooled for p in parts]),
            [product for p in parts for product in p.products],
            [rejected for p in parts for rejected in p.rejected],
        )


def look(classifier: FashionClassifier, photos: Iterable[np.ndarray]) -> Seen:
    """What the network says about pictures that are no products."""
    return _seen(classifier, map(_kept, classifier.read(photos)), [], [])


def predict_all(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    change: Change | None = None,
    name: str = "predicting",
) -> Seen:
    """What the network says about products of a catalogue.

    Args:
        change: applied to each photo before the network sees it, with a generator seeded by
            the product's place.
        name: on the progress bar.
    """

    def seeded(photo: np.ndarray, place: int) -> np.ndarray:
        return photo if change is None else change(photo, np.random.default_rng(place))

    reader = ProductReader(classifier, catalogue, products, seeded)
    used: list[Product] = []
    kept: list[Kept] = []
    with ProgressBar(total=len(products), unit="photo", desc=name) as bar:
        for batch in reader:
            used += [read.product for read in batch]
            kept += [_kept(read.forward_pass) for read in batch]
            bar.update(len(used) + len(reader.rejected) - bar.n)
    if not used:
        left_out = summarise(reader.rejected)
        raise ValueError(f"{catalogue.source}: no photo could be used. {left_out}")
    return _seen(classifier, kept, used, reader.rejected)


def predict_split(classifier: FashionClassifier, labelled: Labelled, split: str) -> Seen:
    """The same of one split of a catalogue, from memory where its photos are there."""
    products = in_split(labelled.products, labelled.split, split)
    if labelled.pixels is None:
        return predict_all(classifier, labelled.catalogue, products, name=labelled.name)
    passes = read_canvases(classifier, labelled.pixels, labelled.rows(split))
    bar = ProgressBar(passes, total=len(products), unit="photo", desc=labelled.name)
    return _seen(classifier, map(_kept, bar), products, [])


def _kept(forward_pass: ForwardPass) -> Kept:
    """What is small: the features of thousands of photos would fill the memory."""
    return forward_pass.pooled, forward_pass.logits


def _seen(
    classifier: FashionClassifier,
    kept: Iterable[Kept],
    products: list[Product],
    rejected: list[Rejected],
) -> Seen:
    pooled, rows = zip(*kept, strict=True)
    logits = {a: np.stack([row[a] for row in rows]) for a in classifier.attributes}
    return Seen(logits, np.stack(pooled), products, rejected)


def encode_truth(
    vocabulary: Vocabulary, products: Sequence[Product]
) -> tuple[dict[str, np.ndarray], Counter]:
    """Attribute → true indices (n,), and the labels unknown to the bundle with their counts.

    A label the bundle never learnt gets an index past its last one, so that it is always wrong.
    """
    unknown: Counter = Counter()
    truth = {}
    for attribute, labels in vocabulary.labels.items():
        index: dict[str | None, int] = {label: i for i, label in enumerate(labels)}
        index[None] = MISSING
        seen = [product.labels.get(attribute) for product in products]
        strange = Counter(f"{attribute}={label}" for label in seen if label not in index)
        unknown.update(strange)
        for label in seen:
            index.setdefault(label, len(index) - 1)  # None holds one place
        truth[attribute] = np.array([index[label] for label in seen], np.int32)
    return truth, unknown
