"""What was left out of a catalogue and why, and what makes it unusable as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class CatalogueError(ValueError):
    """A catalogue that cannot be used as a whole; names the file, the row and what was expected."""


class Rejected(NamedTuple):
    """A row that was left out, and why."""

    row: int
    id: str
    reason: str


def summarise(rejected: Sequence[Rejected], most: int = 5) -> str:
    """One line for a person: the count, and the first ``most`` by row, id and reason."""
    if not rejected:
        return ""
    named = "; ".join(f"row {r.row} (id {r.id}): {r.reason}" for r in rejected[:most])
    more = f"; and {len(rejected) - most} more" if len(rejected) > most else ""
    return f"{len(rejected)} rows left out: {named}{more}"
