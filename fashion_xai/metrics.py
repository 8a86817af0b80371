"""Figures of merit: plain functions of arrays. Missing labels (negative indices) are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn import metrics


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of labelled rows that are predicted right, 0–1.

    Args:
        truth: int (n,), negative where missing.
        predicted: int (n,).
    """
    known = truth >= 0
    return float((predicted[known] == truth[known]).mean())


def top_k(truth: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Share of labelled rows whose true label is among the k largest of scores (n, labels), 0–1."""
    known = truth >= 0
    best = np.argsort(-scores[known], axis=1, kind="stable")[:, :k]
    return float((best == truth[known, None]).any(1).mean())


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Unweighted mean of the F1 of every label that is true or predicted in these rows, 0–1.

    Labels that are neither have no F1; they are not counted (scikit-learn's default).
    """
    return _f1(truth, predicted, "macro")


def weighted_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the labels' F1, each weighing as many rows as it is true in, 0–1."""
    return _f1(truth, predicted, "weighted")


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels that occur of the share of their rows predicted right, 0–1."""
    known = truth >= 0
    rows = np.bincount(truth[known])
    right = np.bincount(truth[known & (predicted == truth)], minlength=len(rows))
    return float((right[rows > 0] / rows[rows > 0]).mean())


def _f1(truth: np.ndarray, predicted: np.ndarray, average: str) -> float:
    known = truth >= 0
    return float(
        metrics.f1_score(truth[known], predicted[known], average=average, zero_division=0.0)
    )


def all_right(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of rows in which every labelled attribute is right, 0–1.

    Args:
        truth: int (n, attributes), negative where missing.
        predicted: int (n, attributes).
    """
    return float(((predicted == truth) | (truth < 0)).all(1).mean())


def confidences(
    truth: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each labelled row's answer (m,), and whether it is right (m,).

    Args:
        truth: int (n,), negative where missing.
        probabilities: (n, k).
        predicted: int (n,), the answers; None takes the most probable labels.
    """
    known = truth >= 0
    if predicted is None:
        predicted = probabilities.argmax(1)
    answers = predicted[known]
    return probabilities[known][np.arange(known.sum()), answers], answers == truth[known]


def at_precision(confidence: np.ndarray, right: np.ndarray, wanted: float) -> tuple[float, float]:
    """The lowest threshold from which answers are right as often as wanted, and the share of all
    answers at or above it (selective classification: Geifman & El-Yaniv 2017, arXiv:1705.08500).

    Args:
        confidence: (n,) in 0–1.
        right: bool (n,).
        wanted: precision, 0–1.

    Returns:
        Threshold and coverage; 2 and 0 where no threshold reaches it.

    >>> at_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 1], bool), 0.75)
    (0.6, 1.0)
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_by = confidence[order]
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # A threshold takes all answers of its confidence, never some of them.
    whole = np.append(sorted_by[1:] < sorted_by[:-1], True)
    reached = np.flatnonzero((precision >= wanted) & whole)
    if not len(reached):
        return 2.0, 0.0
    return float(sorted_by[reached[-1]]), float((reached[-1] + 1) / len(order))


def ece(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error, 0–1 (Guo et al. 2017, equation 3): equal-width bins.

    Args:
        confidence: (n,) in 0–1.
        right: bool (n,).
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def ece_at_best(confidence: np.ndarray, draws: int = 200, seed: int = 0) -> float:
    """The mean :func:`ece` of a perfectly calibrated model with these confidences.

    It is not zero: whether an answer is right is drawn with the stated probability.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.random((draws, len(confidence))) < confidence
    return float(np.mean([ece(confidence, right) for right in drawn]))


def interval(
    statistic: Callable[..., float], *rows: np.ndarray, draws: int = 300, seed: int = 0
) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic (percentile method, Efron & Tibshirani 1993).

    Args:
        statistic: takes resampled ``rows`` and returns a number.
        rows: arrays of equal length n, resampled together.
    """
    rng = np.random.default_rng(seed)
    n = len(rows[0])
    values = []
    for _ in range(draws):
        chosen = rng.integers(0, n, n)
        values.append(statistic(*(x[chosen] for x in rows)))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def mean_with_interval(values: np.ndarray) -> dict[str, float]:
    """``mean``, and ``low`` and ``high`` of its 95 % bootstrap interval; NaN are left out.

    Args:
        values: (n,).
    """
    known = values[~np.isnan(values)]
    low, high = interval(lambda x: float(x.mean()), known)
    return {"mean": float(known.mean()), "low": low, "high": high}
