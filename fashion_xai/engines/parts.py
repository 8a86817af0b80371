"""What of a run is finished: a Parquet for each chunk of products, named by the chunk's number.

A chunk is written whole or not at all, by one process: whichever engine computes it, and however
often it has to, its products are in the result once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_xai.data import files
from fashion_xai.data.products import Product
from fashion_xai.data.rejections import Rejected
from fashion_xai.engines.work import ID, NOTE, PROBLEM, ROW

CHUNK = 512
"""Products of a chunk: what a kill can lose of each process that computes."""

SETTINGS = "settings.json"

FORMAT = 3
"""Of the parts of an unfinished run."""

NAMED = 5
"""Ids that are named beside a note."""


class Parts:
    """The parts of one run, in a folder of their own.

    Args:
        folder: of the parts; made where it is not there.
        settings: what the run is made with; a stopped one goes on with the same.
        fatal: settings of which a difference is an error: the folder is another run's.

    Raises:
        ValueError: the folder holds parts of a run whose ``fatal`` settings differ.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], fatal: Collection[str] = ()):
        self.folder = folder
        settings = {**json.loads(json.dumps(settings)), "parts": FORMAT}
        file = folder / SETTINGS
        before = files.read_json(file) if file.exists() else settings
        changed = {name for name, value in settings.items() if before.get(name) != value}
        if changed & set(fatal):
            raise ValueError(
                f"{folder.parent} holds an unfinished run of another model or other products. "
                "Give another --out, or remove the folder."
            )
        if changed:
            print("Model, labels, columns, split or photos have changed since: it starts anew.")
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files.write(file, json.dumps(settings))

    def chunks(self, products: Sequence[Product], size: int) -> dict[int, Sequence[Product]]:
        """Number → products of the chunks that are not finished."""
        starts = range(0, len(products), size)
        return {
            number: products[start : start + size]
            for number, start in enumerate(starts)
            if not self._file(number).exists()
        }

    def write(self, number: int, table: pa.Table) -> None:
        """Keep a finished chunk."""
        part = self._file(number).with_suffix(".part")
        pq.write_table(table, part, compression="zstd")
        os.replace(part, self._file(number))

    def finished(self) -> list[Path]:
        """The files of the chunks that are finished, in order."""
        return sorted(self.folder.glob("[0-9]*.parquet"))

    def rejected(self) -> list[Rejected]:
        """Products whose photo could not be used."""
        found = []
        for file in self.finished():
            table = pq.read_table(file, columns=[ROW, ID, PROBLEM])
            for row in table.filter(table[PROBLEM].is_valid()).to_pylist():
                found.append(Rejected(row[ROW], row[ID], row[PROBLEM]))
        return found

    def notes(self) -> Iterator[str]:
        """What is to be said of photos: a line a sentence, with the number of photos and ids."""
        said: dict[str, list[str]] = {}
        for file in self.finished():
            table = pq.read_table(file, columns=[ID, NOTE])
            for row in table.filter(table[NOTE].is_valid()).to_pylist():
                said.setdefault(row[NOTE], []).append(row[ID])
        for note, ids in sorted(said.items()):
            more = " …" if ids[NAMED:] else ""
            yield f"{len(ids):,} photos: {note} ({', '.join(sorted(ids)[:NAMED])}{more})"

    def join(self, out: Path, schema: pa.Schema, more: Sequence[pa.Table] = ()) -> None:
        """One file of all parts, in the order of the products.

        Args:
            out: the file.
            schema: its columns; of products that have a :data:`PROBLEM` only where it has that.
            more: tables that come after the parts.
        """
        temporary = self.folder / f"{out.name}.part"
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for table in (*map(pq.read_table, self.finished()), *more):
                if PROBLEM not in schema.names:
                    table = table.filter(table[PROBLEM].is_null())
                writer.write_table(table.select(schema.names).cast(schema))
        _remove(out)
        os.replace(temporary, out)

    def keep(self, out: Path) -> None:
        """Let the parts be the result, a folder, where they are too many for one file."""
        _remove(out)
        (self.folder / SETTINGS).unlink()
        os.replace(self.folder, out)

    def remove(self) -> None:
        """When what is made of them is written."""
        shutil.rmtree(self.folder)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06}.parquet"


def _remove(path: Path) -> None:
    """An earlier result, a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
