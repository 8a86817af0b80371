"""The one folder that uploads and pictures lie in, and the janitor that keeps it small."""

from __future__ import annotations

import ctypes
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

SECONDS = 3600.0
"""How long an upload or a result is kept."""

ROOM = 2_000_000_000
FILES = 2_000
"""Bytes and files kept in all; over them the oldest go first."""


PREFIX, LOCK = "fashion_xai-", ".in-use"
"""Of the folder's name, and the file in it that a living server holds locked."""


class Storage:
    """A temporary folder whose files are deleted by age, number and size.

    Args:
        seconds: how long a file is kept.
        room: bytes in all.
        files: number in all.
    """

    def __init__(self, seconds: float = SECONDS, room: int = ROOM, files: int = FILES):
        self.seconds, self.room, self.files = seconds, room, files
        _remove_orphans()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._in_use = FileLock(self.folder / LOCK)
        self._in_use.acquire()
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
                    if file not in self._kept and file.name != LOCK and file.is_file():
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
        self._in_use.release()
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


def trim() -> None:
    """Give back to the system what the C library holds free: with many threads that is most of it.

    ``malloc_trim`` is the GNU library's; elsewhere nothing happens.
    """
    if sys.platform == "linux" and (release := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        release(0)


def _remove_orphans() -> None:
    """Remove the folders of servers that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with FileLock(lock, timeout=0):
                pass
        except (Timeout, OSError):  # it lives, or is somebody else's
            continue
        shutil.rmtree(lock.parent, ignore_errors=True)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder that a deleted file leaves empty, and its parents below the root."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # something is left in it
            return
        folder = folder.parent
