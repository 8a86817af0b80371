import keras
import numpy as np

from tests import garments
from training.augment import RandomShiftScale, light

PHOTOS = np.stack([garments.draw("shirt", size=(128, 96), scale=0.6)] * 8).astype(np.float32)


def test_nothing_happens_outside_training():
    np.testing.assert_array_equal(light(0)(PHOTOS, training=False), PHOTOS)


def test_colours_stay_and_white_moves_in():
    out = np.asarray(light(0)(PHOTOS, training=True))
    assert out.shape == PHOTOS.shape and out.min() >= 0 and out.max() <= 255
    assert len({photo.tobytes() for photo in out}) == 8  # each photo its own way
    corners = out[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 255, atol=1e-3)
    for photo in out:  # the garment's median colour is a label; it may not move
        garment = photo[photo.min(-1) < 200]
        original = PHOTOS[0][PHOTOS[0].min(-1) < 200]
        assert np.abs(np.median(garment, 0) - np.median(original, 0)).max() < 4


def test_shift_moves_by_the_share_it_says():
    """With scale 0, a photo shifted by at most 25 % of 64 pixels moves by at most 16."""
    dot = np.full((32, 64, 64, 3), 255, np.float32)
    dot[:, 32, 32] = 0
    out = np.asarray(RandomShiftScale(shift=0.25, scale=0.0, seed=1)(dot, training=True))
    darkest = np.array([np.unravel_index(p.sum(-1).argmin(), p.shape[:2]) for p in out])
    moved = np.abs(darkest - 32)
    assert moved.max() <= 16 and moved.max() > 8


def test_the_layer_saves_no_state_into_the_bundle():
    inputs = keras.Input((64, 64, 3))
    assert keras.Model(inputs, light(0)(inputs)).weights == []
