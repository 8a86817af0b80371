"""From logits to answers: calibrated probabilities, and category labels that fit each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special

from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy, Vocabulary

TINY = 1e-12
"""Floor under a probability before its logarithm."""


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities over the last axis, of ``logits / temperature``.

    A temperature above 1 makes them less sure, the order stays (Guo et al. 2017,
    arXiv:1706.04599).
    """
    return special.softmax(logits / temperature, axis=-1)


class Decoder:
    """Turns the heads' logits into probabilities and labels.

    Args:
        vocabulary: the heads' labels.
        taxonomy: the category triples an answer may consist of; an empty one allows all.
        temperatures: attribute → temperature; 1 where not given.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        taxonomy: Taxonomy,
        temperatures: Mapping[str, float] | None = None,
    ):
        self.temperatures = {a: 1.0 for a in vocabulary.attributes} | dict(temperatures or {})
        self.paths = _paths(vocabulary, taxonomy)

    def probabilities(self, logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Attribute → calibrated probabilities (n, k) of logits (n, k)."""
        return {a: softmax(x, self.temperatures[a]) for a, x in logits.items()}

    def labels(self, probabilities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Attribute → int (n,), the index of the answer.

        The category heads are decoded together: of the paths (masterCategory, subCategory,
        articleType) of the taxonomy, the one with the largest product of the three
        probabilities. The other heads answer with their most probable label.
        """
        best = {a: p.argmax(-1) for a, p in probabilities.items()}
        if self.paths is not None:
            chosen = self.paths[self._scores(probabilities).argmax(-1)]
            best.update({a: chosen[:, level] for level, a in enumerate(CATEGORY_PATH)})
        return best

    def together(self, probabilities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Category head → float (n, k), the share of the most probable path with each label among
        all paths: what :meth:`labels` decided by, so that its answer has the largest. Empty where
        there are no paths. Three heads that read the same features are no independent witnesses:
        these shares are surer than they are often right."""
        if self.paths is None:
            return {}
        shares = softmax(self._scores(probabilities))
        found = {}
        for level, a in enumerate(CATEGORY_PATH):
            best = np.zeros_like(probabilities[a])
            np.maximum.at(best.T, self.paths[:, level], shares.T)
            found[a] = best
        return found

    def _scores(self, probabilities: Mapping[str, np.ndarray]) -> np.ndarray:
        """Logarithm of each path's product, (n, paths)."""
        assert self.paths is not None
        logs = [
            np.log(np.maximum(probabilities[a], TINY))[:, self.paths[:, level]]
            for level, a in enumerate(CATEGORY_PATH)
        ]
        return np.sum(logs, axis=0)


def _paths(vocabulary: Vocabulary, taxonomy: Taxonomy) -> np.ndarray | None:
    """The taxonomy as indices (paths, 3); None where a category head is missing."""
    if not taxonomy.triples or not set(CATEGORY_PATH) <= set(vocabulary.attributes):
        return None
    return np.array(
        [
            [vocabulary.index(a, label) for a, label in zip(CATEGORY_PATH, triple, strict=True)]
            for triple in sorted(taxonomy.triples)
        ]
    )
