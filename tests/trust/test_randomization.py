"""Random weights: maps of a label fall apart; one that knows no label does not notice the heads."""

from dataclasses import replace

import numpy as np
import pytest

from examples import garments
from fashion_xai.classifier import FashionClassifier
from fashion_xai.models import bundle
from fashion_xai.trust import randomization


def test_similarity_by_hand():
    one = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert randomization.similarity(one, 3 * one - 5) == pytest.approx(1)
    assert randomization.similarity(one, -one) == pytest.approx(-1)
    assert randomization.similarity(one, np.zeros((4, 3))) == 0
    large = np.repeat(np.repeat(one, 2, 0), 2, 1)
    assert randomization.similarity(one, large) > 0.9  # sizes may differ


def test_the_heads_go_first_and_every_layer_once(small_bundle):
    """Every weight that Keras would train is in it once, but for batch normalisation's: folded."""
    one = bundle.load(small_bundle)
    heads = ("gender", "season")
    groups = randomization._stages(one.graph.graph, heads, 4)
    assert [[w.name for w in layer] for layer in groups[0]] == [
        ["gender/kernel", "gender/bias"], ["season/kernel", "season/bias"],
    ]  # fmt: skip
    weights = [w for group in groups for layer in group for w in layer]
    assert len({w.name for w in weights}) == len(weights) and len(groups) == 4
    layers = [x for x in one.model.layers if x.trainable_weights and "bn" not in x.name]
    assert sum(map(len, groups)) >= len(layers) > 80
    place = [name for node in one.graph.graph.node for name in node.input].index
    assert place(groups[1][0][0].name) > place(groups[1][-1][0].name) > place(groups[2][0][0].name)


def test_an_older_bundle_says_what_it_lacks(small):
    older = FashionClassifier(replace(small.bundle, graph=None))
    with pytest.raises(ValueError, match=r"needs its model\.onnx: python -m training\.export"):
        randomization.cascade(older, [garments.draw("bag")], ["gradcam"], ["gender"])


def test_random_weights_change_the_maps_and_leave_the_bundle_alone(shipped):
    photos = [garments.draw(kind, seed=3) for kind in ("shirt", "bag", "dress")]
    before = shipped.predict(photos)
    names = ["gradcam", "eigencam"]
    answer = randomization.cascade(shipped, photos, names, ["articleType"], stages=2)
    grad, eigen = (answer[name]["articleType"] for name in names)
    assert grad[0]["layers"] == 6
    assert grad[0]["mean"] < 0.9 and grad[1]["mean"] < 0.9
    assert eigen[0]["mean"] == pytest.approx(1)  # it does not look at the heads
    assert eigen[1]["mean"] < 0.95
    assert all(s["low"] <= s["mean"] <= s["high"] for s in (*grad, *eigen))
    for a, b in zip(before, shipped.predict(photos), strict=True):
        np.testing.assert_array_equal(a["season"].logits, b["season"].logits)
