"""Photos and their backgrounds, packed once into arrays on disk, and batches drawn from them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue, Product, Rejected
from fashion_xai.data.labels import MISSING, Vocabulary
from fashion_xai.data.masks import silhouette
from fashion_xai.progress import ProgressBar
from training.data.soft_labels import Teacher

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fashion_xai"
CHANNELS = 4
VERSION = 3
"""Raise it when ``images.letterbox`` or ``silhouette`` change: packs made before are rebuilt."""


@dataclass(frozen=True)
class Pack:
    """Letterboxed photos of one size.

    Args:
        pixels: uint8 (n, H, W, 4), memory-mapped: RGB, and the studio background (255; 0 on the
            product, and everywhere where no product was told from its background).
        products: the n products, in the same order.
        rejected: products whose photo could not be decoded.
    """

    pixels: np.ndarray
    products: list[Product]
    rejected: list[Rejected]


def pack(catalogue: Catalogue, sizes: Sequence[tuple[int, int]], cache: Path) -> list[Pack]:
    """Decode every photo once and keep it at each of ``sizes``; reuse what is on disk.

    Raises:
        OSError: not enough room in ``cache``; says how much is needed.
        ValueError: not a single photo could be decoded.
    """
    stamp = _stamp(catalogue)
    folders = {size: _folder(catalogue, size, cache) for size in sizes}
    stale = [size for size, folder in folders.items() if _stamp_of(folder) != stamp]
    if stale:
        _build(catalogue, {size: folders[size] for size in stale}, stamp)
    return [_open(folders[size], catalogue) for size in sizes]


@dataclass(frozen=True)
class Photos:
    """What batches are drawn from: the catalogue's photos, and larger ones of some products.

    Args:
        pixels: of a :class:`Pack`, (n, H, W, 4).
        larger: of a pack of larger photos, (m, H, W, 4); None where there are none.
        place: int (n,), the row in ``larger`` of each product; −1 for none.
    """

    pixels: np.ndarray | Stacked
    larger: np.ndarray | None = None
    place: np.ndarray | None = None

    @classmethod
    def join(cls, pack: Pack, larger: Pack | None) -> Photos:
        """Match two packs by the products' ids."""
        if larger is None:
            return cls(pack.pixels)
        rows = {product.id: row for row, product in enumerate(larger.products)}
        place = np.array([rows.get(product.id, -1) for product in pack.products])
        return cls(pack.pixels, larger.pixels, place)

    def on_device(self) -> Photos:
        """The same in the accelerator's memory, where batches are then gathered."""
        larger = None if self.larger is None else ops.convert_to_tensor(self.larger)
        return Photos(ops.convert_to_tensor(np.asarray(self.pixels)), larger, self.place)

    def followed_by(self, others: Sequence[np.ndarray]) -> Photos:
        """The same, then the photos of other catalogues, which have no larger ones."""
        if not others:
            return self
        pixels = Stacked([np.asarray(self.pixels), *others])
        place = self.place
        if place is not None:
            place = np.r_[place, np.full(len(pixels) - len(place), -1)]
        return Photos(pixels, self.larger, place)

    def take(self, rows: np.ndarray, larger: np.ndarray) -> np.ndarray:
        """uint8 (b, H, W, 4); the larger photo where ``larger`` is true and there is one.

        An array of the backend where the photos are on the device.
        """
        if not isinstance(self.pixels, np.ndarray | Stacked):
            return self._gather(rows, larger)
        photos = self.pixels[rows]
        if self.larger is not None and self.place is not None:
            swap = larger & (self.place[rows] >= 0)
            photos[swap] = self.larger[self.place[rows[swap]]]
        return photos

    def _gather(self, rows: np.ndarray, larger: np.ndarray):
        photos = ops.take(self.pixels, rows, axis=0)
        if self.larger is None or self.place is None:
            return photos
        place = self.place[rows]
        swap = (larger & (place >= 0))[:, None, None, None]
        return ops.where(swap, ops.take(self.larger, np.maximum(place, 0), axis=0), photos)


