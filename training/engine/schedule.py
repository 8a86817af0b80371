"""The learning rate over a stage: linear warm-up, then half a cosine."""

from __future__ import annotations

import math
from typing import Any

import keras

START = 0.01
"""First and last rate of a stage, as a share of its peak."""


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Keras' ``CosineDecay`` with a warm-up, without branches.

    An optimiser with weight decay asks for the rate once per variable, and ``CosineDecay`` answers
    each time with a conditional: 449 of them in the graph of this model, a quarter of the time
    that tracing takes (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5).

    Args:
        peak: rate at the end of the warm-up.
        warmup: steps until then, at least 0.
        steps: of the whole stage, more than ``warmup``.
    """

    def __init__(self, peak: float, warmup: int, steps: int):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step: Any) -> Any:
        """The rate at ``step``, counted from 0."""
        done = keras.ops.cast(step, "float32")
        rising = START + (1 - START) * done / max(self.warmup, 1)
        share = keras.ops.clip((done - self.warmup) / (self.steps - self.warmup), 0, 1)
        falling = START + (1 - START) * 0.5 * (1 + keras.ops.cos(math.pi * share))
        return self.peak * keras.ops.where(done < self.warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}
