"""Which product is on which side: the CSV ``id,split`` that travels with a bundle.

A split belongs to a catalogue, and ids alone do not tell which: two shops count from 1. So a third
column marks each product's labels, two hexadecimal digits an attribute, and its header names the
attributes: ``gender|articleType``.
"""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fashion_xai.data import files
from fashion_xai.data.products import Product

SPLITS = ("train", "validation", "test")

SAME = 0.8
"""Share of the products with the same id whose labels are those that the split was made with: from
here on it is the same catalogue, in which some labels were mended."""

UNKNOWN = "00"
"""Mark of an attribute without a label."""


def write_split(
    path: Path, split: Mapping[str, str], products: Sequence[Product] | None = None
) -> None:
    """Write the CSV ``id,split``, sorted by id; whole or not at all.

    Args:
        path: the file.
        split: id → side.
        products: the catalogue's, whose labels are marked; None marks nothing, and the split is
            taken for that of any catalogue with these ids.
    """
    part = path.with_suffix(".part")
    header, rows = ["id", "split"], [[*pair] for pair in sorted(split.items())]
    if products:
        attributes = list(products[0].labels)
        marks = {p.id: "".join(_mark(p, a) for a in attributes) for p in products}
        header.append("|".join(attributes))
        rows = [[*row, marks.get(row[0], UNKNOWN * len(attributes))] for row in rows]
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    os.replace(part, path)


def read_split(path: Path) -> dict[str, str]:
    """Read the CSV ``id,split``, whatever catalogue it is of.

    Raises:
        ValueError: another header, an unknown split, or a repeated id; names the row.
        FileNotFoundError: no such file.
    """
    return {identity: side for identity, (side, _) in _read(path)[0].items()}


def split_of(path: Path, products: Sequence[Product]) -> tuple[dict[str, str], str]:
    """The sides of a catalogue's products, if the split is of this catalogue.

    Args:
        path: the CSV ``id,split``.
        products: the catalogue's.

    Returns:
        id → side, and ''; or nothing, and why the split says nothing of this catalogue.

    Raises:
        As :func:`read_split`.
    """
    rows, attributes = _read(path)
    split = {identity: side for identity, (side, _) in rows.items()}
    if attributes is None:
        return split, ""
    alike = []
    for product in products:
        if product.id in rows:
            marks = rows[product.id][1]
            own = [_mark(product, a) for a in attributes]
            pairs = zip((marks[n : n + 2] for n in range(0, len(marks), 2)), own, strict=True)
            known = [one == other for one, other in pairs if UNKNOWN not in (one, other)]
            if known:
                alike.append(all(known))
    if alike and sum(alike) >= SAME * len(alike):
        return split, ""
    common = sum(product.id in rows for product in products)
    if not common:
        return {}, f"{path.name} names none of these products: none counts as trained on."
    return {}, (
        f"{path.name} is the split of another catalogue: of {common:,} products with the same id "
        f"{sum(alike):,} have the same labels. None counts as trained on."
    )


def own_side(products: Sequence[Product], split: Mapping[str, str], name: str) -> list[Product]:
    """The products that the catalogue itself puts on a side, by folders or files such as
    ``test/``: what a side means where a split names none of the products; else none."""
    if any(product.id in split for product in products):
        return []
    return [product for product in products if product.side == name]


def own_side_note(products: Sequence[Product], name: str) -> str:
    """What a person is told where :func:`own_side` found products."""
    return f"{len(products):,} products of {name}, as the catalogue's folders or files name it"


def _read(path: Path) -> tuple[dict[str, tuple[str, str]], list[str] | None]:
    """Id → (side, marks), and the marked attributes; None where nothing is marked."""
    table = files.read_csv(path)
    header = table[0] if table else []
    if header[:2] != ["id", "split"] or len(header) > 3:
        raise ValueError(f"{path}: expected the header id,split. Received: {table[:1]}")
    found: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(table[1:], start=2):
        if len(row) != len(header) or row[1] not in SPLITS or row[0] in found:
            raise ValueError(
                f"{path}, row {number}: expected a new id and one of {SPLITS}. Received: {row}"
            )
        found[row[0]] = (row[1], row[2] if len(row) > 2 else "")
    return found, header[2].split("|") if len(header) > 2 else None


def _mark(product: Product, attribute: str) -> str:
    """Two hexadecimal digits of a product's label, or labels of which one is true."""
    label = product.labels.get(attribute)
    allowed = [label] if label is not None else product.one_of.get(attribute, ())
    return f"{1 + zlib.crc32('|'.join(allowed).encode()) % 255:02x}" if allowed else UNKNOWN


def rows_in(products: Sequence[Product], split: Mapping[str, str], name: str) -> np.ndarray:
    """int (n,): the positions of the products of one split."""
    return np.array([i for i, p in enumerate(products) if split.get(p.id) == name], int)


def in_split(products: Sequence[Product], split: Mapping[str, str], name: str) -> list[Product]:
    """The products of one split, in their order."""
    return [products[i] for i in rows_in(products, split, name)]