class Stacked:
    """Arrays of equal photos, one after the other, without a copy: rows are gathered from each.

    Args:
        arrays: uint8 (n_i, H, W, 4).
    """

    def __init__(self, arrays: Sequence[np.ndarray]):
        self.arrays = arrays
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.shape = (int(self.starts[-1]), *arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        taken = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for start, array in zip(self.starts, self.arrays):
            inside = (rows >= start) & (rows < start + len(array))
            taken[inside] = array[rows[inside] - start]
        return taken

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.concatenate(self.arrays)


@dataclass(frozen=True)
class Share:
    """Another catalogue's part of an epoch.

    Args:
        rows: of its products.
        share: of the epoch, 0–1.
        weights: how often each row is drawn, relative to the others; None for all alike.
    """

    rows: np.ndarray
    share: float
    weights: np.ndarray | None = None

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """So many rows; without weights none comes again before all have come."""
        if self.weights is not None:
            return rng.choice(self.rows, count, p=self.weights / self.weights.sum())
        rounds = -(-count // len(self.rows))
        orders = [rng.permutation(self.rows) for _ in range(rounds)]
        return np.concatenate(orders or [self.rows])[:count]


def mixed(
    rng: np.random.Generator,
    main: np.ndarray,
    others: Sequence[Share],
    size: int | None = None,
) -> np.ndarray:
    """An epoch's rows in random order, with the same shares in each stretch of it.

    Args:
        main: rows of the main catalogue; all of them are drawn, or as many as ``size`` leaves room.
        others: each other catalogue's; drawn again and again until its share is filled.
        size: rows of an epoch; None for as many as hold the main catalogue once.
    """
    rest = 1 - sum(other.share for other in others)
    drawn = len(main) if size is None else min(len(main), round(size * rest))
    parts = [rng.permutation(main)[:drawn]]
    for other in others:
        parts.append(other.draw(rng, round(drawn / rest * other.share)))
    places = [(np.arange(len(p)) + rng.random(len(p))) / max(1, len(p)) for p in parts]
    return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]


class Batches(keras.utils.PyDataset):
    """Batches of (photos uint8 (b, H, W, 4) as packed, one int32 index array per head).

    With a teacher there is a float32 (b, k) per head instead: its soft label and the label, mixed.
    With ``allowed`` and no teacher there is a uint8 (b, k) per head: the labels that may be true.

    Shuffled anew each epoch from (seed, epoch) alone, so that a resumed run sees the same order.
    All batches have the same size: the last is filled up with photos whose labels are MISSING,
    which weigh nothing, so that it can be split among devices and is compiled only once.

    Args:
        larger_share: how often the larger photo of a product that has one is taken, 0–1.
        allowed: one bool (n, k) per head, where some products have one of several labels.
        others: see :func:`mixed`; only where it is shuffled.
        epoch_size: rows of an epoch; None for all of ``rows`` and the others' share.
    """

    def __init__(
        self,
        photos: Photos,
        rows: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        shuffle_seed: int | None = None,
        first_epoch: int = 0,
        larger_share: float = 0.0,
        teacher: Teacher | None = None,
        allowed: Sequence[np.ndarray] | None = None,
        others: Sequence[Share] = (),
        epoch_size: int | None = None,
    ):
        super().__init__(workers=1)
        self.teacher, self.allowed = teacher, allowed
        self.others, self.epoch_size = others, epoch_size
        self.photos, self.rows, self.labels = photos, rows, labels
        self.larger_share = larger_share
        self.batch_size, self.seed, self.epoch = batch_size, shuffle_seed, first_epoch
        self._shuffle()

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        chosen = np.resize(self.order[part], self.batch_size)
        photos = self.photos.take(chosen, np.resize(self.larger[part], self.batch_size))
        labels = self.labels[chosen]
        labels[len(self.order[part]) :] = MISSING
        sets = None
        if self.allowed is not None:
            sets = [mask[chosen].astype(np.uint8) for mask in self.allowed]
            for mask in sets:
                mask[len(self.order[part]) :] = 0
        if self.teacher:
            return photos, self.teacher.targets(chosen, labels, sets)
        return photos, tuple(labels.T) if sets is None else tuple(sets)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng([self.seed or 0, self.epoch])
        if self.seed is None:
            self.order = self.rows
        elif self.others or self.epoch_size:
            self.order = mixed(rng, self.rows, self.others, self.epoch_size)
        else:
            self.order = rng.permutation(self.rows)
        self.larger = rng.random(len(self.order)) < self.larger_share


def studio(photo: np.ndarray) -> np.ndarray:
    """Where the studio shows, as a grey uint8 picture (H, W, 3): 255 there, 0 on the product."""
    product = silhouette(photo)
    if product is None:
        return np.zeros_like(photo)
    return np.repeat(np.where(product, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def encode(vocabulary: Vocabulary, products: Sequence[Product]) -> np.ndarray:
    """int32 (n, n_attributes): the label indices, MISSING where there is none."""
    columns = [vocabulary.encode(a, [p.labels[a] for p in products]) for a in vocabulary.attributes]
    return np.stack(columns, 1)


def label_rows(products: Iterable[Product]) -> Iterator[Mapping[str, str | None]]:
    """Labels by attribute, for ``Vocabulary.fit``: those of each product, then each that it may
    have as one of several."""
    for product in products:
        yield product.labels
        for attribute, labels in product.one_of.items():
            yield from ({attribute: label} for label in labels)


def allowed(vocabulary: Vocabulary, products: Sequence[Product]) -> dict[str, np.ndarray] | None:
    """Attribute → bool (n, k): the labels that may be true, none where nothing is known.

    None where no product has one of several: then :func:`encode` says it all. Labels that the
    vocabulary does not know are not allowed.
    """
    if not any(product.one_of for product in products):
        return None
    found = {}
    for attribute, labels in vocabulary.labels.items():
        place = {label: i for i, label in enumerate(labels)}
        mask = np.zeros((len(products), len(labels)), bool)
        for row, product in enumerate(products):
            single = product.labels.get(attribute)
            for label in product.one_of.get(attribute, [single] if single else []):
                if label in place:
                    mask[row, place[label]] = True
        found[attribute] = mask
    return found


def _stamp(catalogue: Catalogue) -> str:
    digest = hashlib.sha256(f"version {VERSION}".encode())
    for product in catalogue.products:
        digest.update(f"{product.id}:{catalogue.stamp(product)}\n".encode())
    return digest.hexdigest()


def _folder(catalogue: Catalogue, size: tuple[int, int], cache: Path) -> Path:
    place = hashlib.sha256(os.path.abspath(catalogue.source).encode()).hexdigest()[:12]
    kind = "larger" if catalogue.replaced else "plain"
    return cache / f"{place}-{kind}-{size[0]}x{size[1]}"


def _stamp_of(folder: Path) -> str | None:
    try:
        return json.loads((folder / "pack.json").read_text(encoding="utf-8"))["stamp"]
    except (OSError, ValueError, KeyError):
        return None


def _build(catalogue: Catalogue, folders: Mapping[tuple[int, int], Path], stamp: str) -> None:
    products = catalogue.products
    need = sum(len(products) * h * w * CHANNELS for h, w in folders)
    sizes = ", ".join(f"{h}×{w}" for h, w in folders)
    cache = next(iter(folders.values())).parent
    cache.mkdir(parents=True, exist_ok=True)
    print(f"Packing {len(products):,} photos at {sizes}: {need / 1e9:.1f} GB in {cache}")
    free = shutil.disk_usage(cache).free
    if free < need:
        raise OSError(
            f"{cache}: expected {need / 1e9:.1f} GB free. Received: {free / 1e9:.1f} GB. "
            "Name another folder with --cache."
        )
    arrays = {}
    for size, folder in folders.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        arrays[size] = np.lib.format.open_memmap(
            folder / "pixels.npy", "w+", np.uint8, (len(products), *size, CHANNELS)
        )
    errors: dict[str, str] = {}

    def decode(position: int) -> None:
        try:
            photo = catalogue.photo(products[position])
        except images.ImageError as error:
            errors[products[position].id] = str(error)
            return
        background = studio(photo)
        for size, array in arrays.items():
            array[position, ..., :3] = images.letterbox(photo, size)[0]
            array[position, ..., 3] = images.letterbox(background, size)[0][..., 0]

    with ThreadPoolExecutor() as pool:  # Pillow and OpenCV release the GIL
        done = pool.map(decode, range(len(products)))
        list(ProgressBar(done, total=len(products), unit="photo", desc="decoding"))
    if len(errors) == len(products):
        raise ValueError(f"{catalogue.source}: no photo could be decoded: {errors.popitem()[1]}")
    for size, folder in folders.items():
        arrays[size].flush()
        # Written last: a pack without it, cut off by a kill, counts as absent.
        part = folder / "pack.part"
        part.write_text(json.dumps({"stamp": stamp, "errors": errors}), encoding="utf-8")
        os.replace(part, folder / "pack.json")


def _open(folder: Path, catalogue: Catalogue) -> Pack:
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    errors = json.loads((folder / "pack.json").read_text(encoding="utf-8"))["errors"]
    rejected = [Rejected(p.row, p.id, errors[p.id]) for p in catalogue.products if p.id in errors]
    if not rejected:
        return Pack(pixels, catalogue.products, [])
    good = np.array([p.id not in errors for p in catalogue.products])
    # Rare enough that a copy in memory of the decodable rows is not worth avoiding.
    return Pack(pixels[good], [p for p in catalogue.products if p.id not in errors], rejected)
