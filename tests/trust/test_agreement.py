"""Heads against each other: a map agrees with itself, and evidence lies on what is drawn."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from examples import garments
from fashion_xai.data.masks import silhouette
from fashion_xai.trust.agreement import compare_heads
from fashion_xai.trust.faithfulness import pointing

KINDS = ("shirt", "bag", "dress", "trousers")


@pytest.fixture(scope="module")
def photos():
    return [garments.draw(kind, seed=2, scale=0.7) for kind in KINDS]


def test_figures_by_hand_on_one_photo(shipped, photos):
    answer = compare_heads(shipped, photos[:1])
    maps = {h: e.heatmap for h, e in shipped.explain(photos[0]).items()}
    expected = spearmanr(maps["gender"].ravel(), maps["season"].ravel()).statistic
    assert answer["overlap"]["gender season"] == pytest.approx(expected)
    assert len(answer["overlap"]) == 15
    product = silhouette(next(shipped.read(photos[:1])).pixels)
    found = answer["places"]["product"]
    assert (found["photos"], found["area"]) == (1, pytest.approx(product.mean()))
    assert found["heads"]["season"]["mean"] == pytest.approx(pointing(maps["season"], product))
    assert "face" not in answer["places"]


def test_a_map_that_knows_no_label_is_the_same_for_all_heads(shipped, photos):
    answer = compare_heads(shipped, photos, "eigencam")
    assert all(value == pytest.approx(1) for value in answer["overlap"].values())
    found = answer["places"]["product"]
    shares = [figures["mean"] for figures in found["heads"].values()]
    assert shares == pytest.approx([shares[0]] * 6) and shares[0] > found["area"]


def test_photos_without_a_studio_count_for_the_overlap_only(shipped, photos):
    noise = np.random.default_rng(0).integers(0, 120, (80, 60, 3)).astype(np.uint8)
    answer = compare_heads(shipped, iter([photos[0], noise]))
    assert (answer["photos"], answer["places"]["product"]["photos"]) == (2, 1)
    alone = compare_heads(shipped, [noise])
    assert alone["places"] == {} and len(alone["overlap"]) == 15
