"""Averaged weights: which ones are validated, kept, and trained on."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import ROOT
from training.engine.callbacks import Checkpoint

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)).astype(np.float32), RNG.normal(size=(40, 1)).astype(np.float32)


class Remember(keras.callbacks.Callback):
    """The weights after every step, and the loss that validation reports."""

    def __init__(self):
        super().__init__()
        self.steps, self.losses = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["val_loss"])


def fit(momentum: float, path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    optimizer = keras.optimizers.SGD(0.1, use_ema=momentum > 0, ema_momentum=momentum or 0.99)
    model.compile(optimizer, loss="mse")
    optimizer.build(model.trainable_variables)
    keeper, remember = Checkpoint(path, 0, 9, 0.0), Remember()
    model.fit(X, Y, batch_size=8, epochs=3, verbose=0, shuffle=False, validation_data=(X, Y),
              callbacks=[keeper, remember])  # fmt: skip
    return keeper, remember


def test_the_average_is_validated_and_kept_and_training_goes_on_with_the_rest(tmp_path):
    keeper, remember = fit(0.9, tmp_path / "c.npz")
    average = None
    averages = []
    for step, weights in enumerate(remember.steps, 1):
        average = (
            weights
            if average is None
            else [0.9 * a + 0.1 * w for a, w in zip(average, weights, strict=True)]
        )
        if step % 5 == 0:  # an epoch has five steps
            averages.append(average)
    losses = [float(((X @ kernel + bias - Y) ** 2).mean()) for kernel, bias in averages]
    np.testing.assert_allclose(remember.losses, losses, rtol=1e-4)
    for kept, mine in zip(keeper.best, averages[int(np.argmin(losses))], strict=True):
        np.testing.assert_allclose(kept, mine, rtol=1e-4, atol=1e-6)
    # The first step of the second epoch starts from the weights, not from their average.
    kernel, bias = remember.steps[4]
    gap = X[:8] @ kernel + bias - Y[:8]
    expected = kernel - 0.1 * 2 / 8 * X[:8].T @ gap
    np.testing.assert_allclose(remember.steps[5][0], expected, rtol=1e-4, atol=1e-6)


def test_without_averaging_the_best_epochs_own_weights_are_kept(tmp_path):
    keeper, remember = fit(0.0, tmp_path / "c.npz")
    best = int(np.argmin(remember.losses))
    for kept, mine in zip(keeper.best, remember.steps[5 * best + 4], strict=True):
        np.testing.assert_array_equal(kept, mine)
    assert keeper.best_loss == pytest.approx(min(remember.losses))


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="needs jax: pip install -e .[dev]")
def test_both_hold_on_jax():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", __file__, "-k", "not on_jax"],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax"}, timeout=600,
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
