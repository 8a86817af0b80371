"""Augmentation that cannot change a label: geometry only, no hue shift (colour is a head)."""

from __future__ import annotations

import keras
from keras import ops

from fashion_xai.images import WHITE


class RandomShiftScale(keras.layers.Layer):
    """Shift and scale each photo by a random amount, in one resampling; white moves in.

    Args:
        shift: largest shift as a share of height and width.
        scale: largest relative change of size.
        seed: of the layer's random numbers.

    Active in training only. Input and output: (n, H, W, 3) in 0–255.
    """

    def __init__(self, shift: float, scale: float, seed: int, **kwargs):
        super().__init__(**kwargs)
        self.shift, self.scale = shift, scale
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, photos, training=False):
        if not training:
            return photos
        n, height, width = ops.shape(photos)[:3]
        height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
        zoom = self._uniform(n, 1 - self.scale, 1 + self.scale)
        # Output (x, y) reads input (a x + dx, a y + dy), a = 1 / zoom, about the centre.
        a = 1 / zoom
        dx = (1 - a) * (width - 1) / 2 + self._uniform(n, -self.shift, self.shift) * width
        dy = (1 - a) * (height - 1) / 2 + self._uniform(n, -self.shift, self.shift) * height
        zero = ops.zeros_like(a)
        matrix = ops.stack([a, zero, dx, zero, a, dy, zero, zero], axis=1)
        return ops.image.affine_transform(
            photos, matrix, interpolation="bilinear", fill_mode="constant", fill_value=WHITE
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def _uniform(self, n, low, high):
        return keras.random.uniform((n,), low, high, seed=self.seeds)


def light(seed: int) -> keras.Sequential:
    """Mirror, shift by up to 6 %, scale by up to 10 %."""
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=seed),
            RandomShiftScale(shift=0.06, scale=0.10, seed=seed + 1),
        ],
        name="augment",
    )
