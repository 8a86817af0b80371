"""Confined decoding: the same pictures, and an end to those that take too much."""

import threading

import numpy as np
import pytest

from demo.serving.decoder import Decoder
from demo.serving.queue_full import QueueFull
from fashion_xai import ImageError
from fashion_xai.data import images
from tests.attack.pictures import endless_scans, endless_strips, enormous, good, transparent


@pytest.fixture(scope="module")
def decoder():
    made = Decoder(workers=1)
    yield made
    made.close()


def test_it_reads_as_the_library_does(decoder, tmp_path):
    np.testing.assert_array_equal(decoder.load(good()), images.load(good()))
    (tmp_path / "a.jpg").write_bytes(good())
    np.testing.assert_array_equal(decoder.load(str(tmp_path / "a.jpg")), images.load(good()))
    with pytest.raises(ImageError, match="no longer here"):
        decoder.load(str(tmp_path / "b.jpg"))


@pytest.mark.parametrize(
    "make, says",
    [(enormous, "at most 50 megapixels"), (endless_scans, "scans; at most 64 are decoded"),
     (endless_strips, "strips; at most 65,536 are decoded")],
)  # fmt: skip
def test_what_is_made_to_take_long_is_refused_from_its_header(decoder, make, says):
    with pytest.raises(ImageError, match=says):
        decoder.load(make())


def test_a_large_photo_has_a_lane_of_its_own(decoder):
    done: list = []
    thread = threading.Thread(target=lambda: done.append(decoder.load(transparent())))
    thread.start()
    small = decoder.load(good())  # does not wait for the other
    thread.join()
    assert small.shape == (400, 300, 3) and done[0].shape == (1750, 1750, 3)
    # (200, 30, 30) at 128 of 255 on white
    assert np.abs(done[0].astype(int) - (227, 142, 142)).max() <= 1


def test_time_and_memory_end_a_worker_and_not_the_server():
    with pytest.raises(ImageError, match="more than 0 s to decode"):
        hasty(transparent())
    frugal = Decoder(workers=1, memory=330_000_000)
    try:
        with pytest.raises(ImageError, match="memory"):
            frugal.load(transparent())
        assert frugal.load(good()).shape == (400, 300, 3)
    finally:
        frugal.close()


def hasty(data):
    made = Decoder(workers=1, seconds=0.3)
    try:
        made.warm_up()
        assert made.load(good()).size
        return made.load(data)
    finally:
        made.close()


def test_too_many_are_told_so():
    made = Decoder(workers=1, waiting=0)
    try:
        with pytest.raises(QueueFull, match="Too many photos"):
            made.load(good())
    finally:
        made.close()
