"""SHAP on cells: Owen values by hand, and the axiom that they sum to the gain."""

import sys

import numpy as np
import pytest

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.__main__ import main
from fashion_xai.maps.geometry import blurred
from fashion_xai.maps.shapley import partition_shap

PHOTO = np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype(np.uint8)
SHARP = PHOTO.astype(np.float32)
BLURRED = blurred(SHARP)


def test_a_linear_score_credits_each_cell_with_what_it_adds():
    """Owen values of an additive game are its terms: weights · (photo − blurred), cell by cell."""
    weights = np.random.default_rng(1).normal(size=(64, 48, 3, 2))

    def forward(pixels):
        return {"kind": np.einsum("nhwc,hwck->nk", pixels, weights)}

    target = np.array([1.0, -1.0])
    answer = partition_shap(forward, PHOTO, (4, 3), {"kind": target}, 1000)["kind"]
    gained = np.einsum("hwc,hwck,k->hw", SHARP - BLURRED, weights, target)
    np.testing.assert_allclose(answer, gained.reshape(4, 16, 3, 16).sum((1, 3)), rtol=1e-3)


def test_two_cells_that_count_only_together_share_alike():
    """Shapley value of v = 1 only with both: 1/2 each; the other cells get nothing."""

    def forward(pixels):
        there = [
            np.abs(pixels[:, y, x] - SHARP[y, x]).max(-1) < 1e-3 for y, x in ((5, 5), (60, 40))
        ]
        return {"a": (there[0] & there[1]).astype(np.float32)[:, None]}

    answer = partition_shap(forward, PHOTO, (4, 3), {"a": np.ones(1)}, 2000)["a"]
    assert answer[0, 0] == pytest.approx(0.5) and answer[3, 2] == pytest.approx(0.5)
    assert np.abs(answer).sum() == pytest.approx(1)


def test_few_passes_keep_the_sum_and_all_heads_share_them(small_bundle):
    classifier = FashionClassifier.load(small_bundle)
    photo = garments.draw("bag")
    maps = classifier.explain(photo, method="shap")
    (forward_pass,) = classifier.read([photo])
    _, logits = classifier.network.forward(blurred(forward_pass.pixels.astype(np.float32))[None])
    for attribute, e in maps.items():
        assert e.heatmap.shape == (2 * 96 // 32, 2 * 64 // 32)
        gained = e.prediction.logits[e.prediction.index] - logits[attribute][0, e.prediction.index]
        assert e.heatmap.sum() == pytest.approx(gained, abs=1e-3)


def test_without_the_package_the_error_says_how_to_get_it(
    small_bundle, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "shap", None)  # what Python keeps for a module it cannot find
    photo = "demo/examples/red-handbag.png"
    args = [
        "explain",
        photo,
        "--method",
        "shap",
        "--out",
        str(tmp_path),
        "--bundle",
        str(small_bundle),
    ]
    assert main(args) == 1
    assert 'pip install "fashion-xai[shap]"' in capsys.readouterr().err
