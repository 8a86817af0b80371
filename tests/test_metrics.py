import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from fashion_xai import metrics

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(-1, 5, 200)
LOGITS = RNG.normal(size=(200, 7)) + 2 * np.eye(7)[TRUTH]
KNOWN = TRUTH >= 0


def test_equal_scikit_learns_on_the_labelled_rows():
    predicted = LOGITS.argmax(1)[KNOWN]
    truth = TRUTH[KNOWN]
    assert metrics.accuracy(TRUTH, LOGITS) == sklearn_metrics.accuracy_score(truth, predicted)
    assert metrics.macro_f1(TRUTH, LOGITS) == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="macro")
    )
    expected = sklearn_metrics.top_k_accuracy_score(truth, LOGITS[KNOWN], k=3, labels=range(7))
    assert metrics.top_k(TRUTH, LOGITS, 3) == expected


def test_all_right_by_hand():
    truth = np.array([[0, 1], [0, -1], [2, 1], [-1, -1]])
    predicted = np.array([[0, 1], [0, 5], [2, 0], [3, 3]])
    assert metrics.all_right(truth, predicted) == 0.75  # a missing label is never wrong
