"""Results that can be looked at and downloaded for an hour, under addresses nobody guesses."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

SECONDS = 3600
MOST = 200
ROOM = 50_000_000
"""Results and bytes kept at a time; over them the oldest go first."""

PAGE = "page.html"
"""The file that a result's bare address shows."""


class _Result(NamedTuple):
    made: float
    files: Mapping[str, bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))


class Results:
    """Files in memory, several to a result, forgotten after an hour. Safe to share among threads.

    In memory and not on disk: a download needs no temporary file that somebody must delete.
    """

    def __init__(self, seconds: float = SECONDS, most: int = MOST, room: int = ROOM):
        self.seconds, self.most, self.room = seconds, most, room
        self._results: OrderedDict[str, _Result] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, files: Mapping[str, str | bytes]) -> str:
        """Keep files by name; returns the result's name, 128 random bits."""
        name = secrets.token_urlsafe(16)
        coded = {n: x.encode() if isinstance(x, str) else x for n, x in files.items()}
        with self._lock:
            self._results[name] = _Result(time.monotonic(), coded)
            self._forget()
        return name

    def find(self, name: str, file: str = PAGE) -> bytes | None:
        """A file of a result, or None where it never was or is forgotten."""
        with self._lock:
            self._forget()
            result = self._results.get(name)
            return None if result is None else result.files.get(file)

    def sweep(self) -> None:
        """Forget what is too old."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        oldest = time.monotonic() - self.seconds
        size = sum(result.size for result in self._results.values())
        for name, result in list(self._results.items()):
            if result.made > oldest and len(self._results) <= self.most and size <= self.room:
                break
            size -= self._results.pop(name).size
