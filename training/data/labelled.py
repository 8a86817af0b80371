"""A catalogue with the splits of its products, as training, calibration and evaluation take it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fashion_xai.data.catalogue import Catalogue, Product, summarise
from fashion_xai.data.schema import Table
from fashion_xai.data.split import (
    SPLITS,
    in_split,
    read_split,
    rows_in,
    split_of,
    write_split,
)
from fashion_xai.models import bundle
from training import config
from training.data import near_duplicates, packing

TRAIN, VALIDATION, _ = SPLITS


@dataclass(frozen=True)
class Labelled:
    """A catalogue's products and which split each is in.

    Args:
        catalogue: where their photos are.
        products: those that count.
        split: id → split.
        name: as the bundle's card names it.
        pixels: uint8 (n, H, W, 3 or more), the products' photos fitted into the network's input,
            where they are in memory; None where not.
    """

    catalogue: Catalogue
    products: list[Product]
    split: dict[str, str]
    name: str
    pixels: np.ndarray | None = None

    @classmethod
    def of_bundle(cls, folder: Path, data: Path) -> Labelled:
        """One of the other catalogues that a bundle was trained on, by its file's name.

        Raises:
            ValueError: the card names no such catalogue.
        """
        card = bundle.read_card(folder)
        if data.name not in (names := [other["name"] for other in card.get("also", [])]):
            raise ValueError(f"--also {data}: expected one of {names}, which it was trained on.")
        split, table = bundle.known(card, data.name)
        catalogue = Catalogue(data, table=Table.from_json(table))
        products = [p for p in catalogue.products if p.labelled]
        sides = own_split(folder / split, catalogue.products)
        return cls(catalogue, products, sides, data.name)

    @property
    def train(self) -> list[Product]:
        return in_split(self.products, self.split, TRAIN)

    @property
    def validation(self) -> list[Product]:
        return in_split(self.products, self.split, VALIDATION)

    def rows(self, name: str) -> np.ndarray:
        """int (n,): the positions of one split's products."""
        return rows_in(self.products, self.split, name)

    def counts(self) -> dict[str, int]:
        """Split → how many products."""
        found = [self.split.get(product.id) for product in self.products]
        return {name: found.count(name) for name in SPLITS}


@dataclass(frozen=True)
class Other:
    """Another catalogue in a training.

    Args:
        labelled: its labelled products that could be decoded.
        split_file: CSV ``id,split`` in the run's folder.
        pixels: size → uint8 (n, H, W, 4), the photos of the products.
        share: of the photos of a batch.
    """

    labelled: Labelled
    split_file: Path
    pixels: dict[tuple[int, int], np.ndarray]
    share: float

    def weights(self, power: float) -> np.ndarray | None:
        """How often each product to train on is drawn: the frequency of its word (of its
        articleType where the catalogue has no words of its own) to the power of ``-power``.

        0.5 is square-root sampling (Mahajan et al. 2018, arXiv:1805.00932); 1 draws all words
        alike; None for 0, which draws all products alike.
        """
        if not power:
            return None
        words = [p.word or str(p.labels.get("articleType")) for p in self.labelled.train]
        _, inverse, counts = np.unique(words, return_inverse=True, return_counts=True)
        return counts[inverse] ** -power

    def describe(self) -> dict[str, Any]:
        """For the bundle's card."""
        return {
            "name": self.labelled.name,
            "share": self.share,
            "table": self.labelled.catalogue.table.to_json(),
            "split": self.labelled.counts(),
        }


def read_other(
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
    products = [p for p in packs[0].products if p.labelled]
    pixels = {
        size: pack.pixels if known.all() else np.ascontiguousarray(pack.pixels[known])
        for size, pack in zip(sizes, packs, strict=True)
    }
    labelled = Labelled(catalogue, products, split, also.data.name, pixels[sizes[-1]])
    if not labelled.train or not labelled.validation:
        raise ValueError(f"{also.data}: expected labelled products in training and validation.")
    print(
        f"{also.data}: {len(labelled.train):,} products to train on, "
        f"{len(labelled.validation):,} to validate, {also.share:.0%} of each batch"
    )
    return Other(labelled, split_file, pixels, also.share)


def own_split(file: Path, products: Sequence[Product]) -> dict[str, str]:
    """The split of a catalogue that a bundle was trained on.

    Raises:
        ValueError: it is the split of another catalogue.
    """
    split, why_not = split_of(file, products)
    if why_not:
        raise ValueError(f"Expected the catalogue that the bundle was trained on: {why_not}")
    return split


def keep_own_sides(products: Sequence[Product], split: Mapping[str, str]) -> dict[str, str]:
    """A split with the sides that the catalogue itself names, by ``train/`` and ``test/``.

    Where it names no validation side, the products of its training side are training or
    validation as the split has them, and those that the split would test on are trained on.
    """
    named = {p.side for p in products} - {""}
    if not named:
        return dict(split)
    print(f"Sides that the catalogue's folders or files name are kept: {', '.join(sorted(named))}")
    kept = dict(split)
    for p in products:
        if p.side == TRAIN and VALIDATION not in named:
            kept[p.id] = VALIDATION if split.get(p.id) == VALIDATION else TRAIN
        elif p.side:
            kept[p.id] = p.side
    return kept


def split_apart(catalogue: Catalogue, settings: config.Config) -> dict[str, str]:
    """Id → split, near-duplicates and the products of one group never apart."""
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
        _, why_not = split_of(settings.init / known, catalogue.products)
        if not why_not:
            print(f"{data}: the splits are those of {settings.init}")
            shutil.copyfile(settings.init / known, file)
            return read_split(file)
        print(f"{data}: {why_not}")
    split = keep_own_sides(catalogue.products, split_apart(catalogue, settings))
    write_split(file, split, catalogue.products)
    return read_split(file)
