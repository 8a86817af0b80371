"""The closed form: by hand, against tf-keras-vis on the real bundle, and its two identities."""

import numpy as np
import pytest
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.layercam import Layercam
from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

from examples import garments
from fashion_xai import RUNNER_UP
from fashion_xai.data.images import prepare
from fashion_xai.maps import cams, methods


def relu(x):
    return tf.maximum(x, 0.0)


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


def test_layer_cam_by_hand():
    """The channel that speaks against the label is left out; four cells."""
    features = np.array([[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [1.0, 1.0]]])
    heatmap = cams.layer_cam(features, np.array([2.0, -1.0]))
    np.testing.assert_allclose(heatmap, [[0.5, 0.0], [1.5, 0.5]])


def test_eigen_cam_equals_the_singular_value_decomposition():
    features = np.random.default_rng(1).uniform(0, 1, (4, 3, 20))
    u, s, _ = np.linalg.svd(features.reshape(12, 20), full_matrices=False)
    expected = (u[:, 0] * s[0]).reshape(4, 3)
    np.testing.assert_allclose(cams.eigen_cam(features), np.abs(expected), rtol=1e-4)
    assert cams.eigen_cam(-features).sum() > 0  # the sign is a choice, and this is ours
    assert (cams.eigen_cam(np.zeros((2, 2, 3))) == 0).all()


def test_layer_cam_equals_tf_keras_vis_and_is_grad_cam_plus_plus_alias(shipped, photos):
    model = shipped.bundle.model
    pixels = np.stack([prepare(photo, shipped.size) for photo in photos])
    ours = shipped.explain(photos, method="layercam")
    # Without its ReLU, tf-keras-vis' Grad-CAM++ would also let go of the one on the gradients.
    tools = [(Layercam(model, clone=False), None), (GradcamPlusPlus(model, clone=False), relu)]
    for head in (3, 4):  # articleType and baseColour
        attribute = shipped.attributes[head]
        scores = [InactiveScore()] * len(model.outputs)
        scores[head] = CategoricalScore([o[attribute].prediction.index for o in ours])
        exact, other = (
            np.asarray(
                tool(
                    scores,
                    pixels,
                    penultimate_layer=shipped.layer,
                    seek_penultimate_conv_layer=False,
                    activation_modifier=modifier,
                    expand_cam=False,
                    normalize_cam=False,
                )
            )
            for tool, modifier in tools
        )
        mine = np.stack([o[attribute].heatmap for o in ours])
        np.testing.assert_allclose(mine, exact, atol=1e-4 * np.abs(exact).max())
        for a, b in zip(mine, other, strict=True):
            assert np.corrcoef(np.maximum(a, 0).ravel(), b.ravel())[0, 1] > 0.999


def test_aliases_give_the_map_of_their_method_and_one_name(shipped, photos):
    assert set(methods.NAMES) >= {"gradcam", "hirescam", "xgradcam", "layercam", "gradcam++"}
    (forward_pass,) = shipped.read(photos[:1])
    closed = {n: m for n, m in methods.NAMES.items() if m.name in methods.CLOSED}
    for name, method in closed.items():
        e = shipped.explanations(forward_pass, ["season"], method=name)["season"]
        same = shipped.explanations(forward_pass, ["season"], method=method.name)["season"]
        assert e.method == method.name
        np.testing.assert_array_equal(e.heatmap, same.heatmap)
    maps = [e.heatmap for e in shipped.explanations(forward_pass, method="eigencam").values()]
    assert all((heatmap == maps[0]).all() for heatmap in maps)  # it knows no label


def test_channels_must_agree():
    with pytest.raises(ValueError, match=r"\(6,\).*\(5,\)"):
        cams.grad_cam(np.zeros((2, 2, 6)), np.zeros(5))


def test_equal_to_tf_keras_vis_on_all_six_heads(shipped, photos):
    """Within 1e-4 of the map's scale, for every head of the bundle that ships."""
    model = shipped.bundle.model
    tool = Gradcam(model, clone=False)
    pixels = np.stack([prepare(photo, shipped.size) for photo in photos])
    ours = shipped.explain(photos, method="gradcam")
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
            assert heatmap.shape == (16, 12)
            error = np.abs(heatmap - their).max() / np.abs(their).max()
            assert error < 1e-4, (attribute, error)


def test_the_map_is_the_gradient_times_the_features(shipped, photos):
    """For a linear head on pooled features: features ⊙ ∂logit/∂features, summed over channels."""
    pixels = prepare(photos[0], shipped.size)[None]
    forward_pass = next(shipped.read(photos[:1]))
    model = shipped.bundle.model
    pooled_to_head = {a: model.get_layer(a) for a in shipped.attributes}
    features = tf.Variable(shipped.network.forward(pixels)[0])
    for attribute, explanation in shipped.explanations(forward_pass, method="gradcam").items():
        with tf.GradientTape() as tape:
            pooled = tf.reduce_mean(features, axis=[1, 2])
            logit = pooled_to_head[attribute](pooled)[0, explanation.prediction.index]
        gradient = tape.gradient(logit, features)
        expected = tf.reduce_sum(gradient * features, -1)[0].numpy()
        np.testing.assert_allclose(explanation.heatmap, expected, atol=1e-4)


