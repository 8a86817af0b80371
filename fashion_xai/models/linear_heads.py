"""What the maps need of a network, whoever computes it: features, and heads linear in their mean.

ONNX Runtime computes a bundle's network (:mod:`fashion_xai.models.onnx_network`), Keras any other
(:mod:`fashion_xai.network`); the maps are the same numpy product of what either gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

TOLERANCE = 1e-3
"""What a head may be off by: float32 sums in another order differ by 1e-6 of what they add up."""


class LinearHeads(Protocol):
    """A network taken apart into features and linear heads."""

    heads: tuple[str, ...]
    layer: str
    """Whose output the features are."""

    kernels: dict[str, np.ndarray]
    """Head → float32 (channels, labels)."""

    biases: dict[str, np.ndarray]
    """Head → float32 (labels,): what a map's sum lacks to the logit."""

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the features, and so of the closed-form maps."""

    @property
    def provider(self) -> str:
        """What computes it, such as ``"CPUExecutionProvider"`` or ``"Keras"``."""

    def forward(self, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """One pass.

        Args:
            pixels: float32 (n, H, W, 3) as the model was trained on.

        Returns:
            The features that enter the pooling, float32 (n, h, w, channels), and head → float32
            logits (n, labels).
        """

    @property
    def in_keras(self) -> Any:
        """The same network as a ``fashion_xai.network.Network``, for maps through gradients."""


def largest_gap(network: LinearHeads, pixels: np.ndarray) -> dict[str, float]:
    """Head → the largest |mean of the features · kernel + bias − logit|, as a share of what is
    added up, Σ |mean · kernel| + |bias|. More than :data:`TOLERANCE`: no closed form holds.

    Args:
        pixels: float32 (n, H, W, 3).
    """
    features, logits = network.forward(pixels)
    pooled = features.mean((1, 2), dtype=np.float64)
    gaps = {}
    for head, given in logits.items():
        kernel, bias = network.kernels[head], network.biases[head]
        scale = np.abs(pooled) @ np.abs(kernel) + np.abs(bias)
        gap = np.abs(pooled @ kernel + bias - given)
        gaps[head] = float(gap.max() / max(scale.max(), 1e-12))
    return gaps


def measured_on(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Two random photos in 0–255, float32 (2, height, width, channels), always the same."""
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (2, height, width, channels)).astype(np.float32)


def sizes(kernels: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Head → its number of labels."""
    return {head: kernel.shape[1] for head, kernel in kernels.items()}
