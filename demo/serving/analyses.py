"""Photos that were read a moment ago: a choice on the page costs no second forward pass.

Nothing here belongs to a session. An analysis is found by its upload's path, which Gradio
checks and names after the file's content; one that was dropped is made again from the file.
"""

from __future__ import annotations

import threading

from cachetools import TTLCache

from demo.serving import request_log
from demo.serving.batcher import DynamicBatcher
from demo.serving.decoder import Decoder
from demo.views import cards
from demo.views.cards import Analysis
from fashion_xai.data.images import ImageError

MOST = 32
"""Analyses kept, of about 1 MB each; the one not asked for longest goes first."""


class Analyses:
    """Safe to share among threads.

    Args:
        decoder: reads the files.
        batcher: runs the network.
        seconds: how long an analysis is kept.
        most: how many.
    """

    def __init__(self, decoder: Decoder, batcher: DynamicBatcher, seconds: float, most: int = MOST):
        self.decoder, self.batcher = decoder, batcher
        self._cache: TTLCache[str, Analysis] = TTLCache(most, seconds)
        self._lock = threading.Lock()

    def of(self, path: str | None, what: str) -> Analysis:
        """The analysis of an upload.

        Args:
            path: as Gradio hands it over; None where nothing was chosen.
            what: for the log.

        Raises:
            ImageError: no photo, one that cannot be used, or one that was deleted since.
            QueueFull: too many photos are waiting.
        """
        if path is None:
            raise ImageError("No photo arrived; please choose a file.")
        with request_log.request(what) as line:
            with self._lock:
                found = self._cache.get(path)
            if found is None:
                found = self.read(path, line)
                with self._lock:
                    self._cache[path] = found
            return found

    def read(self, source: str | bytes, line: request_log.Request) -> Analysis:
        """Decode a photo and run the network, kept nowhere. Raises as :meth:`of`."""
        notes: list[str] = []
        with line.stage("decode"):
            photo = self.decoder.load(source, notes)
        if notes:
            line.facts["notes"] = notes
        line.facts["size"] = list(photo.shape[:2])
        with line.stage("network"):  # waiting for its turn included
            return cards.analyse(photo, self.batcher.read(photo), notes)

    def sweep(self) -> None:
        """Forget what is too old."""
        with self._lock:
            self._cache.expire()
