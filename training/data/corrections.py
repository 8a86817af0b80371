"""An analyst's annotations, taken into training: labels that were wrong are put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fashion_xai.audit.annotations import corrections
from fashion_xai.data.catalogue import Product


def correct(
    products: Sequence[Product], file: Path, split: Mapping[str, str]
) -> tuple[list[Product], int]:
    """The products with the labels that the annotations "label wrong" suggest.

    Args:
        file: annotations, as the audit's page keeps them.
        split: id → side.

    Returns:
        The products in their order, and how many labels were changed.

    Raises:
        ValueError: a correction of a test product (the test would no longer be one), or of a
            product or attribute that the catalogue does not have; all of them are named.
    """
    wanted = corrections(file)
    tested = sorted(i for i in wanted if split.get(i) == "test")
    if tested:
        raise ValueError(
            f"--corrections {file}: expected no product of the test split, so that the test stays "
            f"a test. Received: {', '.join(tested)}"
        )
    known = {product.id: product for product in products}
    strange = sorted(
        f"{i} {attribute}"
        for i, labels in wanted.items()
        for attribute in labels
        if i not in known or attribute not in known[i].labels
    )
    if strange:
        raise ValueError(
            f"--corrections {file}: expected products and attributes of the catalogue. "
            f"Received: {', '.join(strange)}"
        )
    corrected = [
        replace(p, labels={**p.labels, **wanted[p.id]}) if p.id in wanted else p for p in products
    ]
    return corrected, sum(map(len, wanted.values()))
