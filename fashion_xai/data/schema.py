"""Which columns of a catalogue's table hold what: Kaggle's by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_xai.data import files
from fashion_xai.data.labels import ATTRIBUTES
from fashion_xai.data.sources import composed

SEVERAL = "|"
"""Between the labels of a cell of which one is true."""

FILE, TITLE = "styles.csv", "productDisplayName"
"""Kaggle's names, taken where no other is given."""

MISSING_WORDS = ("NA", "N/A", "nan", "NULL", "<NA>", "#N/A", "-", "–")
"""Cells that mean that nothing is known, in any case of letters; an empty one does too."""


@dataclass(frozen=True)
class Table:
    """The shape of a catalogue's table.

    Args:
        columns: attribute → the column that holds its labels. The attributes become the heads.
        file: the table's file name, or its path below the catalogue; None for Kaggle's, or where
            that is not there, for what is (:mod:`fashion_xai.data.layouts`).
        id: the column with the product's id, which is its photo's file name too.
        title: the column with free text, the display name; None for Kaggle's, which may be absent.
        label: the column whose word means labels of several attributes, see ``words``; None
            where each attribute has a column.
        words: word of ``label`` → attribute → the labels that it allows; an attribute that is not
            named is unknown. ``COLUMN=VALUE`` as a word adds what it says where another column has
            that value. Without ``label`` a word in an attribute's own column means the labels that
            it names for that attribute; words that are not there mean themselves.
        group: the column whose values group products for the split; None for none.
        photo: the column with the photo's path, or in a Parquet its bytes; None for the id.
        missing: words that mean that nothing is known, beside empty cells.
        encoding: of a CSV; None finds out.
    """

    columns: Mapping[str, str] = field(default_factory=lambda: {a: a for a in ATTRIBUTES})
    file: str | None = None
    id: str = "id"
    title: str | None = None
    label: str | None = None
    words: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    group: str | None = None
    photo: str | None = None
    missing: Sequence[str] = MISSING_WORDS
    encoding: str | None = None

    @property
    def title_column(self) -> str:
        return self.title or TITLE

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def needed(self) -> list[str]:
        """The columns that a table must have."""
        own = [self.label] if self.label else list(self.columns.values())
        beside = [word.partition("=")[0] for word in self.words if self.label and "=" in word]
        more = [name for name in (self.group, self.photo) if name]
        return list(dict.fromkeys([self.id, *own, *beside, *more]))

    def is_missing(self, cell: str) -> bool:
        """Whether a cell says that nothing is known."""
        word = cell.strip().casefold()
        return not word or word in self._missing

    @cached_property
    def _missing(self) -> frozenset[str]:
        return frozenset(word.casefold() for word in self.missing)

    def labels_of(self, cells: Mapping[str, str]) -> dict[str, Sequence[str]]:
        """Attribute → the labels that a row allows; none where nothing is known.

        A cell may name several: ``Jeans|Trousers``.

        Raises:
            ValueError: a word that no label map explains.
        """
        if self.label is None:
            return {a: self._own(a, cells[column]) for a, column in self.columns.items()}
        word = cells[self.label].strip()
        if word not in self.words:
            raise ValueError(f"{self.label} {word!r} is not in the label map")
        found = dict(self.words[word])
        for other, labels in self.words.items():
            column, equals, value = other.partition("=")
            if equals and cells[column].strip() == value:
                found.update(labels)
        return {a: found.get(a, ()) for a in self.columns}

    def _own(self, attribute: str, cell: str) -> list[str]:
        """The labels of a cell of an attribute's own column."""
        words = [x.strip() for x in cell.split(SEVERAL) if not self.is_missing(x)]
        return [x for w in words for x in self.words.get(w, {}).get(attribute, [w])]

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads; label maps are kept only where there is one."""
        plain = {
            "columns": dict(self.columns),
            "file": self.file or FILE,
            "id": self.id,
            "title": self.title_column,
        }
        more: dict[str, Any] = {
            "label": self.label,
            "words": self.words,
            "group": self.group,
            "photo": self.photo,
        }
        if self.missing != MISSING_WORDS:
            more["missing"] = list(self.missing)
        return plain | {name: value for name, value in more.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Table:
        """A table as :meth:`to_json` kept it; Kaggle's for None."""
        data = dict(data or {})
        for name, usual in (("file", FILE), ("title", TITLE)):
            if data.get(name) == usual:
                del data[name]
        if "missing" in data:
            data["missing"] = tuple(data["missing"])
        return cls(**data)


def read_words(paths: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    """Label maps: word → attribute → labels; what several say of a word is put together.

    Raises:
        ValueError: another form; names the file and the word.
        FileNotFoundError: no such file.
    """
    words: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        for word, allowed in _composed(files.read_json(path)).items():
            if not _is_labels(allowed):
                raise ValueError(
                    f"{path}, {word!r}: expected attributes with lists of labels, such as "
                    f'{{"articleType": ["Jeans", "Trousers"]}}. Received: {allowed!r:.100}'
                )
            words.setdefault(word, {}).update(allowed)
    return words


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, str) for x in value)


def _is_columns(value: Any) -> bool:
    return (
        isinstance(value, dict) and bool(value) and all(isinstance(x, str) for x in value.values())
    )


def _is_labels(value: Any) -> bool:
    """Attribute → labels; none where it is unknown."""
    return isinstance(value, dict) and all(map(_is_texts, value.values()))


def _is_words(value: Any) -> bool:
    return _is_texts(value) or (isinstance(value, dict) and all(map(_is_labels, value.values())))


_FORMS = {f.name: _is_text for f in fields(Table)} | {
    "id": lambda value: isinstance(value, str),
    "columns": _is_columns,
    "words": _is_words,
    "missing": _is_texts,
}
_FORMS_SAY = {f.name: "text" for f in fields(Table)} | {
    "columns": "attribute → column",
    "words": "paths of label maps, or word → attribute → labels",
    "missing": "a list of words",
}


def _composed(value: Any) -> Any:
    """JSON with every text in Unicode's composed form, as tables are read."""
    if isinstance(value, dict):
        return {composed(k): _composed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_composed(v) for v in value]
    return composed(value) if isinstance(value, str) else value


def read(path: Path) -> Table:
    """A table's description from a JSON file: the names of :class:`Table`, all of them optional.

    ``words`` may be paths of label maps, relative to the file.

    Raises:
        ValueError: no such description.
        FileNotFoundError: no such file.
    """
    data = files.read_json(path)
    known = {f.name for f in fields(Table)}
    if strange := sorted(set(data) - known):
        raise ValueError(f"{path}: expected {', '.join(sorted(known))}. Received: {strange}")
    for name, value in data.items():
        if not _FORMS[name](value):
            raise ValueError(
                f"{path}, {name}: expected {_FORMS_SAY[name]}. Received: {value!r:.80}"
            )
    if isinstance(data.get("words"), list):
        data["words"] = read_words([path.parent / name for name in data["words"]])
    return Table.from_json(_composed(data))
