"""Random tables: every row comes back as it was written, or is named as left out."""

import csv
import dataclasses
import io
import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, note

from fashion_xai.data import split
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from fashion_xai.data.delimited import Columns, parse
from fashion_xai.data.products import Product
from fashion_xai.data.schema import Table, read
from fashion_xai.data.sources import composed

LABELS = ["Red", "Blue", "Navy Blue", "Crème", "T-Shirts", "Bags & More", "NA", ""]
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff", exclude_categories=["Cs"]),
    max_size=20,
)
ODD = [",", '"', ";", "\t", "|", "\\", '""', '15"', "é", " "]
TITLES = st.lists(st.one_of(st.sampled_from(ODD), WORDS), max_size=6).map("".join)


@st.composite
def tables(draw):
    """Columns in any order, and rows."""
    names = draw(st.permutations(["id", "colour", "kind", "title", "price"]))
    count = draw(st.integers(1, 8))
    rows = [
        {
            "id": f"{1000 + n}",
            "colour": draw(st.sampled_from(LABELS)),
            "kind": draw(st.sampled_from(LABELS)),
            "title": draw(TITLES),
            "price": draw(st.sampled_from(["", "12", "9.99"])),
        }
        for n in range(count)
    ]
    return names, rows


def columns(text=None, usual=None):
    return Columns(("id", "colour", "kind"), ("colour", "kind"), text, usual)


def right(found, rows):
    """Whether the rows that were read have the labels that they were written with."""
    wanted = {r["id"]: r for r in rows}
    seen = set()
    for _, cells in found.cells:
        written = wanted[cells["id"]]
        assert cells["colour"].strip() == composed(written["colour"]), cells
        assert cells["kind"].strip() == composed(written["kind"]), cells
        seen.add(cells["id"])
    return seen


@given(tables(), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.booleans())  # fmt: skip
def fuzz_what_csv_writes_is_read(table, delimiter, end, encoding, multiline):
    names, rows = table
    if multiline:
        rows = [{**r, "title": f"{r['title']}\nsecond line"} for r in rows]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    data = buffer.getvalue().encode(encoding)
    note(repr(data))
    found = parse(data, columns())
    assert found.header == list(names) and not found.rejected
    assert right(found, rows) == {r["id"] for r in rows}


@given(tables(), st.sampled_from(["named", "usual", "unnamed"]))
def fuzz_titles_without_quotes_move_no_label(table, how):
    """Titles written as they are, commas, quotes and all: read right, or rejected."""
    names, rows = table
    lines = [",".join(names), *(",".join(r[n] for n in names) for r in rows)]
    data = "\n".join(lines).encode()
    note(repr(data))
    asked = columns("title" if how == "named" else None, "title" if how == "usual" else None)
    found = parse(data, asked)
    seen = right(found, rows)
    # A row whose quotes swallow the next is not counted twice; nothing vanishes.
    assert len(seen) + len(found.rejected) >= len(rows), (seen, found.rejected)


@given(tables(), st.data())
def fuzz_broken_bytes(table, data):
    """A table with bytes changed, inserted and cut off: rows or a sentence."""
    names, rows = table
    text = "\n".join([",".join(names), *(",".join(r[n] for n in names) for r in rows)])
    broken = bytearray(text.encode())
    for _ in range(data.draw(st.integers(0, 6))):
        if broken:
            place = data.draw(st.integers(0, len(broken) - 1))
            broken[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("styles.csv", "a.tsv", "a.json", "a.jsonl", "a.xlsx", "a.parquet"):
            (Path(folder) / "images").mkdir(exist_ok=True)
            (Path(folder) / "images" / "1000.jpg").write_bytes(b"")
            (Path(folder) / name).write_bytes(broken)
            try:
                Catalogue(Path(folder) / name, table=Table(columns={"colour": "colour"}))
            except CatalogueError as error:
                assert str(error)
            (Path(folder) / name).unlink()


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [f.name for f in dataclasses.fields(Table)]


@given(st.dictionaries(st.sampled_from([*NAMES, "other"]), JSON))
def fuzz_descriptions(described):
    """A table's description: read, or a ValueError that says what was expected."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.json"
        file.write_text(json.dumps(described), encoding="utf-8")
        try:
            read(file)
        except (ValueError, OSError) as error:
            assert str(error)


@given(st.lists(st.lists(st.text(max_size=6), max_size=4), max_size=6), st.booleans())
def fuzz_splits(rows, header):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "split.csv"
        with file.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            csv.writer(stream).writerows([["id", "split", "gender"], *rows] if header else rows)
        product = Product("1", 2, {"gender": "Men"})
        try:
            split.split_of(file, [product])
        except ValueError as error:
            assert str(error)
