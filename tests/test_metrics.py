import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from fashion_xai import metrics

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(-1, 5, 200)
LOGITS = RNG.normal(size=(200, 7)) + 2 * np.eye(7)[TRUTH]
PREDICTED = LOGITS.argmax(1)
KNOWN = TRUTH >= 0


def test_equal_scikit_learns_on_the_labelled_rows():
    predicted, truth = PREDICTED[KNOWN], TRUTH[KNOWN]
    assert metrics.accuracy(TRUTH, PREDICTED) == sklearn_metrics.accuracy_score(truth, predicted)
    for average, mine in [("macro", metrics.macro_f1), ("weighted", metrics.weighted_f1)]:
        expected = sklearn_metrics.f1_score(truth, predicted, average=average)
        assert mine(TRUTH, PREDICTED) == pytest.approx(expected)
    assert metrics.balanced_accuracy(TRUTH, PREDICTED) == pytest.approx(
        sklearn_metrics.recall_score(
            truth, predicted, average="macro", labels=np.unique(truth), zero_division=0
        )
    )
    expected = sklearn_metrics.top_k_accuracy_score(truth, LOGITS[KNOWN], k=3, labels=range(7))
    assert metrics.top_k(TRUTH, LOGITS, 3) == expected


def test_the_bootstrap_interval_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = metrics.interval(lambda x: float(x.mean()), values, draws=2000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_all_right_by_hand():
    truth = np.array([[0, 1], [0, -1], [2, 1], [-1, -1]])
    predicted = np.array([[0, 1], [0, 5], [2, 0], [3, 3]])
    assert metrics.all_right(truth, predicted) == 0.75  # a missing label is never wrong


def test_a_mean_with_its_interval_leaves_out_what_is_missing():
    values = np.array([0.0, 1.0, np.nan, 1.0, 0.0])
    found = metrics.mean_with_interval(values)
    assert found["mean"] == 0.5 and 0 <= found["low"] < 0.5 < found["high"] <= 1
    assert metrics.mean_with_interval(np.full(4, 2.0)) == {"mean": 2.0, "low": 2.0, "high": 2.0}
