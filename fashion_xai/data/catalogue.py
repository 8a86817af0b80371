"""Read a catalogue: ``styles.csv`` beside ``images/``, in a folder or in a zip.

Every row becomes a :class:`Product` or a :class:`Rejected` with its reason; none vanishes.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from fashion_xai.data import images
from fashion_xai.data.schema import Table

NOT_A_LABEL = ("", "NA")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class CatalogueError(ValueError):
    """A catalogue that cannot be used as a whole; names the file, the row and what was expected."""


@dataclass(frozen=True)
class Product:
    """One row of the table.

    Args:
        id: the product's id, which is also its photo's file name.
        row: line of the table, counted from 1 with the header.
        labels: attribute → label, None where missing or one of several.
        title: the display name as written, commas included.
        one_of: attribute → labels of which one is true and nobody says which, two or more, sorted:
            "Pants" may be Jeans or Trousers.
        group: products of one group, such as one sender's, never lie on two sides of a split; ''
            for none.
        word: of the catalogue's own, where a label map explains it; '' otherwise.
    """

    id: str
    row: int
    labels: dict[str, str | None]
    title: str = ""
    one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group: str = ""
    word: str = ""

    @property
    def labelled(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.one_of) or any(label is not None for label in self.labels.values())


class Rejected(NamedTuple):
    """A row that was left out, and why."""

    row: int
    id: str
    reason: str


class Catalogue:
    """A labelled set of product photos. Photos are read on demand; safe to share by threads.

    Args:
        data: folder or zip with ``styles.csv`` and ``images/ID.jpg`` (at any depth in a zip).
        images_from: optional second folder or zip; where it has a photo of an id, that one
            is used instead (larger photos of the same products).
        table: names of the table and its columns; Kaggle's if None.

    Raises:
        CatalogueError: no table, a missing column, a duplicated id, no usable row.

    >>> Catalogue("demo/examples")
    Traceback (most recent call last):
    fashion_xai.data.catalogue.CatalogueError: ...
    """

    def __init__(
        self,
        data: str | PathLike,
        images_from: str | PathLike | None = None,
        table: Table | None = None,
    ):
        self.source = Path(data)
        self.table = table or Table()
        self._files = _open(self.source)
        name = _find_table(self._files.names(), self.source, self.table.file)
        where = f"{self.source}/{name}"
        rows, self.rejected = _parse(self._files.read(name), where, self.table)
        beside = PurePosixPath(name).parent / "images"
        self._photos = {i: (self._files, name) for i, name in _photos(self._files, beside).items()}
        self.replaced: frozenset[str] = frozenset()
        """Ids whose photo comes from ``images_from``."""
        if images_from is not None:
            self._replace_photos(Path(images_from), {product.id for product in rows})
        self.products = [product for product in rows if product.id in self._photos]
        self.rejected += [
            Rejected(product.row, product.id, f"no photo images/{product.id}.jpg")
            for product in rows
            if product.id not in self._photos
        ]
        if not self.products:
            raise CatalogueError(
                f"{self.source}: none of the {len(rows)} rows has a photo. "
                f"Expected {beside}/ID.jpg, such as {beside}/{rows[0].id}.jpg."
            )

    def __len__(self) -> int:
        return len(self.products)

    def read(self, product: Product) -> bytes:
        """The photo's encoded bytes.

        Raises:
            images.ImageError: the file cannot be read or is over ``images.MAX_BYTES``.
        """
        files, name = self._photos[product.id]
        return files.read(name, limit=images.MAX_BYTES)

    def photo(self, product: Product) -> np.ndarray:
        """The photo as uint8 RGB (H, W, 3). Raises ``images.ImageError`` as ``images.load``."""
        return images.load(self.read(product))

    def stamp(self, product: Product) -> str:
        """Changes when the photo's file changes."""
        files, name = self._photos[product.id]
        return f"{name}:{files.stamp(name)}"

    def rejected_summary(self, most: int = 5) -> str:
        """How many rows were left out, and the first of them by name; '' for none."""
        return summarise(self.rejected, most)

    def _replace_photos(self, source: Path, ids: set[str]) -> None:
        other = _open(source)
        larger = {i: name for i, name in _photos(other).items() if i in ids}
        if not larger:
            raise CatalogueError(
                f"{source}: no photo of any product of {self.source}. Expected files named ID.jpg."
            )
        self.replaced = frozenset(larger)
        self._photos.update({i: (other, name) for i, name in larger.items()})


def summarise(rejected: Sequence[Rejected], most: int = 5) -> str:
    """One line for a person: the count, and the first ``most`` by row, id and reason."""
    if not rejected:
        return ""
    named = "; ".join(f"row {r.row} (id {r.id}): {r.reason}" for r in rejected[:most])
    more = f"; and {len(rejected) - most} more" if len(rejected) > most else ""
    return f"{len(rejected)} rows left out: {named}{more}"


