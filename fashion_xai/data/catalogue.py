"""Read a catalogue: a table and its photos, in a folder or in a zip.

Every row becomes a :class:`Product` or a :class:`Rejected` with its reason; none vanishes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from fashion_xai.data import layouts, tables
from fashion_xai.data.delimited import Rows
from fashion_xai.data.layouts import Layout
from fashion_xai.data.photos import ParquetPhotos, Photos, ProductPhotos
from fashion_xai.data.products import Product
from fashion_xai.data.rejections import CatalogueError, Rejected, summarise
from fashion_xai.data.schema import Table
from fashion_xai.data.sources import Folder, Source, is_address, location, open_source

__all__ = ["Catalogue", "CatalogueError", "Product", "Rejected", "summarise"]


class Catalogue:
    """A labelled set of product photos. Photos are read on demand; safe to share by threads.

    Args:
        data: a folder or zip with a table and photos (``styles.csv`` and ``images/ID.jpg``, or as
            :mod:`fashion_xai.data.layouts` finds them), or a table with photos beside it; or the
            address of such a folder or table (:mod:`fashion_xai.data.remote`).
        images_from: optional second folder or zip; where it has a photo of an id, that one
            is used instead (larger photos of the same products).
        table: names of the table and its columns; Kaggle's, or what is there, if None.

    Attributes:
        table: the description, completed by what was found.
        notes: what was found out about the table, one sentence each, for a person.
        rejected: the rows that were left out.

    Raises:
        CatalogueError: no table, a missing column, a duplicated id, no usable row.

    >>> Catalogue("demo/examples")
    Traceback (most recent call last):
    fashion_xai.data.rejections.CatalogueError: ...
    """

    def __init__(
        self,
        data: str | PathLike,
        images_from: str | PathLike | None = None,
        table: Table | None = None,
    ):
        self.source = location(os.fspath(data))
        self._files, file = _files(self.source)
        layout = layouts.find(self._files, str(self.source), table or Table(), file)
        rows, self.rejected = _products(layout, str(self.source))
        self.table, self.notes = layout.table, layout.notes
        places = self._find_photos(layout, rows)
        self.replaced: frozenset[str] = frozenset()
        """Ids whose photo comes from ``images_from``."""
        if images_from is not None:
            places |= self._larger(location(os.fspath(images_from)), [p for p, _ in rows])
        self.photos = ProductPhotos(places)
        self.products = [product for product, _ in rows if product.id in places]
        if not self.products:
            why = f"{self.rejected[-1].reason}. Received: {_some_photos(self._files)}"
            raise CatalogueError(f"{self.source}: none of the {len(rows)} rows has a photo; {why}")

    def __len__(self) -> int:
        return len(self.products)

    def read(self, product: Product) -> bytes:
        """As of :class:`fashion_xai.data.photos.ProductPhotos`."""
        return self.photos.read(product)

    def photo(self, product: Product, notes: list[str] | None = None) -> np.ndarray:
        """As of :class:`fashion_xai.data.photos.ProductPhotos`."""
        return self.photos.photo(product, notes)

    def stamp(self, product: Product) -> str:
        """As of :class:`fashion_xai.data.photos.ProductPhotos`."""
        return self.photos.stamp(product)

    def rejected_summary(self, most: int = 5) -> str:
        """How many rows were left out, and the first of them by name; '' for none."""
        return summarise(self.rejected, most)

    def _find_photos(
        self, layout: Layout, rows: Sequence[tuple[Product, str]]
    ) -> dict[str, tuple[Source, str]]:
        """Id → where the photo is; rows without one are rejected."""
        inside = [
            ParquetPhotos(self._files, name, layout.table.photo)
            for name in layout.names
            if layout.photos_inside and layout.table.photo
        ]
        beside = (
            PurePosixPath(layout.names[0]).parent if len(layout.names) == 1 else PurePosixPath()
        )
        photos = None if inside else Photos(self._files, beside)
        found: dict[str, tuple[Source, str]] = {}
        for product, cell in rows:
            if photos is None:
                part, _, row = cell.partition("#")
                found[product.id] = (inside[int(part)], row)
                continue
            try:
                found[product.id] = photos.place(cell)
            except LookupError as error:
                self.rejected.append(Rejected(product.row, product.id, str(error)))
        return found

    def _larger(
        self, source: Path | str, products: Sequence[Product]
    ) -> dict[str, tuple[Source, str]]:
        """Id → the photo that ``source`` has of it."""
        other = open_source(source)
        photos, larger = Photos(other, PurePosixPath()), {}
        for product in products:
            try:
                larger[product.id] = (other, photos.find(product.id))
            except LookupError:
                continue  # most have none: it is counted by who asked for them
        if not larger:
            raise CatalogueError(
                f"{source}: no photo of any product of {self.source}. Expected files named ID.jpg."
            )
        self.replaced = frozenset(larger)
        self.rejected = [r for r in self.rejected if r.id not in larger]
        return larger


def _files(at: Path | str) -> tuple[Source, str | None]:
    """A catalogue's files, and the table's name where that was given."""
    if isinstance(at, str):
        if not at.lower().endswith(tables.SUFFIXES):
            return open_source(at), None
        folder, _, name = at.rpartition("/")
        return open_source(folder), name
    if at.is_file() and at.suffix.lower() in tables.SUFFIXES:
        return Folder(at.parent), at.name
    return open_source(at), None


def _some_photos(files: Source) -> str:
    """What photos there are, by example."""
    names = Photos(files, PurePosixPath()).names
    return f"{len(names):,} photos, such as {', '.join(names[:3])}" if names else "no photo at all"


def _products(layout: Layout, at: str) -> tuple[list[tuple[Product, str]], list[Rejected]]:
    """The products with the cell that says where their photo is, and the rows left out."""
    table = layout.table
    products: list[tuple[Product, str]] = []
    rejected: list[Rejected] = []
    seen: dict[str, str] = {}
    missing: Counter[tuple[str, str]] = Counter()
    for number, part in enumerate(layout.parts):
        where = f"{at}/{layout.names[number]}" if layout.names else at
        rejected += part.rejected
        for row, cells in part.cells:
            identity = _identity(layout, number, cells)
            if not identity:
                rejected.append(Rejected(row, "", "no id"))
                continue
            if identity in seen:
                raise CatalogueError(
                    f"{where}, row {row}: id {identity} is in {seen[identity]} already. "
                    "Expected every id once."
                )
            seen[identity] = f"row {row}"
            try:
                labels, one_of = _split(table.labels_of(cells))
            except ValueError as error:
                rejected.append(Rejected(row, identity, str(error)))
                continue
            _count_missing(table, cells, missing)
            group = cells.get(table.group or "", "").strip()
            word = cells.get(table.label or "", "").strip()
            side = layout.side(identity if not layout.names else layout.names[number])
            title = cells.get(table.title_column, "")
            product = Product(identity, row, labels, title, one_of, group, word, side)
            products.append((product, _photo_cell(layout, number, cells)))
    if not products:
        raise _no_rows(layout.parts, at, layout.names, rejected)
    if missing:
        counts = ", ".join(
            f"{column} {word!r} {n:,}×" for (column, word), n in missing.most_common(8)
        )
        layout.notes.append(f"Read as missing (--missing says which words are): {counts}")
    return products, rejected


def _no_rows(
    parts: Sequence[Rows], at: str, names: Sequence[str], rejected: Sequence[Rejected]
) -> CatalogueError:
    where = f"{at}/{names[0]}" if names else at
    why = f" {summarise(rejected)}" if rejected else ""
    return CatalogueError(
        f"{where} has no row with {len(parts[0].header)} columns below its header.{why}"
    )


def _identity(layout: Layout, part: int, cells: Mapping[str, str]) -> str:
    """A product's id: unique over all files of the table."""
    cell = cells.get(layout.table.id, "").strip()
    if len(layout.names) < 2 or not cell:
        return cell
    if layout.table.id == tables.ROW:
        return f"{PurePosixPath(layout.names[part]).stem}-{cell}"
    if is_address(cell):
        return cell
    in_folder = layout.table.id == layout.table.photo or "/" in cell
    return str(PurePosixPath(layout.names[part]).parent / cell) if in_folder else cell


