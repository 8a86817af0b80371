"""A Keras model as the maps see it: one forward pass, and each head's weights.

The closed-form maps are exact for one kind of model: a flat graph whose outputs are dense layers
on one globally averaged feature map. :class:`Network` finds these parts in any Keras model, or says
why it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fashion_xai.models import linear_heads

try:
    import keras
except ImportError as error:
    raise ImportError('Keras models need: pip install "fashion-xai[keras]"') from error

PASSED_OVER = (keras.layers.Dropout, keras.layers.Identity)
"""Layers around a head that change nothing at inference."""

ANY_SIDE = 64
"""Pixels a side of the pictures that a model of any input size is tried on."""


class UnsuitableModel(ValueError):
    """A model whose heads are not linear in one pooled feature map; with the remedy."""


class Network:
    """A model taken apart into features and linear heads, and held to it on two random pictures.

    Args:
        model: photos (n, H, W, 3) → one logits tensor (n, labels), or a list of them.
        names: of the heads, in the order of the outputs; None takes their layers' names.

    Raises:
        UnsuitableModel: no built functional or sequential model, a nested backbone, two inputs, a
            dict of outputs, a head with hidden layers or its own activation, another pooling,
            heads on different features, outputs of one name, or a head whose logits are not the
            mean of the features times its kernel plus its bias (quantised, or with a call of its
            own).

    >>> photo = keras.Input((32, 32, 3))
    >>> x = keras.layers.Conv2D(4, 8, strides=8, activation="relu", name="last")(photo)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> network = Network(keras.Model(photo, keras.layers.Dense(2, name="head")(x)))
    >>> network.layer, network.cells, network.heads
    ('last', (4, 4), ('head',))
    """

    def __init__(self, model: keras.Model, names: Sequence[str] | None = None):
        _refuse_what_is_no_graph(model)
        heads, features = _take_apart(model)
        self.model = model
        self.heads = tuple(head.name for head in heads) if names is None else tuple(names)
        if len(self.heads) != len(heads):
            raise UnsuitableModel(
                f"Expected a name for each of the model's {len(heads)} outputs. "
                f"Received: {self.heads}"
            )
        if len(set(self.heads)) < len(self.heads):
            raise UnsuitableModel(
                f"Expected a name of its own for each output. Received: {self.heads}. Where one "
                "Dense layer gives several, name them: Network(model, [NAME, …])"
            )
        self.layer: str = _made_by(features)[0].name
        kernels = (np.asarray(head.kernel).astype(np.float32) for head in heads)
        self.kernels = dict(zip(self.heads, kernels, strict=True))
        self.biases = {n: _bias(h) for n, h in zip(self.heads, heads, strict=True)}
        self._both = keras.Model(model.inputs, [features, *model.outputs])
        self._hold()

    def _hold(self) -> None:
        height, width, channels = self.model.inputs[0].shape[1:]
        pictures = linear_heads.measured_on(height or ANY_SIDE, width or ANY_SIDE, channels)
        for head, gap in linear_heads.largest_gap(self, pictures).items():
            if not gap <= linear_heads.TOLERANCE:
                raise UnsuitableModel(
                    f"head {head!r}: expected its logits to be the mean of the features times its "
                    f"kernel plus its bias. Received: off by {gap:.2g} of what is added up (a "
                    "quantised model, or a layer with a call of its own?). Give the model as it "
                    "was before, or a plain keras.layers.Dense."
                )

    def forward(self, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """One pass.

        Args:
            pixels: (n, H, W, 3) as the model was trained on.

        Returns:
            The features that enter the pooling, float32 (n, h, w, channels), and head → float32
            logits (n, labels).
        """
        # Under mixed precision they are float16, which has no digits to add up a map with.
        features, *logits = (x.astype(np.float32) for x in self._both.predict_on_batch(pixels))
        return features, dict(zip(self.heads, logits, strict=True))

    @property
    def provider(self) -> str:
        """What computes it: ``"Keras"``."""
        return "Keras"

    @property
    def in_keras(self) -> Network:
        """Itself."""
        return self

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the feature map, and so of the closed-form maps."""
        return tuple(self.model.get_layer(self.layer).output.shape[1:3])

    def output(self, head: str):
        """The symbolic tensor of a head's logits, to build other models on the same graph."""
        return self.model.outputs[self.heads.index(head)]

    def finer_layer(self, times: int, size: tuple[int, int] | None = None) -> str:
        """The last layer whose map has ``times`` as many cells a side as the explained one.

        Args:
            size: height and width of the photo, for a model that takes any.

        Raises:
            ValueError: the graph has none.
        """
        layers = [
            layer
            for layer in self.model.layers
            if len(layer._inbound_nodes) == 1 and len(getattr(layer.output, "shape", ())) == 4
        ]
        shapes = {layer.name: tuple(layer.output.shape[1:3]) for layer in layers}
        if size is not None and None in shapes[self.layer]:
            every = keras.Model(self.model.inputs, [layer.output for layer in layers])
            found = every.compute_output_shape((1, *size, self.model.inputs[0].shape[-1]))
            shapes = {layer.name: tuple(s[1:3]) for layer, s in zip(layers, found, strict=True)}
        height, width = shapes[self.layer]
        wanted = (height * times, width * times)
        fitting = [name for name, cells in shapes.items() if cells == wanted]
        if not fitting:
            raise ValueError(
                f"Expected a layer of {wanted[0]}×{wanted[1]} cells, {times} × those of "
                f"{self.layer!r}. Received: a model without one"
            )
        return fitting[-1]


