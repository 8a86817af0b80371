"""Faithfulness: by hand, and on a network of which it is known where it looks."""

import cv2
import numpy as np
import pytest

from fashion_xai.data.images import Box
from fashion_xai.maps.geometry import inside
from fashion_xai.trust import controls
from fashion_xai.trust.faithfulness import (
    SHARES,
    Case,
    area,
    importance_order,
    impute,
    measure,
    pointing,
)

SIZE = (64, 48)
WHOLE = Box(0, 0, *SIZE)


def test_the_order_of_importance_by_hand():
    heatmap = np.arange(64 * 48, dtype=np.float32).reshape(SIZE)[::-1]  # falls from the top
    order = importance_order(heatmap, WHOLE, SIZE, np.random.default_rng(0))
    assert order[0, -1] == 0 and order[-1, 0] == pytest.approx(1 - 1 / order.size)
    assert (np.diff(order.mean(1)) > 0).all()
    box = Box(0, 12, 64, 24)
    order = importance_order(heatmap, box, SIZE, np.random.default_rng(0))
    assert np.isinf(order[:, :12]).all() and np.isinf(order[:, 36:]).all()
    assert (order[inside(box, SIZE)] < 0.25).mean() == pytest.approx(0.25)


def test_ties_come_in_random_order_and_without_evidence_all_is_a_tie():
    orders = [
        importance_order(np.zeros((8, 6)), WHOLE, SIZE, np.random.default_rng(s)) for s in (0, 1)
    ]
    assert not np.array_equal(*orders)
    assert np.corrcoef(orders[0].ravel(), np.arange(orders[0].size))[0, 1] == pytest.approx(
        0, abs=0.05
    )


def test_the_area_by_hand():
    assert area([0.7] * (len(SHARES) + 2)) == pytest.approx(0.7)
    assert area([1 - x for x in (0, *SHARES, 1)]) == pytest.approx(0.5)  # a straight line


def test_pointing_by_hand():
    product = np.zeros(SIZE, bool)
    product[:, :24] = True
    left = np.repeat([[1.0] * 24 + [0.0] * 24], 64, 0).astype(np.float32)
    assert pointing(left, product) == pytest.approx(1)
    assert pointing(np.ones(SIZE), product) == pytest.approx(0.5)
    assert pointing(left - 1, product) == 0  # no positive evidence


def test_what_is_imputed_follows_its_neighbours():
    """On a plane the weighted mean of the neighbours is the plane itself."""
    y, x = np.mgrid[0:256, 0:192]
    plane = np.stack([40 + 0.5 * y, 200 - 0.3 * x, 0.2 * (x + y)], -1).astype(np.float32)
    missing = np.zeros((256, 192), bool)
    missing[60:180, 40:150] = True
    broken = plane.copy()
    broken[missing] = 0
    back = impute(broken, missing, np.random.default_rng(0))
    np.testing.assert_array_equal(back[~missing], plane[~missing])
    middle = np.zeros_like(missing)
    middle[70:170, 50:140] = True  # the rim of the hole shares coarse pixels with it
    assert np.abs(back - plane)[middle].mean() < 6
    noisy = (back - cv2.blur(back, (9, 9)))[middle].std()
    assert noisy > 0.5  # the network cannot tell a hole by its smoothness
    assert np.isfinite(impute(plane, np.ones_like(missing), np.random.default_rng(0))).all()


@pytest.fixture
def case():
    """A dark square, and a network that measures the darkness of just that place."""
    pixels = np.full((*SIZE, 3), 255, np.uint8)
    pixels[8:24, 8:24] = 60
    product = np.zeros(SIZE, bool)
    product[8:24, 8:24] = True

    def dark(photos):
        return {"kind": 1 - photos[:, 8:24, 8:24].mean((1, 2, 3)) / 255}

    return Case(pixels, WHOLE, product, dark, dark)


def test_a_map_that_knows_beats_those_that_do_not(case):
    knows = cv2.resize(case.product.astype(np.float32), (12, 16), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    maps = {
        "knows": knows,
        "opposite": -knows,
        "random": controls.random((8, 6), rng),
        "elsewhere": knows[::-1, ::-1].copy(),
    }
    figures = {name: heads["kind"] for name, heads in measure(case, maps, rng).items()}
    best = figures.pop("knows")
    assert best["pointing"] > 0.85 and best["mufidelity"] > 0.9
    for other in figures.values():
        assert best["deletion"] < other["deletion"]
        assert best["insertion"] > other["insertion"]
        assert best["road"] > other["road"] + 0.1
        assert best["mufidelity"] > other["mufidelity"] + 0.3
    # Hiding the least important 40 % changes nothing, hiding the most important 20 % takes all.
    assert best["road"] > 0.4 and figures["opposite"]["road"] < -0.4


def test_controls_by_hand():
    blob = controls.centre(Box(10, 0, 40, 48), SIZE)
    assert np.unravel_index(blob.argmax(), SIZE)[0] in (29, 30)
    assert blob[30 + 10, 24] / blob.max() == pytest.approx(np.exp(-0.5), rel=0.06)
    square = np.zeros((*SIZE, 3), np.uint8)
    square[20:40, 12:36] = 255
    contours = controls.edges(square)
    assert contours[20, 24] > 10 * contours[30, 24] and contours[30, 12] > 10 * contours[5, 5]
    one = np.zeros((8, 6), np.float32)
    one[4, 3] = 1
    soft = controls.softened(one, 8)
    assert soft.argmax() == one.argmax() and soft.sum() == pytest.approx(1, rel=0.05)
    assert soft[4, 4] / soft[4, 3] == pytest.approx(np.exp(-0.5), rel=0.05)
    # One cell of the network's map is eight of a finer one: the blur is the same in the photo.
    fine = np.zeros((64, 48), np.float32)
    fine[32, 24] = 1
    softer = controls.softened(fine, 8)
    assert softer[40, 24] / softer[32, 24] == pytest.approx(np.exp(-0.5), rel=0.05)
