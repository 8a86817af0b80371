"""Tags: an analyst's own names for groups of products; a CSV that survives restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fashion_xai.data import files

HEADER = ["id", "tag"]

LONGEST = 60
"""Characters of a tag."""


def read(path: Path) -> dict[str, list[str]]:
    """Tag → ids, in the order in which they were given. No file: none yet.

    Raises:
        ValueError: another header, or a row of another length; names the row.
    """
    if not path.exists():
        return {}
    found: dict[str, list[str]] = {}
    for identity, tag in files.read_table(path, HEADER):
        found.setdefault(tag, []).append(identity)
    return found


def add(path: Path, tag: str, ids: Iterable[str]) -> int:
    """Give products a tag; how many did not have it. Safe among threads and processes.

    Raises:
        ValueError: an empty or too long tag, or a file that holds something else.
    """
    tag = tag.strip()
    if not tag or len(tag) > LONGEST:
        raise ValueError(f"Expected a tag of 1 to {LONGEST} characters. Received: {tag!r}")
    return _change(path, tag, lambda known: [*dict.fromkeys([*known, *ids])])


def remove(path: Path, tag: str, ids: Iterable[str]) -> int:
    """Take a tag from products; how many had it. Safe as :func:`add` is."""
    gone = {*ids}
    return _change(path, tag.strip(), lambda known: [x for x in known if x not in gone])


def _change(path: Path, tag: str, change) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.lock(path):  # several servers may share the file
        known = read(path)
        before: Sequence[str] = known.get(tag, [])
        known[tag] = change(before)
        rows = [[identity, name] for name, ids in known.items() for identity in ids]
        files.write(path, files.csv_text(HEADER, rows))
    return abs(len(known[tag]) - len(before))
