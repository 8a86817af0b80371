"""The one folder that uploads and pictures lie in, and the janitor that keeps it small."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 3600.0
"""How long an upload or a result is kept."""

ROOM = 2_000_000_000
FILES = 2_000
"""Bytes and files kept in all; over them the oldest go first."""


class Storage:
    """A temporary folder whose files are deleted by age, number and size.

    Args:
        seconds: how long a file is kept.
        room: bytes in all.
        files: number in all.
    """

    def __init__(self, seconds: float = SECONDS, room: int = ROOM, files: int = FILES):
        self.seconds, self.room, self.files = seconds, room, files
        self.folder = Path(tempfile.mkdtemp(prefix="fashion_xai-"))
        self._kept: set[Path] = set()
        self._lock = threading.Lock()

    def keep_what_is_there(self) -> None:
        """What lies in the folder now, such as the examples, belongs to the page and stays."""
        self._kept = {file for file in self.folder.rglob("*") if file.is_file()}

    def sweep(self, coming: int = 0) -> int:
        """Delete what is too old, and the oldest while there is too much.

        Args:
            coming: bytes that are about to be written and need room.

        Returns:
            How many files are left, those of the page excepted.
        """
        with self._lock:
            found = []
            for file in self.folder.rglob("*"):
                try:
                    if file not in self._kept and file.is_file():
                        found.append((file.stat().st_mtime, file.stat().st_size, file))
                except OSError:  # gone while we looked
                    continue
            found.sort()
            size, left = coming + sum(s for _, s, _ in found), len(found)
            oldest = time.time() - self.seconds
            for changed, bytes_, file in found:
                if changed >= oldest and size <= self.room and left <= self.files:
                    break
                file.unlink(missing_ok=True)
                _remove_empty(file.parent, self.folder)
                size, left = size - bytes_, left - 1
            return left

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Janitor:
    """Calls ``chores`` again and again in a thread of its own, until it is closed.

    Args:
        seconds: between two rounds.
    """

    def __init__(self, seconds: float, *chores: Callable[[], object]):
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, args=[seconds, chores], daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _work(self, seconds: float, chores: tuple[Callable[[], object], ...]) -> None:
        while not self._end.wait(seconds):
            for chore in chores:
                chore()


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder that a deleted file leaves empty, and its parents below the root."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # something is left in it
            return
        folder = folder.parent
