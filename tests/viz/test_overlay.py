"""Geometry: the letterbox is undone for garments of any aspect ratio; scaling hides nothing."""

import cv2
import numpy as np
import pytest

from examples import garments
from fashion_xai.data.images import SIZE, letterbox
from fashion_xai.viz import overlay


@pytest.mark.parametrize("size", [(400, 300), (300, 300), (200, 600), (700, 120), (256, 192)])
@pytest.mark.parametrize("centre", [(0.3, 0.35), (0.6, 0.7)])
def test_the_map_lands_on_the_garment(size, centre):
    """A map made of the garment itself in the padded input must cover the garment in the photo."""
    photo = garments.draw("tshirt", "Red", size, centre, scale=0.5)
    canvas, box = letterbox(photo)
    cells = cv2.resize((canvas.min(2) < 200).astype(np.float32), (48, 64), None, 0, 0, 3)
    fitted = overlay.fit_to_photo(cells, box, SIZE, photo.shape[:2])
    assert fitted.shape == photo.shape[:2]
    garment = photo.min(2) < 200
    found = fitted > 0.5
    overlap = (found & garment).sum() / (found | garment).sum()
    assert overlap > 0.8
    centre_found = np.argwhere(found).mean(0) / size
    centre_drawn = np.argwhere(garment).mean(0) / size
    np.testing.assert_allclose(centre_found, centre_drawn, atol=0.01)


@pytest.mark.parametrize(("size", "row", "column"), [((100, 400), 4, 5), ((400, 100), 1, 3)])
def test_one_hot_cell(size, row, column):
    """Cell (r, c) of an 8×6 map is centred at pixel (32 r + 16, 32 c + 16) of the input."""
    _, box = letterbox(np.zeros((*size, 3), np.uint8))
    heatmap = np.zeros((8, 6), np.float32)
    heatmap[row, column] = 1
    fitted = overlay.fit_to_photo(heatmap, box, SIZE, size)
    peak = np.array(np.unravel_index(fitted.argmax(), size))
    scale = size[0] / box.height
    expected = (np.array([32 * row + 15.5 - box.top, 32 * column + 15.5 - box.left])) * scale
    np.testing.assert_allclose(peak, np.clip(expected, 0, np.array(size) - 1), atol=scale + 1)


def test_intensity_by_hand():
    np.testing.assert_allclose(overlay.intensity(np.array([-2.0, 1.0, 4.0])), [0, 0.25, 1])
    np.testing.assert_allclose(overlay.intensity(np.array([1.0, 4.0]), peak=8.0), [0.125, 0.5])
    assert overlay.intensity(np.array([-2.0, -1.0])).tolist() == [0, 0]  # no false confidence


def test_signed_intensity_and_colours():
    values = overlay.intensity(np.array([[-2.0, 0.0, 1.0]]), signed=True)
    np.testing.assert_allclose(values, [[-1, 0, 0.5]])
    against, nothing, half = overlay.colour(values, signed=True)[0].astype(int)
    assert against[2] > against[1] and against[3] == 255  # purple, opaque
    assert nothing[3] == 0
    assert half[0] > half[2] and half[3] in (127, 128)  # orange, half as opaque
    np.testing.assert_allclose(overlay.intensity(np.array([-3.0]), 6.0, signed=True), [-0.5])


def test_blend():
    photo = garments.draw("bag", "Black", (120, 90))
    box = letterbox(photo)[1]
    against = np.full((8, 6), -1.0, np.float32)
    np.testing.assert_array_equal(overlay.blend(photo, against, box, SIZE), photo)
    np.testing.assert_array_equal(overlay.blend(photo, -against, box, SIZE, alpha=0), photo)
    full = overlay.blend(photo, -against, box, SIZE, alpha=1)
    assert (full == full[0, 0]).all() and (full[0, 0] != photo[0, 0]).any()
    half = np.concatenate([-against[:, :3], against[:, :3]], 1)
    mixed = overlay.blend(photo, half, box, SIZE)
    np.testing.assert_array_equal(mixed[:, 60:], photo[:, 60:])
    assert (mixed[:, :30] != photo[:, :30]).any()


@pytest.mark.parametrize("grey", [0, 255])
def test_strong_evidence_has_an_outline_on_any_clothes(grey):
    """By hand: columns 3 to 5 are strong; a line inside and a line outside, a pixel each."""
    values = np.tile(np.float32([0, 0.2, 0.4, 0.5, 1, 0.6, 0.1, 0]), (4, 1))
    inside, outside = overlay.outline(values)
    assert [np.flatnonzero(x.all(0)).tolist() for x in (inside, outside)] == [[3, 5], [2, 6]]
    assert inside.sum() == outside.sum() == 8
    photo = np.full((120, 90, 3), grey, np.uint8)
    cells = np.zeros((8, 6), np.float32)
    cells[4, 3] = 1
    box = letterbox(photo)[1]
    drawn = overlay.blend(photo, cells, box, SIZE, alpha=1)
    inside, outside = overlay.outline(
        overlay.intensity(overlay.fit_to_photo(cells, box, SIZE, (120, 90)))
    )
    assert (drawn[inside] == 255).all() and (drawn[outside] == 0).all() and inside.sum() > 30
    signed = overlay.outline(-values)
    np.testing.assert_array_equal(signed, overlay.outline(values))  # purple as orange
