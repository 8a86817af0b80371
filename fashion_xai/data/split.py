"""Which product is on which side: the CSV ``id,split`` that travels with a bundle."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fashion_xai.data import files
from fashion_xai.data.catalogue import Product

SPLITS = ("train", "validation", "test")


def write_split(path: Path, split: Mapping[str, str]) -> None:
    """Write the CSV ``id,split``, sorted by id; whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "split"])
        writer.writerows(sorted(split.items()))
    os.replace(part, path)


def read_split(path: Path) -> dict[str, str]:
    """Read the CSV ``id,split``.

    Raises:
        ValueError: another header, an unknown split, or a repeated id; names the row.
        FileNotFoundError: no such file.
    """
    rows = files.read_csv(path)
    if not rows or rows[0] != ["id", "split"]:
        raise ValueError(f"{path}: expected the header id,split. Received: {rows[:1]}")
    split: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or row[1] not in SPLITS or row[0] in split:
            raise ValueError(
                f"{path}, row {number}: expected a new id and one of {SPLITS}. Received: {row}"
            )
        split[row[0]] = row[1]
    return split


def rows_in(products: Sequence[Product], split: Mapping[str, str], name: str) -> np.ndarray:
    """int (n,): the positions of the products of one split."""
    return np.array([i for i, p in enumerate(products) if split.get(p.id) == name], int)


def in_split(products: Sequence[Product], split: Mapping[str, str], name: str) -> list[Product]:
    """The products of one split, in their order."""
    return [products[i] for i in rows_in(products, split, name)]
