"""Captions say how sure the answer is and how strong the evidence, also where there is none."""

import dataclasses

import numpy as np
import pytest

from fashion_xai import FashionClassifier
from fashion_xai.viz.contact_sheet import caption, contact_sheet, peak_of
from tests import garments


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
