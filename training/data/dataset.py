"""All that a run learns from: photos in memory, labels, splits; read once, used to the end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion_xai.data.catalogue import Catalogue, Product, summarise
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.data.split import read_split, write_split
from fashion_xai.models import bundle
from training import config
from training.data import augment, backgrounds, near_duplicates, packing
from training.data.corrections import correct
from training.data.labelled import (
    TRAIN,
    VALIDATION,
    Labelled,
    Other,
    keep_own_sides,
    read_other,
    split_apart,
)
from training.data.soft_labels import Teacher, ask

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Dataset:
    """The catalogues of a run.

    Rows count through the products of the first catalogue and then through those of each other.

    Args:
        first: the catalogue that is trained on, its labels corrected.
        others: those beside it.
        packs: size → the first one's packed photos.
        larger: size → larger photos of the same products; empty where there are none.
        vocabulary, taxonomy: the labels that training can see.
        labels: int32 (rows, heads), negative where missing or one of several.
        allowed: per head bool (rows, labels): those that may be true; None where each product has
            one label of a head or none.
        shares: how the others' rows enter an epoch.
        floors: backgrounds grown from the others' photos, or None.
        teacher: whose soft labels are learnt too, or None.
    """

    first: Labelled
    others: list[Other]
    packs: Mapping[Size, packing.Pack]
    larger: Mapping[Size, packing.Pack]
    vocabulary: Vocabulary
    taxonomy: Taxonomy
    labels: np.ndarray
    allowed: list[np.ndarray] | None
    shares: list[packing.Share]
    floors: np.ndarray | None
    teacher: Teacher | None

    @classmethod
    def load(cls, settings: config.Config) -> Dataset:
        """Read, pack, split and correct what the settings name.

        Raises:
            ValueError: no product to train on or to validate, or corrections of test products.
        """
        sizes = list(dict.fromkeys(stage.size for stage in settings.stages))
        catalogue = Catalogue(settings.data, table=settings.table)
        for note in catalogue.notes:
            print(note)
        catalogue.products = catalogue.products[: settings.limit]
        packs = dict(zip(sizes, packing.pack(catalogue, sizes, settings.cache), strict=True))
        larger = _pack_larger(settings, catalogue, sizes)
        first = _first(settings, catalogue, packs[sizes[-1]])
        # The last size is the final one; the teacher may have been made for another.
        judged = list(dict.fromkeys([*_teacher_size(settings), *sizes[:-1]])) + sizes[-1:]
        others = [read_other(settings, a, n, judged) for n, a in enumerate(settings.also, start=1)]
        everything = [*first.products, *(p for o in others for p in o.labelled.products)]
        vocabulary = Vocabulary.fit(packing.label_rows(everything), catalogue.table.attributes)
        sets = packing.allowed(vocabulary, everything)
        print(f"{len(first.train):,} products to train on, {len(first.validation):,} to validate")
        return cls(
            first,
            others,
            packs,
            larger,
            vocabulary,
            Taxonomy.fit(product.labels for product in first.train),
            packing.encode(vocabulary, everything),
            None if sets is None else list(sets.values()),
            _shares(settings, first, others),
            _grow_floors(settings, others),
            _ask_teacher(settings, first, others, vocabulary),
        )

    @property
    def train_rows(self) -> np.ndarray:
        """Of the first catalogue; the others' are in ``shares``."""
        return self.first.rows(TRAIN)

    @property
    def validation_rows(self) -> np.ndarray:
        """Of all catalogues."""
        found, start = [self.first.rows(VALIDATION)], len(self.first.products)
        for other in self.others:
            found.append(start + other.labelled.rows(VALIDATION))
            start += len(other.labelled.products)
        return np.concatenate(found)

    @property
    def classes(self) -> list[int]:
        """How many labels each head has."""
        return list(self.vocabulary.sizes.values())

    def photos(self, size: Size) -> packing.Photos:
        """Of all rows, at one size."""
        joined = packing.Photos.join(self.packs[size], self.larger.get(size))
        return joined.followed_by([other.pixels[size] for other in self.others])


