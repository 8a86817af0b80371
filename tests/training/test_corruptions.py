import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai.data.masks import silhouette
from training.evaluation.corruptions import CORRUPTIONS, scenes

PHOTO = garments.draw("trousers", "Green", size=(160, 120), scale=0.8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_gives_a_photo_and_the_same_one_for_the_same_seed(name):
    first, second = (CORRUPTIONS[name](PHOTO, np.random.default_rng(4)) for _ in range(2))
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    np.testing.assert_array_equal(first, second)
    assert first.shape[0] / first.shape[1] == pytest.approx(4 / 3, rel=0.02)
    small = np.asarray(Image.fromarray(first).resize((120, 160)), float)
    assert np.abs(small - PHOTO).mean() > 1


def test_a_scene_keeps_the_product_and_fills_the_studio():
    out = CORRUPTIONS["scene"](PHOTO, np.random.default_rng(0))
    out = np.asarray(Image.fromarray(out).resize((120, 160)), float)
    product = silhouette(PHOTO)
    inner = product & np.roll(product, 3, 0) & np.roll(product, -3, 0) & np.roll(product, 3, 1)
    inner &= np.roll(product, -3, 1)
    assert np.abs(out - PHOTO)[inner].mean() < 6
    assert (np.abs(out - 255).max(-1) > 10)[~product].mean() > 0.9
    assert len(scenes()) == 2


def test_a_photo_without_studio_keeps_its_background():
    busy = np.random.default_rng(0).integers(0, 256, (80, 60, 3)).astype(np.uint8)
    np.testing.assert_array_equal(CORRUPTIONS["scene"](busy, np.random.default_rng(0)), busy)


def test_light_by_hand():
    grey = np.full((8, 6, 3), 200, np.uint8)
    assert (CORRUPTIONS["darker"](grey, None) == 120).all()
    assert (CORRUPTIONS["brighter"](grey, None) == 255).all()
    colourless = CORRUPTIONS["grey"](PHOTO, None)
    assert (colourless == colourless[..., :1]).all()
