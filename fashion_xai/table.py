"""Which columns of a catalogue's CSV hold what: Kaggle's by default, one's own by flags."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fashion_xai.labels import ATTRIBUTES


@dataclass(frozen=True)
class Table:
    """The shape of a catalogue's table.

    Args:
        columns: attribute → the column that holds its labels. The attributes become the heads.
        file: the table's file name.
        id: the column with the product's id, which is its photo's file name too.
        title: the column with the display name; it may be absent.
    """

    columns: Mapping[str, str] = field(default_factory=lambda: {a: a for a in ATTRIBUTES})
    file: str = "styles.csv"
    id: str = "id"
    title: str = "productDisplayName"

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": dict(self.columns),
            "file": self.file,
            "id": self.id,
            "title": self.title,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Table:
        """The table a bundle was trained on; Kaggle's where its card names none."""
        return cls(**data) if data else cls()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that describe a table."""
    group = parser.add_argument_group("a catalogue of your own")
    add = group.add_argument
    add(
        "--columns",
        type=parse_columns,
        metavar="ATTRIBUTE[=COLUMN],…",
        help="the attributes and, where it is named otherwise, the column of each; fewer or other "
        f"attributes than the usual ones are fine (usual: {','.join(ATTRIBUTES)})",
    )
    add("--table", metavar="FILE", help="name of the table (usual: styles.csv)")
    add("--id-column", metavar="COLUMN", help="column with the id = photo's name (usual: id)")
    add("--title-column", metavar="COLUMN", help="column with the title, last in the table")


def from_arguments(args: argparse.Namespace, usual: Table | None = None) -> Table:
    """The table as the flags of :func:`add_arguments` describe it.

    Args:
        usual: what holds where no flag was given; Kaggle's if None.
    """
    given = {
        "columns": args.columns,
        "file": args.table,
        "id": args.id_column,
        "title": args.title_column,
    }
    return replace(usual or Table(), **{k: v for k, v in given.items() if v is not None})


def parse_columns(text: str) -> dict[str, str]:
    """``gender,articleType=type`` → {"gender": "gender", "articleType": "type"}.

    Raises:
        argparse.ArgumentTypeError: an empty or repeated name, or one that cannot name a head.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        attribute, _, column = (x.strip() for x in part.partition("="))
        if not attribute.isidentifier() or not attribute.isascii():
            raise argparse.ArgumentTypeError(
                f"expected ATTRIBUTE[=COLUMN],…, an attribute of letters, digits and _; "
                f"received {part!r}"
            )
        if attribute in columns:
            raise argparse.ArgumentTypeError(f"attribute {attribute!r} is named twice")
        columns[attribute] = column or attribute
    return columns
