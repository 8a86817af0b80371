"""The engine of this machine: one network, photos decoded beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pyarrow as pa

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.photos import ProductPhotos
from fashion_xai.data.products import Product
from fashion_xai.engines.work import Work, answers
from fashion_xai.progress import ProgressBar


def run(
    work: Work,
    classifier: FashionClassifier,
    photos: ProductPhotos,
    chunks: Mapping[int, Sequence[Product]],
    bar: ProgressBar,
) -> Iterator[tuple[int, pa.Table]]:
    """Each chunk's number and table, in order.

    Args:
        work: what is made of the products.
        classifier: whose network reads them.
        photos: of the products.
        chunks: of whole batches, the last apart.
        bar: goes on by the products that are done.
    """
    # One reader for all chunks, so that it never waits for one to be written.
    products = [product for chunk in chunks.values() for product in chunk]
    tables = answers(work, classifier, photos, products)
    for number, chunk in chunks.items():
        done = []
        for table in islice(tables, -(-len(chunk) // classifier.batch_size)):
            done.append(table)
            bar.update(table.num_rows)
        yield number, pa.concat_tables(done)
