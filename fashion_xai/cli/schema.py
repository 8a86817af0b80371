"""The flags that describe a catalogue's table, for every command that reads one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.label_matching import describe, unknown_labels
from fashion_xai.data.labels import ATTRIBUTES, Vocabulary
from fashion_xai.data.schema import MISSING_WORDS, Table, read_words
from fashion_xai.data.sources import composed


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
        help='what each word allows: {"Pants": {"articleType": ["Jeans", "Trousers"]}}; of '
        '--label-column, or without it in an attribute\'s own column. "kids=True" as a word of '
        "--label-column adds what it says where the column kids is True",
    )
    add(
        "--group",
        metavar="COLUMN",
        help="products with one value here are never split apart, such as one sender's",
    )
    add(
        "--table",
        metavar="FILE",
        help="name of the table (usual: styles.csv, else the only one that is there)",
    )
    add("--encoding", help="of a CSV, such as cp1250 (usual: found out and said)")
    add("--id-column", metavar="COLUMN", help="column with the id = photo's name (usual: id)")
    add(
        "--photo-column",
        metavar="COLUMN",
        help="column with the photo's path, or in a Parquet its bytes (usual: by the id)",
    )
    add(
        "--title-column",
        metavar="COLUMN",
        help="column with free text, such as the title; commas too many in a row are its own",
    )
    add(
        "--missing",
        nargs="+",
        metavar="WORD",
        help="words that mean that nothing is known, in any case, beside empty cells (usual: "
        f"{' '.join(MISSING_WORDS)})",
    )


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
        "photo": args.photo_column,
        "missing": args.missing,
        "encoding": args.encoding,
    }
    return replace(usual or Table(), **{k: v for k, v in given.items() if v is not None})


FLAGS = (
    "columns",
    "table",
    "id_column",
    "encoding",
    "photo_column",
    "title_column",
    "missing",
    "label_column",
    "labels",
    "group",
)
"""What :func:`add_arguments` adds to the arguments."""


def open_catalogue(
    args: argparse.Namespace,
    usual: Table | None = None,
    vocabulary: Vocabulary | None = None,
) -> Catalogue:
    """The catalogue of ``--data`` as the flags describe it; what was found out is printed.

    Args:
        args: of a parser with ``--data`` and :func:`add_arguments`.
        usual: as of :func:`from_arguments`.
        vocabulary: a bundle's; labels that it does not know are named, with those meant.

    Raises:
        CatalogueError: as :class:`Catalogue`.
    """
    catalogue = Catalogue(args.data, table=from_arguments(args, usual))
    for note in catalogue.notes:
        print(note)
    if vocabulary is not None:
        for line in describe(unknown_labels(catalogue.products, vocabulary)):
            print(line)
        absent = [a for a in vocabulary.attributes if a not in catalogue.table.columns]
        if absent:
            print(f"No column for {', '.join(absent)}, which stay unlabelled")
    return catalogue


def _columns(text: str) -> dict[str, str]:
    """``gender,articleType=type`` → {"gender": "gender", "articleType": "type"}.

    Raises:
        argparse.ArgumentTypeError: an empty or repeated name, or one that cannot name a head.
    """
    columns: dict[str, str] = {}
    for part in composed(text).split(","):
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
