"""Many products through one network: while it works on some, the next photos are decoded, and
whoever asked works on those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue, Product, Rejected
from fashion_xai.data.photos import ProductPhotos
from fashion_xai.data.remote import READERS
from fashion_xai.models.outputs import ForwardPass

DECODERS = 4
"""Threads that decode; reading and decoding a photo leave Python's lock alone."""

AHEAD = 4
"""Batches that are decoded before their turn."""

PASS = 2
"""Photos in one forward pass, one core each: what is small stays in the core's cache. On 2 cores an
audit reads 41 to 45 photos/s so, with passes of 4, 8 and 16 photos 38–43, 34–36 and 30–35."""

Change = Callable[[np.ndarray, int], np.ndarray]
"""A photo and its place among the products → another photo."""

Beside = Callable[[np.ndarray, np.ndarray, images.Box], Any]
"""A photo, the padded input it is fitted into, and where it lies there → anything."""


def read_canvases(
    classifier: FashionClassifier, pixels: np.ndarray, rows: np.ndarray
) -> Iterator[ForwardPass]:
    """Photos that are in memory, fitted into the network's input already.

    Args:
        pixels: uint8 (n, H, W, 3 or more); what comes after RGB is not looked at.
        rows: int (m,), which of them.
    """
    height, width = classifier.size
    whole = images.Box(0, 0, height, width)
    for start in range(0, len(rows), classifier.batch_size):
        batch = pixels[rows[start : start + classifier.batch_size]][..., :3]
        yield from classifier.read_fitted([(canvas, whole) for canvas in batch])


class ReadProduct(NamedTuple):
    """A product, what the network made of its photo, what was asked for beside, and what is to be
    said of the photo."""

    product: Product
    forward_pass: ForwardPass
    beside: Any
    notes: tuple[str, ...] = ()


class _Decoded(NamedTuple):
    product: Product
    canvas: np.ndarray
    box: images.Box
    beside: Any
    notes: tuple[str, ...]


class ProductReader:
    """Iterate for batches of :class:`ReadProduct`, in the products' order: one for each
    ``batch_size`` products, shorter by those whose photo cannot be used.

    Args:
        classifier: whose network reads them, as many passes at once as its ``passes``.
        photos: the products', such as their catalogue.
        products: which.
        change: made to each photo before the network sees it; None for none.
        beside: worked out of each photo beside the forward pass, in a decoding thread.

    Attributes:
        rejected: products whose photo cannot be used, as far as the iteration has come.
    """

    def __init__(
        self,
        classifier: FashionClassifier,
        photos: Catalogue | ProductPhotos,
        products: Sequence[Product],
        change: Change | None = None,
        beside: Beside | None = None,
    ):
        self.classifier, self.products = classifier, products
        self.photos = photos.photos if isinstance(photos, Catalogue) else photos
        self.change, self.beside = change, beside
        self.rejected: list[Rejected] = []

    def __iter__(self) -> Iterator[list[ReadProduct]]:
        starts = range(0, len(self.products), self.classifier.batch_size)
        ahead = READERS if self.photos.far else AHEAD
        later = iter(starts[ahead:])
        passes = self.classifier.passes
        threads = READERS if self.photos.far else DECODERS
        with ThreadPoolExecutor(threads) as decoders, ThreadPoolExecutor(passes) as network:
            decoding = deque(decoders.submit(self._decode, start) for start in starts[:ahead])
            reading: deque[Future[tuple[list[ReadProduct], list[Rejected]]]] = deque()
            while decoding or reading:
                if decoding:
                    reading.append(network.submit(self._read, decoding.popleft()))
                    decoding.extend(decoders.submit(self._decode, s) for s in islice(later, 1))
                if len(reading) > passes or not decoding:
                    read, rejected = reading.popleft().result()
                    self.rejected += rejected
                    yield read

    def _read(
        self, batch: Future[tuple[list[_Decoded], list[Rejected]]]
    ) -> tuple[list[ReadProduct], list[Rejected]]:
        decoded, rejected = batch.result()
        fitted = [(d.canvas, d.box) for d in decoded]
        made: list[ForwardPass] = []
        for start in range(0, len(fitted), PASS):
            made += self.classifier.read_fitted(fitted[start : start + PASS])
        pairs = zip(decoded, made, strict=True)
        return [ReadProduct(d.product, f, d.beside, d.notes) for d, f in pairs], rejected

    def _decode(self, start: int) -> tuple[list[_Decoded], list[Rejected]]:
        decoded: list[_Decoded] = []
        rejected: list[Rejected] = []
        batch = self.products[start : start + self.classifier.batch_size]
        for place, product in enumerate(batch, start):
            notes: list[str] = []
            try:
                photo = self.photos.photo(product, notes)
            except images.ImageError as error:
                rejected.append(Rejected(product.row, product.id, str(error)))
                continue
            if self.change is not None:
                photo = self.change(photo, place)
            canvas, box = images.letterbox(photo, self.classifier.size)
            beside = self.beside and self.beside(photo, canvas, box)
            decoded.append(_Decoded(product, canvas, box, beside, tuple(notes)))
        return decoded, rejected
