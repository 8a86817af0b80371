"""Captions say how sure the answer is and how strong the evidence, also where there is none."""

import dataclasses
import itertools

import numpy as np
import pytest

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.viz.contact_sheet import caption, contact_sheet, draw, peak_of


@pytest.fixture(scope="module")
def explained(small_bundle):
    classifier = FashionClassifier.load(small_bundle)
    return classifier, garments.draw("bag"), classifier.explain(garments.draw("bag"))


def with_map(e, heatmap):
    return dataclasses.replace(e, heatmap=np.array(heatmap, np.float32))


def test_captions(explained):
    e = explained[2]["season"]
    text = caption(with_map(e, [[0.5, -0.25], [1.0, 0.0]]))
    assert text == f"season: {e.target} ({e.prediction.probability:.0%})\n+1.50 / -0.25 logits"
    assert "no positive evidence" in caption(with_map(e, [[-1.0, 0.0]]))
    other = dataclasses.replace(e, target="Autumn", against="Spring")
    assert caption(other).startswith(
        f"season: Autumn (answer: {e.prediction.label})\nrather than Spring"
    )


def test_peaks(explained):
    e = with_map(explained[2]["season"], [[0.5, -2.0]])
    assert (peak_of(e, signed=False), peak_of(e, signed=True)) == (0.5, 2.0)
    assert peak_of(with_map(e, [[-1.0]]), signed=False) == 0


def test_a_sheet_of_maps_without_evidence_can_be_drawn(explained):
    classifier, photo, maps = explained
    empty = [with_map(e, np.zeros((3, 2))) for e in maps.values()]
    data = contact_sheet(photo, empty, classifier.size, one_scale=True)
    assert data.startswith(b"\x89PNG")


@pytest.mark.parametrize("peak", [0.0087, 0.0182, 3.14159, 4321.0])
@pytest.mark.parametrize("shape", [(400, 300), (300, 400)])
def test_no_words_overlap_or_are_cut(explained, peak, shape):
    """Long labels, badges and rivals; the drawn boxes of all texts are compared."""
    classifier, _, maps = explained
    photo = garments.draw("bag", size=shape)
    long = [
        dataclasses.replace(
            with_map(e, [[peak, 0.0], [-peak / 7, peak / 2]]), target="Fragrance Gift Set (Women)",
            against="Water Bottle and Lunch Box",
        )
        for e in maps.values()
    ]  # fmt: skip
    badges = ["How reliable is this map? Weak: it beat 1 of 5 simple tests"] * len(long)
    figure = draw(photo, long, classifier.size, badges=badges)
    figure.canvas.draw()
    titles = [a.title.get_window_extent() for a in figure.axes if a.title.get_text()]
    whole = figure.bbox
    assert len(titles) == 7
    for n, box in enumerate(titles):
        assert box.x0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in titles[n + 1 :])
    for bar in figure.axes:
        shown = [t.get_window_extent() for t in bar.get_xticklabels() if t.get_text()]
        inside = sorted((b.x0, b.x1) for b in shown if b.x1 > b.x0)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(inside)), bar
