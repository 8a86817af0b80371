"""The analyst's verdicts: a CSV that survives restarts, and that training can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from fashion_xai.data import files

LABEL_WRONG, MODEL_WRONG, AMBIGUOUS = "label wrong", "model wrong", "ambiguous"
VERDICTS = (LABEL_WRONG, MODEL_WRONG, AMBIGUOUS)


@dataclass(frozen=True)
class Verdict:
    """What an analyst says of one product's label.

    Args:
        id: of the product.
        attribute: the head.
        label: as the catalogue has it.
        suggested: what the model says; with "label wrong" the label it should be.
        verdict: one of :data:`VERDICTS`.
        at: when, ISO 8601 in UTC.
    """

    id: str
    attribute: str
    label: str
    suggested: str
    verdict: str
    at: str = ""


HEADER = [field.name for field in fields(Verdict)]


def read(path: Path) -> dict[tuple[str, str], Verdict]:
    """(id, attribute) → verdict; the last one counts. No file: none yet.

    Raises:
        ValueError: another header, an unknown verdict or a row of another length; names the row.
    """
    if not path.exists():
        return {}
    rows = files.read_csv(path)
    if not rows or rows[0] != HEADER:
        raise ValueError(f"{path}: expected the header {','.join(HEADER)}. Received: {rows[:1]}")
    found: dict[tuple[str, str], Verdict] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(HEADER) or row[4] not in VERDICTS:
            raise ValueError(
                f"{path}, row {number}: expected {len(HEADER)} cells with a verdict of "
                f"{', '.join(VERDICTS)}. Received: {row}"
            )
        verdict = Verdict(*(files.from_csv(cell) for cell in row))
        found[verdict.id, verdict.attribute] = verdict
    return found


def write(path: Path, verdicts: Mapping[tuple[str, str], Verdict]) -> None:
    """Write all verdicts, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, files.csv_text(HEADER, [astuple(v) for v in verdicts.values()]))


def add(path: Path, verdict: Verdict) -> Verdict:
    """Keep one more verdict on disk, in the place of an earlier one on the same label.

    Safe among threads and processes that add to the same file.

    Raises:
        ValueError: an unknown verdict, or a file that holds something else.
    """
    if verdict.verdict not in VERDICTS:
        raise ValueError(f"Expected one of {VERDICTS}. Received: {verdict.verdict!r}")
    stamped = replace(verdict, at=datetime.now(UTC).isoformat(timespec="seconds"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.lock(path):  # several servers may share the file
        known = read(path)
        known.pop((verdict.id, verdict.attribute), None)
        write(path, {**known, (verdict.id, verdict.attribute): stamped})
    return stamped


def corrections(path: Path) -> dict[str, dict[str, str]]:
    """Id → attribute → the label it should be, of the verdicts "label wrong".

    Raises:
        ValueError: as :func:`read`.
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Expected verdicts of an audit.")
    found: dict[str, dict[str, str]] = {}
    for verdict in read(path).values():
        if verdict.verdict == LABEL_WRONG:
            found.setdefault(verdict.id, {})[verdict.attribute] = verdict.suggested
    return found
