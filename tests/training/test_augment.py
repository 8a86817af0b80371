import io

import keras
import numpy as np
import pytest
from PIL import Image

from examples import garments
from training.data import augment
from training.data.packing import studio

SIZE = (128, 96)


def packed(scale: float = 0.6, copies: int = 8) -> np.ndarray:
    """Copies of a drawn shirt with its background as a fourth channel, as packed."""
    photo = garments.draw("shirt", size=SIZE, scale=scale)
    return np.stack([np.dstack([photo, studio(photo)[..., 0]])] * copies)


PHOTOS = packed()


@pytest.mark.parametrize("kind", augment.KINDS)
def test_outside_training_only_the_mask_is_dropped(kind):
    out = augment.build(kind, 0, backgrounds=1)(PHOTOS, training=False)
    np.testing.assert_array_equal(out, PHOTOS[..., :3])


def test_light_keeps_colours_and_white_moves_in():
    out = np.asarray(augment.build("light", 0)(PHOTOS, training=True))
    assert out.shape == (8, *SIZE, 3) and out.min() >= 0 and out.max() <= 255
    assert len({photo.tobytes() for photo in out}) == 8  # each photo its own way
    np.testing.assert_allclose(out[:, [0, 0, -1, -1], [0, -1, 0, -1]], 255, atol=1e-3)
    for photo in out:  # the garment's median colour is a label; it may not move
        garment = photo[photo.min(-1) < 200]
        original = PHOTOS[0, ..., :3][PHOTOS[0, ..., :3].min(-1) < 200]
        assert np.abs(np.median(garment, 0) - np.median(original, 0)).max() < 4


@pytest.mark.parametrize("kind", augment.KINDS)
def test_all_kinds_stay_in_range_and_save_no_state(kind):
    inputs = keras.Input((*SIZE, 4), dtype="uint8")
    layers = augment.build(kind, 0, backgrounds=0.5)
    model = keras.Model(inputs, layers(inputs))
    assert model.weights == []
    out = np.asarray(layers(PHOTOS, training=True))
    assert out.dtype == np.float32 and out.shape == (8, *SIZE, 3)
    assert np.isfinite(out).all() and out.min() >= 0 and out.max() <= 255


def test_shift_moves_by_the_share_it_says():
    """With scale 0, a photo shifted by at most 25 % of 64 pixels moves by at most 16."""
    dot = np.full((32, 64, 64, 3), 255, np.float32)
    dot[:, 32, 32] = 0
    out = np.asarray(augment.RandomAffine(1, shift=0.25, scale=0.0)(dot, training=True))
    darkest = np.array([np.unravel_index(p.sum(-1).argmin(), p.shape[:2]) for p in out])
    moved = np.abs(darkest - 32)
    assert moved.max() <= 16 and moved.max() > 8


def test_rotation_keeps_the_centre_and_turns_by_at_most_the_angle():
    line = np.full((32, 65, 65, 3), 255, np.float32)
    line[:, 8:57, 31:34] = 0
    out = np.asarray(augment.RandomAffine(2, shift=0, scale=0, rotation=20)(line, training=True))
    assert (out[:, 32, 32] < 60).all()
    top = np.array([photo[12, :, 0].argmin() for photo in out]) - 32  # 20 pixels over the centre
    degrees = np.degrees(np.arctan2(top, 20))
    assert 10 < np.abs(degrees).max() <= 22


def test_placed_photos_stay_whole():
    """Shrunk and put anywhere: the product's area shrinks, but nothing is cut off."""
    photo = np.full((32, 100, 100, 3), 255, np.float32)
    photo[:, 2:98, 2:98] = 0
    out = np.asarray(augment.RandomAffine(3, shift=0, scale=0, placed=1)(photo, training=True))
    dark = out[..., 0] < 128
    side = np.array([mask.any(0).sum() for mask in dark])
    assert side.min() >= 0.45 * 96 - 2 and side.max() <= 97
    np.testing.assert_allclose(dark.sum((1, 2)), side**2, rtol=0.06)


def test_turned_photos_lie_on_their_side_and_stay_whole():
    """An upright bar of 12×60 in 128×96 lies across, 96/128 as long."""
    photo = np.full((16, 128, 96, 3), 255, np.float32)
    photo[:, 34:94, 42:54] = 0
    turned = augment.RandomAffine(3, shift=0, scale=0, turned=1)(photo, training=True)
    dark = np.asarray(turned)[..., 0] < 128
    assert set(dark.any(2).sum(1)) <= {8, 9, 10} and set(dark.any(1).sum(1)) <= {44, 45, 46}


def test_perspective_moves_the_corners_inwards_only():
    black = np.zeros((32, 60, 80, 3), np.float32)
    out = np.asarray(augment.RandomPerspective(4)(black, training=True))
    assert (out[:, 10:50, 12:68] < 1).all()  # corners move by at most 12 %
    white = (out > 254).all(-1).mean((1, 2))
    assert white.min() > 0 and white.max() < 1 - 0.76**2
    some = np.asarray(augment.RandomPerspective(4, share=0.3)(black, training=True))
    assert 0.1 < (some > 254).any((1, 2, 3)).mean() < 0.6


