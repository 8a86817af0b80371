"""What if: masks by hand, and answers that are those of the changed photo."""

import base64
import re

import numpy as np
import pytest

from demo.serving.result_store import PAGE, Results
from demo.views import cards, whatif
from examples import garments
from fashion_xai import ATTRIBUTES
from fashion_xai.maps.geometry import blurred


@pytest.fixture(scope="module")
def analysis(small):
    photo = garments.draw("dress", "Red", (200, 150))
    return cards.analyse(photo, next(small.read([photo])))


def sent(strokes: np.ndarray) -> str:
    """As paint.js sends what is painted."""
    bits = base64.b64encode(np.packbits(strokes.astype(bool)).tobytes()).decode()
    return f"{strokes.shape[1]}x{strokes.shape[0]}:{bits}"


def test_strokes_become_a_mask_of_the_photos_size():
    strokes = np.zeros((100, 75))
    strokes[10:20, 30:60] = 1
    mask = whatif.painted(sent(strokes), (200, 150))
    assert mask.shape == (200, 150) and mask[20:40, 60:120].all() and mask.sum() == 20 * 60
    assert whatif.painted(sent(np.zeros((9, 9))), (9, 9)) is None
    assert whatif.painted("", (9, 9)) is None and whatif.painted(None, (9, 9)) is None
    whole = sent(np.ones((whatif.MASK, whatif.MASK)))
    assert len(whole) <= whatif.MOST and whatif.painted(whole, (30, 30)).all()


@pytest.mark.parametrize(
    "text",
    ["1x1:", "2x2:!!!!", "999x999:AAAA", "128x128:" + "A" * 99_999, "0x0:", "8x8:AAAA", "{}", "9"],
)
def test_what_is_no_mask_is_refused_in_words(text):
    with pytest.raises(ValueError, match="Expected strokes"):
        whatif.painted(text, (9, 9))


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
    html = whatif.compare(small, analysis.forward_pass, lambda p: next(small.read([p])), changed)
    before, after = small.predictions(analysis.forward_pass), small.predict([changed])[0]
    rows = re.findall(r"<tr data-attribute.*?</tr>", html)
    assert len(rows) == len(ATTRIBUTES)
    for row, a in zip(rows, ATTRIBUTES, strict=True):
        was, left = before[a].probability, after[a].probabilities[before[a].index]
        assert f"{100 * was:.1f} % → {100 * left:.1f} %" in row
        assert (f"now {after[a].label}" in row) == (after[a].label != before[a].label)


def test_results_are_forgotten_after_their_time_and_when_there_are_too_many():
    results = Results(seconds=60, most=2)
    names = [results.keep({PAGE: f"page {i}", "a.csv": b"x"}) for i in range(3)]
    assert [results.find(n) for n in names] == [None, b"page 1", b"page 2"]
    assert results.find(names[2], "a.csv") == b"x" and results.find(names[2], "b.csv") is None
    assert len(set(names)) == 3 and all(len(n) >= 22 for n in names)
    brief = Results(seconds=0)
    assert brief.find(brief.keep({PAGE: "gone at once"})) is None
    small = Results(room=100)
    first, second = (small.keep({PAGE: b"x" * 60}) for _ in range(2))
    assert small.find(first) is None and small.find(second) == b"x" * 60
