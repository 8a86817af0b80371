"""How a catalogue is laid out: a table beside photos, folders by class, a Hugging Face image
folder, or Parquet with the photos inside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from fashion_xai.data import images, tables
from fashion_xai.data.delimited import Columns, Rows
from fashion_xai.data.labels import ATTRIBUTES
from fashion_xai.data.photos import photo_columns
from fashion_xai.data.rejections import CatalogueError, Rejected
from fashion_xai.data.schema import FILE, Table
from fashion_xai.data.sources import Source, depth
from fashion_xai.data.split import SPLITS

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables of a Hugging Face image folder; each split may have its own."""

FILE_COLUMNS = ("file_name", "filename", "image_path", "path", "file", "image", "photo")
"""Columns that name a photo where the table has no ``id``."""

LABEL_COLUMNS = ("label", "labels", "class", "category")
"""Columns with one label a product, which is its articleType."""

LABEL = LABEL_COLUMNS[0]

SIDES = {
    "train": SPLITS[0], "training": SPLITS[0],
    "val": SPLITS[1], "valid": SPLITS[1], "validation": SPLITS[1], "dev": SPLITS[1],
    "test": SPLITS[2], "testing": SPLITS[2],
}  # fmt: skip
"""Names of folders and Parquet files → the split that they hold."""

USUAL = dict(Table().columns)


@dataclass
class Layout:
    """A catalogue's rows and how they are to be read.

    Args:
        table: the description, completed by what was found.
        names: the files of the table; none where the folders are the table.
        parts: of each file its rows.
        notes: what was found out, for a person.
        photos_inside: whether the table, a Parquet, holds the photos too.
    """

    table: Table
    names: list[str]
    parts: list[Rows]
    notes: list[str]
    photos_inside: bool = False

    def side(self, name: str) -> str:
        """The split that a file of the table, or a photo in class folders, belongs to; ''."""
        return side(name)


def find(source: Source, at: str, table: Table, file: str | None = None) -> Layout:
    """Find out how a catalogue is laid out and read its rows.

    Args:
        source: its files.
        at: where it lies, for messages.
        table: what is known of its table.
        file: the table's name, where it is given as the catalogue.

    Raises:
        CatalogueError: no table and no class folders, several tables, a column that is not there.
    """
    names = [file] if file else _tables(source, at, table.file)
    if not names:
        return _class_folders(source, at, table)
    found_out = PurePosixPath(names[0]).name != FILE and not table.file
    parts = [tables.read(source, name, _columns(table)) for name in names]
    for name, part in zip(names, parts, strict=True):
        if not part.header:
            needed = ", ".join(table.needed)
            raise CatalogueError(f"{at}/{name} is empty. Expected a header with {needed}.")
    notes = [
        f"{name}: {part.format}" for name, part in zip(names, parts, strict=True) if part.format
    ]
    if found_out:
        notes.insert(0, f"The table is {', '.join(names[:4])}{' …' if names[4:] else ''}")
    header = parts[0].header
    parquet = names[0].lower().endswith(".parquet")
    inside = photo_columns(source, names) if parquet else []
    table = _completed(table, header, inside, lenient=found_out or parquet)
    if tuple(table.columns.items()) != tuple(USUAL.items()) and found_out:
        pairs = ", ".join(a if a == c else f"{a} = {c}" for a, c in table.columns.items())
        notes.append(f"Labels: {table.label or pairs}; photos: {table.photo or table.id}")
    for name, part in zip(names, parts, strict=True):
        _check(f"{at}/{name}", [*part.header, *inside], table)
    kept = replace(table, file=None if found_out else table.file)
    return Layout(kept, names, parts, notes, photos_inside=kept.photo in inside)


def _columns(table: Table) -> Columns:
    labels = [table.label] if table.label else list(table.columns.values())
    return Columns(table.needed, labels, table.title, table.title_column, table.encoding)


def _tables(source: Source, at: str, named: str | None) -> list[str]:
    """The files of the table; none where there is no table.

    Raises:
        CatalogueError: the named one is not there, or it cannot be told which is meant.
    """
    names = source.names()
    if named:
        whole = [n for n in names if n == named.removeprefix("./")]
        found = whole or [n for n in names if PurePosixPath(n).name == named]
        if not found:
            there = [n for n in names if _is_table(n)][:4]
            raise CatalogueError(
                f"{at}: no {named}. Tables that are there: {', '.join(there) or 'none'}."
            )
    else:
        found = [n for n in names if n.rpartition("/")[2] == FILE]
        found = found or [n for n in names if n.rpartition("/")[2] in METADATA]
        found = found or [n for n in names if _is_table(n)]
    if not found:
        return []
    nearest = [n for n in found if depth(n) == min(map(depth, found))]  # Kaggle's has a second copy
    if len(nearest) > 1 and not _one_table(nearest):
        raise CatalogueError(
            f"{at}: several tables: {', '.join(nearest[:6])}. --table FILE says which."
        )
    return nearest


