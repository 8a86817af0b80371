"""An audit's products on a plane: what looks alike to the network lies together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from fashion_xai.audit.results import Audit
from fashion_xai.data import files

FILE = "embedding_map.json"

MOST = 5000
"""Products on a map: more take minutes to lay out, and cannot be told apart."""

PERPLEXITY, STEPS, SEED = 30, 500, 0
"""Of t-SNE, and of the draw where an audit has more than :data:`MOST` products."""


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Products on a plane.

    Args:
        rows: int (n,), of the audit's table.
        points: float32 (n, 2), x and y in 0–1. Near means alike; how far apart two distant ones
            lie means nothing.
    """

    rows: np.ndarray
    points: np.ndarray

    def inside(self, polygon: Iterable[tuple[float, float]]) -> np.ndarray:
        """The rows whose points lie inside a polygon of (x, y) corners; none for under three."""
        from matplotlib.path import Path

        corners = np.array([*polygon], np.float64).reshape(-1, 2)
        if len(corners) < 3:
            return self.rows[:0]
        return self.rows[Path(corners).contains_points(self.points)]


def is_made(audit: Audit) -> bool:
    """Whether :func:`lay_out` has nothing left to compute."""
    return _kept(audit) is not None


def lay_out(audit: Audit) -> EmbeddingMap:
    """The map of an audit; made once and kept in the audit's folder, where that can be written to.

    t-SNE (van der Maaten & Hinton 2008) of the products' embeddings, by scikit-learn, begun from
    their principal components. Some 15 s for 4,000 products.
    """
    kept = _kept(audit)
    if kept is not None:
        return kept
    rows = np.arange(len(audit.table))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, MOST, replace=False))
    points = _spread(audit.embeddings[rows])
    content = {
        "of": _key(audit),
        "rows": rows.tolist(),
        "x": [round(float(x), 4) for x in points[:, 0]],
        "y": [round(float(y), 4) for y in points[:, 1]],
    }
    with suppress(OSError):
        files.write(audit.folder / FILE, json.dumps(content) + "\n")
    return EmbeddingMap(rows, points)


def _spread(embeddings: np.ndarray) -> np.ndarray:
    """float32 (n, 2) in 0–1."""
    from sklearn.manifold import TSNE  # loads for a second: when it is asked for

    n = len(embeddings)
    if n < 4:  # nothing to lay out
        return np.stack([np.linspace(0, 1, n), np.full(n, 0.5)], 1).astype(np.float32)
    perplexity = min(PERPLEXITY, (n - 1) / 3)
    plane = TSNE(init="pca", perplexity=perplexity, max_iter=STEPS, random_state=SEED)
    points = plane.fit_transform(embeddings)
    span = np.maximum(np.ptp(points, axis=0), 1e-9)
    return ((points - points.min(0)) / span).astype(np.float32)


def _kept(audit: Audit) -> EmbeddingMap | None:
    """What is in the audit's folder, if it is of this audit."""
    try:
        kept = files.read_json(audit.folder / FILE)
        rows = np.array(kept["rows"], np.int64)
        points = np.array([kept["x"], kept["y"]], np.float32).T
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sound = kept["of"] == _key(audit) and points.shape == (len(rows), 2)
    fits = sound and len(rows) and rows.min() >= 0 and rows.max() < len(audit.table)
    return EmbeddingMap(rows, points) if fits else None


def _key(audit: Audit) -> list[object]:
    return [audit.summary.get("model"), audit.summary.get("ids"), len(audit.table)]
