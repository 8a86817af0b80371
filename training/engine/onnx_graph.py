"""A bundle's network as an ONNX file: converted by tf2onnx, tidied, and held to Keras."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import helper, numpy_helper

from fashion_xai.data.images import letterbox
from fashion_xai.maps import cams
from fashion_xai.models.onnx_network import BIAS, FEATURES, INPUT, KERNEL, LAYER, OnnxNetwork
from fashion_xai.network import Network
from training.data import backgrounds

PHOTOS = 64
"""That Keras and ONNX Runtime are compared on."""

TOLERANCE = 1e-4
"""Of the scale of the logits and of the maps, that they may differ by."""

NEEDED = ("tensorflow", "tf2onnx")


class DifferentAnswers(ValueError):
    """The converted network does not answer as Keras does."""


def to_onnx(model: keras.Model) -> onnx.ModelProto | None:
    """The network as ``fashion_xai.models.onnx_network`` reads it, checked against Keras.

    Args:
        model: float32 photos (n, H, W, 3) in 0–255 → list of logits, of a fixed H and W.

    Returns:
        The graph; None where TensorFlow or tf2onnx, which convert it, are not installed. Training
        on JAX or PyTorch starts TensorFlow in a process of its own for it.

    Raises:
        DifferentAnswers: on :data:`PHOTOS` pictures some logit or map differs from Keras' by
            more than :data:`TOLERANCE` of its scale.
    """
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        if keras.backend.backend() == "tensorflow":
            convert(model, file)
        else:
            source = Path(folder) / "model.keras"
            model.save(source)
            command = [sys.executable, "-m", "training.engine.onnx_graph", str(source), str(file)]
            subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "tensorflow"}, check=True)
        graph = onnx.load(file)
    check(Network(model), graph)
    return graph


def convert(model: keras.Model, file: Path) -> None:
    """Write the tidied graph of a model; needs Keras' TensorFlow backend."""
    network = Network(model)
    both = keras.Model(model.inputs, [model.get_layer(network.layer).output, *model.outputs])
    both([np.zeros((1, *model.input_shape[1:]), np.float32)])  # Keras exports what was called
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of numpy, at tf2onnx
        both.export(file, format="onnx", verbose=False)
    graph = onnx.load(file)
    tidy(graph, network)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, file)


def tidy(made: onnx.ModelProto, network: Network) -> None:
    """Give the input, the outputs and the heads' weights their names, in place.

    tf2onnx leaves inputs that no node uses (the constants of Keras' Normalization), calls the
    outputs ``Identity_n``, keeps equal weights once and drops a bias of zeros: the heads are
    written anew.

    Raises:
        ValueError: a head with the name of the input or of the features.
    """
    if taken := {INPUT, FEATURES} & set(network.heads):
        raise ValueError(f"A head cannot be called {taken.pop()!r}: name its column with --columns")
    graph = made.graph
    used = {name for node in graph.node for name in node.input}
    _keep(graph.input, [x for x in graph.input if x.name in used])
    pooled = _pooled(graph)
    names = {graph.input[0].name: INPUT, graph.output[0].name: FEATURES}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        # ONNX Runtime's blocked GlobalAveragePool adds up thousands of cells one by one in float32:
        # squeeze-and-excitation is then off by 1e-5 of its scale, with ReduceMean by 1e-6.
        if node.op_type == "GlobalAveragePool":
            node.op_type = "ReduceMean"
            node.attribute.append(helper.make_attribute("axes", [2, 3]))
    for head in network.heads:
        kernel, bias, product = KERNEL.format(head), BIAS.format(head), f"{head}/product"
        graph.node.append(helper.make_node("MatMul", [pooled, kernel], [product]))
        graph.node.append(helper.make_node("Add", [product, bias], [head]))
        for name, weights in ((kernel, network.kernels), (bias, network.biases)):
            graph.initializer.append(numpy_helper.from_array(weights[head], name))
    for value, name in zip(
        (*graph.input, *graph.output), (INPUT, FEATURES, *network.heads), strict=True
    ):
        value.name = name
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    _drop_unused(graph)
    helper.set_model_props(made, {LAYER: network.layer})


def _pooled(graph: onnx.GraphProto) -> str:
    """The name of the pooled features: what the first head's product is made of."""
    maker = {name: node for node in graph.node for name in node.output}
    node = maker[graph.output[1].name]
    while node.op_type != "MatMul":
        node = maker[node.input[0]]
    return node.input[0]


def _drop_unused(graph: onnx.GraphProto) -> None:
    """The nodes and weights that no output needs, and remarks on tensors, in place."""
    needed, nodes = {x.name for x in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            nodes.append(node)
    _keep(graph.node, nodes[::-1])
    _keep(graph.initializer, [x for x in graph.initializer if x.name in needed])
    del graph.value_info[:]


def _keep(things, kept: list) -> None:
    """Of a repeated field these alone, in place."""
    copies = [type(thing)() for thing in kept]
    for copy, thing in zip(copies, kept, strict=True):
        copy.CopyFrom(thing)
    del things[:]
    things.extend(copies)


def check(network: Network, graph: onnx.ModelProto) -> None:
    """Hold the graph to Keras on :data:`PHOTOS` pieces of photographs.

    Raises:
        DifferentAnswers: see :func:`to_onnx`.
    """
    height, width = network.model.input_shape[1:3]
    pieces = backgrounds.bank(PHOTOS, seed=0)
    photos = np.stack([letterbox(x, (height, width))[0] for x in pieces]).astype(np.float32)
    theirs = network.forward(photos)
    ours = OnnxNetwork(graph, lambda: network).forward(photos)
    gaps = {"features": _gap(theirs[0], ours[0])}
    for head, kernel in network.kernels.items():
        gaps[head] = _gap(theirs[1][head], ours[1][head])
        rows = zip(theirs[1][head].argmax(1), theirs[0], ours[0])
        maps = [[cams.grad_cam(x, kernel[:, best]) for x in both] for best, *both in rows]
        gaps[f"the maps of {head}"] = max(_gap(*pair) for pair in maps)
    for name, gap in gaps.items():
        if not gap <= TOLERANCE:
            raise DifferentAnswers(
                f"model.onnx: {name} differ from Keras by {gap:.2g} of their scale on {PHOTOS} "
                f"photos; expected at most {TOLERANCE}. No bundle was written."
            )


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    return float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-12))


if __name__ == "__main__":
    convert(keras.saving.load_model(sys.argv[1], compile=False), Path(sys.argv[2]))
