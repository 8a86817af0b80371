"""What critics ask of maps: each measure against figures worked out by hand."""

import numpy as np
import pytest

from examples import garments
from fashion_xai.classifier import FashionClassifier
from fashion_xai.trust import card as trust_card
from fashion_xai.trust import further


def test_overlap_is_the_share_of_the_top_that_both_maps_have():
    one = np.arange(100).reshape(10, 10) / 100
    assert further.overlap(one, one) == 1
    assert further.overlap(one, one[::-1]) == 0  # the last row's places are the first's
    shifted = np.roll(one.ravel(), 2).reshape(10, 10)  # the top 5 are places 2–6: 3 are common
    assert further.overlap(one, shifted) == pytest.approx(3 / 5)


def test_the_relative_drop_takes_off_what_the_neighbour_loses():
    assert further.relative_drop((0.7, 0.2), (0.1, 0.6)) == pytest.approx(1.0)
    assert further.relative_drop((0.5, 0.5), (0.2, 0.2)) == pytest.approx(0.0)
    assert further.relative_drop((0.5, 0.4), (0.5, 0.1)) == pytest.approx(-0.3)


def test_the_most_similar_label_is_told_by_angle_and_never_the_label_itself():
    kernel = np.array([[1.0, 9.0, 0.1, -1.0], [0.0, 9.0, 0.01, 0.0]])
    assert further.most_similar(kernel, 0) == 2  # 5.7°; the long one is at 45°
    assert further.most_similar(kernel, 3) in (1, 2)


def test_arcc_is_a_harmonic_mean():
    heatmap = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert further.arcc(0.5, heatmap, heatmap) == pytest.approx(3 / (1 / 0.5 + 1 + 1 / 0.75))
    assert further.arcc(0.5, heatmap, 1 - heatmap) == pytest.approx(0, abs=1e-9)  # r = −1
    assert further.arcc(-0.2, heatmap, heatmap) == 0
    flat = np.full((2, 2), 0.5)  # r counts as 0
    assert further.arcc(0.5, heatmap, flat) == pytest.approx(3 / (1 / 0.5 + 1 / 0.5 + 1 / 0.75))


def test_photos_are_measured_by_every_map_and_way_of_hiding(small_bundle):
    classifier = FashionClassifier.load(small_bundle)
    photos = [garments.draw("bag", "Red"), garments.draw("shirt", "Black")]
    names = ["gradcam-odds-guided", "eigencam"]
    found = further.check(classifier, photos, names, ["season", "articleType"])
    assert found["photos"] == 2 and list(found["maps"]) == ["season", "articleType"]
    maps = found["maps"]["articleType"]
    assert set(maps) == {*names, further.RANDOM}
    # Eigen-CAM knows no label: the maps of both are one and the same. The log-odds know both.
    assert maps["eigencam"]["overlap"]["mean"] == pytest.approx(1, abs=0.02)
    assert maps["gradcam-odds-guided"]["overlap"]["mean"] < 0.5
    hidden = found["operators"]["season"]
    assert set(hidden) == set(further.OPERATORS)
    again = further.check(classifier, photos, names, ["season", "articleType"])
    assert again == found
    text = trust_card.markdown({"figures": {}, "further": found})
    assert "| eigencam | " in text and "| imputed |" in text