def _is_table(name: str) -> bool:
    return name.lower().endswith((*tables.SUFFIXES, ".xls"))


def _one_table(names: Sequence[str]) -> bool:
    """Whether files are parts of one table: Parquet shards, or metadata of each split."""
    paths = [PurePosixPath(n) for n in names]
    if {p.name for p in paths} <= set(METADATA):
        return all(side(n) for n in names)
    if all(p.suffix.lower() == ".parquet" for p in paths):
        return len({p.parent for p in paths}) == 1
    return False


def side(name: str) -> str:
    """The split that a path names: ``train/dress/1.jpg``, ``data/test-00000-of-00001.parquet``."""
    for part in PurePosixPath(name).parts:
        word = re.split(r"[-_.]", part.lower())[0]
        if word in SIDES and (word == part.lower() or part.lower().endswith(".parquet")):
            return SIDES[word]
    return ""


def _completed(table: Table, header: Sequence[str], inside: Sequence[str], lenient: bool) -> Table:
    """The description with what the header tells; nothing that was given is changed."""
    if table.photo is None and inside:
        table = replace(table, photo=inside[0])
    if not lenient:
        return table
    if table.id == Table.id and table.id not in header:
        file = next((c for c in FILE_COLUMNS if c in header), None)
        table = replace(
            table,
            id=file or (tables.ROW if tables.ROW in header else table.id),
            photo=table.photo or file,
        )
    if dict(table.columns) == USUAL and table.label is None:
        own = {a: a for a in ATTRIBUTES if a in header}
        label = next((c for c in LABEL_COLUMNS if c in header), None)
        if own:
            table = replace(table, columns=own)
        elif label and table.words:
            table = replace(table, label=label)
        elif label:
            table = replace(table, columns={"articleType": label})
    return table


def _check(where: str, header: Sequence[str], table: Table) -> None:
    missing = [name for name in table.needed if name not in header]
    if missing:
        hint = _renamed(header, table)
        labels = set(table.columns.values())
        if not hint and set(missing) <= labels and len(missing) < len(table.columns):
            there = [a if a == c else f"{a}={c}" for a, c in table.columns.items() if c in header]
            hint = f". Without: --columns {','.join(there)}"
        raise CatalogueError(
            f"{where}, row 1: no column {', '.join(missing)}. Expected {', '.join(table.needed)}. "
            f"Received: {', '.join(header)}{hint}"
        )
    twice = [name for name in table.needed if list(header).count(name) > 1]
    if twice:
        raise CatalogueError(f"{where}, row 1: column {', '.join(twice)} is there twice.")


def _renamed(header: Sequence[str], table: Table) -> str:
    """The flags that name columns which differ in case, spaces or the like only; '' for none."""

    def bare(name: str) -> str:
        return re.sub(r"[\W_]+", "", name).casefold()

    alike = {bare(name): name for name in header}
    found = {a: alike.get(bare(c)) for a, c in table.columns.items()}
    identity = alike.get(bare(table.id))
    if not identity or (table.label is None and None in found.values()):
        return ""
    pairs = ",".join(a if a == c else f"{a}={c}" for a, c in found.items())
    columns = f" --columns {shlex.quote(pairs)}" if table.label is None else ""
    return f". Perhaps: --id-column {shlex.quote(identity)}{columns}"


def _class_folders(source: Source, at: str, table: Table) -> Layout:
    """Photos in a folder each class, as Keras and torchvision read them."""
    names = [n for n in source.names() if n.lower().endswith(images.SUFFIXES)]
    inside = [n for n in names if depth(n)]
    classes = sorted({PurePosixPath(n).parent.name for n in inside})
    if not inside or (set(classes) <= {"images", *SIDES}):
        raise CatalogueError(
            f"{at}: no {FILE}. Expected {FILE} beside images/ID.jpg, as unpacked from Kaggle; "
            "another table (--table); or a folder of photos for each class."
        )
    homeless = {n for n in names if PurePosixPath(n).parent.name in ("", *SIDES)}
    rejected = [Rejected(0, n, "lies in no class's folder") for n in sorted(homeless)]
    kept = [n for n in names if n not in homeless]
    cells = [
        (place, {"id": name, LABEL: PurePosixPath(name).parent.name})
        for place, name in enumerate(kept, start=1)
    ]
    if dict(table.columns) != USUAL and len(table.columns) == 1:
        table = replace(table, columns=dict.fromkeys(table.columns, LABEL))
    elif dict(table.columns) == USUAL and table.words:
        table = replace(table, label=LABEL)
    elif dict(table.columns) == USUAL:
        table = replace(table, columns={"articleType": LABEL})
    table = replace(table, id="id", photo=None, file=None)
    found = [c for c in classes if c not in ("", *SIDES)]
    some = f"{', '.join(found[:6])}{' …' if found[6:] else ''}"
    rows = Rows(["id", LABEL], cells, rejected)
    return Layout(table, [], [rows], [f"Folders by class, {len(found)} of them: {some}"])
