"""CSV as people have it: any encoding and delimiter, titles with stray quotes and commas.

A row is read by the rules of CSV (RFC 4180) first. Only one that does not fit them is repaired, and
only where that cannot move a label; else it is left out with its reason.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from charset_normalizer import from_bytes

from fashion_xai.data.rejections import CatalogueError, Rejected
from fashion_xai.data.sources import composed

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

ENCODINGS = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp932",
             "gb18030", "big5", "cp949")  # fmt: skip
"""What Excel writes where it does not write Unicode, by country; the first is taken in doubt."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks."""

MOST_LINES = 200
"""Of one quoted cell; beyond that its quote is a stray one."""


@dataclass(frozen=True)
class Columns:
    """What a table's reader must know of its columns.

    Args:
        needed: those that hold labels, ids and the like: nothing may be joined into them.
        labels: those of ``needed`` whose words say where a surplus delimiter was.
        text: the column with free text, where it is named; None where not.
        usual_text: the column with free text if it is the last one.
        encoding: of a CSV; None finds out.
    """

    needed: Sequence[str] = ()
    labels: Sequence[str] = ()
    text: str | None = None
    usual_text: str | None = None
    encoding: str | None = None


@dataclass
class Rows:
    """A table as text.

    Args:
        header: the columns' names.
        cells: (row, cells by column); rows count from 1 with the header, by lines of the file.
        rejected: rows that do not have the header's columns.
        format: how it was read, for a person; '' where nothing needs saying.
    """

    header: list[str]
    cells: list[tuple[int, dict[str, str]]]
    rejected: list[Rejected]
    format: str = ""


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text and the name of its encoding: as given, by its byte order mark, UTF-8, or guessed.

    Raises:
        CatalogueError: it is not in the encoding given.
    """
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding
        except (UnicodeDecodeError, LookupError) as error:
            raise CatalogueError(f"expected text in --encoding {encoding} ({error}).") from error
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    if data[:4096].count(0) > len(data[:4096]) // 4:  # UTF-16 without a mark
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        return data.decode(encoding, errors="replace"), encoding
    for encoding in _guesses(data):
        try:
            return data.decode(encoding), f"{encoding}, guessed (--encoding says another)"
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1, guessed (--encoding says another)"


def _guesses(data: bytes) -> list[str]:
    """Encodings that make readable text of bytes that are no UTF-8, the likeliest first.

    charset-normalizer finds those whose text is no mess; of several the one with most letters among
    what is not ASCII, and of equals the first of :data:`ENCODINGS`: cp1252 and cp1250 both make
    letters of most bytes.
    """
    lines = b"\n".join([line for line in data.split(b"\n") if not line.isascii()][:1000])
    matches = list(from_bytes(lines, cp_isolation=list(ENCODINGS)))
    least = min((match.chaos for match in matches), default=0.0)
    named = {x for m in matches if m.chaos <= least for x in (m.encoding, *m.could_be_from_charset)}

    def letters(encoding: str) -> float:
        strange = [c for c in lines.decode(encoding, errors="replace") if not c.isascii()]
        return -sum(c.isalpha() for c in strange) / len(strange)

    return sorted((x for x in ENCODINGS if x in named), key=letters) or [ENCODINGS[0]]


def parse(data: bytes, columns: Columns) -> Rows:
    """A CSV's rows.

    Args:
        data: the file.
        columns: which of them matter.

    Returns:
        The rows; an empty header where the file is empty.
    """
    text, encoding = decode(data, columns.encoding)
    # Not splitlines(): titles may hold form feeds or Unicode line separators.
    lines = composed(text).replace("\r\n", "\n").split("\n")
    if len(lines) == 1 and "\r" in text:
        lines = lines[0].split("\r")
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return Rows([], [], [])
    delimiter = _delimiter(lines[first], columns.needed)
    named = re.fullmatch(r"sep=(.)", lines[first].strip())  # Excel's own first line
    if named and len(lines) > first + 1:
        delimiter, first = named[1], first + 1
    header, end, _ = _record(lines, first, delimiter, None)
    header = [name.strip() for name in header]
    named_id = next(iter(columns.needed), "")
    identity = header.index(named_id) if named_id in header else 0
    rows = Rows(header, [], [], _format(encoding, delimiter))
    surplus: list[tuple[int, list[str]]] = []
    at = end
    while at < len(lines):
        start = at
        if not lines[at].strip():
            at += 1
            continue
        row, at, fault = _record(lines, start, delimiter, header, identity)
        number = start + 1
        if fault or len(row) < len(header):
            reason = fault or f"expected {len(header)} columns, received {len(row)}"
            rows.rejected.append(Rejected(number, row[0][:80], reason))
        elif len(row) > len(header):
            surplus.append((number, row))
        else:
            rows.cells.append((number, dict(zip(header, row, strict=True))))
    _join_surplus(rows, surplus, columns, delimiter)
    return rows


def _format(encoding: str, delimiter: str) -> str:
    """How a file was read, where it is not UTF-8 with commas."""
    parts = [] if encoding.startswith("utf-8") else [f"encoding {encoding}"]
    if delimiter != ",":
        parts.append(f"cells between {DELIMITERS.get(delimiter, repr(delimiter))}")
    return ", ".join(parts)


def _delimiter(line: str, needed: Sequence[str]) -> str:
    """The one that gives most of the needed columns, then most columns at all."""

    def fit(delimiter: str) -> tuple[int, int]:
        names = [name.strip() for name in _strict(line, delimiter) or line.split(delimiter)]
        return len(set(names) & set(needed)), len(names)

    return max(DELIMITERS, key=fit)  # the first of equals


def _record(
    lines: Sequence[str], start: int, delimiter: str, header: Sequence[str] | None, at: int = 0
) -> tuple[list[str], int, str]:
    """The row that begins at a line, the line after it, and why it cannot be read ('' if it can);
    ``at`` is the place of the id.

    A quoted cell may go over several lines; a stray quote must not swallow rows.
    """
    line = lines[start]
    if max(map(len, line.split(delimiter))) > csv.field_size_limit():
        cell = f"a cell of over {csv.field_size_limit():,} characters"
        return line.split(delimiter)[:1], start + 1, cell
    if '"' not in line:
        return line.split(delimiter), start + 1, ""
    ahead = (f"{lines[n]}\n" for n in range(start, min(start + MOST_LINES, len(lines))))
    reader = csv.reader(ahead, strict=True, delimiter=delimiter)
    try:
        row = next(reader)
    except csv.Error:
        row = []
    if row and reader.line_num == 1:
        return row, start + 1, ""
    if row and (header is None or len(row) == len(header)):
        end = start + reader.line_num
        first, *swallowed = (
            _may_be_row(each, row[at], delimiter, len(row)) for each in lines[start:end]
        )
        if not (first and any(swallowed)):
            return row, end, ""
    escaped = _strict(line, delimiter, escapechar="\\") if '\\"' in line else None
    if escaped and header and len(escaped) == len(header):
        return escaped, start + 1, ""
    return line.split(delimiter), start + 1, ""  # a stray quote, as in: 15" laptop bag


def _strict(line: str, delimiter: str, escapechar: str | None = None) -> list[str] | None:
    """A line by the rules; None where it breaks them."""
    double = escapechar is None
    try:
        return next(
            csv.reader(
                [line], strict=True, delimiter=delimiter, escapechar=escapechar, doublequote=double
            )
        )
    except (csv.Error, StopIteration):
        return None


def _may_be_row(line: str, identity: str, delimiter: str, width: int) -> bool:
    """Whether a line may be a row of its own: it has as many cells as the header, one of them of
    the same make as an id."""

    def make(cell: str) -> str:
        return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell.strip().strip('"')))

    cells = line.split(delimiter)
    return len(cells) >= width and make(identity) in map(make, cells)


def _join_surplus(
    rows: Rows, surplus: Sequence[tuple[int, list[str]]], columns: Columns, delimiter: str
) -> None:
    """Rows with too many cells: the surplus is joined into the column with free text, where no
    other place explains the labels better; else the row is rejected.

    The labels tell: those of rows that parse are known, and a shifted cell is none of them. A last
    column that nothing says is free text needs all of them known, and no other place as good.
    """
    if not surplus:
        return
    header = rows.header
    at = _text_column(header, columns)
    sure = at is not None and header[at] in (columns.text, columns.usual_text)
    labels = [i for i, name in enumerate(header) if name in columns.labels]
    needed = [i for i, name in enumerate(header) if name in columns.needed]
    known: dict[int, set[str]] = defaultdict(set)
    for _, cells in rows.cells:
        for i in labels:
            known[i].add(cells[header[i]].strip())

    def joined(row: list[str], place: int) -> list[str]:
        end = place + len(row) - len(header) + 1
        return [*row[:place], delimiter.join(row[place:end]), *row[end:]]

    def fit(row: list[str], place: int) -> int:
        whole = joined(row, place)
        return sum(whole[i].strip() in known[i] - {""} for i in labels)

    def explained(row: list[str], at: int) -> bool:
        own = [joined(row, at)[i] for i in needed]
        others = [p for p in range(len(header)) if [joined(row, p)[i] for i in needed] != own]
        best = max((fit(row, p) for p in others), default=0)
        return fit(row, at) >= best if sure else best < fit(row, at) == len(labels)

    for number, row in surplus:
        if at is not None and explained(row, at):
            rows.cells.append((number, dict(zip(header, joined(row, at), strict=True))))
        else:
            reason = (
                f"expected {len(header)} columns, received {len(row)}, and it cannot be told which "
                "cell the surplus belongs to; quote it"
            )
            if at is None:
                reason += ", or name the column with free text by --title-column"
            rows.rejected.append(Rejected(number, row[0][:80], reason))
    rows.cells.sort(key=lambda pair: pair[0])
    rows.rejected.sort()


def _text_column(header: Sequence[str], columns: Columns) -> int | None:
    """Where surplus cells may be joined: the named column, or the last one if it holds no label."""
    if columns.text in header:
        return header.index(columns.text)
    last = header[-1]
    if last in columns.needed or (columns.usual_text in header and columns.usual_text != last):
        return None
    return len(header) - 1
