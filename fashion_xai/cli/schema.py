"""The flags that describe a catalogue's table, for every command that reads one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from fashion_xai.data.labels import ATTRIBUTES
from fashion_xai.data.schema import Table, read_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that describe a table."""
    group = parser.add_argument_group("a catalogue of your own")
    add = group.add_argument
    add(
        "--columns",
        type=_columns,
        metavar="ATTRIBUTE[=COLUMN],…",
        help="the attributes and, where it is named otherwise, the column of each; fewer or other "
        f"attributes than the usual ones are fine (usual: {','.join(ATTRIBUTES)})",
    )
    add(
        "--label-column",
        metavar="COLUMN",
        help="the column with a catalogue's own words, which --labels explains",
    )
    add(
        "--labels",
        type=Path,
        nargs="+",
        metavar="MAP.json",
        help='what each word of --label-column allows: {"Pants": {"articleType": ["Jeans", '
        '"Trousers"]}}; "kids=True" as a word adds what it says where the column kids is True',
    )
    add(
        "--group",
        metavar="COLUMN",
        help="products with one value here are never split apart, such as one sender's",
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
        "label": args.label_column,
        "words": None if args.labels is None else read_words(args.labels),
        "group": args.group,
    }
    return replace(usual or Table(), **{k: v for k, v in given.items() if v is not None})


FLAGS = ("columns", "table", "id_column", "title_column", "label_column", "labels", "group")
"""What :func:`add_arguments` adds to the arguments."""


def _columns(text: str) -> dict[str, str]:
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
