"""A bundle's network in ONNX Runtime: what predicts and explains, without TensorFlow.

``model.onnx``, which ``training.export`` writes, has one input, :data:`INPUT`, float32 (n, H, W, 3)
in 0–255, and as outputs :data:`FEATURES`, float32 (n, h, w, channels), and each head's logits by
its name. The heads' weights are the file's own initializers ``HEAD/kernel`` and ``HEAD/bias``:
what explains is what predicts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

# Since 1.32 ONNX Runtime writes an id of this machine to disk and reports to its makers as soon as
# it is imported, unless told otherwise. Nothing here may leave the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from fashion_xai.models import linear_heads

onnxruntime.disable_telemetry_events()  # on Windows, where the variable says nothing

INPUT, FEATURES = "photo", "features"
KERNEL, BIAS = "{}/kernel", "{}/bias"
LAYER = "features_layer"
"""Entry of the file's metadata: the Keras layer that gives the features."""

PREFERRED: dict[str, dict[str, Any]] = {
    "CUDAExecutionProvider": {"use_tf32": 0},  # TF32 keeps three digits: no exact maps
    "CoreMLExecutionProvider": {},
    "CPUExecutionProvider": {},
}
"""Execution providers, the fastest first; those that the installed ONNX Runtime has are used."""


class UnsuitableGraph(ValueError):
    """An ONNX file that is no network of a bundle; says what was expected."""


def read(path: Path) -> onnx.ModelProto:
    """The parsed file.

    Raises:
        UnsuitableGraph: no ONNX file, or one that keeps weights in other files.
    """
    try:
        graph = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise UnsuitableGraph(f"expected an ONNX file. Received: {error}") from error
    outside = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == outside for tensor in graph.graph.initializer):
        raise UnsuitableGraph("expected all weights inside the file. Received: external data")
    return graph


def heads_of(graph: onnx.ModelProto) -> tuple[str, ...]:
    """The names of the heads, in the order of the outputs.

    Raises:
        UnsuitableGraph: not the input and outputs of a bundle's network.
    """
    given = [x.name for x in graph.graph.input]
    made = [x.name for x in graph.graph.output]
    if given != [INPUT] or made[:1] != [FEATURES]:
        raise UnsuitableGraph(
            f"expected the input {INPUT!r} and the outputs {FEATURES!r} and one per head. "
            f"Received: {given} and {made}"
        )
    return tuple(made[1:])


def weights_of(graph: onnx.ModelProto, heads: Sequence[str], form: str) -> dict[str, np.ndarray]:
    """Head → its :data:`KERNEL` or :data:`BIAS`, float32.

    Raises:
        UnsuitableGraph: the file has none of that name.
    """
    found = {tensor.name: tensor for tensor in graph.graph.initializer}
    names = [form.format(head) for head in heads]
    if missing := [name for name in names if name not in found]:
        raise UnsuitableGraph(f"expected the initializers {names}. Missing: {missing}")
    return {h: numpy_helper.to_array(found[n]) for h, n in zip(heads, names, strict=True)}


class OnnxNetwork:
    """A ``linear_heads.LinearHeads`` in ONNX Runtime. Safe to share between threads.

    Args:
        graph: as :func:`read` gives it.
        to_keras: makes the same network in Keras, when maps through gradients ask for it.
        providers: execution providers of ONNX Runtime by name, the first choice first; None takes
            a GPU's where the installed ONNX Runtime has one, else the CPU's.
        threads: that one pass uses; None for as many as there are cores.

    Raises:
        UnsuitableGraph: not a bundle's network, or heads that are not linear in the features' mean.
        ValueError: a provider that the installed ONNX Runtime does not have.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        to_keras: Callable[[], Any],
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ):
        self.heads = heads_of(graph)
        self.layer = next((x.value for x in graph.metadata_props if x.key == LAYER), "")
        self.kernels = weights_of(graph, self.heads, KERNEL)
        self.biases = weights_of(graph, self.heads, BIAS)
        self._to_keras = to_keras
        self._session = _session(graph, providers, threads)
        height, width = self._session.get_inputs()[0].shape[1:3]
        gaps = linear_heads.largest_gap(self, linear_heads.measured_on(height, width))
        for head, gap in gaps.items():
            if not gap <= linear_heads.TOLERANCE:
                raise UnsuitableGraph(
                    f"head {head!r}: expected its logits to be the features' mean times "
                    f"{KERNEL.format(head)} plus {BIAS.format(head)}. Off by {gap:.2g} of their "
                    "scale"
                )

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the features, and so of the closed-form maps."""
        height, width = self._session.get_outputs()[0].shape[1:3]
        return height, width

    @property
    def provider(self) -> str:
        """The execution provider in use, such as ``"CPUExecutionProvider"``."""
        return self._session.get_providers()[0]

    @cached_property
    def in_keras(self) -> Any:
        """The same network as a ``fashion_xai.network.Network``; needs Keras installed."""
        return self._to_keras()

    def forward(self, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As ``linear_heads.LinearHeads.forward``."""
        features, *logits = self._session.run(None, {INPUT: pixels})
        return features, dict(zip(self.heads, logits, strict=True))


def _session(
    graph: onnx.ModelProto, providers: Sequence[str] | None, threads: int | None
) -> onnxruntime.InferenceSession:
    installed = onnxruntime.get_available_providers()
    if unknown := set(providers or ()) - set(installed):
        raise ValueError(f"Expected providers of {installed}. Received: {sorted(unknown)}")
    names = providers or [name for name in PREFERRED if name in installed]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors only: stderr is the program's
    # Threads that wait for the next pass would spin on the cores that decode photos and make maps.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            graph.SerializeToString(),
            options,
            providers=[(name, PREFERRED.get(name, {})) for name in names],
        )
    except Exception as error:  # ONNX Runtime's classes share no base of their own
        raise UnsuitableGraph(f"ONNX Runtime cannot read it: {error}") from error
