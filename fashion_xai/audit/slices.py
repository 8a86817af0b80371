"""Slices: groups of products in which a head errs more often than elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEAST = 10
"""Products a slice needs to be judged."""

FALSE_DISCOVERIES = 0.05
"""Share of the slices called significant that may be so by chance (Benjamini & Hochberg 1995)."""


def traits(table: pd.DataFrame, heads: Sequence[str]) -> dict[str, pd.Series]:
    """What products can be sliced by: other heads' labels, sharpness, and how the photo looks."""
    found = {h: table[f"{h}_true"].astype(object) for h in heads}
    place = table["sharpness"].rank(method="first").to_numpy() - 1  # equals in their order
    names = np.array(["the blurriest quarter", "second", "third", "the sharpest quarter"])
    quarters = (4 * place // max(len(table), 1)).astype(int)
    found["sharpness"] = pd.Series(names[quarters], index=table.index)
    found["photo"] = table["grey"].map({True: "greyscale", False: "coloured"})
    if "one_product" in table and table["one_product"].notna().any():
        doubt = {True: "looks like one product", False: "not sure this is one product"}
        found["one product"] = table["one_product"].map(doubt)
    return found


def error_slices(table: pd.DataFrame, head: str, heads: Sequence[str]) -> pd.DataFrame:
    """Every slice of at least :data:`LEAST` labelled products, the worst first.

    Args:
        table: an audit's.
        head: whose errors.
        heads: all heads; the head's own labels are slices too: they tell which are hard.

    Returns:
        ``trait``, ``value``, ``products``, ``errors``, ``rate``, ``low`` and ``high`` (95 %, Wilson
        1927), ``rest`` (error rate of the other products), ``p`` (one-sided Fisher's exact test
        of "more than the rest") and ``significant`` (after Benjamini and Hochberg over all slices).
    """
    from scipy.stats import binomtest, false_discovery_control, fisher_exact  # slow to load

    known = table[table[f"{head}_true"].notna()]
    wrong = (known[f"{head}_true"].astype(str) != known[f"{head}_predicted"].astype(str)).to_numpy()
    rows = []
    for trait, values in traits(known, heads).items() if len(known) else ():
        for value, place in values.reset_index(drop=True).groupby(values.to_numpy()).groups.items():
            inside = np.zeros(len(known), bool)
            inside[np.asarray(place)] = True
            n, k = int(inside.sum()), int(wrong[inside].sum())
            others, errors = len(known) - n, int(wrong.sum()) - k
            if n < LEAST or not others:
                continue
            interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
            table_2x2 = [[k, n - k], [errors, others - errors]]
            p = float(fisher_exact(table_2x2, alternative="greater").pvalue)
            rows.append(
                [trait, value, n, k, k / n, interval.low, interval.high, errors / others, p]
            )
    columns = ["trait", "value", "products", "errors", "rate", "low", "high", "rest", "p"]
    frame = pd.DataFrame(rows, columns=columns)
    found = false_discovery_control(frame["p"]) if len(frame) else []
    frame["significant"] = np.asarray(found) < FALSE_DISCOVERIES
    return frame.sort_values(
        ["significant", "p", "rate"], ascending=[False, True, False], ignore_index=True
    )
