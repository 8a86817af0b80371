"""Tables of every kind, read as rows of text: CSV, Excel, JSON and Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from fashion_xai.data import delimited
from fashion_xai.data.delimited import Columns, Rows
from fashion_xai.data.images import ImageError
from fashion_xai.data.rejections import CatalogueError, Rejected
from fashion_xai.data.sources import Source, composed

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".jsonl", ".ndjson", ".json", ".parquet")
"""Of the tables that are read."""

ROW = "row"
"""Column that a Parquet's rows get where no other one names them: their place, from 0."""


def read(source: Source, name: str, columns: Columns) -> Rows:
    """A table.

    Args:
        source: where it lies.
        name: its name there; the suffix tells which kind it is.
        columns: which of them matter.

    Raises:
        CatalogueError: it cannot be read as what its name says it is.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".parquet":
        return _parquet(source, name)
    try:
        data = source.read(name)
    except ImageError as error:
        raise CatalogueError(str(error)) from error
    if suffix == ".xls":
        raise CatalogueError(f"{name}: expected .xlsx or CSV; save the old Excel file as one.")
    if suffix == ".xlsx":
        return _excel(data, name)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _json(data, name)
    return delimited.parse(data, columns)


def text(value: Any) -> str:
    """A cell as text: nothing for None and NaN, whole numbers without a decimal point."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return composed(str(value))


def _rows(header: Sequence[str], rows: Iterable[tuple[int, Sequence[Any]]], kind: str) -> Rows:
    cells = [
        (number, dict(zip(header, map(text, values), strict=True)))
        for number, values in rows
        if any(value is not None for value in values)
    ]
    return Rows([composed(name).strip() for name in header], cells, [], kind)


def _excel(data: bytes, name: str) -> Rows:
    try:
        import openpyxl
    except ImportError:
        raise CatalogueError(
            f'{name}: Excel tables need: pip install "fashion-xai[formats]"; or save it as CSV.'
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = [(n, row) for n, row in enumerate(sheet.iter_rows(values_only=True), start=1)]
    except Exception as error:  # openpyxl raises what its XML and zip readers raise
        raise CatalogueError(f"{name}: expected an Excel table ({error!r:.200}).") from error
    rows = [(n, row) for n, row in rows if any(x is not None for x in row)]
    if not rows:
        return Rows([], [], [])
    header = [text(x) for x in rows[0][1]]
    width = max(n for n, x in enumerate(header, start=1) if x)  # empty columns at the right
    more = f", {len(book.worksheets) - 1} more are not read" if len(book.worksheets) > 1 else ""
    kind = f"Excel, sheet {sheet.title!r}{more}"
    short = [(n, [*row[:width], *[None] * (width - len(row))]) for n, row in rows[1:]]
    return _rows(header[:width], short, kind)


def _json(data: bytes, name: str) -> Rows:
    """One object a line, or a list of objects."""
    words, _ = delimited.decode(data)
    objects: list[tuple[int, Mapping[str, Any]]] = []
    rejected: list[Rejected] = []
    if words.lstrip().startswith("["):
        found = _parsed(words)
        if not isinstance(found, list):
            raise CatalogueError(f"{name}: expected a list of JSON objects, or one on each line.")
        numbered = list(enumerate(found, start=1))
    else:
        lines = enumerate(words.split("\n"), start=1)
        numbered = [(n, _parsed(line)) for n, line in lines if line.strip()]
    for number, found in numbered:
        if isinstance(found, dict):
            objects.append((number, found))
        else:
            rejected.append(Rejected(number, "", f"expected a JSON object, received {found!r:.80}"))
    header = list(dict.fromkeys(key for _, each in objects for key in each))
    rows = _rows(header, ((n, [each.get(k) for k in header]) for n, each in objects), "JSON")
    rows.rejected = rejected
    return rows


def _parsed(words: str) -> Any:
    try:
        return json.loads(words)
    except (ValueError, RecursionError):
        return words


def _parquet(source: Source, name: str) -> Rows:
    """All columns but those with bytes, which are photos; ``row`` numbers the rows."""
    import pyarrow as pa

    try:
        file = open_parquet(source, name)
        schema = file.schema_arrow
        plain = [f.name for f in schema if not holds_bytes(f.type)]
        table = file.read(columns=plain)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CatalogueError(f"{name}: expected a Parquet table ({error}).") from error
    names = _class_names(schema.metadata)
    columns = {}
    for column in plain:
        values = table[column].to_pylist()
        if labels := names.get(column):  # Hugging Face's ClassLabel keeps numbers
            values = [
                labels[v] if isinstance(v, int) and 0 <= v < len(labels) else v for v in values
            ]
        columns[column] = values
    if ROW not in columns:
        columns[ROW] = list(range(file.metadata.num_rows))
    rows = zip(*columns.values(), strict=True)
    return _rows(list(columns), ((n, row) for n, row in enumerate(rows, start=2)), "Parquet")


def open_parquet(source: Source, name: str) -> ParquetFile:
    """A Parquet file, opened and not read: of a zip only it is held in memory.

    Raises:
        CatalogueError: no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(source.path(name) or source.open(name))
    except (pa.ArrowException, OSError, ValueError) as error:  # ImageError is a ValueError
        raise CatalogueError(f"{name}: expected a Parquet table ({error}).") from error


def holds_bytes(kind: Any) -> bool:
    """Whether a column of Arrow's has photos in it: bytes, or Hugging Face's {bytes, path}."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(n).name == "bytes" for n in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Column → names of its numbered classes, as Hugging Face's datasets writes them."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {c: f["names"] for c, f in features.items() if f.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
