"""Names of labels: a vocabulary per attribute and the taxonomy of categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ATTRIBUTES = ("gender", "masterCategory", "subCategory", "articleType", "baseColour", "season")
"""The six attributes in the order of CSV columns, head layers, output keys and UI titles."""

CATEGORY_PATH = ("masterCategory", "subCategory", "articleType")
"""The attributes that form the taxonomy, from coarse to fine."""

MISSING = -1
"""Index of a missing label: it has no weight in losses and metrics."""

Labels = Mapping[str, str | None]
"""One product's labels by attribute; None where the label is missing."""


@dataclass(frozen=True)
class Vocabulary:
    """Ordered labels per attribute, with the semantics of scikit-learn's ``LabelEncoder``.

    Args:
        labels: attribute → its labels, sorted by code point and unique. Position is index.

    >>> seasons = Vocabulary.fit([{"season": "Summer"}, {"season": "Fall"}], ["season"])
    >>> seasons.encode("season", ["Summer", None]).tolist()
    [1, -1]
    """

    labels: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, rows: Iterable[Labels], attributes: Sequence[str] = ATTRIBUTES) -> Vocabulary:
        """Collect the labels that occur in ``rows``; missing ones (None) are no label.

        Raises:
            ValueError: an attribute has no label in any row.
        """
        seen: dict[str, set[str]] = {attribute: set() for attribute in attributes}
        for row in rows:
            for attribute in attributes:
                label = row.get(attribute)
                if label is not None:
                    seen[attribute].add(label)
        for attribute, labels in seen.items():
            if not labels:
                raise ValueError(f"No row has a label for {attribute!r}. Expected at least one.")
        return cls({attribute: tuple(sorted(labels)) for attribute, labels in seen.items()})

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(self.labels)

    @property
    def sizes(self) -> dict[str, int]:
        """Attribute → number of labels."""
        return {attribute: len(labels) for attribute, labels in self.labels.items()}

    def index(self, attribute: str, label: str) -> int:
        """Index of ``label``.

        Raises:
            KeyError: the attribute or the label is unknown; the message offers close names.
        """
        labels = self._of(attribute)
        try:
            return labels.index(label)
        except ValueError:
            raise KeyError(_unknown(f"{attribute} label", label, labels)) from None

    def encode(self, attribute: str, labels: Iterable[str | None]) -> np.ndarray:
        """Labels → int32 indices (n,); None → ``MISSING``.

        Raises:
            KeyError: a label is not in the vocabulary.
        """
        index = {label: i for i, label in enumerate(self._of(attribute))}
        labels = list(labels)
        for label in labels:
            if label is not None and label not in index:
                raise KeyError(_unknown(f"{attribute} label", label, list(index)))
        return np.array([MISSING if x is None else index[x] for x in labels], np.int32)

    def decode(self, attribute: str, indices: Iterable[int]) -> list[str | None]:
        """Indices → labels; ``MISSING`` → None."""
        labels = self._of(attribute)
        return [None if i == MISSING else labels[i] for i in indices]

    def one_hot(self, attribute: str, labels: Iterable[str | None]) -> np.ndarray:
        """Labels → float32 (n, n_labels); the row of a missing label is all zeros."""
        indices = self.encode(attribute, labels)
        eye = np.eye(len(self._of(attribute)) + 1, len(self._of(attribute)), dtype=np.float32)
        return eye[indices]  # MISSING is -1: the extra, empty last row

    def to_json(self) -> dict[str, list[str]]:
        return {attribute: list(labels) for attribute, labels in self.labels.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[str]]) -> Vocabulary:
        """Raises ``ValueError`` where it is not attribute → sorted labels."""
        if not isinstance(data, Mapping) or not data:
            raise ValueError(f"Expected labels by attribute. Received: {type(data).__name__}")
        for attribute, labels in data.items():
            if not isinstance(labels, Sequence) or not all(isinstance(x, str) for x in labels):
                raise ValueError(f"Expected a list of labels for {attribute!r}.")
            if list(labels) != sorted(set(labels)):
                raise ValueError(f"Labels of {attribute!r} must be sorted and unique.")
        return cls({attribute: tuple(labels) for attribute, labels in data.items()})

    def _of(self, attribute: str) -> tuple[str, ...]:
        if attribute not in self.labels:
            raise KeyError(_unknown("attribute", attribute, list(self.labels)))
        return self.labels[attribute]


@dataclass(frozen=True)
class Taxonomy:
    """The (masterCategory, subCategory, articleType) triples that were observed.

    It is no tree: some articleTypes occur under several subCategories.

    >>> shirt = {"masterCategory": "Apparel", "subCategory": "Topwear", "articleType": "Shirts"}
    >>> Taxonomy.fit([shirt]).articles_of("Topwear")
    ['Shirts']
    """

    triples: frozenset[tuple[str, str, str]]

    @classmethod
    def fit(cls, rows: Iterable[Labels]) -> Taxonomy:
        """Collect the triples of the rows in which none of the three labels is missing."""
        found = set()
        for row in rows:
            master, sub, article = (row.get(attribute) for attribute in CATEGORY_PATH)
            if master is not None and sub is not None and article is not None:
                found.add((master, sub, article))
        return cls(frozenset(found))

    def __contains__(self, triple: object) -> bool:
        return triple in self.triples

    def parents(self, article: str) -> list[tuple[str, str]]:
        """The (masterCategory, subCategory) pairs seen with an articleType, sorted."""
        return sorted((m, s) for m, s, a in self.triples if a == article)

    def articles_of(self, category: str) -> list[str]:
        """The articleTypes seen under a masterCategory or a subCategory, sorted."""
        return sorted({a for m, s, a in self.triples if category in (m, s)})

    def to_json(self) -> list[list[str]]:
        return [list(triple) for triple in sorted(self.triples)]

    @classmethod
    def from_json(cls, data: Iterable[Sequence[str]]) -> Taxonomy:
        """Raises ``ValueError`` where it is no list of triples of labels."""
        data = list(data) if isinstance(data, Iterable) else [()]
        if not all(
            isinstance(x, Sequence) and len(x) == 3 and all(isinstance(y, str) for y in x)
            for x in data
        ):
            raise ValueError(f"Expected triples {', '.join(CATEGORY_PATH)}.")
        return cls(frozenset((master, sub, article) for master, sub, article in data))


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3) or list(known[:6])
    return f"Unknown {kind}. Expected one of {len(known)}, such as {close}. Received: {name!r}"
