"""Other catalogues beside the one that is trained on: their photos, labels and sides."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fashion_xai.data.catalogue import Catalogue, Product, summarise
from fashion_xai.data.schema import Table
from fashion_xai.data.split import SPLITS, read_split, write_split
from fashion_xai.models import bundle
from training import config
from training.data import near_duplicates, packing


@dataclass(frozen=True)
class Labelled:
    """Another catalogue with its sides: all that calibration needs of it.

    Args:
        catalogue: with its labelled products.
        split: id → side.
        name: as the bundle's card names it.
    """

    catalogue: Catalogue
    split: dict[str, str]
    name: str

    @classmethod
    def of_bundle(cls, folder: Path, data: Path) -> Labelled:
        """By the file name that the bundle's card has under ``also``.

        Raises:
            ValueError: it names no such catalogue.
        """
        card = bundle.read_card(folder)
        if data.name not in (names := [other["name"] for other in card.get("also", [])]):
            raise ValueError(f"--also {data}: expected one of {names}, which it was trained on.")
        split, table = bundle.known(card, data.name)
        catalogue = Catalogue(data, table=Table.from_json(table))
        catalogue.products = [p for p in catalogue.products if p.labelled]
        return cls(catalogue, read_split(folder / split), data.name)

    @property
    def train(self) -> list[Product]:
        return [p for p in self.catalogue.products if self.split.get(p.id) == SPLITS[0]]

    @property
    def validation(self) -> list[Product]:
        return [p for p in self.catalogue.products if self.split.get(p.id) == SPLITS[1]]


@dataclass(frozen=True)
class Other:
    """The same in a training.

    Args:
        labelled: the catalogue with its labelled products that could be decoded, and their sides.
        split_file: CSV ``id,split`` in the run's folder.
        pixels: size → uint8 (n, H, W, 4), the photos of the products.
        share: of the photos of a batch.
    """

    labelled: Labelled
    split_file: Path
    pixels: dict[tuple[int, int], np.ndarray]
    share: float

    @property
    def catalogue(self) -> Catalogue:
        return self.labelled.catalogue

    @property
    def products(self) -> list[Product]:
        return self.catalogue.products

    @property
    def train_rows(self) -> np.ndarray:
        return packing.rows_of(self.products, self.labelled.split, SPLITS[0])

    @property
    def validation_rows(self) -> np.ndarray:
        return packing.rows_of(self.products, self.labelled.split, SPLITS[1])

    def weights(self, power: float) -> np.ndarray:
        """How often each product to train on is drawn: the frequency of its word (of its
        articleType where the catalogue has no words of its own) to the power of ``-power``.

        0.5 is square-root sampling (Mahajan et al. 2018, arXiv:1805.00932); 1 draws all words
        alike.
        """
        chosen = [self.products[row] for row in self.train_rows]
        words = [p.word or str(p.labels.get("articleType")) for p in chosen]
        _, inverse, counts = np.unique(words, return_inverse=True, return_counts=True)
        return counts[inverse] ** -power

    def describe(self) -> dict[str, Any]:
        """For the bundle's card."""
        sides = [self.labelled.split[product.id] for product in self.products]
        return {
            "name": self.labelled.name,
            "share": self.share,
            "table": self.catalogue.table.to_json(),
            "split": {side: sides.count(side) for side in SPLITS},
        }


def read(
    settings: config.Config, also: config.Also, number: int, sizes: Sequence[tuple[int, int]]
) -> Other:
    """Read, pack and split another catalogue; its split is kept in the run as ``split-N.csv``,
    and is that of ``--init`` where that bundle was trained on a catalogue of this name.

    Products of which nothing is known are left out and counted.

    Raises:
        ValueError: no labelled product in training or validation.
    """
    catalogue = Catalogue(also.data, table=also.table)
    packs = packing.pack(catalogue, sizes, settings.cache)
    if left_out := summarise([*catalogue.rejected, *packs[0].rejected]):
        print(left_out)
    split_file = settings.out / bundle.OTHER_SPLIT.format(number)
    split = _split(settings, also.data, catalogue, split_file)
    known = np.array([p.labelled for p in packs[0].products])
    if not known.all():
        print(f"{also.data}: {int((~known).sum())} products without any label are left out")
    catalogue.products = [p for p in packs[0].products if p.labelled]
    pixels = {
        size: pack.pixels if known.all() else np.ascontiguousarray(pack.pixels[known])
        for size, pack in zip(sizes, packs, strict=True)
    }
    labelled = Labelled(catalogue, split, also.data.name)
    other = Other(labelled, split_file, pixels, also.share)
    if not len(other.train_rows) or not len(other.validation_rows):
        raise ValueError(f"{also.data}: expected labelled products in training and validation.")
    print(
        f"{also.data}: {len(other.train_rows):,} products to train on, "
        f"{len(other.validation_rows):,} to validate, {also.share:.0%} of each batch"
    )
    return other


def split_apart(catalogue: Catalogue, settings: config.Config) -> dict[str, str]:
    """Id → side, near-duplicates and the products of one group never apart."""
    (thumbs,) = packing.pack(catalogue, [near_duplicates.THUMBNAIL], settings.cache)
    duplicates = near_duplicates.find_near_duplicates(np.asarray(thumbs.pixels[..., :3]))
    print(duplicates.summary())
    joined = near_duplicates.with_groups(duplicates, thumbs.products)
    return near_duplicates.split_by_near_duplicates(thumbs.products, joined, settings.seed)


def _split(settings: config.Config, data: Path, catalogue: Catalogue, file: Path) -> dict[str, str]:
    """The run's own split; else that of ``--init``, whose training photos shall not be tested on;
    else a new one."""
    if file.exists():
        return read_split(file)
    card = bundle.read_card(settings.init) if settings.init else {}
    known, _ = bundle.known(card, data.name)
    if settings.init and known != bundle.SPLIT:
        print(f"{data}: the sides are those of {settings.init}")
        shutil.copyfile(settings.init / known, file)
    else:
        write_split(file, split_apart(catalogue, settings))
    return read_split(file)