def _refuse_what_is_no_graph(model: Any) -> None:
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:  # a subclassed model, a SavedModel, something else
        inputs = outputs = None
    if not isinstance(model, keras.Model) or not outputs:
        raise UnsuitableModel(
            "Expected a functional or sequential Keras model that is built. Received: "
            f"{type(model).__name__}. Build it as keras.Model(inputs, outputs), or give a "
            "Sequential its keras.Input."
        )
    if len(inputs) != 1:
        raise UnsuitableModel(
            f"Expected one input, photos (n, H, W, channels). Received: {len(inputs)}. Build the "
            "graph on one keras.Input."
        )


def _take_apart(model: keras.Model) -> tuple[list[keras.layers.Dense], Any]:
    """The heads, and the tensor that enters the pooling below all of them."""
    if isinstance(getattr(model, "output", None), dict):
        raise UnsuitableModel(
            "Expected one output or a list of them. Received: a dict, which Keras sorts by name. "
            "Build it as keras.Model(inputs, [head, …]) and give the names in that order."
        )
    heads, pooled = [], []
    for number, tensor in enumerate(model.outputs):
        head, below = _made_by(tensor)
        while _changes_nothing(head):
            head, below = _made_by(below)
        where = f"output {number} ({head.name!r})"
        if not isinstance(head, keras.layers.Dense):
            softmax = isinstance(head, keras.layers.Softmax) or (
                getattr(head, "activation", None) is keras.activations.softmax
            )
            remedy = "A softmax belongs behind the model, not into it." if softmax else ""
            raise UnsuitableModel(
                f"{where}: expected a Dense layer that gives logits. Received: "
                f"{type(head).__name__}. {remedy}".rstrip()
            )
        if head.activation is not keras.activations.linear:
            raise UnsuitableModel(
                f"{where}: expected logits. Received: activation="
                f"{keras.activations.serialize(head.activation)!r}. Build it with "
                "activation=None and apply the softmax to what the model gives."
            )
        heads.append(head)
        pooled.append(_below_the_pooling(below, where))
    if any(features is not pooled[0] for features in pooled):
        raise UnsuitableModel(
            "Expected all heads on one feature map. Received: heads on "
            f"{', '.join(sorted({_made_by(f)[0].name for f in pooled}))}. Explain each with a "
            "model of its own."
        )
    return heads, pooled[0]


def _below_the_pooling(tensor, where: str):
    """The feature map under a head, checked on the way down."""
    layer, below = _made_by(tensor)
    while _changes_nothing(layer):
        layer, below = _made_by(below)
    _refuse_nested(layer, where)
    if not isinstance(layer, keras.layers.GlobalAveragePooling2D):
        raise UnsuitableModel(
            f"{where}: expected it on GlobalAveragePooling2D, dropout in between allowed. "
            f"Received: {type(layer).__name__} ({layer.name!r}). There is no closed form for it; "
            "fashion_xai.maps.gradients and fashion_xai.maps.occlusion explain such a model."
        )
    if layer.data_format != "channels_last" or layer.keepdims:
        raise UnsuitableModel(
            f"{layer.name!r}: expected data_format='channels_last' and keepdims=False. "
            f"Received: {layer.data_format!r}, {layer.keepdims}"
        )
    _refuse_nested(_made_by(below)[0], where)
    return below


def _refuse_nested(layer, where: str) -> None:
    if isinstance(layer, keras.Model):
        raise UnsuitableModel(
            f"{where} is built on the nested model {layer.name!r}, whose layers are out of reach. "
            "Build the backbone into the same graph: input_tensor=inputs."
        )


def _changes_nothing(layer) -> bool:
    """At inference; a linear Activation only sets the dtype, as in mixed precision."""
    linear = isinstance(layer, keras.layers.Activation) and (
        layer.activation is keras.activations.linear
    )
    return linear or isinstance(layer, PASSED_OVER)


def _made_by(tensor) -> tuple[Any, Any]:
    """The layer that gives a tensor, and what that layer was given."""
    layer, node, _ = tensor._keras_history
    given = layer._inbound_nodes[node].input_tensors
    return layer, given[0] if given else None


def _bias(head: keras.layers.Dense) -> np.ndarray:
    labels = head.kernel.shape[-1]
    return np.asarray(head.bias, np.float32) if head.use_bias else np.zeros(labels, np.float32)
