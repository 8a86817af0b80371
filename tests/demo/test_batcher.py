"""Many visitors and one model: everyone gets their own answer, visitors before batches."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from demo.serving.batcher import BULK, VISITOR, DynamicBatcher, QueueFull
from examples import garments


@pytest.fixture
def classifier(small):
    return small


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
    batcher = DynamicBatcher(classifier)
    with ThreadPoolExecutor(24) as pool:
        forward_passes = list(pool.map(batcher.read, photos * 2))
    for photo, forward_pass in zip(photos * 2, forward_passes, strict=True):
        (alone,) = classifier.read([photo])
        for head, logits in alone.logits.items():
            np.testing.assert_allclose(forward_pass.logits[head], logits, atol=1e-4)
    batcher.close()


def test_waiting_photos_share_a_pass_and_visitors_go_first(classifier):
    with ThreadPoolExecutor(8) as pool, Slow(classifier) as slow:
        batcher = DynamicBatcher(slow, max_batch_size=3)
        pool.submit(batcher.read, grey(10))
        until(lambda: slow.passes)  # the first one is being read
        for level in (20, 30, 40):
            pool.submit(batcher.read, grey(level), BULK)
            until(lambda n=level: batcher.waiting == n // 10 - 1)
        pool.submit(batcher.read, grey(50), VISITOR)
        until(lambda: batcher.waiting == 4)
        for _ in range(3):
            slow.gate.release()
    assert slow.passes == [[10], [50, 20, 30], [40]]


def test_too_many_are_told_so_and_closing_finishes_what_waits(classifier):
    with ThreadPoolExecutor(8) as pool, Slow(classifier) as slow:
        batcher = DynamicBatcher(slow, max_batch_size=2, waiting=2)
        first = pool.submit(batcher.read, grey(1))
        until(lambda: slow.passes)
        others = [pool.submit(batcher.read, grey(n)) for n in (2, 3)]
        until(lambda: batcher.waiting == 2)
        with pytest.raises(QueueFull, match="Too many photos"):
            batcher.read(grey(4))
        closing = pool.submit(batcher.close)
        until(lambda: batcher._closed)
        with pytest.raises(QueueFull, match="stopping"):
            batcher.read(grey(5))
        slow.gate.release(3)
        assert closing.result(30) is None
        assert all(f.result().logits for f in (first, *others))


def test_an_error_reaches_those_who_waited_and_the_next_ones_are_served(classifier):
    batcher = DynamicBatcher(classifier)
    with pytest.raises(ValueError):
        batcher.classifier = type("Broken", (), {"size": (96, 64), "read_fitted": _broken})()
        batcher.read(grey(1))
    batcher.classifier = classifier
    assert batcher.read(grey(2)).logits
    batcher.close()


def _broken(self, fitted):
    raise ValueError("out of order")
