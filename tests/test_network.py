"""Any flat Keras model with linear heads on pooled features; others are refused, with a remedy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fashion_xai.classifier import FashionClassifier
from fashion_xai.maps import cams
from fashion_xai.models.bundle import BundleError, update_card
from fashion_xai.network import Network, UnsuitableModel

PHOTO = (32, 24, 3)


def features(inputs, name="conv"):
    return layers.Conv2D(5, 3, strides=4, activation="relu", name=name)(inputs)


def pooled(inputs):
    return layers.GlobalAveragePooling2D()(features(inputs))


def build(make):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(PHOTO)
    return keras.Model(inputs, make(inputs))


def two_heads(inputs):
    x = layers.Dropout(0.3)(pooled(inputs))
    return [layers.Dense(4, name="kind")(x), layers.Dense(2, name="side", use_bias=False)(x)]


def nested(inputs, inside):
    within = keras.Input(PHOTO)
    return keras.Model(within, inside(within), name="backbone")(inputs)


GOOD = {
    "two heads behind a dropout": build(two_heads),
    "one output": build(lambda i: layers.Dense(3)(pooled(i))),
    "a pooling for each head": build(
        lambda i: [
            layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
            for x in [features(i)]
            for _ in range(2)
        ]
    ),
    "sequential": keras.Sequential(
        [keras.Input(PHOTO), layers.Conv2D(5, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    ),
    "squeeze-and-excitation before the pooling": build(
        lambda i: layers.Dense(3)(
            layers.GlobalAveragePooling2D()(
                layers.Multiply()([features(i), layers.Conv2D(5, 3, strides=4)(i)])
            )
        )
    ),
}

BAD = {
    "a dict.*give the names in that order": lambda i: {"kind": layers.Dense(3)(pooled(i))},
    "expected logits.*softmax.*activation=None": lambda i: layers.Dense(3, activation="softmax")(
        pooled(i)
    ),
    "Received: Softmax.*behind the model": lambda i: layers.Softmax()(layers.Dense(3)(pooled(i))),
    "Received: Dense.*gradients and fashion_xai.maps.occlusion": lambda i: layers.Dense(3)(
        layers.Dense(9, activation="relu")(pooled(i))
    ),
    "Received: GlobalMaxPooling2D": lambda i: layers.Dense(3)(
        layers.GlobalMaxPooling2D()(features(i))
    ),
    "Received: Flatten": lambda i: layers.Dense(3)(layers.Flatten()(features(i))),
    "keepdims=False": lambda i: layers.Dense(3)(
        layers.GlobalAveragePooling2D(keepdims=True)(features(i))
    ),
    "nested model 'backbone'.*input_tensor": lambda i: layers.Dense(3)(nested(i, pooled)),
    "the nested model 'backbone'": lambda i: layers.Dense(3)(
        layers.GlobalAveragePooling2D()(nested(i, features))
    ),
    "one feature map.*left, right": lambda i: [
        layers.Dense(3)(layers.GlobalAveragePooling2D()(features(i, name)))
        for name in ("left", "right")
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_maps_of_any_such_model_are_exact(name):
    """Closed form = gradient × features by a GradientTape, and sum + bias = logit."""
    network = Network(GOOD[name])
    pixels = np.random.default_rng(0).uniform(0, 1, (2, *PHOTO)).astype(np.float32)
    seen, logits = network.forward(pixels)
    both = keras.Model(
        network.model.inputs,
        [network.model.get_layer(network.layer).output, *network.model.outputs],
    )
    for head in network.heads:
        for label in range(network.kernels[head].shape[1]):
            heatmap = cams.grad_cam(seen, network.kernels[head][:, label])
            total = heatmap.sum((1, 2)) + network.biases[head][label]
            np.testing.assert_allclose(total, logits[head][:, label], atol=1e-5)
            with tf.GradientTape() as tape:
                a, *outputs = both(pixels)
                score = outputs[network.heads.index(head)][:, label]
            gradient = tape.gradient(score, a)
            expected = tf.reduce_sum(a * tf.reduce_mean(gradient, (1, 2), keepdims=True), -1)
            np.testing.assert_allclose(heatmap, expected, atol=1e-5)


@pytest.mark.parametrize("message", BAD)
def test_other_models_are_refused_with_the_remedy(message):
    with pytest.raises(UnsuitableModel, match=message):
        Network(build(BAD[message]))


def test_heads_keep_their_order_and_take_names():
    model = GOOD["two heads behind a dropout"]
    assert Network(model).heads == ("kind", "side")
    named = Network(model, ["first", "second"])
    assert named.kernels["second"].shape == (5, 2)
    assert (named.biases["second"] == 0).all()  # it has none
    with pytest.raises(UnsuitableModel, match="a name for each of the model's 2 outputs"):
        Network(model, ["first"])


def test_finer_layers_by_their_number_of_cells(shipped):
    network = shipped.network.in_keras
    for times in (2, 4):
        layer = network.model.get_layer(network.finer_layer(times))
        assert layer.output.shape[1:3] == (16 * times, 12 * times)
        later = network.model.layers[network.model.layers.index(layer) + 1 :]
        assert all(
            tuple(x.output.shape[1:3]) != (16 * times, 12 * times)
            for x in later
            if len(x.output.shape) == 4
        )
    with pytest.raises(ValueError, match=r"48×36 cells.*without one"):
        network.finer_layer(3)


def test_a_bundle_whose_card_names_another_layer_is_refused(small_bundle, tmp_path):
    import shutil

    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    update_card(folder, cam_layer="top_conv")
    with pytest.raises(BundleError, match=r"expected cam_layer 'top_activation'.*'top_conv'"):
        FashionClassifier.load(folder)
