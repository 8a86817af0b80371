"""Slices: groups of products in which a head errs more often than elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEAST = 10
"""Products a slice needs to be judged."""

FALSE_DISCOVERIES = 0.05
"""Share of the slices called significant that may be so by chance (Benjamini & Hochberg 1995)."""


QUARTERS = np.array(["the blurriest quarter", "second", "third", "the sharpest quarter"], object)
"""Of the products by sharpness, in words."""


def quarters(sharpness: np.ndarray) -> np.ndarray:
    """int8 (n,), each product's place in :data:`QUARTERS`; equals in their order."""
    place = pd.Series(sharpness).rank(method="first").to_numpy() - 1
    return (4 * place // max(len(sharpness), 1)).astype(np.int8)


def traits(
    table: pd.DataFrame, heads: Sequence[str], quarter: np.ndarray | None = None
) -> dict[str, pd.Series]:
    """What products can be sliced by: other heads' labels, sharpness, and how the photo looks.

    Args:
        table: an audit's.
        heads: whose labels.
        quarter: of the table's products among all, see :func:`quarters`; None where it holds all.
    """
    found = {h: table[f"{h}_true"] for h in heads}
    if quarter is None:
        quarter = quarters(table["sharpness"].to_numpy())
    found["sharpness"] = pd.Series(QUARTERS[quarter], index=table.index)
    found["photo"] = table["grey"].map({True: "greyscale", False: "coloured"})
    if "one_product" in table and table["one_product"].notna().any():
        doubt = {True: "looks like one product", False: "not sure this is one product"}
        found["one product"] = table["one_product"].map(doubt)
    return found


def counted(
    table: pd.DataFrame, head: str, heads: Sequence[str], quarter: np.ndarray | None = None
) -> pd.DataFrame:
    """Labelled products and errors of each slice: ``trait``, ``value``, ``products``, ``errors``.

    Args:
        table, heads, quarter: as of :func:`traits`.
        head: whose errors.
    """
    known = table[f"{head}_true"].notna().to_numpy()
    labels = table[f"{head}_true"].astype(object).to_numpy()
    wrong = pd.Series(labels != table[f"{head}_predicted"].astype(object).to_numpy(), table.index)
    found = []
    for trait, values in traits(table, heads, quarter).items() if len(table) else ():
        groups = wrong[known].groupby(values[known], observed=True)
        counts = pd.DataFrame({"products": groups.size(), "errors": groups.sum()})
        counts = counts.reset_index(names="value").assign(trait=trait)
        found.append(counts.astype({"value": object}))
    return pd.concat(found) if found else pd.DataFrame(columns=COUNTS)


COUNTS = ["trait", "value", "products", "errors"]


def added(counts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The sum of what :func:`counted` found in several tables."""
    joined = pd.concat(counts)
    return joined.groupby(["trait", "value"], as_index=False, sort=False)[COUNTS[2:]].sum()


def error_slices(table: pd.DataFrame, head: str, heads: Sequence[str]) -> pd.DataFrame:
    """:func:`judged` of a table that holds all products."""
    known = table[table[f"{head}_true"].notna()]
    return judged(counted(known, head, heads), *labelled_and_wrong(known, head))


def labelled_and_wrong(table: pd.DataFrame, head: str) -> tuple[int, int]:
    """Products of a table that have a label of a head, and those whose answer is another."""
    known = table[table[f"{head}_true"].notna()]
    said = known[f"{head}_predicted"].astype(object).to_numpy()
    return len(known), int((known[f"{head}_true"].astype(object).to_numpy() != said).sum())


def judged(counts: pd.DataFrame, products: int, errors: int) -> pd.DataFrame:
    """Every slice of at least :data:`LEAST` labelled products, the worst first.

    Args:
        counts: of :func:`counted`; the head's own labels are slices too: they tell which are hard.
        products, errors: of all.

    Returns:
        ``trait``, ``value``, ``products``, ``errors``, ``rate``, ``low`` and ``high`` (95 %, Wilson
        1927), ``rest`` (error rate of the other products), ``p`` (one-sided Fisher's exact test
        of "more than the rest") and ``significant`` (after Benjamini and Hochberg over all slices).
    """
    from scipy.stats import binomtest, false_discovery_control, fisher_exact  # slow to load

    rows = []
    for trait, value, n, k in counts[COUNTS].itertuples(index=False):
        others, elsewhere = products - n, errors - k
        if n < LEAST or not others:
            continue
        interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
        table_2x2 = [[k, n - k], [elsewhere, others - elsewhere]]
        p = float(fisher_exact(table_2x2, alternative="greater").pvalue)
        rows.append([trait, value, n, k, k / n, interval.low, interval.high, elsewhere / others, p])
    columns = ["trait", "value", "products", "errors", "rate", "low", "high", "rest", "p"]
    frame = pd.DataFrame(rows, columns=columns)
    found = false_discovery_control(frame["p"]) if len(frame) else []
    frame["significant"] = np.asarray(found) < FALSE_DISCOVERIES
    return frame.sort_values(
        ["significant", "p", "rate"], ascending=[False, True, False], ignore_index=True
    )
