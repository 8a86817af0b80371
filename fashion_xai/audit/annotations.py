"""The analyst's annotations: a CSV that survives restarts, and that training can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from fashion_xai.data import files

LABEL_WRONG, MODEL_WRONG, AMBIGUOUS = "label wrong", "model wrong", "ambiguous"
ANNOTATIONS = (LABEL_WRONG, MODEL_WRONG, AMBIGUOUS)


@dataclass(frozen=True)
class Annotation:
    """What an analyst says of one product's label.

    Args:
        id: of the product.
        attribute: the head.
        label: as the catalogue has it.
        suggested: what the model says; with "label wrong" the label it should be.
        annotation: one of :data:`ANNOTATIONS`.
        at: when, ISO 8601 in UTC.
    """

    id: str
    attribute: str
    label: str
    suggested: str
    annotation: str
    at: str = ""


HEADER = [field.name for field in fields(Annotation)]
OLD_HEADER = ["verdict" if name == "annotation" else name for name in HEADER]  # as it was once


def read(path: Path) -> dict[tuple[str, str], Annotation]:
    """(id, attribute) → annotation; the last one counts. No file: none yet.

    Raises:
        ValueError: another header, an unknown annotation or a row of another length; names the row.
    """
    if not path.exists():
        return {}
    rows = files.read_csv(path)
    if not rows or rows[0] not in (HEADER, OLD_HEADER):
        raise ValueError(f"{path}: expected the header {','.join(HEADER)}. Received: {rows[:1]}")
    found: dict[tuple[str, str], Annotation] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(HEADER) or row[4] not in ANNOTATIONS:
            raise ValueError(
                f"{path}, row {number}: expected {len(HEADER)} cells with an annotation of "
                f"{', '.join(ANNOTATIONS)}. Received: {row}"
            )
        annotation = Annotation(*(files.from_csv(cell) for cell in row))
        found[annotation.id, annotation.attribute] = annotation
    return found


def write(path: Path, annotations: Mapping[tuple[str, str], Annotation]) -> None:
    """Write all annotations, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, text(annotations))


def text(annotations: Mapping[tuple[str, str], Annotation]) -> str:
    """The file's content."""
    return files.csv_text(HEADER, [astuple(v) for v in annotations.values()])


def add(path: Path, annotation: Annotation) -> Annotation:
    """Keep one more annotation on disk, in the place of an earlier one on the same label.

    Safe among threads and processes that add to the same file.

    Raises:
        ValueError: an unknown annotation, or a file that holds something else.
    """
    if annotation.annotation not in ANNOTATIONS:
        raise ValueError(f"Expected one of {ANNOTATIONS}. Received: {annotation.annotation!r}")
    stamped = replace(annotation, at=datetime.now(UTC).isoformat(timespec="seconds"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.lock(path):  # several servers may share the file
        known = read(path)
        known.pop((annotation.id, annotation.attribute), None)
        write(path, {**known, (annotation.id, annotation.attribute): stamped})
    return stamped


def remove(path: Path, identity: str, attribute: str) -> bool:
    """Take an annotation back; whether there was one. Safe as :func:`add` is.

    Raises:
        ValueError: a file that holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.lock(path):
        known = read(path)
        if (identity, attribute) not in known:
            return False
        known.pop((identity, attribute))
        write(path, known)
    return True


def corrections(path: Path) -> dict[str, dict[str, str]]:
    """Id → attribute → the label it should be, of the annotations "label wrong".

    Raises:
        ValueError: as :func:`read`.
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Expected annotations of an audit.")
    found: dict[str, dict[str, str]] = {}
    for annotation in read(path).values():
        if annotation.annotation == LABEL_WRONG:
            found.setdefault(annotation.id, {})[annotation.attribute] = annotation.suggested
    return found
