"""Which columns of a catalogue's CSV hold what: Kaggle's by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fashion_xai.data import files
from fashion_xai.data.labels import ATTRIBUTES

SEVERAL = "|"
"""Between the labels of a cell of which one is true."""


@dataclass(frozen=True)
class Table:
    """The shape of a catalogue's table.

    Args:
        columns: attribute → the column that holds its labels. The attributes become the heads.
        file: the table's file name.
        id: the column with the product's id, which is its photo's file name too.
        title: the column with the display name; it may be absent.
        label: the column whose word means labels of several attributes, see ``words``; None
            where each attribute has a column.
        words: word of ``label`` → attribute → the labels that it allows; an attribute that is not
            named is unknown. ``COLUMN=VALUE`` as a word adds what it says where another column has
            that value.
        group: the column whose values group products for the split; None for none.
    """

    columns: Mapping[str, str] = field(default_factory=lambda: {a: a for a in ATTRIBUTES})
    file: str = "styles.csv"
    id: str = "id"
    title: str = "productDisplayName"
    label: str | None = None
    words: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    group: str | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def needed(self) -> list[str]:
        """The columns that a table must have."""
        own = [self.label] if self.label else list(self.columns.values())
        beside = [word.partition("=")[0] for word in self.words if "=" in word]
        return list(dict.fromkeys([self.id, *own, *beside, *([self.group] if self.group else [])]))

    def labels_of(self, cells: Mapping[str, str]) -> dict[str, Sequence[str]]:
        """Attribute → the labels that a row allows; none where nothing is known.

        A cell may name several: ``Jeans|Trousers``.

        Raises:
            ValueError: a word that no label map explains.
        """
        if self.label is None:
            return {a: cells[column].split(SEVERAL) for a, column in self.columns.items()}
        word = cells[self.label].strip()
        if word not in self.words:
            raise ValueError(f"{self.label} {word!r} is not in the label map")
        found = dict(self.words[word])
        for other, labels in self.words.items():
            column, equals, value = other.partition("=")
            if equals and cells[column].strip() == value:
                found.update(labels)
        return {a: found.get(a, ()) for a in self.columns}

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads; label maps are kept only where there is one."""
        plain = {
            "columns": dict(self.columns),
            "file": self.file,
            "id": self.id,
            "title": self.title,
        }
        more = {"label": self.label, "words": self.words, "group": self.group}
        return plain | {name: value for name, value in more.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Table:
        """The table a bundle was trained on; Kaggle's where its card names none."""
        return cls(**data) if data else cls()


def read_words(paths: Sequence[Path]) -> dict[str, dict[str, list[str]]]:
    """Label maps: word → attribute → labels; what several say of a word is put together.

    Raises:
        ValueError: another form; names the file and the word.
        FileNotFoundError: no such file.
    """
    words: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        for word, allowed in files.read_json(path).items():
            sound = isinstance(allowed, dict) and all(
                isinstance(labels, list) and labels and all(isinstance(x, str) for x in labels)
                for labels in allowed.values()
            )
            if not sound:
                raise ValueError(
                    f"{path}, {word!r}: expected attributes with lists of labels, such as "
                    f'{{"articleType": ["Jeans", "Trousers"]}}. Received: {allowed!r:.100}'
                )
            words.setdefault(word, {}).update(allowed)
    return words


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
    if isinstance(data.get("words"), list):
        data["words"] = read_words([path.parent / name for name in data["words"]])
    return Table(**data)
