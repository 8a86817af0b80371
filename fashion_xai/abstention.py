"""Is this a photo of one product at all? A score on the logits of the same forward pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import logsumexp


def familiarity(logits: Mapping[str, np.ndarray]) -> np.ndarray:
    """How much the heads together recognise; low for scenes, textures and several products.

    The negative energy Σ over the heads of log Σ exp(logits) (Liu et al. 2020,
    arXiv:2010.03759), each head's logits centred first: the softmax leaves their mean open.

    Args:
        logits: attribute → (n, k).

    Returns:
        (n,), unbounded; a bundle's card names the threshold under which to doubt.
    """
    return np.sum(
        [logsumexp(x - x.mean(-1, keepdims=True), axis=-1) for x in logits.values()], axis=0
    )
