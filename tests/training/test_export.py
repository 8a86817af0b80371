"""``python -m training.export``: a bundle gets its graph, or none that answers otherwise."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from examples import garments
from fashion_xai.classifier import FashionClassifier
from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model
from fashion_xai.network import Network
from tests.server import ROOT
from training import export
from training.engine import onnx_graph


@pytest.fixture
def older(small_bundle, tmp_path):
    """The small bundle as it was before there was ONNX."""
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    (folder / bundle.GRAPH).unlink()
    sums = bundle.read_card(folder)["sha256"]
    bundle.update_card(folder, sha256={k: v for k, v in sums.items() if k != bundle.GRAPH})
    return folder


def test_an_older_bundle_is_read_by_keras_and_gets_its_graph(older, small, capsys):
    photo = garments.draw("bag", seed=1)
    before = FashionClassifier.load(older)
    assert before.bundle.graph is None
    expected = before.explain(photo, "gradcam")
    model = (older / bundle.MODEL).read_bytes()
    assert export.main([str(older)]) == 0
    assert "model.onnx" in capsys.readouterr().out
    after = FashionClassifier.load(older)
    assert after.bundle.graph is not None and (older / bundle.MODEL).read_bytes() == model
    assert after.bundle.card["sha256"].keys() == small.bundle.card["sha256"].keys()
    for attribute, e in after.explain(photo, "gradcam").items():
        assert e.prediction.label == expected[attribute].prediction.label
        scale = np.abs(expected[attribute].heatmap).max()
        np.testing.assert_allclose(e.heatmap, expected[attribute].heatmap, atol=1e-4 * scale)


def test_what_is_no_bundle_is_an_error(tmp_path, capsys):
    assert export.main([str(tmp_path)]) == 1
    assert "no card.json" in capsys.readouterr().err


def test_a_graph_that_answers_otherwise_is_refused(small):
    model = build_model(small.vocabulary.sizes, (96, 64))
    model.get_layer("season").bias.assign([0.0, 0.0, 0.0, 1.0][: small.vocabulary.sizes["season"]])
    with pytest.raises(onnx_graph.DifferentAnswers, match=r"differ from Keras by.*No bundle"):
        onnx_graph.check(Network(model), small.bundle.graph)


def test_every_head_has_its_own_weights():
    """Equal kernels and zero biases, which tf2onnx would keep once or drop."""
    model = build_model({"one": 3, "other": 3}, (64, 64))
    model.get_layer("other").set_weights(model.get_layer("one").get_weights())
    graph = onnx_graph.to_onnx(model)
    names = [tensor.name for tensor in graph.graph.initializer]
    assert {"one/kernel", "one/bias", "other/kernel", "other/bias"} <= set(names)
    assert len(names) == len(set(names))


def test_a_head_cannot_take_the_name_of_the_features():
    with pytest.raises(ValueError, match="cannot be called 'features'"):
        onnx_graph.to_onnx(build_model({"features": 3}, (64, 64)))


JAX = """
import keras
from fashion_xai.models.efficientnet import build_model
from training.engine.onnx_graph import to_onnx
graph = to_onnx(build_model({"one": 3}, (64, 64)))
print(keras.backend.backend(), [x.name for x in graph.graph.output])
"""


def test_training_on_jax_converts_beside():
    """TensorFlow works in a process of its own; the answers are held to those of JAX."""
    done = subprocess.run(
        [sys.executable, "-c", JAX], cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "jax ['features', 'one']\n", done.stderr


def test_without_tensorflow_the_sentence_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_graph, "NEEDED", ("tensorflow", "no_such_package"))
    assert onnx_graph.to_onnx(build_model({"one": 3}, (64, 64))) is None
    assert f"python -m training.export {tmp_path}" in export.without(tmp_path)