def _first(settings: config.Config, catalogue: Catalogue, pack: packing.Pack) -> Labelled:
    if left_out := summarise([*catalogue.rejected, *pack.rejected]):
        print(left_out)
    split = make_split(settings, catalogue, settings.out / bundle.SPLIT)
    products: list[Product] = pack.products
    if settings.corrections:
        products, changed = correct(products, settings.corrections, split)
        print(f"{changed} labels corrected as {settings.corrections} says")
    first = Labelled(catalogue, products, split, settings.data.name, pack.pixels)
    if not first.train or not first.validation:
        raise ValueError(
            f"Expected products in training and validation. Received: {len(first.train)} and "
            f"{len(first.validation)} of {len(products)}. Where every label has one photo only, or "
            "all photos are alike, --split-by random splits them all the same."
        )
    return first


def make_split(settings: config.Config, catalogue: Catalogue, file: Path) -> dict[str, str]:
    """Read or make the split; it is kept in the run, so that a resume takes the same."""
    if not file.exists():
        if settings.split_file:
            read_split(settings.split_file)
            shutil.copyfile(settings.split_file, file)
        else:
            if settings.split_by == "random":
                split = near_duplicates.split_at_random(catalogue.products, settings.seed)
            else:
                split = split_apart(catalogue, settings)
            write_split(file, keep_own_sides(catalogue.products, split), catalogue.products)
    return read_split(file)


def _pack_larger(
    settings: config.Config, catalogue: Catalogue, sizes: Sequence[Size]
) -> dict[Size, packing.Pack]:
    """The packed photos of ``--images``."""
    if settings.images is None:
        return {}
    larger = Catalogue(settings.data, settings.images, settings.table)
    wanted = {product.id for product in catalogue.products} & larger.replaced
    larger.products = [product for product in larger.products if product.id in wanted]
    packs = packing.pack(larger, sizes, settings.cache)
    print(f"{len(wanted):,} products have a larger photo in {settings.images}")
    if left_out := summarise(packs[0].rejected):
        print(left_out)
    return dict(zip(sizes, packs, strict=True))


def _shares(
    settings: config.Config, first: Labelled, others: Sequence[Other]
) -> list[packing.Share]:
    shares, start = [], len(first.products)
    for other in others:
        rows = start + other.labelled.rows(TRAIN)
        shares.append(packing.Share(rows, other.share, other.weights(settings.also_balance)))
        start += len(other.labelled.products)
    return shares


def _grow_floors(settings: config.Config, others: Sequence[Other]) -> np.ndarray | None:
    """Backgrounds from the corners of the other catalogues' photos to train on, as many as the
    bank holds of them; None where no background is replaced."""
    found = [(o.labelled.catalogue, p) for o in others for p in o.labelled.train]
    if not settings.backgrounds or not found:
        return None
    chosen = np.random.default_rng(settings.seed).permutation(len(found))
    some = [found[i] for i in chosen[: augment.RandomBackground.BANK // 2]]
    print(f"{len(some)} backgrounds are grown from the corners of photos of --also")
    return backgrounds.floors([place.photo(product) for place, product in some], settings.seed)


def _teacher_size(settings: config.Config) -> list[Size]:
    """The size that ``--teacher`` was made for; none without it."""
    if settings.teacher is None:
        return []
    height, width = bundle.read_card(settings.teacher)["input_size"]
    return [(height, width)]


def _ask_teacher(
    settings: config.Config, first: Labelled, others: Sequence[Other], vocabulary: Vocabulary
) -> Teacher | None:
    """What ``--teacher`` says about all catalogues' products to train on."""
    if settings.teacher is None:
        return None
    (size,) = _teacher_size(settings)
    (pack,) = packing.pack(first.catalogue, [size], settings.cache)
    judged = [(pack.pixels, first.rows(TRAIN))]
    judged += [(other.pixels[size], other.labelled.rows(TRAIN)) for other in others]
    file = settings.out / "teacher.npz"
    return ask(settings.teacher, judged, vocabulary, settings.teacher_weight, file)
