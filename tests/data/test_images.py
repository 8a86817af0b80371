"""Each mode and size of picture, with pixel values derived by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai.data import images
from fashion_xai.data.images import ImageError, letterbox, load, prepare


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode: str, value, size=(8, 6)) -> Image.Image:
    return Image.new(mode, size, value)


def palette_with_hole() -> Image.Image:
    picture = Image.new("P", (8, 6), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.paste(0, (0, 0, 4, 6))
    return picture


GREY16 = Image.fromarray(np.full((6, 8), 0x8080, np.uint16))


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        (encoded(solid("RGB", (10, 20, 30))), (10, 20, 30)),
        (encoded(solid("L", 77)), (77, 77, 77)),
        (encoded(solid("1", 1)), (255, 255, 255)),
        (encoded(solid("LA", (100, 0))), (255, 255, 255)),
        (encoded(solid("RGBA", (0, 0, 0, 51))), (204, 204, 204)),  # 20 % black on white
        (encoded(solid("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
        (encoded(GREY16), (128, 128, 128)),  # 0x8080 / 257 = 128, not clipped to 255
        (encoded(solid("F", 0.5), "TIFF"), (128, 128, 128)),
        (encoded(solid("RGB", (10, 20, 30)), "BMP"), (10, 20, 30)),
        (encoded(solid("RGB", (10, 20, 30)), "WEBP", lossless=True), (10, 20, 30)),
    ],
)
def test_modes(data, pixel):
    rgb = load(data)
    assert rgb.shape == (6, 8, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - pixel).max() <= 1


def test_transparent_palette_lies_on_white():
    rgb = load(encoded(palette_with_hole(), transparency=0))
    assert rgb[3, 1].tolist() == [255] * 3 and rgb[3, 6].tolist() == [200, 0, 0]


def test_cmyk_jpeg_and_first_frame_of_an_animation():
    red = load(encoded(solid("CMYK", (0, 255, 255, 0)), "JPEG"))
    assert red[0, 0, 0] > 240 and red[0, 0, 1:].max() < 15
    frames = [solid("RGB", c) for c in ((255, 0, 0), (0, 0, 255))]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load(gif)[0, 0].tolist() == [255, 0, 0]


def test_several_pictures_in_a_jpeg_as_some_cameras_write_them():
    frames = [solid("RGB", c) for c in ((255, 0, 0), (0, 0, 255))]
    mpo = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert load(mpo)[0, 0, 0] > 240


def test_exif_rotation_is_applied():
    picture = Image.fromarray(np.dstack([np.tile(np.arange(8, dtype=np.uint8) * 30, (6, 1))] * 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    rgb = load(encoded(picture, exif=exif))
    np.testing.assert_array_equal(rgb, np.rot90(np.asarray(picture), -1))


@pytest.mark.parametrize(
    "array",
    [
        np.full((6, 8), 128, np.uint8),
        np.full((6, 8, 1), 128, np.uint8),
        np.full((6, 8, 3), 128.0),
        np.full((6, 8), 128 * 257, np.uint16),
        np.dstack([np.full((6, 8, 3), 128, np.uint8), np.full((6, 8), 255, np.uint8)]),
    ],
)
def test_arrays(array):
    np.testing.assert_array_equal(load(array), np.full((6, 8, 3), 128))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 6, 8, 3), np.uint8), "shape"),
        (np.zeros((6, 8, 2), np.uint8), "shape"),
        (np.full((6, 8, 3), 0.7), "multiply by 255"),
        (np.full((6, 8, 3), 300.0), "0–255"),
        (np.full((6, 8, 3), np.nan), "0–255"),
        (np.zeros((6, 8), np.int64), "int64"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
    ],
)
def test_arrays_that_cannot_be_meant(array, message):
    with pytest.raises(ImageError, match=message):
        load(array)


def test_every_way_in_gives_the_same(tmp_path):
    picture = Image.fromarray(garments.draw("dress", "Red", (90, 70)))
    path = tmp_path / "dress.png"
    picture.save(path)
    expected = np.asarray(picture)
    for way in (path, str(path), path.read_bytes(), picture, expected):
        np.testing.assert_array_equal(load(way), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"<html></html>", "not a photo"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a photo"),
        (encoded(Image.fromarray(garments.draw("bag")), "JPEG")[:2000], "damaged"),
        (encoded(Image.fromarray(garments.draw("bag")))[:2000], "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(data, message):
    with pytest.raises(ImageError, match=message) as caught:
        load(data)
    assert str(caught.value).count(".") == 1 and "\n" not in str(caught.value)


def test_caps_on_bytes_and_pixels(monkeypatch, tmp_path):
    bomb = encoded(Image.new("1", (20_000, 20_000)))  # a few kB that decode to 400 megapixels
    with pytest.raises(ImageError, match="megapixels"):
        load(bomb)
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    (tmp_path / "a.png").write_bytes(bytes(101))
    for way in (bytes(101), tmp_path / "a.png"):
        with pytest.raises(ImageError, match="MB"):
            load(way)


def test_absent_file_and_wrong_type(tmp_path):
    with pytest.raises(ImageError, match="Cannot read"):
        load(tmp_path / "absent.jpg")
    with pytest.raises(TypeError, match="int"):
        load(3)


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((400, 300), (0, 0, 256, 192)),  # the catalogue's own shape: no padding
        ((100, 300), (96, 0, 64, 192)),
        ((400, 100), (0, 64, 256, 64)),
        ((80, 80), (32, 0, 192, 192)),
        ((1, 5000), (127, 0, 1, 192)),  # thinner than a pixel: still one
        ((1, 1), (32, 0, 192, 192)),
    ],
)
def test_letterbox_keeps_the_shape_and_pads_with_white(shape, box):
    canvas, placed = letterbox(np.zeros((*shape, 3), np.uint8))
    assert tuple(placed) == box
    inside = np.zeros((256, 192), bool)
    inside[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = True
    assert (canvas[inside] == 0).all() and (canvas[~inside] == 255).all()


def test_prepare_is_float32_in_0_255_and_equals_the_letterbox():
    photo = garments.draw("shirt", size=(333, 111))
    prepared = prepare(photo, (128, 96))
    assert prepared.dtype == np.float32 and prepared.shape == (128, 96, 3)
    np.testing.assert_array_equal(prepared, letterbox(photo, (128, 96))[0])