def _photo_cell(layout: Layout, part: int, cells: Mapping[str, str]) -> str:
    """What says where a product's photo is; of a Parquet with photos ``PART#ROW``."""
    table = layout.table
    if layout.photos_inside:
        return f"{part}#{cells[tables.ROW]}"
    cell = (cells[table.photo] if table.photo else "").strip() or cells[table.id].strip()
    if len(layout.names) > 1 and not is_address(cell):
        return str(PurePosixPath(layout.names[part]).parent / cell)
    return cell


def _count_missing(
    table: Table, cells: Mapping[str, str], missing: Counter[tuple[str, str]]
) -> None:
    """Count the words that were read as missing, by column; empty cells need no naming."""
    if table.label is None:
        for column in table.columns.values():
            if (word := cells[column].strip()) and table.is_missing(word):
                missing[column, word] += 1


def _split(
    found: Mapping[str, Sequence[str]],
) -> tuple[dict[str, str | None], dict[str, tuple[str, ...]]]:
    """Attribute → allowed labels, as (labels that are known, labels of which one is true)."""
    kept = {a: sorted({x.strip() for x in words} - {""}) for a, words in found.items()}
    labels = {a: words[0] if len(words) == 1 else None for a, words in kept.items()}
    return labels, {a: tuple(words) for a, words in kept.items() if len(words) > 1}