class _Folder:
    def __init__(self, root: Path):
        self.root = root

    def names(self) -> list[str]:
        return sorted(p.relative_to(self.root).as_posix() for p in self.root.rglob("*.*"))

    def read(self, name: str, limit: int | None = None) -> bytes:
        path = self.root / name
        if limit is not None and path.stat().st_size > limit:
            raise images.ImageError(f"{name} is larger than {limit / 1e6:.0f} MB.")
        return path.read_bytes()

    def stamp(self, name: str) -> str:
        stat = (self.root / name).stat()
        return f"{stat.st_size}:{stat.st_mtime_ns}"


class _Zip:
    def __init__(self, path: Path):
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise CatalogueError(f"{path}: expected a folder or a zip file ({error}).") from error
        self._path = path

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        return {info.filename: info for info in self._zip.infolist()}

    def names(self) -> list[str]:
        return sorted(self._infos)

    def read(self, name: str, limit: int | None = None) -> bytes:
        if limit is not None and self._infos[name].file_size > limit:
            raise images.ImageError(f"{name} is larger than {limit / 1e6:.0f} MB.")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as error:  # type: ignore[attr-defined]
            raise images.ImageError(f"{name} is damaged inside {self._path} ({error}).") from error

    def stamp(self, name: str) -> str:
        return f"{self._infos[name].file_size}:{self._infos[name].CRC}"


def _open(path: Path) -> _Folder | _Zip:
    if path.is_dir():
        return _Folder(path)
    if path.is_file():
        return _Zip(path)
    raise CatalogueError(f"{path}: no such folder or zip file.")


def _find_table(names: Sequence[str], source: Path, file: str) -> str:
    tables = [name for name in names if PurePosixPath(name).name == file]
    if not tables:
        raise CatalogueError(
            f"{source}: no {file}. Expected {file} beside images/ID.jpg, as unpacked from Kaggle."
        )
    return min(tables, key=lambda name: (name.count("/"), name))  # Kaggle's zip holds a second copy


def _photos(files: _Folder | _Zip, below: PurePosixPath | None = None) -> dict[str, str]:
    """Id → name of its photo; with ``below`` only those right in that folder."""
    found: dict[str, str] = {}
    for name in files.names():
        path = PurePosixPath(name)
        if path.suffix.lower() in SUFFIXES and (below is None or path.parent == below):
            found.setdefault(path.stem, name)
    return found


def _parse(data: bytes, where: str, table: Table) -> tuple[list[Product], list[Rejected]]:
    try:
        # Not splitlines(): titles may hold form feeds or Unicode line separators.
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatalogueError(f"{where}, row {line}: expected UTF-8 text ({error}).") from error
    needed = table.needed
    if not any(line.strip() for line in lines):
        raise CatalogueError(f"{where} is empty. Expected a header with {', '.join(needed)}.")
    header = [name.strip() for name in _fields(lines[0])]
    missing = [name for name in needed if name not in header]
    if missing:
        raise CatalogueError(
            f"{where}, row 1: no column {', '.join(missing)}. Expected {', '.join(needed)}. "
            f"Received: {', '.join(header)}"
        )
    products: list[Product] = []
    rejected: list[Rejected] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        if max(map(len, text.split(","))) > csv.field_size_limit():
            reason = f"a cell of over {csv.field_size_limit():,} characters"
            rejected.append(Rejected(number, text.split(",")[0][:80], reason))
            continue
        row = _row(text, header)
        if len(row) < len(header):
            reason = f"expected {len(header)} columns, received {len(row)}"
            rejected.append(Rejected(number, row[0], reason))
            continue
        cells = dict(zip(header, row, strict=True))
        identity = cells[table.id].strip()
        if not identity:
            rejected.append(Rejected(number, "", "no id"))
            continue
        if identity in seen:
            raise CatalogueError(
                f"{where}, row {number}: id {identity} is in row {seen[identity]} already. "
                "Expected every id once."
            )
        seen[identity] = number
        try:
            labels, one_of = _split(table.labels_of(cells))
        except ValueError as error:
            rejected.append(Rejected(number, identity, str(error)))
            continue
        title, group = cells.get(table.title, ""), cells.get(table.group or "", "").strip()
        word = cells.get(table.label or "", "").strip()
        products.append(Product(identity, number, labels, title, one_of, group, word))
    if not products:
        raise CatalogueError(f"{where} has no row with {len(header)} columns below its header.")
    return products, rejected


def _row(line: str, header: Sequence[str]) -> list[str]:
    """Cells of a line; commas beyond the header's count belong to the last column, the title."""
    cells = _fields(line)
    if len(cells) > len(header):
        keep = len(header) - 1
        cells = [*cells[:keep], ",".join(cells[keep:])]
    return cells


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:  # a stray quote, as in: 15" laptop bag
        return line.split(",")


def _split(
    found: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str | None], dict[str, tuple[str, ...]]]:
    """Attribute → allowed labels, as (labels that are known, labels of which one is true)."""
    kept = {a: sorted({x.strip() for x in words} - set(NOT_A_LABEL)) for a, words in found.items()}
    labels = {a: words[0] if len(words) == 1 else None for a, words in kept.items()}
    return labels, {a: tuple(words) for a, words in kept.items() if len(words) > 1}
