"""A crowd before one model: everyone gets their own answer, visitors before batches."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from demo.serving.batcher import BULK, VISITOR, Busy, Crowd
from fashion_xai import FashionClassifier
from tests import garments


@pytest.fixture(scope="module")
def classifier(small_bundle):
    return FashionClassifier.load(small_bundle)


class Slow:
    """The classifier, with a gate before each forward pass and a list of what came to it.

    A test that fails opens the gate, so that nobody waits there for ever.
    """

    def __init__(self, classifier):
        self.classifier, self.size = classifier, classifier.size
        self.gate, self.passes = threading.Semaphore(0), []

    def read_fitted(self, fitted):
        self.passes.append([int(canvas.min()) for canvas, _ in fitted])
        self.gate.acquire()
        return self.classifier.read_fitted(fitted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.release(99)


def grey(level):
    return np.full((30, 20, 3), level, np.uint8)


def until(condition):
    deadline = time.time() + 30
    while not condition():
        assert time.time() < deadline
        time.sleep(0.005)


def test_everyone_gets_their_own_answer(classifier):
    photos = [garments.draw(kind, colour) for kind in garments.KINDS for colour in ("Red", "Grey")]
    crowd = Crowd(classifier)
    with ThreadPoolExecutor(24) as pool:
        readings = list(pool.map(crowd.read, photos * 2))
    for photo, reading in zip(photos * 2, readings, strict=True):
        (alone,) = classifier.read([photo])
        for head, logits in alone.logits.items():
            np.testing.assert_allclose(reading.logits[head], logits, atol=1e-4)
    crowd.close()


def test_waiting_photos_share_a_pass_and_visitors_go_first(classifier):
    with ThreadPoolExecutor(8) as pool, Slow(classifier) as slow:
        crowd = Crowd(slow, most=3)
        pool.submit(crowd.read, grey(10))
        until(lambda: slow.passes)  # the first one is being read
        for level in (20, 30, 40):
            pool.submit(crowd.read, grey(level), BULK)
            until(lambda n=level: crowd.waiting == n // 10 - 1)
        pool.submit(crowd.read, grey(50), VISITOR)
        until(lambda: crowd.waiting == 4)
        for _ in range(3):
            slow.gate.release()
    assert slow.passes == [[10], [50, 20, 30], [40]]


def test_too_many_are_told_so_and_closing_finishes_what_waits(classifier):
    with ThreadPoolExecutor(8) as pool, Slow(classifier) as slow:
        crowd = Crowd(slow, most=2, waiting=2)
        first = pool.submit(crowd.read, grey(1))
        until(lambda: slow.passes)
        others = [pool.submit(crowd.read, grey(n)) for n in (2, 3)]
        until(lambda: crowd.waiting == 2)
        with pytest.raises(Busy, match="Too many photos"):
            crowd.read(grey(4))
        closing = pool.submit(crowd.close)
        until(lambda: crowd._closed)
        with pytest.raises(Busy, match="stopping"):
            crowd.read(grey(5))
        slow.gate.release(3)
        assert closing.result(30) is None
        assert all(f.result().logits for f in (first, *others))


def test_an_error_reaches_those_who_waited_and_the_next_ones_are_served(classifier):
    crowd = Crowd(classifier)
    with pytest.raises(ValueError):
        crowd.classifier = type("Broken", (), {"size": (96, 64), "read_fitted": _broken})()
        crowd.read(grey(1))
    crowd.classifier = classifier
    assert crowd.read(grey(2)).logits
    crowd.close()


def _broken(self, fitted):
    raise ValueError("out of order")
