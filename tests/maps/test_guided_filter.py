"""The guided filter: by an independent implementation, and what it must keep."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fashion_xai.maps.guided_filter import along_edges

RNG = np.random.default_rng(0)


def slow(heatmap, guide, radius, smoothness):
    """He et al. 2013, equations 14–16, window by window; the map already has the guide's size."""
    height, width = heatmap.shape
    pad = ((radius, radius), (radius, radius))
    p = np.pad(heatmap, pad, "symmetric")
    g = np.pad(guide, (*pad, (0, 0)), "symmetric")
    side = 2 * radius + 1
    slopes, offsets = np.empty((height, width, 3)), np.empty((height, width))
    for y in range(height):
        for x in range(width):
            colours = g[y : y + side, x : x + side].reshape(-1, 3)
            values = p[y : y + side, x : x + side].ravel()
            variance = np.cov(colours.T, bias=True) + smoothness * np.eye(3)
            covariance = (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean()
            slopes[y, x] = np.linalg.solve(variance, covariance)
            offsets[y, x] = values.mean() - slopes[y, x] @ colours.mean(0)
    a = np.pad(slopes, (*pad, (0, 0)), "symmetric")
    b = np.pad(offsets, pad, "symmetric")
    out = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            out[y, x] = a[y : y + side, x : x + side].mean((0, 1)) @ guide[y, x]
            out[y, x] += b[y : y + side, x : x + side].mean()
    return out + (heatmap.sum() - out.sum()) / out.size


def test_it_is_the_filter_of_the_paper():
    pixels = RNG.integers(0, 256, (16, 12, 3)).astype(np.uint8)
    heatmaps = RNG.normal(size=(2, 16, 12)).astype(np.float32)
    found = along_edges(heatmaps, pixels, (16, 12), radius=2, smoothness=1e-2, sharpness=1)
    expected = [slow(heatmap, pixels / 255, 2, 1e-2) for heatmap in heatmaps]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_sum_stays_and_an_even_photo_only_smooths():
    heatmap = RNG.normal(size=(8, 6)).astype(np.float32)
    for pixels in (np.full((256, 192, 3), 200, np.uint8),
                   RNG.integers(0, 256, (256, 192, 3)).astype(np.uint8)):  # fmt: skip
        assert along_edges(heatmap[None], pixels).sum() == pytest.approx(heatmap.sum(), abs=1e-3)
    (even,) = along_edges(heatmap[None], np.full((256, 192, 3), 200, np.uint8))
    assert even.shape == (64, 48) and even.std() * 64 < heatmap.std()


def test_evidence_moves_to_the_object_that_it_overlaps():
    """A cell of evidence over the border of a dark square: inside it the map becomes even."""
    pixels = np.full((256, 192, 3), 255, np.uint8)
    pixels[64:192, 48:144] = 40
    heatmap = np.zeros((8, 6), np.float32)
    heatmap[1:7, 1:5] = 1  # one cell further than the square on all sides but left and right
    (found,) = along_edges(heatmap[None], pixels, sharpness=1)
    inside = np.zeros((64, 48), bool)
    inside[16:48, 12:36] = True
    rim = np.zeros((64, 48), bool)
    rim[14:50, 10:38] = True
    rim &= ~inside
    coarse = cv2.resize(heatmap, (48, 64), interpolation=cv2.INTER_LINEAR)
    assert coarse[rim].mean() > 0.9 * coarse[inside].mean()
    assert found[rim].mean() < 0.8 * found[inside].mean()
    assert found[inside].std() < 0.01 * found[inside].mean()


def test_the_rest_is_spread_by_a_share_of_a_cell_of_the_coarse_map():
    """Checked with scipy's Gaussian: linear between the sharp map and its spread copy."""
    pixels = RNG.integers(0, 256, (256, 192, 3)).astype(np.uint8)
    heatmap = RNG.normal(size=(1, 8, 6)).astype(np.float32)
    (sharp,) = along_edges(heatmap, pixels, sharpness=1)
    for sharpness, spread in ((0, 1), (0.25, 1), (0.25, 0.5)):
        soft = gaussian_filter(sharp, spread * 64 / 8, mode="nearest", truncate=4)
        expected = sharpness * sharp + (1 - sharpness) * soft
        expected += (heatmap.sum() - expected.sum()) / expected.size
        (found,) = along_edges(heatmap, pixels, sharpness=sharpness, spread=spread)
        np.testing.assert_allclose(found, expected, atol=1e-2 * sharp.std())
