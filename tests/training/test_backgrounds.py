"""Backgrounds: all different, none that a corruption test uses, with the statistics they claim."""

import numpy as np
import pytest

from training.data import backgrounds
from training.evaluation import corruptions


def test_floors_grow_from_the_corners_alone():
    """Corners hold two colours, the middle a third: it may not appear."""
    photo = np.full((320, 240, 3), (200, 30, 30), np.uint8)
    for rows in (slice(0, 110), slice(210, 320)):
        for columns in (slice(0, 75), slice(165, 240)):
            photo[rows, columns] = (30, 90, 160)
    photo[:60, :75] = (60, 120, 190)
    (grown,) = backgrounds.floors([photo], seed=0)
    assert grown.shape == (*backgrounds.SIZE, 3) and grown.dtype == np.uint8
    assert (grown >= (29, 89, 159)).all() and (grown <= (61, 121, 191)).all()
    assert grown.std() > 1  # both


def test_half_of_the_bank_is_grown_where_there_are_floors():
    grown = np.full((3, *backgrounds.SIZE, 3), 7, np.uint8)
    made = backgrounds.bank(8, 0, grown)
    assert [(picture == 7).all() for picture in made] == [False, True] * 4


def test_a_bank_is_made_from_its_seed_alone():
    first, again, other = backgrounds.bank(16, 3), backgrounds.bank(16, 3), backgrounds.bank(16, 4)
    assert first.shape == (16, *backgrounds.SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert len({picture.tobytes() for picture in (*first, *other)}) == 32


def test_photographs_of_the_stress_tests_are_never_trained_on():
    for photograph in backgrounds.photographs():
        for kept_back in corruptions.scenes():
            assert not np.array_equal(photograph, kept_back)


@pytest.mark.parametrize(
    "kind", [backgrounds.piece, backgrounds.leaves, backgrounds.room, backgrounds.fading]
)
def test_every_kind_fills_the_picture_within_range(kind):
    for seed in range(5):
        drawn = kind(np.random.default_rng(seed))
        assert drawn.shape == (*backgrounds.SIZE, 3)
        assert drawn.min() >= 0 and drawn.max() <= 255 and drawn.std() > 1


def test_clouds_have_the_spectrum_they_are_drawn_with():
    """Amplitude f^−s: the power in octaves falls by 2^(2 − 2s) from one to the next."""
    rng = np.random.default_rng(0)
    steep = np.random.default_rng(0).uniform(0.7, 2.0)  # the first number that is drawn
    power = np.abs(np.fft.fft2(backgrounds.clouds(rng)[..., 0])) ** 2
    fy, fx = np.fft.fftfreq(backgrounds.SIZE[0])[:, None], np.fft.fftfreq(backgrounds.SIZE[1])[None]
    distance = np.hypot(fy, fx)
    octaves = [power[(distance >= low) & (distance < 2 * low)].mean() for low in (0.03, 0.06, 0.12)]
    falls = np.log2(np.array(octaves[:-1]) / octaves[1:])
    np.testing.assert_allclose(falls, 2 * steep, atol=0.3)


def test_dead_leaves_have_edges_at_every_scale():
    """Halved in size, they have nearly as much contrast between neighbours: scale invariance."""
    drawn = np.stack([backgrounds.leaves(np.random.default_rng(s)).mean(-1) for s in range(12)])
    half = drawn.reshape(12, 96, 2, 72, 2).mean((2, 4))
    near = [np.abs(np.diff(x, axis=2)).mean() for x in (drawn, half)]
    assert 0.8 < near[1] / near[0] < 2
