"""What a run makes of each product: one function of a batch, whichever engine calls it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.photos import ProductPhotos
from fashion_xai.data.products import Product
from fashion_xai.data.rejections import Rejected
from fashion_xai.inference import Beside, ProductReader, ReadProduct

ROW, PROBLEM, NOTE = "row", "problem", "note"
"""Columns that every run has: a product's place in the table, why there is no answer (null where
there is one), and what is to be said of its photo."""

ID = "id"


class Work(Protocol):
    """A run's columns. Sent to other processes as it is, so it holds no network and no files."""

    @property
    def beside(self) -> Beside | None:
        """Worked out of each photo where it is decoded, see :class:`ProductReader`."""

    @property
    def without(self) -> Mapping[str, Any]:
        """What the columns of a product without an answer hold where that is not null."""

    def fields(self, classifier: FashionClassifier) -> list[tuple[str, pa.DataType]]:
        """The columns' names and types, beside :data:`ID` and those that every run has."""

    def columns(
        self, classifier: FashionClassifier, batch: Sequence[ReadProduct]
    ) -> dict[str, Sequence[Any]]:
        """Name of a column → one value a product."""


def schema(work: Work, classifier: FashionClassifier) -> pa.Schema:
    """Of the tables that :func:`answers` makes."""
    own: list[tuple[str, pa.DataType]] = [
        (ID, pa.string()), (ROW, pa.int64()), (PROBLEM, pa.string()), (NOTE, pa.string())
    ]  # fmt: skip
    return pa.schema([*own, *work.fields(classifier)])


def problems(work: Work, classifier: FashionClassifier, rejected: Sequence[Rejected]) -> pa.Table:
    """Products without an answer as rows."""
    rows = [{ID: r.id, ROW: r.row, PROBLEM: r.reason, **work.without} for r in rejected]
    return pa.Table.from_pylist(rows, schema(work, classifier))


def _answered(
    work: Work,
    classifier: FashionClassifier,
    batch: Sequence[ReadProduct],
    rejected: Sequence[Rejected],
) -> pa.Table:
    """A batch as rows, those whose photo cannot be used last."""
    left_out = problems(work, classifier, rejected)
    if not batch:
        return left_out
    columns: dict[str, Sequence[Any]] = {
        ID: [x.product.id for x in batch],
        ROW: [x.product.row for x in batch],
        PROBLEM: [None] * len(batch),
        NOTE: [" ".join(x.notes) or None for x in batch],
        **work.columns(classifier, batch),
    }
    arrays = [_array(columns[f.name], f.type) for f in left_out.schema]
    made = pa.Table.from_arrays(arrays, schema=left_out.schema)
    return pa.concat_tables([made, left_out])


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Arrow's array of values, numpy's arrays among them."""
    flat = [v.ravel() if isinstance(v, np.ndarray) else v for v in values]
    if pa.types.is_dictionary(kind):
        return pa.array(flat, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(flat, kind)


def answers(
    work: Work,
    classifier: FashionClassifier,
    photos: ProductPhotos,
    products: Sequence[Product],
) -> Iterator[pa.Table]:
    """A table for each ``batch_size`` products, in their order."""
    reader = ProductReader(classifier, photos, products, beside=work.beside)
    for batch in reader:
        rejected, reader.rejected = reader.rejected, []
        yield _answered(work, classifier, batch, rejected)
