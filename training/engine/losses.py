"""Loss and metric of one head; products whose label is missing weigh nothing."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def log_prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """Log frequency of each label, float32 (classes,), with one product more in each class.

    Args:
        labels: int (n,), negative where missing.
        classes: number of labels k; those without a product get a finite value too.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def class_weights(labels: np.ndarray, classes: int, beta: float) -> np.ndarray:
    """Weights by the effective number of products, float32 (classes,).

    (1 − β) / (1 − βⁿ) for n products (Cui et al. 2019, arXiv:1901.05555, equation 5), scaled so
    that the products' mean weight is 1. β = 0 gives 1 for all.

    Args:
        labels: int (n,), negative where missing.
        classes: number of labels; those without a product get the weight of one with one.
        beta: in [0, 1); the larger, the more rare labels count.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    weights = (1 - beta) / (1 - beta ** np.maximum(counts, 1))
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)


class MaskedCrossentropy(keras.losses.Loss):
    """Categorical cross-entropy on logits with label smoothing, averaged over labelled products.

    Where one of several labels is true it is −log of their summed probability (partial-label
    learning: Jin & Ghahramani 2002; Feng et al. 2020, arXiv:2007.08929, equation 8).

    Args:
        smoothing: mass ε spread evenly over all labels (Szegedy et al. 2016, section 7).
        offset: (k,) added to the logits before the softmax, in training only: τ log π of
            :func:`log_prior` gives logit adjustment (Menon et al. 2021, equation 10).
        weights: (k,) factor of a product's loss by its label, as of :func:`class_weights`.
        sets: whether rows (n, k) are the allowed labels, 0 or 1, instead of distributions.
    """

    def __init__(
        self,
        smoothing: float = 0.0,
        offset: np.ndarray | float = 0.0,
        weights: np.ndarray | None = None,
        sets: bool = False,
        name: str = "masked_crossentropy",
    ):
        super().__init__(name=name, dtype="float32")
        self.smoothing = smoothing
        self.offset = np.asarray(offset, np.float32)
        self.weights = weights
        self.sets = sets

    def call(self, y_true, y_pred):
        """Indices (n,), MISSING for none, or distributions or sets (n, k), zeros for none; logits
        (n, k) → loss (n,), zero where missing."""
        k = y_pred.shape[-1]
        if _is_soft(y_true, k):
            hard = ops.cast(y_true, "float32")
        else:  # the one-hot row of a negative index is zero
            hard = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), k)
        labelled = ops.cast(ops.sum(hard, axis=-1) > 0, "float32")
        log_p = ops.log_softmax(y_pred + self.offset, axis=-1)
        if self.sets:
            # log of a sum of probabilities; a label that is not allowed adds nothing
            true = ops.logsumexp(ops.where(hard > 0, log_p, -1e9), axis=-1) * labelled
            hard = hard / ops.maximum(ops.sum(hard, axis=-1, keepdims=True), 1)
        else:
            true = ops.sum(hard * log_p, axis=-1)
        even = ops.mean(log_p, axis=-1)
        loss = -((1 - self.smoothing) * true + self.smoothing * even) * labelled
        if self.weights is not None:
            loss = loss * ops.sum(hard * self.weights, axis=-1)
        # Keras divides by n afterwards; the mean shall be over the labelled ones.
        share = ops.mean(labelled)
        return loss / ops.maximum(share, 1e-7)


class MaskedAccuracy(keras.metrics.Mean):
    """Share of labelled products whose largest logit is that of their label, or of one allowed.

    Of distributions the largest counts: those of a teacher beside a label.
    """

    def __init__(self, name: str = "accuracy"):
        super().__init__(name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if _is_soft(y_true, y_pred.shape[-1]):
            y_true = ops.cast(y_true, "float32")
            best = ops.max(y_true, axis=-1)
            answer = ops.one_hot(ops.argmax(y_pred, axis=-1), y_pred.shape[-1])
            hit = ops.equal(ops.sum(answer * y_true, axis=-1), best)
            return super().update_state(ops.cast(hit, "float32"), ops.cast(best > 0, "float32"))
        y_true = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        hit = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), y_true)
        return super().update_state(ops.cast(hit, "float32"), ops.cast(y_true >= 0, "float32"))


def _is_soft(y_true, k: int) -> bool:
    """Whether these are distributions over k labels and not indices, (n,) or (n, 1)."""
    return len(y_true.shape) == 2 and y_true.shape[1] == k > 1
