"""Which photo belongs to which row: by id, by a path or an address in the table, or inside a
Parquet's rows."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from fashion_xai.data import images, tables
from fashion_xai.data.images import ImageError
from fashion_xai.data.products import Product
from fashion_xai.data.remote import EXTRAS, Addresses
from fashion_xai.data.sources import Source, composed, is_address

GROUPS = 4
"""Row groups of a Parquet that are kept in memory: threads read beside each other."""


class ProductPhotos:
    """The photos of products. Safe to share by threads, and to send to other processes.

    Args:
        places: a product's id → where its photo lies: the files, and its name among them.
    """

    def __init__(self, places: Mapping[str, tuple[Source, str]]):
        self.places = places

    def read(self, product: Product) -> bytes:
        """The photo's encoded bytes.

        Raises:
            images.ImageError: the file cannot be read or is over ``images.MAX_BYTES``.
        """
        files, name = self.places[product.id]
        return files.read(name, limit=images.MAX_BYTES)

    def photo(self, product: Product, notes: list[str] | None = None) -> np.ndarray:
        """The photo as uint8 RGB (H, W, 3); ``notes`` and ``images.ImageError`` as of
        ``images.load``."""
        return images.load(self.read(product), notes)

    def stamp(self, product: Product) -> str:
        """Changes when the photo's file changes; at an address, when that does."""
        files, name = self.places[product.id]
        return f"{name}:{files.stamp(name)}"

    def of(self, products: Iterable[Product]) -> ProductPhotos:
        """Of some products only."""
        return ProductPhotos({p.id: self.places[p.id] for p in products})

    @property
    def far(self) -> bool:
        """Whether they lie at addresses, so that reading is mostly waiting."""
        return any(isinstance(files, Addresses) for files in self.sources)

    @cached_property
    def sources(self) -> list[Source]:
        """The files that they lie among."""
        return list({id(files): files for files, _ in self.places.values()}.values())


class Photos:
    """The photos of a source, found by what a table says.

    Args:
        source: where they lie.
        beside: the table's folder. Photos right in its ``images/`` come first, then those deeper
            in there, then those anywhere below the table's folder.
    """

    def __init__(self, source: Source, beside: PurePosixPath):
        self.source = source
        self._folder = "" if beside == PurePosixPath() else f"{beside}/"
        self._folders = dict.fromkeys((self._folder, f"{self._folder}images/", ""))
        self._addresses = Addresses()

    @cached_property
    def names(self) -> list[str]:
        """All photos: listed when one is looked for, as a table of addresses needs none."""
        names = [n for n in self.source.names() if n.lower().endswith(images.SUFFIXES)]
        below = [n for n in names if n.startswith(self._folder)]
        return below or names  # a table in a folder of its own

    @cached_property
    def _distance(self) -> dict[str, int]:
        """Name → how far from where the table's photos usually lie."""
        pictures = f"{self._folder}images/"
        return {
            n: 2 - n.startswith(pictures) - (n.rpartition("/")[0] + "/" == pictures)
            for n in self.names
        }

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            found[name.rpartition("/")[2].rpartition(".")[0]].append(name)
        return found

    def place(self, cell: str) -> tuple[Source, str]:
        """Where the photo lies that an id, a path or an address means.

        Raises:
            LookupError: there is none, or it cannot be told which of several; says so.
        """
        address = cell.strip()
        if not is_address(address):
            return self.source, self.find(cell)
        if address.partition("://")[0].lower() not in EXTRAS:
            raise LookupError(f"its photo is at an address, which is not opened: {address:.80}")
        return self._addresses, address

    def find(self, cell: str) -> str:
        """The photo that an id or a path means: ``39386``, ``39386.jpg``, ``images/010/39386.jpg``.

        Raises:
            LookupError: as :meth:`place`.
        """
        cell = composed(cell.strip()).replace("\\", "/")
        path = cell.removeprefix("./")
        for folder in self._folders:
            if (name := folder + path) in self._distance:
                return name
            if "/" in path:
                for suffix in images.SUFFIXES:
                    if name + suffix in self._distance:
                        return name + suffix
        file = path.rpartition("/")[2]
        stem = file.rpartition(".")[0] if file.lower().endswith(images.SUFFIXES) else file
        found = self._by_stem.get(stem) or self._alike.get(_bare(stem), [])
        least = min((self._distance[n] for n in found), default=0)
        nearest = [n for n in found if self._distance[n] == least]
        nearest = [n for n in nearest if n.endswith(f"/{file}") or n == file] or nearest
        if len(nearest) > 1:
            raise LookupError(
                f"several photos: {' and '.join(sorted(nearest)[:3])}; --photo-column says which"
            )
        if not nearest:
            raise LookupError(f"no photo {self.expected(cell)}")
        return nearest[0]

    def expected(self, cell: str) -> str:
        """Where an id's photo is looked for first."""
        name = cell if cell.lower().endswith(images.SUFFIXES) else f"{cell}.jpg"
        return name if "/" in cell else f"images/{name}"

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        """Stem without what spreadsheets drop or change → names."""
        found: dict[str, list[str]] = defaultdict(list)
        for stem, names in self._by_stem.items():
            found[_bare(stem)] += names
        return found


def _bare(stem: str) -> str:
    """Without case and, of a number, without leading zeros."""
    return stem.lstrip("0") if stem.isdigit() else stem.casefold()


class ParquetPhotos:
    """The photos in a column of a Parquet file, named by their row from 0. Safe to share by
    threads.

    Args:
        source, name: where the file lies.
        column: with bytes, or with Hugging Face's {bytes, path}.
    """

    def __init__(self, source: Source, name: str, column: str):
        self._source, self._name, self._column = source, name, column
        self._file = tables.open_parquet(source, name)
        metadata = self._file.metadata
        self._starts = [0]
        for group in range(metadata.num_row_groups):
            self._starts.append(self._starts[-1] + metadata.row_group(group).num_rows)
        self._groups: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ParquetPhotos, (self._source, self._name, self._column)

    def names(self) -> list[str]:
        return [str(n) for n in range(self._starts[-1])]

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))

    def read(self, name: str, limit: int | None = None) -> bytes:
        row = int(name)
        group = next(g for g, end in enumerate(self._starts[1:]) if row < end)
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group, [self._column])[0]
                if len(self._groups) > GROUPS:
                    self._groups.popitem(last=False)
            value = self._groups[group][row - self._starts[group]].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise ImageError(f"{self._name}, row {row + 2}: no photo in {self._column}.")
        if limit is not None and len(data) > limit:
            raise ImageError(f"{self._name}, row {row + 2}: larger than {limit / 1e6:.0f} MB.")
        return data

    def path(self, name: str) -> Path | None:
        return None

    def stamp(self, name: str) -> str:
        return f"{self._source.stamp(self._name)}:{name}"


def photo_columns(source: Source, names: Sequence[str]) -> list[str]:
    """The columns of a Parquet that hold photos."""
    schema = tables.open_parquet(source, names[0]).schema_arrow
    return [f.name for f in schema if tables.holds_bytes(f.type)]
