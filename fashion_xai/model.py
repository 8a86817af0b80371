"""The network: EfficientNetB0, global average pooling, six dense heads that give logits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras

CAM_LAYER = "top_activation"
"""The tensor that enters the pooling: the layer whose maps are exact for these heads."""

POOLING_LAYER = "pooling"
DROPOUT_LAYER = "dropout"
STRIDE = 32
"""Pixels of the input per cell of the feature map."""


def build_model(
    sizes: Mapping[str, int],
    size: tuple[int | None, int | None] = (256, 192),
    weights: str = "none",
    dropout: float = 0.2,
) -> keras.Model:
    """Build the multi-head classifier (EfficientNet: Tan & Le 2019, arXiv:1905.11946).

    The graph is flat (``input_tensor=``, no nested model) and the outputs are a list in the
    order of ``sizes``: a nested backbone breaks tf-keras-vis, a dict would be sorted.

    Args:
        sizes: attribute → number of labels; the heads are named after the attributes.
        size: (height, width) of the input, multiples of 32; (None, None) for any.
        weights: ``"imagenet"`` (downloads), ``"none"`` (random), or the path of a weights
            file for ``EfficientNetB0(include_top=False)``.
        dropout: rate before the heads; active in training only.

    Returns:
        float32 (n, H, W, 3) in 0–255 → list of logits (n, n_labels), float32.

    Raises:
        ValueError: a size that is no multiple of 32, or weights that do not fit.
        FileNotFoundError: the weights file does not exist.
    """
    for side in size:
        if side is not None and (side < STRIDE or side % STRIDE):
            raise ValueError(f"Expected multiples of {STRIDE}. Received: size={size}")
    inputs = keras.Input((*size, 3), name="photo")
    backbone = keras.applications.EfficientNetB0(
        include_top=False,
        weights="imagenet" if weights == "imagenet" else None,
        input_tensor=inputs,
    )
    if weights not in ("imagenet", "none"):
        _load_backbone(backbone, Path(weights))
    pooled = keras.layers.GlobalAveragePooling2D(name=POOLING_LAYER)(
        backbone.get_layer(CAM_LAYER).output
    )
    pooled = keras.layers.Dropout(dropout, name=DROPOUT_LAYER)(pooled)
    # float32 heads also under mixed precision: logits decide the loss's exponent range.
    heads = [keras.layers.Dense(n, name=name, dtype="float32")(pooled) for name, n in sizes.items()]
    return keras.Model(inputs, heads, name="fashion")


def _load_backbone(backbone: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"--weights: expected 'imagenet', 'none' or a file. Received: {path} (no such file)"
        )
    try:
        backbone.load_weights(path)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path}: expected weights of EfficientNetB0(include_top=False). Received: {error}"
        ) from error
