import numpy as np
import pytest

from examples import garments
from fashion_xai.data.masks import silhouette


@pytest.mark.parametrize("kind", garments.KINDS)
def test_it_finds_a_drawn_product_at_any_place(kind):
    photo = garments.draw(kind, "Black", size=(160, 120), centre=(0.55, 0.45), scale=0.7)
    mask = silhouette(photo)
    dark = photo.min(-1) < 128
    assert mask[dark].all()
    assert mask.sum() < 1.35 * dark.sum() + 400  # a light sole or handle, and soft edges
    assert not mask[:10].any()


def test_white_inside_the_product_belongs_to_it():
    photo = np.full((80, 60, 3), 255, np.uint8)
    photo[20:60, 10:50] = 30
    photo[35:45, 25:35] = 255  # a print
    expected = np.zeros((80, 60), bool)
    expected[20:60, 10:50] = True
    np.testing.assert_array_equal(silhouette(photo), expected)


def test_a_product_cut_by_the_border_is_kept_and_both_sides_are_background():
    photo = np.full((80, 60, 3), 250, np.uint8)
    photo[:, 20:40] = (200, 30, 30)
    mask = silhouette(photo)
    assert mask[:, 20:40].all() and not mask[:, :20].any() and not mask[:, 40:].any()


@pytest.mark.parametrize("name", ["dark", "busy", "empty"])
def test_no_studio_no_mask(name):
    rng = np.random.default_rng(0)
    photo = {
        "dark": np.full((80, 60, 3), 60, np.uint8),
        "busy": rng.integers(0, 256, (80, 60, 3)).astype(np.uint8),
        "empty": np.full((80, 60, 3), 255, np.uint8),
    }[name]
    assert silhouette(photo) is None
