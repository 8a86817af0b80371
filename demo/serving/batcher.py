"""One model for many visitors: photos that wait are read in one forward pass."""

from __future__ import annotations

import itertools
import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from demo.serving.queue_full import QueueFull
from fashion_xai import FashionClassifier
from fashion_xai.data import images
from fashion_xai.models.outputs import ForwardPass

MAX_BATCH_SIZE = 4
"""Photos in a forward pass, one core each. On 2 cores a crowd of 32 got 28 photos/s so, 24 to 27 by
passes of 1 and 2, and 21 to 26 by one pass of 1, 4 or 16 at a time on both (make bench-demo)."""

WAITING = 256
"""Photos that may wait; about two seconds of work."""

VISITOR, BULK = 0, 1
"""How urgent a photo is: somebody looks at the page, or a batch is worked off."""


class _Waiting(NamedTuple):
    urgency: int
    number: int
    fitted: tuple[np.ndarray, images.Box] | None
    answer: Future


class DynamicBatcher:
    """Hands photos of many threads to the few that run the network.

    While the forward passes run, the photos that arrive wait together and make up the next ones:
    nobody waits for a batch to fill. Visitors' photos go before those of batches, which fill up
    what room is left.

    Args:
        classifier: that reads the photos.
        max_batch_size: photos in one pass.
        waiting: photos that may wait before :class:`QueueFull` is raised.
        workers: forward passes at a time.
    """

    def __init__(
        self,
        classifier: FashionClassifier,
        max_batch_size: int = MAX_BATCH_SIZE,
        waiting: int = WAITING,
        workers: int = 1,
    ):
        self.classifier, self.max_batch_size, self.room = classifier, max_batch_size, waiting
        self._queue: queue.PriorityQueue[_Waiting] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"network-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Photos that wait now."""
        return self._queue.qsize()

    def read(self, photo: np.ndarray, urgency: int = VISITOR) -> ForwardPass:
        """Wait for a photo's turn and its forward pass; see :meth:`submit`."""
        return self.submit(photo, urgency).result()

    def submit(self, photo: np.ndarray, urgency: int = VISITOR) -> Future[ForwardPass]:
        """Let a photo wait for its turn; its forward pass comes later.

        Args:
            photo: uint8 RGB (height, width, 3), see ``images.load``.
            urgency: VISITOR or BULK.

        Raises:
            QueueFull: too many photos are waiting, or the server is about to stop.
        """
        if self._closed:
            raise QueueFull("The server is stopping; please try again in a minute.")
        if self.waiting >= self.room:
            raise QueueFull("Too many photos are waiting; please try again in a few seconds.")
        fitted = images.letterbox(photo, self.classifier.size)
        answer: Future[ForwardPass] = Future()
        self._queue.put(_Waiting(urgency, next(self._numbers), fitted, answer))
        return answer

    def close(self) -> None:
        """Finish what waits, take nothing more, and return when all is done."""
        self._closed = True
        for _ in self._threads:
            self._queue.put(_Waiting(BULK + 1, next(self._numbers), None, Future()))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < self.max_batch_size and batch[-1].fitted is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            photos = [w for w in batch if w.fitted is not None]
            if photos:
                self._answer(photos)
            if len(photos) < len(batch):
                return

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            forward_passes = self.classifier.read_fitted([w.fitted for w in batch if w.fitted])
        except BaseException as error:  # each waiting thread raises it; this one serves on
            for w in batch:
                w.answer.set_exception(error)
            return
        for w, forward_pass in zip(batch, forward_passes, strict=True):
            w.answer.set_result(forward_pass)
