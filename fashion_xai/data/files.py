"""Files read with care, and written whole or not at all: JSON, CSV with inert cells, locks."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""


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
    """All rows of a CSV in UTF-8, the header first; in Unicode's composed form (NFC).

    Raises:
        FileNotFoundError: no such file.
        ValueError: no UTF-8, or a cell that no CSV reader takes (over 131,072 characters); says
            after which row.
    """
    rows: list[list[str]] = []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows.extend(
                [unicodedata.normalize("NFC", cell) for cell in r] for r in csv.reader(file)
            )
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, after row {len(rows)}: expected a CSV ({error}).") from error
    return rows


def read_table(path: Path, header: Sequence[str]) -> list[list[str]]:
    """The rows of a CSV that :func:`csv_text` wrote, below its header, each cell as it was.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as of :func:`read_csv`, another header, or a row of another length; names it.
    """
    rows = read_csv(path)
    if rows[:1] != [list(header)]:
        raise ValueError(f"{path}: expected the header {','.join(header)}. Received: {rows[:1]}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ValueError(f"{path}, row {number}: expected {len(header)} cells. Received: {row}")
    return [[from_csv(cell) for cell in row] for row in rows[1:]]


def write(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all; nothing is left of a write that fails.

    Text is UTF-8 on every machine. What has no place in it, the bytes of a file's name that is no
    text, is written as JSON and Python escape it: one odd name costs no other line.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data.encode(errors="backslashreplace") if isinstance(data, str) else data)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV as text. A cell that a spreadsheet would take for a formula gets an apostrophe before
    it (OWASP, CSV injection); line breaks inside cells stay, quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_inert(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def from_csv(cell: str) -> str:
    """A cell of :func:`csv_text` as it was."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _inert(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def lock(path: Path, timeout: float = -1) -> FileLock:
    """A lock among processes, to hold with ``with`` while ``path`` is read and written.

    Args:
        path: what is guarded; the lock is a hidden file beside it.
        timeout: seconds to wait for it before ``filelock.Timeout``; −1 waits.
    """
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=timeout)
