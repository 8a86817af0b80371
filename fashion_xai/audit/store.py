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
        return sum(count for *_, count in self._groups)

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
        extra = [PROBLEM] if self._partial else []
        starts = np.array([start for _, _, start, _ in self._groups])
        inside = np.searchsorted(starts, rows, side="right") - 1  # the last of empty groups
        found = []
        for place in np.unique(inside):
            path, group, start, _ = self._groups[place]
            table = pq.ParquetFile(path).read_row_group(group, [*wanted, *extra])
            if self._partial:
                table = table.filter(table[PROBLEM].is_null())
            chosen = pa.array(rows[inside == place] - start)
            found.append(table.select(wanted).take(chosen))
        whole = pa.concat_tables(found) if found else self._data.schema.empty_table()
        return whole.select(wanted).unify_dictionaries()

    @cached_property
    def _groups(self) -> list[tuple[Path, int, int, int]]:
        """File, number, first product and products of each row group, by the files' statistics:
        a dataset's own count would keep the metadata of all files, gigabytes of ten million."""
        found, start = [], 0
        for path in self.files:
            metadata = pq.read_metadata(path)
            names = metadata.schema.names
            for group in range(metadata.num_row_groups):
                facts = metadata.row_group(group)
                count: int = facts.num_rows
                if self._partial:  # rows without a problem have null there
                    count = facts.column(names.index(PROBLEM)).statistics.null_count
                found.append((path, group, start, count))
                start += count
        return found

    @property
    def _filter(self) -> ds.Expression | None:
        return ds.field(PROBLEM).is_null() if self._partial else None

    def _tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        scanned = self._data.to_batches(
            columns=list(columns), filter=self._filter, batch_size=BATCH, batch_readahead=2,
            fragment_readahead=1, cache_metadata=False,
        )  # fmt: skip
        for batch in scanned:
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= BATCH:
                yield pa.Table.from_batches(waiting).unify_dictionaries()
                waiting = []
        if waiting:
            yield pa.Table.from_batches(waiting).unify_dictionaries()
