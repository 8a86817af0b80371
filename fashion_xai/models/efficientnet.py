"""The network: EfficientNetB0, global average pooling, six dense heads that give logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from fashion_xai.models.attention import LAYER as ATTENTION_LAYER
from fashion_xai.models.attention import apply as apply_attention

BACKBONE_LAYER = "top_activation"
"""The backbone's last layer."""

POOLING_LAYER = "pooling"
DROPOUT_LAYER = "dropout"
IMAGENET_STD = (0.229, 0.224, 0.225)
STRIDE = 32
"""Pixels of the input per cell of the published network's feature map; sides are multiples."""

OUTPUT_STRIDES = (32, 16)
"""What :func:`build_model` offers."""


def build_model(
    sizes: Mapping[str, int],
    size: tuple[int | None, int | None] = (256, 192),
    weights: str = "none",
    dropout: float = 0.2,
    attention: str = "none",
    output_stride: int = STRIDE,
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
        attention: a block before the pooling; see :mod:`fashion_xai.models.attention`.
        output_stride: pixels of the input per cell of the feature map: 32 as published, or 16,
            where the last stage does not shrink the map and its convolutions are dilated
            instead (the à-trous trick: Chen et al. 2017, arXiv:1706.05587). The weights are the
            same, the maps have twice as many cells a side.

    Returns:
        float32 (n, H, W, 3) in 0–255 → list of logits (n, n_labels), float32.

    Raises:
        ValueError: a size that is no multiple of 32, another output stride, or weights that do
            not fit.
        FileNotFoundError: the weights file does not exist.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"Expected one of {OUTPUT_STRIDES}. Received: {output_stride=}")
    for side in size:
        if side is not None and (side < STRIDE or side % STRIDE):
            raise ValueError(f"Expected multiples of {STRIDE}. Received: size={size}")
    inputs = keras.Input((*size, 3), name="photo")
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_tensor=inputs
    )
    if weights == "imagenet":
        _load_imagenet(backbone)
    elif weights != "none":
        _load_backbone(backbone, Path(weights))
    if output_stride != STRIDE:
        backbone = dilated(backbone, inputs)
    pooled = keras.layers.GlobalAveragePooling2D(name=POOLING_LAYER)(
        apply_attention(attention, backbone.get_layer(BACKBONE_LAYER).output)
    )
    pooled = keras.layers.Dropout(dropout, name=DROPOUT_LAYER)(pooled)
    # float32 heads also under mixed precision: logits decide the loss's exponent range.
    heads = [keras.layers.Dense(n, name=name, dtype="float32")(pooled) for name, n in sizes.items()]
    return keras.Model(inputs, heads, name="fashion")


def dilated(backbone: keras.Model, inputs: keras.KerasTensor) -> keras.Model:
    """The same network and weights with an output stride of 16.

    ``block6a``, which halves the map, keeps its size; the depthwise convolutions behind it reach
    twice as far instead, so that each sees what it saw.
    """

    def change(layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if layer.name == "block6a_dwconv_pad":
            settings["padding"] = ((1, 3), (1, 3))
        elif layer.name == "block6a_dwconv":
            settings["strides"] = (1, 1)
        elif layer.name.endswith("dwconv") and layer.name > "block6a_dwconv":
            settings["dilation_rate"] = (2, 2)
        return type(layer).from_config(settings)

    cloned = keras.models.clone_model(backbone, input_tensors=[inputs], clone_function=change)
    set_weights(cloned, backbone.get_weights())
    return cloned


def cam_layer(attention: str = "none") -> str:
    """The layer whose output enters the pooling: its maps are exact for these heads."""
    return BACKBONE_LAYER if attention == "none" else ATTENTION_LAYER


def set_weights(model: keras.Model, weights: Sequence[np.ndarray]) -> None:
    """``model.set_weights`` that also takes the input normalisation over.

    Keras' Normalization computes with constants made from its weights when it was built or
    loaded; ``set_weights`` alone leaves the old constants in use, silently.
    """
    model.set_weights(weights)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _load_imagenet(backbone: keras.Model) -> None:
    try:
        source = keras.applications.EfficientNetB0(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises nothing narrower when the download fails
        raise OSError(
            "--weights imagenet: the download failed. Expected network access, or --weights FILE "
            f"or none. Received: {error}"
        ) from error
    set_weights(backbone, source.get_weights())
    # Keras divides by sqrt(std) in a layer that only the graph with weights="imagenet" has.
    # The same division in the normalisation's variance keeps one graph for all starts.
    (norm,) = (x for x in backbone.layers if isinstance(x, keras.layers.Normalization))
    norm.adapt_variance.assign(norm.adapt_variance * np.array(IMAGENET_STD, np.float32))
    norm.finalize_state()


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
