"""Confusions: which labels are taken for which, how often, and how startling that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy

EXPECTED, STARTLING = "expected", "startling"


def labelled_predictions(table: pd.DataFrame, head: str) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted labels of the labelled products, as text (n,)."""
    known = table[f"{head}_true"].notna().to_numpy()
    return (
        table[f"{head}_true"][known].astype(str).to_numpy(object),
        table[f"{head}_predicted"][known].astype(str).to_numpy(object),
    )


def counted(table: pd.DataFrame, head: str) -> pd.DataFrame:
    """How often each label got each answer: ``true``, ``predicted`` (text) and ``count``, sorted;
    and of the answers' evidence off the product ``off`` (sum) and ``off_count``."""
    t, p, off = (f"{head}_{x}" for x in ("true", "predicted", "off_product"))
    groups = table[table[t].notna()].groupby([t, p], observed=True)
    found = pd.DataFrame({"count": groups.size(), "off": groups[off].sum(),
                          "off_count": groups[off].count()})  # fmt: skip
    found = found.reset_index(names=["true", "predicted"])
    return added([found])


def added(counts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The sum of what :func:`counted` found in several tables."""
    joined = pd.concat(counts)
    joined[["true", "predicted"]] = joined[["true", "predicted"]].astype(str).astype(object)
    return joined.groupby(["true", "predicted"], as_index=False).sum()


def matrix(
    true: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str] | None = None,
    diagonal: bool = True,
    rate: bool = False,
    weights: np.ndarray | None = None,
) -> pd.DataFrame:
    """The confusion matrix: true labels down, predicted ones across.

    Args:
        true, predicted: text (n,).
        labels: which, in order; None for all that occur, sorted. Others are left out.
        diagonal: False empties it, so that colours and sums tell of errors alone.
        rate: as shares of the true label's products, 0–1, instead of counts.
        weights: int (n,), how often each of the pairs is there; None for once.
    """
    if labels is None:
        labels = sorted({*true, *predicted})
    if not len(labels):
        return pd.DataFrame()
    counts = _table(true, predicted, weights)
    frame = counts.reindex(index=labels, columns=labels, fill_value=0)
    if rate:
        support = _support(true, weights).reindex(labels).fillna(0).to_numpy()
        frame = frame.div(np.maximum(support, 1), axis=0)
    if not diagonal:
        frame = frame.mask(np.eye(len(labels), dtype=bool), 0)
    return frame


def worst_labels(
    true: np.ndarray, predicted: np.ndarray, most: int, weights: np.ndarray | None = None
) -> list[str]:
    """The labels with most errors, as true or as predicted ones, sorted by name."""
    wrong = true != predicted
    twice = None if weights is None else np.concatenate([weights[wrong]] * 2)
    counts = _support(np.concatenate([true[wrong], predicted[wrong]]), twice)
    return sorted(counts.index[:most])


def pairs(
    true: np.ndarray,
    predicted: np.ndarray,
    head: str,
    taxonomy: Taxonomy,
    minimum: int = 1,
    weights: np.ndarray | None = None,
) -> pd.DataFrame:
    """Confused pairs, the most frequent first, both directions of a pair in one row.

    Args:
        true, predicted: text (n,), see :func:`labelled_predictions`.
        head: whose labels, for their distance.
        taxonomy: of the bundle.
        minimum: fewer products in both directions together are left out.
        weights: as of :func:`matrix`.

    Returns:
        ``true`` and ``predicted`` (the more frequent direction), ``count``, ``rate`` (share of the
        true label's products), ``reverse`` (count of the other direction), ``both``, ``distance``
        (see :func:`distance`; NA outside the taxonomy) and ``kind``: "expected" for neighbours,
        "startling" for the rest, '' where there is no distance.
    """
    wrong = true != predicted
    both = np.empty(int(wrong.sum()), object)
    both[:] = list(zip(true[wrong], predicted[wrong], strict=True))
    counts = _support(both, None if weights is None else weights[wrong])
    support = _support(true, weights)
    rows, done = [], set()
    for (a, b), count in counts.items():
        if (b, a) in done:
            continue
        done.add((a, b))
        reverse = int(counts.get((b, a), 0))
        far = distance(head, a, b, taxonomy)
        rows.append(
            {
                "true": a,
                "predicted": b,
                "count": int(count),
                "rate": count / support[a],
                "reverse": reverse,
                "both": int(count) + reverse,
                "distance": far,
                "kind": "" if far is None else EXPECTED if far <= 1 else STARTLING,
            }
        )
    frame = pd.DataFrame(
        rows, columns=["true", "predicted", "count", "rate", "reverse", "both", "distance", "kind"]
    ).astype({"distance": "Int64"})
    frame = frame[frame["both"] >= minimum]
    return frame.sort_values(
        ["both", "count", "true", "predicted"],
        ascending=[False, False, True, True],
        ignore_index=True,
    )


def _support(labels: np.ndarray, weights: np.ndarray | None) -> pd.Series:
    """How often each is there, the most frequent first, equals by name."""
    ones = np.ones(len(labels), np.int64) if weights is None else weights
    counts = pd.Series(ones, dtype=np.int64).groupby(pd.Series(labels, dtype=object)).sum()
    return counts.sort_values(ascending=False, kind="stable")


def _table(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> pd.DataFrame:
    if weights is None:
        return pd.crosstab(true, predicted)
    return pd.crosstab(true, predicted, weights, aggfunc="sum").fillna(0).astype(np.int64)


def distance(head: str, one: str, other: str, taxonomy: Taxonomy) -> int | None:
    """How far apart two labels of a category head are: the levels up to a shared parent.

    1: the same subCategory (of articleTypes) or masterCategory (of subCategories); 2 and more: only
    further up; masterCategories are 1 apart. Labels with several parents take the nearest. None for
    the other heads.
    """
    if head not in CATEGORY_PATH:
        return None
    level = CATEGORY_PATH.index(head)
    paths = {
        name: {t[:level] for t in taxonomy.triples if t[level] == name} for name in (one, other)
    }
    shared = [
        sum(x == y for x, y in zip(a, b, strict=True)) for a in paths[one] for b in paths[other]
    ]
    return level + 1 - max(shared, default=0) if level else 1


def rolled_up(labels: np.ndarray, taxonomy: Taxonomy, level: str) -> np.ndarray:
    """articleTypes → their subCategory or masterCategory, text (n,).

    A type with several parents takes the one that most of its paths share, the first by name
    where that is open; a type outside the taxonomy stays as it is.

    Args:
        level: "subCategory" or "masterCategory".
    """
    place = CATEGORY_PATH.index(level)
    parents: dict[str, str] = {}
    for article in {t[2] for t in taxonomy.triples}:
        above = [t[place] for t in sorted(taxonomy.triples) if t[2] == article]
        parents[article] = min(above, key=lambda name: (-above.count(name), name))
    return np.array([parents.get(x, x) for x in labels], object)
