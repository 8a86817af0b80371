"""Lists of products on the audit tab that are no confusion: near-duplicates, unusual photos, a
slice's errors, a tag, what was circled on the map. Each has a name that an address can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from demo.views.cards import note
from demo.views.render import render
from fashion_xai.audit import embedding_map, label_issues, outliers, slices, tags
from fashion_xai.audit.embedding_map import EmbeddingMap
from fashion_xai.audit.results import Audit

DUPLICATES, UNUSUAL, SLICE, TAG = "duplicates", "unusual", "slice:", "tag:"
CIRCLED = "Circled on the map."

MOST_UNUSUAL = 120
"""Of the list: further down photos are as usual as any."""

CORNERS = 2000
"""Of what is circled, at most."""

RIGHT, WRONG, UNLABELLED = 0, 1, 2
"""How a product is drawn on the map."""


def tags_beside(annotations: Path) -> Path:
    """Where the tags are kept, by the file of the annotations."""
    return annotations.with_suffix(".tags.csv")


@dataclass(frozen=True)
class Listed:
    """Some products, and what they have in common in a sentence."""

    says: str
    ids: Sequence[str]


class Lists:
    """The lists of an audit. Safe to share between threads.

    Args:
        audit: whose products.
        file: CSV of tags; None where none can be given.
    """

    def __init__(self, audit: Audit, file: Path | None):
        self.audit, self.file = audit, file

    def names(self) -> list[tuple[str, str]]:
        """(what it is called, its name) of the lists that are always there, and of the tags."""
        pictures, products = len(self._duplicates), sum(map(len, self._duplicates))
        found = [("Unusual photos", UNUSUAL)]
        if pictures:
            found.insert(0, (f"Same photo, several products: {products:,}", DUPLICATES))
        return found + [(f"Tag: {t} ({len(i):,})", TAG + t) for t, i in self._tags().items() if i]

    def listed(self, head: str, name: str) -> Listed:
        """A list by its name.

        Raises:
            ValueError: there is none of this name.
        """
        if name == DUPLICATES:
            groups = self._duplicates
            says = f"{len(groups):,} photos that several products share, one beside the other."
            return Listed(says, [identity for group in groups for identity in group])
        if name == UNUSUAL:
            return Listed("Least like any other photo of the catalogue first.", self._unusual)
        if name.startswith(SLICE):
            return self._slice(head, name.removeprefix(SLICE))
        if name.startswith(TAG):
            tag = name.removeprefix(TAG)
            ids = [i for i in self._tags().get(tag, []) if i in self.audit.row]
            if ids:
                return Listed(f"Tagged “{tag}”.", ids)
        raise ValueError("This list is no longer there.")

    def circled(self, polygon: Any) -> Listed:
        """What lies inside a polygon on the map, of corners (x, y) in 0–1 as a browser sent them.

        Raises:
            ValueError: no such polygon.
        """
        try:
            corners = np.array(polygon, np.float64).reshape(-1, 2)
        except (ValueError, TypeError):
            corners = np.zeros((0, 2))
        if not 3 <= len(corners) <= CORNERS or not np.isfinite(corners).all():
            raise ValueError("Circle some points of the map first.")
        rows = self._map.inside(map(tuple, corners))
        return Listed(CIRCLED, [str(x) for x in self.audit.table["id"].iloc[rows]])

    def drawn(self, head: str) -> Markup:
        """The map as HTML that ``atlas.js`` paints: a point per product, the head's errors told
        apart."""
        table = self.audit.table.iloc[self._map.rows]
        true, said = table[f"{head}_true"], table[f"{head}_predicted"]
        wrong = true.astype(object).to_numpy() != said.astype(object).to_numpy()
        kinds = np.where(true.isna(), UNLABELLED, np.where(wrong, WRONG, RIGHT))
        x, y = self._map.points.T.round(4).tolist()
        return render(
            "map",
            points={"x": x, "y": y, "kind": kinds.tolist()},
            products=len(table),
            every=len(self.audit.table),
            wrong=int((kinds == WRONG).sum()),
        )

    def is_drawn_at_once(self) -> bool:
        """Whether the map need not be laid out first."""
        return "_map" in self.__dict__ or embedding_map.is_made(self.audit)

    @cached_property
    def _map(self) -> EmbeddingMap:
        return embedding_map.lay_out(self.audit)

    @cached_property
    def _unusual(self) -> list[str]:
        return outliers.rank(self.audit)[:MOST_UNUSUAL]

    @cached_property
    def _duplicates(self) -> list[list[str]]:
        table = self.audit.table
        if "fingerprint" not in table:
            return []
        pictures = label_issues.same_pictures(
            table.assign(embedding=list(self.audit.embeddings)).reset_index(drop=True)
        )
        return [[str(x) for x in table["id"].iloc[rows]] for rows in pictures]

    def _tags(self) -> dict[str, list[str]]:
        return {} if self.file is None else tags.read(self.file)

    def _slice(self, head: str, text: str) -> Listed:
        trait, _, value = text.partition("=")
        every = slices.traits(self.audit.table, self.audit.heads)
        if trait not in every:
            raise ValueError("This list is no longer there.")
        table = self.audit.table
        true, said = (table[f"{head}_{x}"].astype(object) for x in ("true", "predicted"))
        chosen = (every[trait].astype(str) == value) & true.notna() & (true != said)
        ids = table["id"][chosen.to_numpy()]
        return Listed(f"Errors where {trait} is {value}.", [str(x) for x in ids])


def shown(listed: Listed, photos: int) -> Markup:
    """What is open, above its photos."""
    some = f", {photos} of them shown" if photos < len(listed.ids) else ""
    return note(f"{listed.says} {len(listed.ids):,} products{some}.")
