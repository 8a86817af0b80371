"""Attention blocks start as the identity, do what their papers say, and keep the maps exact."""

import keras
import numpy as np
import pytest

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.models import attention, bundle
from fashion_xai.models.efficientnet import BACKBONE_LAYER, POOLING_LAYER, build_model, cam_layer
from training.engine.transfer import transfer

RNG = np.random.default_rng(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def block(kind: str, channels: int = 32) -> keras.Model:
    inputs = keras.Input((4, 3, channels))
    return keras.Model(inputs, attention.apply(kind, inputs))


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_a_block_starts_as_the_identity(kind):
    x = RNG.uniform(0, 1, (2, 4, 3, 32)).astype(np.float32)
    np.testing.assert_allclose(block(kind).predict_on_batch(x), x, rtol=1e-6)


def test_squeeze_and_excitation_by_numpy():
    model = block("se")
    squeeze, excite = (model.get_layer(f"attention_{n}") for n in ("squeeze", "excite"))
    excite.set_weights([RNG.normal(size=w.shape) for w in excite.get_weights()])
    x = RNG.uniform(0, 1, (2, 4, 3, 32)).astype(np.float32)
    pooled = x.mean((1, 2), keepdims=True)
    hidden = np.maximum(pooled @ squeeze.get_weights()[0] + squeeze.get_weights()[1], 0)
    factor = 2 * sigmoid(hidden @ excite.get_weights()[0] + excite.get_weights()[1])
    np.testing.assert_allclose(model.predict_on_batch(x), x * factor, rtol=1e-4)


def test_cbam_weighs_cells_by_their_mean_and_maximum():
    model = block("cbam")
    cells = model.get_layer("attention_cells")
    kernel, bias = cells.get_weights()
    kernel[3, 3] = [[0.7], [-0.4]]  # the cell itself only
    cells.set_weights([kernel, bias + 0.1])
    x = RNG.uniform(0, 1, (2, 4, 3, 32)).astype(np.float32)
    factor = 2 * sigmoid(0.7 * x.mean(-1) - 0.4 * x.max(-1) + 0.1)
    np.testing.assert_allclose(model.predict_on_batch(x), x * factor[..., None], rtol=1e-4)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"Expected an attention of .*cbam.* Received: 'gate'"):
        attention.apply("gate", keras.Input((4, 3, 8)))


@pytest.mark.parametrize("kind", ["se", "cbam"])
def test_a_bundle_with_attention_goes_on_and_keeps_its_maps_exact(kind, small_bundle, tmp_path):
    source = bundle.load(small_bundle)
    model = build_model(source.vocabulary.sizes, (96, 64), attention=kind)
    transfer(source, model, source.vocabulary)
    assert model.get_layer(POOLING_LAYER).input is model.get_layer(cam_layer(kind)).output
    photos = RNG.uniform(0, 255, (2, 96, 64, 3)).astype(np.float32)
    for mine, theirs in zip(model.predict_on_batch(photos), source.model.predict_on_batch(photos)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    for layer in model.layers:  # trained blocks are no identity
        if layer.name.startswith("attention") and layer.weights:
            layer.set_weights([RNG.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    card = {**source.card, "cam_layer": cam_layer(kind)}
    bundle.save(tmp_path / "b", model, source.vocabulary, source.taxonomy, card,
                small_bundle / "split.csv")  # fmt: skip
    classifier = FashionClassifier.load(tmp_path / "b")
    for attribute, e in classifier.explain(garments.draw("bag"), "gradcam").items():
        i = classifier.vocabulary.index(attribute, e.target)
        total = e.heatmap.sum() + classifier.biases[attribute][i]
        assert total == pytest.approx(e.prediction.logits[i], rel=1e-4, abs=1e-4)
        assert e.layer == "attention" != BACKBONE_LAYER
    again = build_model(source.vocabulary.sizes, (96, 64), attention=kind)
    transfer(bundle.load(tmp_path / "b"), again, source.vocabulary)
    for mine, theirs in zip(again.predict_on_batch(photos), model.predict_on_batch(photos)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
