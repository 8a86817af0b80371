"""What if: masks by hand, and answers that are those of the changed photo."""

import re

import numpy as np
import pytest

from demo import handlers, whatif
from demo.results import Results
from fashion_xai import ATTRIBUTES, FashionClassifier
from fashion_xai.occlusion import blurred
from tests import garments


@pytest.fixture(scope="module")
def small(small_bundle):
    return FashionClassifier.load(small_bundle)


@pytest.fixture(scope="module")
def analysis(small):
    photo = garments.draw("dress", "Red", (200, 150))
    return handlers.analyse(photo, next(small.read([photo])))


def test_strokes_become_a_mask_of_the_photos_size():
    layer = np.zeros((100, 75, 4), np.uint8)
    layer[10:20, 30:60] = (255, 0, 255, 255)
    mask = whatif.painted({"layers": [None, layer]}, (200, 150))
    assert mask.shape == (200, 150) and mask[20:40, 60:120].all() and mask.sum() == 20 * 60
    assert whatif.painted({"layers": [np.zeros((9, 9, 4), np.uint8)]}, (9, 9)) is None
    assert whatif.painted(None, (9, 9)) is None


def test_a_fifth_is_hidden_where_the_map_is_strongest(small, analysis):
    mask = whatif.looked_at(small, analysis, "season")
    assert mask.mean() == pytest.approx(whatif.SHARE, abs=0.01)
    e = small.explain(analysis.photo)["season"]
    cells = np.unravel_index(e.heatmap.argmax(), e.heatmap.shape)
    y = (cells[0] + 0.5) / e.heatmap.shape[0] * 200
    x = (cells[1] + 0.5) / e.heatmap.shape[1] * 150
    assert mask[int(y), int(x)]


def test_what_is_hidden_is_blurred_and_the_rest_stays(analysis):
    mask = np.zeros(analysis.photo.shape[:2], bool)
    mask[50:150, 40:110] = True
    changed = whatif.hide(analysis.photo, mask)
    np.testing.assert_array_equal(changed[:35], analysis.photo[:35])
    inside = (slice(70, 130), slice(60, 90))
    soft = blurred(analysis.photo.astype(np.float32))
    np.testing.assert_allclose(changed[inside], soft[inside], atol=1)
    assert np.abs(changed.astype(int) - analysis.photo)[mask].mean() > 5


def test_the_table_holds_both_answers(small, analysis):
    changed = whatif.hide(analysis.photo, np.ones(analysis.photo.shape[:2], bool))
    html = whatif.compare(small, analysis.reading, lambda p: next(small.read([p])), changed)
    before, after = small.predictions(analysis.reading), small.predict([changed])[0]
    rows = re.findall(r"<tr data-attribute.*?</tr>", html)
    assert len(rows) == len(ATTRIBUTES)
    for row, a in zip(rows, ATTRIBUTES, strict=True):
        was, left = before[a].probability, after[a].probabilities[before[a].index]
        assert f"{100 * was:.1f} % → {100 * left:.1f} %" in row
        assert (f"now {after[a].label}" in row) == (after[a].label != before[a].label)


def test_results_are_forgotten_after_their_time_and_when_there_are_too_many():
    results = Results(seconds=60, most=2)
    names = [results.keep(f"page {i}") for i in range(3)]
    assert [results.find(n) for n in names] == [None, "page 1", "page 2"]
    assert len(set(names)) == 3 and all(len(n) >= 22 for n in names)
    assert Results(seconds=0).find(Results(seconds=0).keep("x")) is None
    brief = Results(seconds=0)
    assert brief.find(brief.keep("gone at once")) is None
