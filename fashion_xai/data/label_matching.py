"""A catalogue's labels that a vocabulary does not have, and which of its own are meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from fashion_xai.data.labels import Vocabulary
from fashion_xai.data.products import Product

CLOSE = 0.75
"""Ratio of difflib (Ratcliff & Obershelp 1988) from which a label is taken for another spelling."""


class UnknownLabel(NamedTuple):
    """A label of a catalogue that the vocabulary does not have."""

    attribute: str
    label: str
    products: int
    meant: str | None
    """The vocabulary's label that is spelt alike; None where there is none."""


def unknown_labels(products: Iterable[Product], vocabulary: Vocabulary) -> list[UnknownLabel]:
    """The labels that the vocabulary does not have, most frequent first.

    >>> shirts = Product("1", 2, {"articleType": "T-shirts"})
    >>> unknown_labels([shirts], Vocabulary({"articleType": ("Shirts", "Tshirts")}))[0].meant
    'Tshirts'
    """
    counts: Counter[tuple[str, str]] = Counter()
    for product in products:
        for attribute in vocabulary.attributes:
            label = product.labels.get(attribute)
            for each in product.one_of.get(attribute, ()) if label is None else (label,):
                counts[attribute, each] += 1
    known = {a: {_bare(x): x for x in labels} for a, labels in vocabulary.labels.items()}
    return [
        UnknownLabel(a, label, n, _meant(label, known[a]))
        for (a, label), n in counts.most_common()
        if label not in vocabulary.labels[a]
    ]


def describe(unknown: Sequence[UnknownLabel], most: int = 12) -> Iterator[str]:
    """Sentences for a person; none where all labels are known."""
    if not unknown:
        return
    products = sum(u.products for u in unknown)
    yield (
        f"{len(unknown)} labels, of {products:,} products, are none of the bundle's and count as "
        "different from any answer:"
    )
    for u in unknown[:most]:
        meant = f"; meant: {u.meant!r}?" if u.meant else ""
        yield f"  {u.attribute} {u.label!r} ({u.products:,} products){meant}"
    if len(unknown) > most:
        yield f"  and {len(unknown) - most} more"
    if example := next((u for u in unknown if u.meant), None):
        yield (
            "  --labels MAP.json maps them: "
            f'{{"{example.label}": {{"{example.attribute}": ["{example.meant}"]}}, …}}'
        )


def suggested_map(unknown: Iterable[UnknownLabel]) -> dict[str, dict[str, list[str]]]:
    """A label map as ``--labels`` takes it: of each label the one that is spelt alike, or nothing,
    which a person may fill in and which means unknown until then."""
    words: dict[str, dict[str, list[str]]] = {}
    for u in unknown:
        words.setdefault(u.label, {})[u.attribute] = [u.meant] if u.meant else []
    return words


def _bare(label: str) -> str:
    return re.sub(r"[\W_]+", "", label).casefold()


def _meant(label: str, known: dict[str, str]) -> str | None:
    close = get_close_matches(_bare(label), known, n=1, cutoff=CLOSE)
    return known[close[0]] if close else None
