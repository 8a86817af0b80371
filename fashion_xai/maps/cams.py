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
            the difference of two columns. Also one for each photo, (..., channels), or k for each,
            (..., k, channels): one product makes all of these maps.

    Returns:
        float32 (..., h, w), or (..., k, h, w), in logits per cell; negative where the cell speaks
        against.

    Raises:
        ValueError: the channels do not agree.

    >>> grad_cam(np.ones((2, 2, 3)), np.array([1.0, 2.0, 3.0])).tolist()  # sums to the logit, 6
    [[1.5, 1.5], [1.5, 1.5]]
    """
    *photos, height, width, channels = features.shape
    shape, one = weights.shape, (channels,)
    many = len(shape) == len(photos) + 2 and shape[: len(photos)] == (*photos,)
    if not (shape in (one, (*photos, *one)) or (many and shape[-1] == channels)):
        raise ValueError(f"Expected weights of shape ({channels},). Received: {shape}")
    columns = np.swapaxes(weights, -1, -2) if many else weights[..., None]
    cells = features.reshape(*photos, height * width, channels) @ columns
    maps = np.moveaxis(cells, -1, len(photos)) if many else cells[..., 0]
    found = maps.reshape(*maps.shape[:-1], height, width) / (height * width)
    return found.astype(np.float32)


def against_rivals(coefficients: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Coefficients of a label's log-odds instead of its logit.

    A softmax does not see what all logits have in common, yet a logit's own map shows it, often
    spread over the background. The log-odds ``log(p / (1 − p)) = z_c − logsumexp(z_k, k ≠ c)`` are
    free of it; their gradient is 1 at the label and minus the softmax over the others at the
    others, so that their Grad-CAM is a matrix product like the logit's:
    ``map.sum()`` plus the biases at these coefficients is ``z_c`` less the rivals' mean logit,
    each rival weighing as much as it is probable.

    Args:
        coefficients: (labels,); where some are negative the rivals are named already, and
            nothing changes.
        logits: (labels,).

    Returns:
        float32 (labels,), sums to 0 if there is any other label.

    >>> against_rivals(np.array([1.0, 0, 0]), np.zeros(3)).tolist()  # two rivals alike
    [1.0, -0.5, -0.5]
    """
    others = coefficients == 0
    if (coefficients < 0).any() or not others.any():
        return coefficients
    weights = np.exp(np.where(others, logits - logits[others].max(), -np.inf))
    total = coefficients.sum() / weights.sum()
    return (coefficients - total * weights).astype(np.float32)


def layer_cam(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Raw LayerCAM map (Jiang et al. 2021, equation 6, before its outer ReLU).

    ``map[i, j] = features[i, j] · max(weights, 0) / (h · w)``: only channels that speak for the
    label count, so nothing speaks against it where features are not negative. EfficientNet's swish
    is slightly negative in places, hence small negative cells. Its sum is no logit. Grad-CAM++ is
    its alias on these heads: all cells share one gradient, and both maps differ by a factor only.

    Args, returns and errors as for :func:`grad_cam`.

    >>> layer_cam(np.ones((1, 1, 2)), np.array([2.0, -5.0])).tolist()
    [[2.0]]
    """
    return grad_cam(features, np.maximum(weights, 0))


def eigen_cam(features: np.ndarray) -> np.ndarray:
    """Eigen-CAM (Muhammad & Yeasin 2020, arXiv:2008.00299): what the network looks at.

    Each cell's features projected on their first right singular vector, whose sign is chosen so
    that the map's sum is positive. It knows no label: the map is the same for all heads. Never use
    it to say why the network answers.

    Args:
        features: (h, w, channels).

    Returns:
        float32 (h, w), in units of the features.

    >>> eigen_cam(np.array([[[3.0, 4.0]], [[0.0, 0.0]]])).tolist()  # the cells' own length
    [[5.0], [0.0]]
    """
    height, width, channels = features.shape
    cells = features.reshape(height * width, channels)
    # The Gram matrix of the cells is small (48 × 48), the channels' one is not.
    values, vectors = np.linalg.eigh((cells @ cells.T).astype(np.float64))
    heatmap = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    if heatmap.sum() < 0:
        heatmap = -heatmap
    return heatmap.reshape(height, width).astype(np.float32)
