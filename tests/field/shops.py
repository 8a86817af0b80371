"""Drawn catalogues in the shapes that people have them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path


def rows_of(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a drawn catalogue's table."""
    with (folder / "styles.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def shop(
    drawn: Path,
    to: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    name: str = "styles.csv",
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """A copy of the drawn photos with another table."""
    shutil.copytree(drawn / "images", to / "images", dirs_exist_ok=True)
    with (to / name).open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return to


def written(drawn: Path, to: Path, text: str | bytes, name: str = "styles.csv") -> Path:
    """A copy of the drawn photos with a table as it is given."""
    shutil.copytree(drawn / "images", to / "images", dirs_exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    (to / name).write_bytes(data)
    return to
