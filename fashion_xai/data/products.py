"""A product of a catalogue: one row of its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Product:
    """One row of the table.

    Args:
        id: the product's id, which is also its photo's file name.
        row: line of the table, counted from 1 with the header; of class folders, the place.
        labels: attribute → label, None where missing or one of several.
        title: the display name as written, commas included.
        one_of: attribute → labels of which one is true and nobody says which, two or more, sorted:
            "Pants" may be Jeans or Trousers.
        group: products of one group, such as one sender's, never lie on two sides of a split; ''
            for none.
        word: of the catalogue's own, where a label map explains it; '' otherwise.
        side: the split that the catalogue itself puts it in, by its folder or file; '' for none.
    """

    id: str
    row: int
    labels: dict[str, str | None]
    title: str = ""
    one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group: str = ""
    word: str = ""
    side: str = ""

    @property
    def labelled(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.one_of) or any(label is not None for label in self.labels.values())
