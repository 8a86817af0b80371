"""Files that others wrote, read with care: what they hold instead is said in a sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from filelock import FileLock


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no JSON, nested too deeply to be read, or something other than an object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path}: expected JSON (it is nested too deeply to be read).") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are
        raise ValueError(f"{path}: expected JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object. Received: {type(found).__name__}")
    return found


def read_csv(path: Path) -> list[list[str]]:
    """All rows of a CSV in UTF-8, the header first.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no UTF-8, or a cell that no CSV reader takes (over 131,072 characters); says
            after which row.
    """
    rows: list[list[str]] = []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows.extend(csv.reader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, after row {len(rows)}: expected a CSV ({error}).") from error
    return rows


def lock(path: Path, timeout: float = -1) -> FileLock:
    """A lock among processes, to hold with ``with`` while ``path`` is read and written.

    Args:
        path: what is guarded; the lock is a hidden file beside it.
        timeout: seconds to wait for it before ``filelock.Timeout``; −1 waits.
    """
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=timeout)
