"""The learning rate against Keras' own schedule."""

import keras
import numpy as np
import pytest

from training.engine.schedule import WarmupCosine


@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_it_is_keras_cosine_decay_with_warm_up(warmup):
    ours = WarmupCosine(2e-3, warmup, 20)
    theirs = keras.optimizers.schedules.CosineDecay(
        2e-5, 20 - warmup, alpha=0.01, warmup_target=2e-3, warmup_steps=warmup
    )
    steps = range(25)  # a few too many: the rate stays
    np.testing.assert_allclose([float(ours(s)) for s in steps], [float(theirs(s)) for s in steps],
                               rtol=1e-5)  # fmt: skip
    again = WarmupCosine.from_config(ours.get_config())
    assert float(again(3)) == float(ours(3))