def test_sum_plus_bias_is_the_logit_for_every_label(shipped, photos):
    for forward_pass in shipped.read(photos):
        for attribute, labels in shipped.vocabulary.labels.items():
            logits, bias = forward_pass.logits[attribute], shipped.biases[attribute]
            for i in range(0, len(labels), max(1, len(labels) // 7)):
                target = {attribute: labels[i]}
                maps = shipped.explanations(forward_pass, [attribute], target, method="gradcam")
                e = maps[attribute]
                assert e.heatmap.sum() + bias[i] == pytest.approx(logits[i], abs=1e-4)


def test_the_difference_map_sums_to_the_logit_gap(shipped, photos):
    for forward_pass in shipped.read(photos):
        for attribute in shipped.attributes:
            prediction = shipped.predictions(forward_pass)[attribute]
            (a, _), (b, _) = shipped.top(prediction, 2)
            (e,) = shipped.explanations(forward_pass, [attribute], None, {attribute: b}).values()
            i, j = (shipped.vocabulary.index(attribute, x) for x in (a, b))
            bias = shipped.biases[attribute]
            gap = prediction.logits[i] - prediction.logits[j]
            assert e.against == b
            assert e.heatmap.sum() + bias[i] - bias[j] == pytest.approx(gap, abs=1e-4)


def test_the_rivals_are_the_gradient_of_the_log_odds():
    """1 at the label, minus the softmax of the others: by finite differences."""
    logits = np.array([2.0, 0.5, -1.0, 1.5])

    def log_odds(z):
        p = np.exp(z[0]) / np.exp(z).sum()
        return np.log(p / (1 - p))

    steps = 1e-5 * np.eye(4)
    expected = [(log_odds(logits + s) - log_odds(logits - s)) / 2e-5 for s in steps]
    ours = cams.against_rivals(np.array([1.0, 0, 0, 0]), logits)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert ours.sum() == pytest.approx(0, abs=1e-6)
    group = cams.against_rivals(np.array([0.5, 0.5, 0, 0]), logits)
    np.testing.assert_allclose(group[:2], 0.5)
    assert group[2:].sum() == pytest.approx(-1) and group[3] < group[2] < 0
    named = np.array([1.0, 0, -1.0, 0])
    assert cams.against_rivals(named, logits) is named
    with np.errstate(all="raise"):  # a label far ahead of its rivals
        sure = cams.against_rivals(np.array([1.0, 0, 0, 0]), logits + np.array([1e4, 0, 0, 0]))
    np.testing.assert_allclose(sure, ours, atol=1e-6)
    everything = np.full(4, 0.25)
    assert cams.against_rivals(everything, logits) is everything


def test_the_log_odds_do_not_see_what_all_labels_share(shipped, photos):
    """A column added to every label changes no probability: the logit's map moves, this one not."""
    (forward_pass,) = shipped.read(photos[:1])
    kernel = shipped.network.kernels["articleType"]
    shared = np.random.default_rng(0).normal(0, 0.1, len(kernel))
    logits = forward_pass.logits["articleType"]
    moved = logits + (forward_pass.features.mean((0, 1)) @ shared)
    one = shipped.coefficients("articleType", ["Shirts"])
    before, after = (
        cams.grad_cam(forward_pass.features, k @ cams.against_rivals(one, z))
        for k, z in ((kernel, logits), (kernel + shared[:, None], moved))
    )
    np.testing.assert_allclose(before, after, atol=1e-4)
    plain = cams.grad_cam(forward_pass.features, (kernel + shared[:, None]) @ one)
    assert np.abs(plain - cams.grad_cam(forward_pass.features, kernel @ one)).max() > 0.01
    asked = (forward_pass, ["articleType"], {"articleType": "Shirts"}, None)
    e = shipped.explanations(*asked, "gradcam-odds")["articleType"]
    np.testing.assert_allclose(e.heatmap, before, atol=1e-6)
    rivals = cams.against_rivals(one, logits)
    total = e.heatmap.sum() + shipped.biases["articleType"] @ rivals
    assert total == pytest.approx(logits @ rivals, abs=1e-4)
    # What is shown where nobody chooses is this map along the photo's edges: its sum stays.
    (shown,) = shipped.explanations(*asked[:3]).values()
    assert shown.method == methods.DEFAULT == "gradcam-odds-guided" and shown.heatmap.shape == (
        64,
        48,
    )
    assert shown.heatmap.sum() == pytest.approx(e.heatmap.sum(), abs=1e-3)


def test_a_group_is_the_mean_of_its_labels_and_the_runner_up_the_second(shipped, photos):
    (forward_pass,) = shipped.read(photos[:1])
    group = shipped.taxonomy.articles_of("Topwear")
    assert {"Shirts", "Tshirts"} <= set(group) and "Jeans" not in group
    target = {"articleType": group}
    e = shipped.explanations(forward_pass, None, target, method="gradcam")["articleType"]
    rows = [shipped.vocabulary.index("articleType", label) for label in group]
    logits, bias = forward_pass.logits["articleType"][rows], shipped.biases["articleType"][rows]
    assert e.heatmap.sum() + bias.mean() == pytest.approx(logits.mean(), abs=1e-4)
    assert e.target == " / ".join(group)
    second = shipped.top(e.prediction, 2)[1][0]
    args = (forward_pass, ["articleType"], None)
    (by_name,) = shipped.explanations(*args, {"articleType": second}).values()
    (by_rank,) = shipped.explanations(*args, {"articleType": RUNNER_UP}).values()
    assert by_rank.against == second
    np.testing.assert_array_equal(by_rank.heatmap, by_name.heatmap)
    with pytest.raises(ValueError, match="Expected one label of articleType or more"):
        shipped.explanations(forward_pass, ["articleType"], {"articleType": []})
