"""Values by hand and from scikit-learn."""

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from fashion_xai.data.labels import MISSING
from training.engine.losses import MaskedAccuracy, MaskedCrossentropy, class_weights, log_prior

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 1.0, 0.0]], np.float32)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


def test_without_smoothing_it_is_scikit_learns_log_loss():
    truth = np.array([0, 1, 2])
    loss = MaskedCrossentropy()(truth, LOGITS)
    assert float(loss) == pytest.approx(log_loss(truth, softmax(LOGITS)), rel=1e-5)


def test_smoothing_equals_keras_own_on_one_hot_targets():
    truth = np.array([0, 1, 2])
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(theirs(np.eye(3, dtype=np.float32)[truth], LOGITS))
    assert float(MaskedCrossentropy(0.1)(truth, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_missing_labels_neither_count_nor_dilute():
    with_gap = float(MaskedCrossentropy(0.1)(np.array([0, MISSING, 2]), LOGITS))
    without = float(MaskedCrossentropy(0.1)(np.array([0, 2]), LOGITS[[0, 2]]))
    assert with_gap == pytest.approx(without, rel=1e-5)
    assert float(MaskedCrossentropy()(np.full(3, MISSING), LOGITS)) == 0


def test_accuracy_leaves_missing_out_over_several_batches():
    metric = MaskedAccuracy()
    metric.update_state(np.array([0, MISSING, 2]), LOGITS)  # right, -, wrong
    metric.update_state(np.array([[0], [2], [1]]), LOGITS)  # right, right, right
    assert float(metric.result()) == pytest.approx(4 / 5)


def test_the_offset_acts_as_menon_et_al_write_it():
    """Equation 10: −log of softmax(f + τ log π) at the true label, with π from the counts."""
    labels = np.array([0, 0, 0, 1, MISSING])
    prior = log_prior(labels, 3)
    np.testing.assert_allclose(np.exp(prior), [4 / 7, 2 / 7, 1 / 7], rtol=1e-6)
    truth = np.array([0, 1, 2])
    adjusted = softmax(LOGITS + 0.5 * prior)
    expected = -np.log(adjusted[np.arange(3), truth]).mean()
    assert float(MaskedCrossentropy(offset=0.5 * prior)(truth, LOGITS)) == pytest.approx(
        expected, rel=1e-5
    )


def test_class_weights_by_hand():
    """Cui et al., equation 5, for 3 and 1 products at β = .5: (.5 / .875) and 1, then mean 1."""
    raw = np.array([0.5 / 0.875, 1.0])
    mean = (3 * raw[0] + raw[1]) / 4
    labels = np.array([0, 0, 0, 1, MISSING])
    np.testing.assert_allclose(class_weights(labels, 2, 0.5), raw / mean, rtol=1e-6)
    np.testing.assert_allclose(class_weights(labels, 3, 0.0), 1)
    assert class_weights(labels, 3, 0.5)[2] == pytest.approx(1 / mean)  # never seen


def test_weights_multiply_each_products_loss():
    truth = np.array([0, 1, MISSING])
    weights = np.array([2.0, 0.5, 9.0], np.float32)
    p = softmax(LOGITS)
    expected = (2 * -np.log(p[0, 0]) + 0.5 * -np.log(p[1, 1])) / 2
    loss = MaskedCrossentropy(weights=weights)(truth, LOGITS)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


ALLOWED = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0]], np.float32)
ROWS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [9.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)


def test_one_of_several_labels_costs_minus_log_of_their_summed_probability():
    p = softmax(ROWS)
    expected = -np.log([p[0, :2].sum(), p[1, 1:].sum(), p[3, 0]]).mean()
    assert float(MaskedCrossentropy(sets=True)(ALLOWED, ROWS)) == pytest.approx(expected, rel=1e-5)
    weights = np.array([1.0, 3.0, 5.0], np.float32)
    weighed = -(np.log([p[0, :2].sum(), p[1, 1:].sum(), p[3, 0]]) * [2, 4, 1]).mean()
    loss = MaskedCrossentropy(sets=True, weights=weights)(ALLOWED, ROWS)
    assert float(loss) == pytest.approx(weighed, rel=1e-5)


def test_sets_of_one_label_are_plain_labels():
    one_hot = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    for smoothing in (0.0, 0.1):
        plain = float(MaskedCrossentropy(smoothing)(np.array([0, 1, 2]), LOGITS))
        assert float(MaskedCrossentropy(smoothing, sets=True)(one_hot, LOGITS)) == pytest.approx(
            plain, rel=1e-5
        )


def test_an_allowed_answer_counts_as_right():
    metric = MaskedAccuracy()
    metric.update_state(ALLOWED, ROWS)  # right, right, unlabelled, wrong
    assert float(metric.result()) == pytest.approx(2 / 3)
