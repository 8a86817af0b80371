"""Occlusion: windows by hand, and a network simple enough to know what hiding costs."""

import numpy as np
import pytest

from fashion_xai.maps.geometry import blurred
from fashion_xai.maps.occlusion import occlusion, windows


def test_windows_by_hand():
    """Four by two cells on 40×20 pixels: two cells high and wide, cut at the border."""
    spans = windows(np.zeros((40, 20, 3)), (4, 2))
    assert len(spans) == 8
    assert spans[0] == (slice(0, 15), slice(0, 15))
    assert spans[3] == (slice(5, 25), slice(5, 20))
    assert spans[7] == (slice(25, 40), slice(5, 20))


def test_a_linear_score_loses_what_its_window_held():
    """Score = weights · photo, so hiding a window loses weights · (photo − blurred) inside it."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    weights = rng.normal(size=(40, 30, 3, 2))
    weights[:20] = 0  # nothing in the upper half counts

    def forward(pixels):
        return {"kind": np.einsum("nhwc,hwck->nk", pixels, weights)}

    target = np.array([1.0, -1.0])
    answer = occlusion(forward, photo, (4, 3), {"kind": target})["kind"]
    assert answer.shape == (4, 3) and answer.dtype == np.float32
    lost = np.einsum("hwc,hwck,k->hw", photo - blurred(photo.astype(np.float32)), weights, target)
    expected = [lost[window].sum() for window in windows(photo, (4, 3))]
    np.testing.assert_allclose(answer.ravel(), expected, rtol=1e-3, atol=0.5)
    assert (answer[0] == pytest.approx(0, abs=0.1)) and abs(answer[3]).max() > 100


def test_all_heads_share_the_passes():
    seen = []

    def forward(pixels):
        seen.append(len(pixels))
        return {"a": pixels.mean((1, 2)), "b": -pixels.mean((1, 2))}

    one = np.array([1.0, 0.0, 0.0])
    maps = occlusion(forward, np.full((64, 48, 3), 90, np.uint8), (8, 6), {"a": one, "b": one})
    assert sum(seen) == 8 * 6 + 1
    np.testing.assert_allclose(maps["a"], -maps["b"])
    np.testing.assert_allclose(maps["a"], 0, atol=1e-3)  # even: a blur changes nothing
