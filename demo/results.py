"""Results that can be looked at again for an hour, under addresses nobody guesses."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict

SECONDS = 3600
MOST = 200
"""Results kept at a time; each is about 100 KB."""


class Results:
    """A page per result, forgotten after an hour. Safe to share between threads."""

    def __init__(self, seconds: float = SECONDS, most: int = MOST):
        self.seconds, self.most = seconds, most
        self._pages: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, page: str) -> str:
        """Keep a whole HTML page; returns its name, 128 random bits."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._pages[name] = (time.monotonic(), page)
            while len(self._pages) > self.most:
                self._pages.popitem(last=False)
        return name

    def find(self, name: str) -> str | None:
        """The page, or None where it never was or is forgotten."""
        with self._lock:
            made, page = self._pages.get(name, (-self.seconds, ""))
            if time.monotonic() - made < self.seconds:
                return page
            self._pages.pop(name, None)
            return None
