"""Models that people have: ``Network`` gives maps, or says at once what it cannot check."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fashion_xai.data.images import Box
from fashion_xai.maps import cams, gradients, methods
from fashion_xai.models.outputs import ForwardPass
from fashion_xai.network import Network, UnsuitableModel

PHOTO = (32, 24, 3)


def flat(inputs, width=8):
    x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="early")(inputs)
    x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="last")(x)
    return layers.GlobalAveragePooling2D()(x)


def build(end=None, shape=PHOTO, width=8):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    end = end or layers.Dense(3, name="kind")
    return keras.Model(inputs, end(flat(inputs, width)))


class Doubled(layers.Dense):
    """A Dense whose call is not a Dense's."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = layers.Dense(3)

    def call(self, inputs):
        return self.head(flat(inputs))


def quantised():
    model = build()
    model.quantize("int8")
    return model


def saved(tmp_path):
    tf.saved_model.save(build(), str(tmp_path / "saved"))
    return tf.saved_model.load(str(tmp_path / "saved"))


def two_inputs():
    photo, other = keras.Input(PHOTO), keras.Input((4,))
    x = layers.Concatenate()([flat(photo), other])
    return keras.Model([photo, other], layers.Dense(3)(x))


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda _: quantised(), r"head 'kind': expected its logits.*off by.*quantised"),
        (lambda _: build(Doubled(3, name="kind")), r"head 'kind'.*off by.*a call of its own"),
        (lambda _: Subclassed(), r"functional or sequential.*Received: Subclassed.*keras\.Model"),
        (lambda _: keras.Sequential([layers.Dense(3)]), r"that is built. Received: Sequential"),
        (saved, r"functional or sequential Keras model"),
        (lambda _: two_inputs(), r"Expected one input.*Received: 2"),
    ],
    ids=["int8", "own call", "subclassed", "unbuilt", "SavedModel", "two inputs"],
)
def test_what_it_cannot_check_is_refused_with_the_reason(make, complaint, tmp_path):
    with pytest.raises(UnsuitableModel, match=complaint):
        Network(make(tmp_path))


def test_one_dense_for_two_outputs_needs_two_names():
    inputs = keras.Input(PHOTO)
    pooled, head = flat(inputs), layers.Dense(3, name="kind")
    model = keras.Model(inputs, [head(pooled), head(pooled)])
    with pytest.raises(UnsuitableModel, match=r"a name of its own.*\('kind', 'kind'\)"):
        Network(model)
    assert Network(model, ["one", "other"]).heads == ("one", "other")


def exact(network, shape=PHOTO, tolerance=1e-4):
    """Every map sums to its logit."""
    pixels = np.random.default_rng(1).uniform(0, 255, (2, *shape)).astype(np.float32)
    features, logits = network.forward(pixels)
    assert features.dtype == np.float32
    for head, rows in logits.items():
        assert rows.dtype == np.float32
        for label in range(rows.shape[1]):
            maps = cams.grad_cam(features, network.kernels[head][:, label])
            total = maps.sum((1, 2)) + network.biases[head][label]
            np.testing.assert_allclose(total, rows[:, label], atol=tolerance * np.abs(rows).max())
    return features


def test_a_last_layer_that_only_sets_the_dtype_is_passed_over():
    """As Keras' guide to mixed precision builds it."""
    end = keras.Sequential([layers.Dense(3), layers.Activation("linear", dtype="float32")])

    def ended(x):
        for layer in end.layers:
            x = layer(x)
        return x

    exact(Network(build(ended)))


def test_a_softmax_is_told_from_other_ends():
    with pytest.raises(UnsuitableModel, match="A softmax belongs behind the model"):
        Network(build(lambda x: layers.Activation("softmax")(layers.Dense(3)(x))))
    with pytest.raises(UnsuitableModel) as caught:
        Network(build(lambda x: layers.Activation("tanh")(layers.Dense(3)(x))))
    assert "softmax" not in str(caught.value)


def test_under_mixed_precision_features_are_float32_and_eigen_cam_is_a_number():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = build(layers.Dense(3, name="kind", dtype="float32"))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    features = exact(Network(model), tolerance=1e-2)  # the model's own mean is float16
    assert np.isfinite(cams.eigen_cam(1e3 * features[0])).all()


def explained(network, method, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    features, logits = network.forward(pixels[None].astype(np.float32))
    rows = {head: x[0] for head, x in logits.items()}
    seen = ForwardPass(pixels, features[0], rows, Box(0, 0, *shape[:2]))
    (heatmap,) = methods.find(method).compute(network, seen, {"kind": np.eye(3)[0]}).values()
    assert np.isfinite(heatmap).all()
    return heatmap


@pytest.mark.parametrize("method", ["occlusion", "occlusion-guided", "gradcam-odds-guided"])
def test_grey_photos_of_one_channel_have_maps(method):
    shape = (32, 24, 1)
    assert explained(Network(build(shape=shape)), method, shape).ndim == 2


def test_few_channels_are_enough_for_score_cam():
    assert explained(Network(build(width=8)), "scorecam", PHOTO).shape == (8, 6)


def test_a_model_of_any_size_has_finer_maps():
    """Twice the cells of the last layer, 10 × 6, at 40 × 24 pixels."""
    network = Network(build(shape=(None, None, 3)))
    assert explained(network, "gradcam-2x", (40, 24, 3)).shape == (20, 12)
    assert network.finer_layer(2, (40, 24)) == "early"
    fixed = gradients.grad_cam_at(
        network.model,
        "early",
        network.output("kind"),
        np.zeros((40, 24, 3), np.uint8),
        np.eye(3)[0],
    )
    assert fixed.shape == (20, 12)
