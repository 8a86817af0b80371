"""Two audits of the same products, compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fashion_xai.audit.engine import PRODUCTS

CLOSE = 1e-4
"""Difference of probabilities and maps: batches of other sizes add up in another order."""


def assert_same_rows(one: Path, other: Path) -> None:
    """The same products in the same order, with the same labels and close numbers."""
    tables = [pq.read_table(folder / PRODUCTS) for folder in (one, other)]
    assert tables[0].schema.equals(tables[1].schema)
    assert tables[0]["id"].to_pylist() == tables[1]["id"].to_pylist()
    for name in tables[0].column_names:
        a, b = (table[name] for table in tables)
        assert a.null_count == b.null_count, name
        kind = a.type.value_type if pa.types.is_fixed_size_list(a.type) else a.type
        if not pa.types.is_floating(kind):
            if name.endswith("_top3"):  # what follows the answer may be as probable
                a, b = ([row[0] for row in x.to_pylist()] for x in (a, b))
            assert pa.types.is_list(kind) or list(a) == list(b), name
            continue
        flat = [_numbers(x) for x in (a, b)]
        scale = max(np.abs(flat[0]).max(initial=1), 1)
        step = 1e-3 if pa.types.is_float16(kind) else CLOSE  # which is kept to three digits
        assert np.abs(flat[0] - flat[1]).max(initial=0) < step * scale, name


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    plain = column.combine_chunks().drop_null()
    if pa.types.is_fixed_size_list(plain.type):
        plain = plain.flatten()
    return plain.to_numpy(zero_copy_only=False).astype(np.float64)
