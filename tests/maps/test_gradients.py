"""What goes through tf-keras-vis: against the closed form, a GradientTape, and plain numpy."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from examples import garments
from fashion_xai.maps import gradients, methods


@pytest.fixture(scope="module")
def forward_pass(shipped):
    return next(shipped.read([garments.draw("shirt", "Navy Blue", seed=5)]))


@pytest.fixture(scope="module")
def small_net():
    """One convolution, one head: small enough to redo in numpy."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 12, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, padding="same", activation="relu", name="conv")(inputs)
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, logits)


def one_label(shipped, attribute, label):
    return shipped.coefficients(attribute, [label])


@pytest.mark.parametrize("name", ["gradcam", "layercam"])
def test_at_the_last_layer_they_are_the_closed_form(shipped, forward_pass, name):
    form = {"gradcam": gradients.grad_cam_at, "layercam": gradients.layer_cam_at}[name]
    network = shipped.network.in_keras
    closed = shipped.explanations(forward_pass, ["articleType"], method=name)["articleType"]
    wanted = one_label(shipped, "articleType", closed.target)
    output = network.output("articleType")
    through = form(network.model, network.layer, output, forward_pass.pixels, wanted)
    exact = np.maximum(closed.heatmap, 0) if name == "layercam" else closed.heatmap
    np.testing.assert_allclose(through, exact, atol=1e-4 * np.abs(exact).max())


def test_a_difference_is_linear_in_the_gradient(shipped, forward_pass):
    """Grad-CAM of "A rather than B" at an earlier layer is A's map less B's."""
    maps = [
        shipped.explanations(forward_pass, ["season"], t, a, "gradcam-2x")["season"].heatmap
        for t, a in [
            ({"season": "Summer"}, {"season": "Fall"}),
            ({"season": "Summer"}, None),
            ({"season": "Fall"}, None),
        ]
    ]
    np.testing.assert_allclose(maps[0], maps[1] - maps[2], atol=1e-4 * np.abs(maps[1]).max())


def test_saliency_is_the_largest_gradient_of_the_three_colours(small_net):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    target = np.array([1.0, 0.0, -0.5])
    ours = gradients.saliency(small_net, small_net.outputs[0], pixels, target)
    x = tf.constant(pixels[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.linalg.matvec(small_net(x), tf.constant(target, tf.float32))
    expected = np.abs(tape.gradient(score, x)[0].numpy()).max(-1)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
    assert ours.max() > 0


def test_smooth_grad_repeats_and_leaves_the_global_generator_alone(small_net):
    pixels = np.random.default_rng(1).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    args = (small_net, small_net.outputs[0], pixels, np.array([0.0, 1.0, 0.0]))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = gradients.smooth_grad(*args)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(first, gradients.smooth_grad(*args))
    assert not np.allclose(first, gradients.saliency(*args))


def test_score_cam_by_plain_numpy(small_net):
    """Mask by each stretched channel, take the softmax as its weight, sum the channels."""
    pixels = np.random.default_rng(2).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    ours = gradients.score_cam(
        small_net, "conv", small_net.outputs[0], pixels, np.array([0.0, 0.0, 1.0]), channels=4
    )
    features = keras.Model(small_net.inputs, small_net.get_layer("conv").output)
    a = features(pixels[None].astype(np.float32)).numpy()[0]
    expected = np.zeros(a.shape[:2])
    from scipy.ndimage import zoom

    for k in range(a.shape[-1]):
        mask = zoom(a[..., k], 4, order=1, mode="nearest")
        mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-7)
        logits = small_net((pixels * mask[..., None])[None].astype(np.float32)).numpy()[0]
        p = np.exp(logits - logits.max())
        expected += a[..., k] * p[2] / p.sum()
    np.testing.assert_allclose(ours, np.maximum(expected, 0), rtol=1e-3, atol=1e-3)


def test_the_fused_map_by_hand():
    coarse = np.array([[4.0, -1.0]])
    fine = np.array([[0.0, 8.0, 8.0, 0.0], [2.0, 0.0, 0.0, 8.0]])
    fused = gradients.fuse(coarse, fine)
    wide = cv2.resize(np.array([[1.0, 0.0]], np.float32), (4, 2), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(fused, np.sqrt(wide * fine / 8), atol=1e-6)
    assert (gradients.fuse(-coarse * 0 - 1, fine) == 0).all()  # no positive evidence stays none


def test_every_method_keeps_the_contract(shipped, forward_pass):
    """Raw float32 maps, negative only where the method says so, and a text for each question."""
    for name, method in methods.METHODS.items():
        e = shipped.explanations(forward_pass, ["articleType"], method=name)["articleType"]
        assert e.method == name and e.heatmap.dtype == np.float32 and e.heatmap.ndim == 2
        assert np.isfinite(e.heatmap).all() and e.heatmap.max() > 0
        if name not in methods.CLOSED:  # swish is slightly negative in places
            assert method.signed or e.heatmap.min() >= 0
        assert method.unit and method.cost and method.source and method.not_for
