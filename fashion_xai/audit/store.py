"""An audit's table on disk, a file or a folder of parts, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fashion_xai.engines.work import PROBLEM

BATCH = 100_000
"""Rows that are in memory at once."""


class Store:
    """The table of an audit.

    Args:
        path: a Parquet, or a folder of them; rows with a :data:`PROBLEM` are no products.

    Raises:
        ValueError: no Parquet that can be read; ArrowInvalid is one.
        OSError: nothing there.
    """

    def __init__(self, path: Path):
        self.files = sorted(path.glob("[0-9]*.parquet")) if path.is_dir() else [path]
        if not self.files:
            raise FileNotFoundError(f"{path}: no parts.")
        self.names = [n for n in pq.read_schema(self.files[0]).names if n not in ("row", "note")]
        self._partial = PROBLEM in self.names
        self._data = ds.dataset([str(f) for f in self.files], pq.read_schema(self.files[0]))

    @cached_property
    def count(self) -> int:
        """Its products."""
        return self._data.count_rows(filter=self._filter)

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Some columns of all products, in order, :data:`BATCH` of them at a time and fewer."""
        start = 0
        for table in self._tables(columns):
            frame = table.to_pandas()
            frame.index = pd.RangeIndex(start, start + len(frame))
            start += len(frame)
            yield frame

    def column(self, name: str) -> np.ndarray:
        """One column of numbers, whole."""
        return np.concatenate([f[name].to_numpy() for f in self.batches([name])])

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """Some products, in order; no more is read than the row groups that they are in.

        Args:
            rows: int, ascending.
            columns: None for all.
        """
        wanted = [n for n in columns or self.names if n != PROBLEM]
        found, start = [], 0
        for path in self.files:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                count = self._products(file, group)
                inside = rows[(rows >= start) & (rows < start + count)] - start
                start += count
                if len(inside):
                    extra = [PROBLEM] if self._partial else []
                    table = file.read_row_group(group, [*wanted, *extra])
                    if self._partial:
                        table = table.filter(table[PROBLEM].is_null())
                    found.append(table.select(wanted).take(pa.array(inside)))
        whole = pa.concat_tables(found) if found else self._data.schema.empty_table()
        return whole.select(wanted).unify_dictionaries()

    def _products(self, file: pq.ParquetFile, group: int) -> int:
        rows: int = file.metadata.row_group(group).num_rows
        if not self._partial:
            return rows
        return file.read_row_group(group, [PROBLEM])[PROBLEM].null_count

    @property
    def _filter(self) -> ds.Expression | None:
        return ds.field(PROBLEM).is_null() if self._partial else None

    def _tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        scanned = self._data.to_batches(
            columns=list(columns), filter=self._filter, batch_size=BATCH, batch_readahead=4,
            fragment_readahead=2,
        )  # fmt: skip
        for batch in scanned:
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= BATCH:
                yield pa.Table.from_batches(waiting).unify_dictionaries()
                waiting = []
        if waiting:
            yield pa.Table.from_batches(waiting).unify_dictionaries()
