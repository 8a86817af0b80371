"""The closed form: by hand, against tf-keras-vis on the real bundle, and its two identities."""

import numpy as np
import pytest
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

from fashion_xai import cams
from fashion_xai.images import prepare
from tests import garments


@pytest.fixture(scope="module")
def photos():
    kinds = [("shirt", "Navy Blue"), ("shoe", "Brown"), ("dress", "Red")]
    return [garments.draw(kind, colour, seed=5) for kind, colour in kinds]


def test_by_hand():
    features = np.array([[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [1.0, 1.0]]])  # 2×2 cells
    heatmap = cams.grad_cam(features, np.array([2.0, -1.0]))
    np.testing.assert_allclose(heatmap, [[0.0, -0.25], [1.5, 0.25]])
    assert heatmap.dtype == np.float32


def test_a_batch_is_its_photos_one_by_one():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(3, 4, 5, 6)), rng.normal(size=6)
    whole = cams.grad_cam(features, weights)
    for one, photo in zip(whole, features, strict=True):
        np.testing.assert_allclose(one, cams.grad_cam(photo, weights), rtol=1e-6)


def test_channels_must_agree():
    with pytest.raises(ValueError, match=r"\(6,\).*\(5,\)"):
        cams.grad_cam(np.zeros((2, 2, 6)), np.zeros(5))


def test_equal_to_tf_keras_vis_on_all_six_heads(shipped, photos):
    """Within 1e-4 of the map's scale, for every head of the bundle that ships."""
    model = shipped.bundle.model
    tool = Gradcam(model, clone=False)
    pixels = np.stack([prepare(photo, shipped.size) for photo in photos])
    ours = shipped.explain(photos)
    for head, attribute in enumerate(shipped.attributes):
        indices = [o[attribute].prediction.index for o in ours]
        scores = [InactiveScore()] * len(model.outputs)
        scores[head] = CategoricalScore(indices)
        theirs = tool(
            scores, pixels, penultimate_layer=shipped.layer, seek_penultimate_conv_layer=False,
            activation_modifier=None, expand_cam=False, normalize_cam=False,
        )  # fmt: skip
        for mine, their in zip(ours, np.asarray(theirs), strict=True):
            heatmap = mine[attribute].heatmap
            assert heatmap.shape == (8, 6)
            error = np.abs(heatmap - their).max() / np.abs(their).max()
            assert error < 1e-4, (attribute, error)


def test_the_map_is_the_gradient_times_the_features(shipped, photos):
    """For a linear head on pooled features: features ⊙ ∂logit/∂features, summed over channels."""
    features_and_heads = shipped._network
    pixels = prepare(photos[0], shipped.size)[None]
    reading = next(shipped.read(photos[:1]))
    model = shipped.bundle.model
    pooled_to_head = {a: model.get_layer(a) for a in shipped.attributes}
    features = tf.Variable(features_and_heads(pixels)[0])
    for attribute, explanation in shipped.explanations(reading).items():
        with tf.GradientTape() as tape:
            pooled = tf.reduce_mean(features, axis=[1, 2])
            logit = pooled_to_head[attribute](pooled)[0, explanation.prediction.index]
        gradient = tape.gradient(logit, features)
        expected = tf.reduce_sum(gradient * features, -1)[0].numpy()
        np.testing.assert_allclose(explanation.heatmap, expected, atol=1e-4)


def test_sum_plus_bias_is_the_logit_for_every_label(shipped, photos):
    for reading in shipped.read(photos):
        for attribute, labels in shipped.vocabulary.labels.items():
            logits, bias = reading.logits[attribute], shipped.biases[attribute]
            for i in range(0, len(labels), max(1, len(labels) // 7)):
                (e,) = shipped.explanations(reading, [attribute], {attribute: labels[i]}).values()
                assert e.heatmap.sum() + bias[i] == pytest.approx(logits[i], abs=1e-4)


def test_the_difference_map_sums_to_the_logit_gap(shipped, photos):
    for reading in shipped.read(photos):
        for attribute in shipped.attributes:
            prediction = shipped.predictions(reading)[attribute]
            (a, _), (b, _) = shipped.top(prediction, 2)
            (e,) = shipped.explanations(reading, [attribute], None, {attribute: b}).values()
            i, j = (shipped.vocabulary.index(attribute, x) for x in (a, b))
            bias = shipped.biases[attribute]
            gap = prediction.logits[i] - prediction.logits[j]
            assert e.against == b
            assert e.heatmap.sum() + bias[i] - bias[j] == pytest.approx(gap, abs=1e-4)
