"""Optional attention between the backbone and the pooling: which channels, and which cells, count.

The block's output is what enters the pooling, so the closed-form maps are taken from it and stay
exact. Each block starts as the identity: 2 · sigmoid(0) = 1.
"""

from __future__ import annotations

import keras
from keras import layers, ops

KINDS = ("none", "se", "cbam")
LAYER = "attention"
"""Name of the block's last layer."""

REDUCTION = 16
SPATIAL_KERNEL = 7
"""Cells a side that CBAM's spatial attention looks at (Woo et al. 2018, section 4.1)."""


def apply(kind: str, features):
    """Put an attention block on a feature map.

    Args:
        kind: ``"none"``; ``"se"``, squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507);
            ``"cbam"``, channel then spatial attention (Woo et al. 2018, arXiv:1807.06521).
        features: (n, h, w, channels).

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "none":
        return features
    if kind == "se":
        return layers.Multiply(name=LAYER)([features, _channels(features, with_max=False)])
    if kind == "cbam":
        x = layers.Multiply(name=f"{LAYER}_channels")(
            [features, _channels(features, with_max=True)]
        )
        return layers.Multiply(name=LAYER)([x, _cells(x)])
    raise ValueError(f"Expected an attention of {KINDS}. Received: {kind!r}")


def _channels(features, with_max: bool):
    """A factor per channel from the pooled map: (n, 1, 1, channels) in 0–2."""
    channels = features.shape[-1]
    squeeze = layers.Dense(channels // REDUCTION, activation="relu", name=f"{LAYER}_squeeze")
    excite = layers.Dense(channels, kernel_initializer="zeros", name=f"{LAYER}_excite")
    total = excite(squeeze(layers.GlobalAveragePooling2D(keepdims=True)(features)))
    if with_max:
        highest = layers.GlobalMaxPooling2D(keepdims=True)(features)
        total = layers.Add()([total, excite(squeeze(highest))])
    return 2 * layers.Activation("sigmoid")(total)


def _cells(features):
    """A factor per cell from the channels' mean and maximum: (n, h, w, 1) in 0–2."""
    both = layers.Concatenate()(
        [ops.mean(features, axis=-1, keepdims=True), ops.max(features, axis=-1, keepdims=True)]
    )
    conv = layers.Conv2D(
        1, SPATIAL_KERNEL, padding="same", kernel_initializer="zeros", name=f"{LAYER}_cells"
    )
    return 2 * keras.layers.Activation("sigmoid")(conv(both))