def test_a_rooms_light_keeps_hue_and_stays_in_range():
    grey = np.full((64, 32, 24, 3), 120, np.float32)
    out = np.asarray(augment.RandomLight(5)(grey, training=True))
    assert out.min() > 120 * 0.25 and out.max() <= 120 * 1.15 * 1.06
    assert np.ptp(out / out.mean(-1, keepdims=True), axis=-1).max() <= 0.065  # ±3 % a channel
    assert out.mean((1, 2, 3)).std() > 3


def test_clutter_is_another_product_behind_this_one():
    photos = packed().astype(np.float32)
    photos[::2, ..., :3] = np.where(photos[::2, ..., 3:] == 0, [255.0, 0, 0], photos[::2, ..., :3])
    layer = augment.RandomBackground(0, share=1.0, clutter=1.0)
    out = np.asarray(layer(photos, training=True))
    product = PHOTOS[0, ..., 3] == 0
    np.testing.assert_allclose(out[:, product], photos[:, product][..., :3], atol=1e-3)
    red = (np.abs(out - [255, 0, 0]).max(-1) < 1)[1::2] & ~product
    assert (red.sum((1, 2)) > 20).sum() >= 2  # the neighbours' red shirts look out at an edge


def test_a_new_background_leaves_the_product_alone():
    layer = augment.RandomBackground(0, share=1.0)
    out = np.asarray(layer(PHOTOS.astype(np.float32), training=True))
    product = PHOTOS[0, ..., 3] == 0
    np.testing.assert_allclose(out[:, product], PHOTOS[:, product][..., :3], atol=1e-3)
    changed = np.abs(out - PHOTOS[..., :3]).max(-1)[:, ~product] > 8
    assert changed.mean() > 0.9
    backgrounds = out[:, ~product].reshape(8, -1)
    assert len({b.tobytes() for b in backgrounds}) == 8


def test_the_share_of_new_backgrounds_is_the_one_asked_for():
    photos = packed(copies=200).astype(np.float32)
    out = np.asarray(augment.RandomBackground(5, share=0.3)(photos, training=True))
    replaced = (np.abs(out - photos[..., :3]).max((1, 2, 3)) > 1).mean()
    assert 0.2 < replaced < 0.4


def test_without_a_mask_nothing_is_replaced():
    photos = PHOTOS.astype(np.float32)
    photos[..., 3] = 0
    out = augment.RandomBackground(0, share=1.0)(photos, training=True)
    np.testing.assert_array_equal(out, photos[..., :3])


@pytest.mark.parametrize("quality", [10, 15, 40])
def test_compression_is_that_of_a_jpeg_file(quality):
    """Beside what compression changes, Pillow's file of the same photo hardly differs."""
    photos = PHOTOS[..., :3]
    layer = augment.RandomJPEG(0)
    grade = np.full((len(photos), 1, 1, 1), quality, np.float32)
    ours = np.asarray(layer.compressed(photos.astype(np.float32), grade))
    for photo, mine in zip(photos, ours, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
        real = np.asarray(Image.open(buffer), np.float32)
        assert np.abs(real - mine).mean() < np.abs(real - photo).mean() / 3


def test_compression_makes_blocks_of_two_sizes_and_leaves_flat_photos_flat():
    """The noise of a spot fills its colour block of 16 pixels and one more to either side, where
    colour is enlarged; in an 80×64 photo's blocks it reaches further."""
    layer = augment.RandomJPEG(0, share=1.0)
    photos = np.full((16, 256, 192, 3), 128, np.float32)
    np.testing.assert_allclose(layer(photos, training=True), photos, atol=1e-3)
    photos[:, 132:136, 100:104] = [255, 0, 0]
    noise = np.abs(np.asarray(layer(photos, training=True)) - photos).max((2, 3))
    heights = (noise > 0.1).sum(1)
    assert (heights == 16 + 2).any() and (heights > 8 * 3.2).any()


def test_sharpness_goes_both_ways_and_keeps_flat_areas():
    layer = augment.RandomSharpness(0)
    flat = np.full((4, 128, 96, 3), 90, np.float32)
    np.testing.assert_allclose(layer(flat, training=True), flat, atol=1e-3)
    photos = np.concatenate([PHOTOS] * 4)[..., :3].astype(np.float32)
    edges = np.abs(np.diff(np.asarray(layer(photos, training=True)), axis=1)).mean((1, 2, 3))
    before = np.abs(np.diff(photos[0], axis=0)).mean()
    assert edges.min() < 0.98 * before and edges.max() > 1.02 * before


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"Expected one of .*strong.* Received: 'heavy'"):
        augment.build("heavy", 0)
