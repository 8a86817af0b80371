"""Class activation maps in closed form: pure numpy on features and head weights.

For heads that are one dense layer on globally averaged features, the gradient of a logit with
respect to every cell is the head's weight vector divided by the number of cells. Grad-CAM
(Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2, without the ReLU) then equals CAM (Zhou et
al. 2016, arXiv:1512.04150, eq. 2) up to that division, and needs no backward pass.
"""

from __future__ import annotations

import numpy as np


def grad_cam(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Raw Grad-CAM map of a logit, or of a difference of logits.

    ``map[i, j] = features[i, j] · weights / (h · w)``, so that ``map.sum() + bias`` is the logit.
    Exact about how the logit is summed over the cells; no statement about causes in the pixels.

    Args:
        features: (..., h, w, channels), the tensor that enters the global average pooling.
        weights: (channels,), the label's column of the head's kernel; for "a rather than b"
            the difference of two columns.

    Returns:
        float32 (..., h, w), in logits per cell; negative where the cell speaks against.

    Raises:
        ValueError: the channels do not agree.
    """
    height, width, channels = features.shape[-3:]
    if weights.shape != (channels,):
        raise ValueError(f"Expected weights of shape ({channels},). Received: {weights.shape}")
    return (features @ weights / (height * width)).astype(np.float32)
