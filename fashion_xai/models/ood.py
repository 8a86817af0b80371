"""Is this a photo of one product at all? A score on what the same forward pass leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp


def energies(logits: Mapping[str, np.ndarray]) -> np.ndarray:
    """How much each head recognises: the negative energy log Σ exp(logits) (Liu et al. 2020,
    arXiv:2010.03759), its logits centred first: the softmax leaves their mean open.

    Args:
        logits: attribute → (n, k).

    Returns:
        (n, heads), 0 or more.
    """
    return np.stack(
        [logsumexp(x - x.mean(-1, keepdims=True), axis=-1) for x in logits.values()], axis=-1
    )


@dataclass(frozen=True, eq=False)
class OODScore:
    """A linear score on the pooled features and the heads' energies; low for scenes, textures and
    several products.

    Fitted on photos of products against pictures that show none or several (a logistic regression
    as in outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606, but on the network as it is).

    Args:
        pooled: (channels,), or None for a score of the energies alone.
        energies: attribute → weight.
        bias: added; 0 is where the fit is undecided.
    """

    pooled: np.ndarray | None
    energies: dict[str, float]
    bias: float = 0.0

    @classmethod
    def plain(cls, attributes: Sequence[str]) -> OODScore:
        """The sum of the energies: where nothing was fitted."""
        return cls(None, dict.fromkeys(attributes, 1.0))

    def score(self, pooled: np.ndarray, logits: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,), unbounded; a bundle's card names the threshold under which to doubt.

        Args:
            pooled: (n, channels), the mean of the feature map over its cells.
            logits: attribute → (n, k).
        """
        weights = np.array([self.energies[attribute] for attribute in logits])
        score = energies(logits) @ weights + self.bias
        return score if self.pooled is None else score + pooled @ self.pooled

    def to_json(self) -> dict[str, Any]:
        pooled = None if self.pooled is None else [float(f"{x:.6g}") for x in self.pooled]
        return {"pooled": pooled, "energies": self.energies, "bias": self.bias}

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], attributes: Sequence[str], channels: int
    ) -> OODScore:
        """Raises ValueError: not of these heads and so many channels, or not numbers."""
        try:
            pooled = data["pooled"]
            pooled = None if pooled is None else np.array(pooled, np.float64)
            found = cls(pooled, {a: float(w) for a, w in data["energies"].items()},
                        float(data["bias"]))  # fmt: skip
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError("expected numbers in pooled, energies and bias") from error
        if set(found.energies) != set(attributes) or (
            pooled is not None and pooled.shape != (channels,)
        ):
            raise ValueError(f"expected a weight for each of {channels} channels and each head")
        numbers = [found.bias, *found.energies.values(), *([] if pooled is None else pooled)]
        if not np.isfinite(numbers).all():
            raise ValueError("expected finite numbers")
        return found
