"""Visitors' photos are decoded in processes of their own, bounded in time, memory and number.

A file may be made to keep a decoder busy for minutes or to blow up a thousandfold. Here it costs a
worker, which is ended and replaced, and its sender a sentence.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from demo.serving.queue_full import QueueFull
from fashion_xai.data import images
from fashion_xai.data.images import ImageError

SECONDS = 10.0
"""For one photo. The largest honest one, 50 megapixels of PNG, takes about two."""

SMALL = 16_000_000
"""Pixels up to which a photo shares the fast lane; what phones take is below."""

MEMORY = 1_000_000_000
"""Bytes a worker may hold: a photo of 50 megapixels needs under half of it."""

WAITING = 128
"""Photos that may be decoded or wait for it; a good one takes some milliseconds."""

LARGE = 4
"""The same in the lane of large photos: whoever waits there holds one of the server's threads."""

GONE = "The photo is no longer here; uploads are kept for a limited time. Choose it again."


class Decoder:
    """Reads pictures as ``images.load`` does, in worker processes. Safe to share among threads.

    Photos of up to :data:`SMALL` pixels have a lane of ``workers`` processes; larger ones queue
    for a single one, so that a few of them neither fill the memory nor hold up the others.

    Args:
        workers: of the fast lane.
        seconds: after which a worker is ended.
        memory: bytes a worker may hold, where the system can limit it.
        waiting: photos that may wait before :class:`QueueFull` is raised.
        large: of them in the lane of large ones.
    """

    def __init__(
        self,
        workers: int = 2,
        seconds: float = SECONDS,
        memory: int = MEMORY,
        waiting: int = WAITING,
        large: int = LARGE,
    ):
        self._room = threading.BoundedSemaphore(waiting)
        self._room_large = threading.BoundedSemaphore(large)
        self._fast, self._large = (_Lane(n, memory, seconds) for n in (workers, 1))

    def load(self, source: bytes | str, notes: list[str] | None = None) -> np.ndarray:
        """A picture as uint8 RGB (H, W, 3).

        Args:
            source: encoded bytes, or the path of an upload; the worker reads that itself.
            notes: as of ``images.load``.

        Raises:
            ImageError: as ``images.load``, or the time or the memory was not enough.
            QueueFull: too many photos are waiting.
        """
        with _place(self._room):
            if isinstance(source, str) and not Path(source).is_file():
                raise ImageError(GONE)
            found = self._fast.ask(_load, source, SMALL)
            if found is None:
                with _place(self._room_large):
                    found = self._large.ask(_load, source, None)
        assert found is not None  # the second lane takes every size
        photo, said = found
        if notes is not None:
            notes += said
        return photo

    def warm_up(self) -> None:
        """Start the fast lane's processes before the first visitor waits for them."""
        self._fast.ask(_confined)

    def close(self) -> None:
        """End the workers."""
        self._fast.close()
        self._large.close()


class _Lane:
    """A pool of confined processes, made anew where it breaks down as a whole."""

    def __init__(self, workers: int, memory: int, seconds: float):
        self.workers, self.memory, self.seconds = workers, memory, seconds
        self._lock = threading.Lock()
        self._pool = self._made()

    def ask(self, work: Callable[..., Any], *args: Any) -> Any:
        """``work(*args)`` in a worker. Raises what it raises; ``ImageError`` where it is ended."""
        try:
            return self._scheduled(work, args).result()
        except TimeoutError:
            raise ImageError(
                f"The photo takes more than {self.seconds:.0f} s to decode; it is refused."
            ) from None
        except (ProcessExpired, BrokenProcessPool, MemoryError):
            raise ImageError(
                "The photo cannot be decoded with the memory there is; send a smaller one."
            ) from None

    def close(self) -> None:
        self._pool.stop()
        self._pool.join()

    def _scheduled(self, work: Callable[..., Any], args: Sequence[Any]) -> ProcessFuture:
        with self._lock:
            try:
                return self._pool.schedule(work, args=args, timeout=self.seconds)
            except RuntimeError:  # a worker died where the pool does not expect it
                self._pool = self._made()
                return self._pool.schedule(work, args=args, timeout=self.seconds)

    def _made(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.workers,
            max_tasks=1000,  # a fresh process now and then: decoders leak
            initializer=_confine,
            initargs=[self.memory, os.getpid()],
            # Not forked: the server's threads and TensorFlow's state would come along.
            context=multiprocessing.get_context("spawn"),
        )


@contextmanager
def _place(room: threading.BoundedSemaphore) -> Iterator[None]:
    if not room.acquire(blocking=False):
        raise QueueFull("Too many photos are waiting; please try again in a few seconds.")
    try:
        yield
    finally:
        room.release()


def _load(source: bytes | str, most: int | None) -> tuple[np.ndarray, list[str]] | None:
    """Runs in a worker: the picture and what is to be said of it, or None where it has more pixels
    than this lane takes."""
    if most is not None and images.pixels(source) > most:
        return None
    notes: list[str] = []
    return images.load(source, notes), notes


def _confined() -> bool:
    """Runs in a worker: that it answers."""
    return True


def _confine(memory: int, parent: int) -> None:
    """Runs once in each worker: little memory, one thread, an end when the server is gone."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)  # of the server, by --max-memory
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # an orphan gets another parent
        time.sleep(2)
    os._exit(1)
