"""The training products that a photo resembles most: examples to compare with, beside a map.

Nearest neighbours in the features that the heads are given, as in deep k-nearest neighbours
(Papernot and McDaniel 2018, arXiv:1803.04765). Examples of what the answer could be are what helped
people most to tell right from wrong answers (PCNN, Nguyen et al., TMLR 2024, arXiv:2308.13651).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion_xai.data.labels import MISSING, Vocabulary

SIZE = 96
"""Numbers of an embedding."""

NEAREST = 8
"""Products that an answer is compared with."""

COPY = 0.995
"""Cosine above which two products show the same photo: of 1,500 validation products, 8.5 % have
such a pair among their eight nearest."""

ARRAYS = ("ids", "labels", "embeddings", "mean", "projection")


@dataclass(frozen=True)
class SimilarProduct:
    """A training product near a photo.

    Args:
        id: in the catalogue that the bundle was trained on.
        similarity: cosine of the two embeddings, −1–1.
        labels: attribute → its label there; None where it has none.
    """

    id: str
    similarity: float
    labels: dict[str, str | None]


@dataclass(frozen=True, eq=False)
class ProductIndex:
    """Embeddings, labels and ids of training products; no photo.

    Args:
        ids: (n,) strings.
        labels: int16 (n, heads), places in the vocabulary; ``MISSING`` for none.
        embeddings: float16 (n, d), of length 1.
        mean: float32 (channels,), taken off pooled features first.
        projection: float32 (channels, d).
    """

    ids: np.ndarray
    labels: np.ndarray
    embeddings: np.ndarray
    mean: np.ndarray
    projection: np.ndarray

    @classmethod
    def fit(
        cls, pooled: np.ndarray, ids: Sequence[str], labels: np.ndarray, size: int = SIZE
    ) -> ProductIndex:
        """An index of n products.

        Args:
            pooled: (n, channels), as of ``ForwardPass.pooled``.
            ids, labels: as of the class.
            size: of an embedding; fewer where there are fewer products or channels.

        Raises:
            ValueError: arrays of other lengths, or fewer than two products.
        """
        if not len(pooled) == len(ids) == len(labels) >= 2:
            raise ValueError(
                f"Expected as many features, ids and labels, of two products or more. "
                f"Received: {len(pooled)}, {len(ids)}, {len(labels)}"
            )
        from sklearn.decomposition import PCA  # a second that only who makes an index waits for

        pooled = np.asarray(pooled, np.float32)
        found = PCA(min(size, *pooled.shape), svd_solver="covariance_eigh").fit(pooled)
        mean, projection = found.mean_.astype(np.float32), found.components_.T.astype(np.float32)
        rows = _unit((pooled - mean) @ projection).astype(np.float16)
        return cls(np.asarray(ids, np.str_), labels.astype(np.int16), rows, mean, projection)

    def nearest(self, pooled: np.ndarray, k: int = NEAREST) -> tuple[np.ndarray, np.ndarray]:
        """Products near n photos, the nearest first; of copies of one photo, one.

        Args:
            pooled: (n, channels).
            k: how many; all where there are fewer, copies too where nothing else is near.

        Returns:
            int (n, k) places and float32 (n, k) cosines.
        """
        asked = _unit((np.asarray(pooled, np.float32) - self.mean) @ self.projection)
        cosines = asked @ self.embeddings.astype(np.float32).T
        k, more = min(k, len(self.ids)), min(3 * k, len(self.ids))
        best = np.argpartition(-cosines, more - 1, axis=1)[:, :more]
        order = np.argsort(-np.take_along_axis(cosines, best, 1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        places = np.stack([row[self._copies_last(row)[:k]] for row in best])
        return places, np.take_along_axis(cosines, places, 1)

    def _copies_last(self, places: np.ndarray) -> np.ndarray:
        """The order of some products in which a copy of an earlier one comes after all others."""
        rows = self.embeddings[places].astype(np.float32)
        copy = (np.tril(rows @ rows.T, -1) > COPY).any(1)
        return np.argsort(copy, kind="stable")

    def products(
        self, vocabulary: Vocabulary, pooled: np.ndarray, k: int = NEAREST
    ) -> list[SimilarProduct]:
        """The products near one photo, the nearest first.

        Args:
            vocabulary: the bundle's.
            pooled: (channels,), as of ``ForwardPass.pooled``.
        """
        (places,), (cosines,) = self.nearest(pooled[None], k)
        found = []
        for place, cosine in zip(places, cosines, strict=True):
            labels = {
                a: None if label == MISSING else vocabulary.labels[a][label]
                for a, label in zip(vocabulary.attributes, self.labels[place], strict=True)
            }
            found.append(SimilarProduct(str(self.ids[place]), float(cosine), labels))
        return found

    def to_bytes(self) -> bytes:
        """An ``.npz`` without pickle."""
        file = io.BytesIO()  # embeddings hardly shrink; ids and labels do
        np.savez_compressed(file, **{name: getattr(self, name) for name in ARRAYS})
        return file.getvalue()

    @classmethod
    def load(cls, path: Path, heads: int) -> ProductIndex:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            ValueError: another file, or of a network with other heads.
        """
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) != set(ARRAYS):
                raise ValueError(f"expected the arrays {ARRAYS}. Received: {tuple(file.files)}")
            index = cls(**{name: file[name] for name in ARRAYS})
        (n,), (channels, d) = index.ids.shape, index.projection.shape
        expected = {"labels": (n, heads), "embeddings": (n, d), "mean": (channels,)}
        for name, shape in expected.items():
            if getattr(index, name).shape != shape:
                raise ValueError(
                    f"{name}: expected the shape {shape}. Received: {getattr(index, name).shape}"
                )
        return index


def agreement(
    products: Sequence[SimilarProduct], answers: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """How many of the products that have a label of an attribute have the answer's.

    Args:
        products: near a photo.
        answers: attribute → label.

    Returns:
        Attribute → (with this label, with any label).
    """
    found = {}
    for attribute, label in answers.items():
        known = [x for p in products if (x := p.labels[attribute]) is not None]
        found[attribute] = known.count(label), len(known)
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    """Each row at length 1; a row of zeros stays."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
