"""What an audit of any size comes to, from its table read a batch at a time: counts of everything,
the worst labels, and which products are worth a look.

Nothing here holds all products but single columns of numbers (8 bytes each) and the fingerprints'
groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fashion_xai.audit import confusions, label_issues, slices
from fashion_xai.audit.label_issues import Pictures
from fashion_xai.audit.store import Store
from fashion_xai.data.labels import Taxonomy
from fashion_xai.progress import ProgressBar

ISSUES = 10_000
"""Label issues that are listed, the worst of them; all are counted."""

LOOKED_AT = 1_000
"""Of those, products that are kept to look at."""

PAIRS, OF_A_PAIR, OF_A_LABEL = 24, 25, 25
"""Confusions of each head of which products are kept to look at, how many of each, and how many
right ones of the labels in them."""

AT_ONCE = 500_000
"""Embeddings that are compared at once."""

HEAD_COLUMNS = ("true", "predicted", "probability", "true_probability", "quality", "off_product")


@dataclass
class Digest:
    """An audit's counts.

    Args:
        confusions: head → :func:`fashion_xai.audit.confusions.counted`.
        slices: head → :func:`fashion_xai.audit.slices.judged`.
        issues: the ranked list of :func:`fashion_xai.audit.label_issues.rank`, the first
            :data:`ISSUES` of it.
        all_issues: head → how many of its labels have a reason for doubt.
        rows: int, ascending: products that are worth a look.
    """

    confusions: dict[str, pd.DataFrame]
    slices: dict[str, pd.DataFrame]
    issues: pd.DataFrame
    all_issues: dict[str, int]
    rows: np.ndarray

    def to_json(self) -> dict[str, Any]:
        return {
            "confusions": {h: _records(f) for h, f in self.confusions.items()},
            "slices": {h: _records(f) for h, f in self.slices.items()},
            "issues": _records(self.issues),
            "all_issues": self.all_issues,
            "rows": self.rows.tolist(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Digest:
        return cls(
            {h: pd.DataFrame(**f) for h, f in kept["confusions"].items()},
            {h: pd.DataFrame(**f) for h, f in kept["slices"].items()},
            pd.DataFrame(**kept["issues"]),
            kept["all_issues"],
            np.array(kept["rows"], np.int64),
        )


def _records(frame: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(frame.columns), "data": frame.to_numpy(object).tolist()}


def digest(store: Store, heads: Sequence[str], taxonomy: Taxonomy) -> Digest:
    """Read an audit's table, twice and once more where photos are near-duplicates.

    Args:
        store: the table.
        heads: of the bundle.
        taxonomy: of the bundle.
    """
    shared = _pictures(store, heads)
    quarter = slices.quarters(store.column("sharpness"))
    counts: dict[str, list[pd.DataFrame]] = {h: [] for h in heads}
    sliced: dict[str, list[pd.DataFrame]] = {h: [] for h in heads}
    totals = {h: np.zeros(2, int) for h in heads}
    doubted = dict.fromkeys(heads, 0)
    worst = _Smallest(["head"], ISSUES)
    confused = {h: _Smallest(["true", "predicted"], OF_A_PAIR) for h in heads}
    right = {h: _Smallest(["true"], OF_A_LABEL) for h in heads}
    optional = [n for n in ("one_product",) if n in store.names]
    columns = ["sharpness", "grey", *optional, *(f"{h}_{c}" for h in heads for c in HEAD_COLUMNS)]
    bar = ProgressBar(total=store.count, unit="product", desc="digest", unit_scale=True)
    for table in store.batches(columns):
        index = table.index.to_numpy()
        for place, h in enumerate(heads):
            counts[h].append(confusions.counted(table, h))
            sliced[h].append(slices.counted(table, h, heads, quarter[index]))
            totals[h] += slices.labelled_and_wrong(table, h)
            score = label_issues.scored(table, h, taxonomy, shared)
            rows = np.flatnonzero(~np.isnan(score))
            doubted[h] += len(rows)
            worst.add(pd.DataFrame({"head": place, "row": index[rows], "key": -score[rows]}))
            labels = (
                table[[f"{h}_true", f"{h}_predicted"]]
                .astype(object)
                .set_axis(["true", "predicted"], axis=1)
            )
            labels = labels.assign(row=index, key=-table[f"{h}_probability"].to_numpy())
            labels = labels[labels["true"].notna()]
            wrong = labels["true"] != labels["predicted"]
            confused[h].add(labels[wrong])
            right[h].add(labels[~wrong].assign(key=_mixed(labels["row"][~wrong].to_numpy())))
        counts = {h: [confusions.added(c)] for h, c in counts.items()}
        sliced = {h: [slices.added(c)] for h, c in sliced.items()}
        bar.update(len(table))
    bar.close()
    issues = _issues(store, heads, taxonomy, shared, worst.found)
    kept = [worst.found.sort_values("key", kind="stable")["row"].to_numpy()[:LOOKED_AT]]
    kept.append(np.array([row for row, _ in shared.shared[:LOOKED_AT]]))
    for h in heads:
        kept += _telling(counts[h][0], confused[h].found, right[h].found)
    return Digest(
        {h: c[0] for h, c in counts.items()},
        {h: slices.judged(c[0], *totals[h].tolist()) for h, c in sliced.items()},
        issues,
        doubted,
        np.unique(np.concatenate(kept).astype(np.int64)),
    )


def _pictures(store: Store, heads: Sequence[str]) -> Pictures:
    """What photos that several products have mean for the labels."""
    prints = store.column("fingerprint")
    _, inverse, times = np.unique(prints, return_inverse=True, return_counts=True)
    several = times[inverse] > 1
    groups: list[np.ndarray] = []
    parts = -(-int(several.sum()) // AT_ONCE)
    for part in range(parts):
        mine = several & (inverse % parts == part)
        frames = [_some(f, mine) for f in store.batches(["fingerprint", "embedding"])]
        groups += label_issues.same_pictures(pd.concat(frames))
    alike = np.zeros(len(prints), bool)
    for rows in groups:
        alike[rows] = True
    labels = (
        [f[alike[f.index]] for f in store.batches([f"{h}_true" for h in heads])] if parts else []
    )
    table = pd.concat([f.astype(object) for f in labels]) if labels else pd.DataFrame()
    return label_issues.pictures(table, heads, sorted(groups, key=lambda rows: rows[0]))


def _some(table: pd.DataFrame, mine: np.ndarray) -> pd.DataFrame:
    """Chosen rows with embeddings of their own: a view would keep the whole batch in memory."""
    chosen = table[mine[table.index]]
    return chosen.assign(embedding=[np.array(x) for x in chosen["embedding"]])


class _Smallest:
    """The rows of each group with the smallest keys, of tables that come one after the other."""

    def __init__(self, groups: Sequence[str], most: int):
        self.groups, self.most = list(groups), most
        self.found = pd.DataFrame(columns=[*groups, "row", "key"])

    def add(self, table: pd.DataFrame) -> None:
        joined = pd.concat([self.found, table]) if len(self.found) else table
        ordered = joined.sort_values(["key", "row"], kind="stable")
        self.found = ordered.groupby(self.groups, sort=False, observed=True).head(self.most)


def _mixed(rows: np.ndarray) -> np.ndarray:
    """Numbers that order rows as by chance, always alike (Knuth's multiplicative hash)."""
    return (rows.astype(np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)


def _telling(
    counts: pd.DataFrame, confused: pd.DataFrame, right: pd.DataFrame
) -> Iterable[np.ndarray]:
    """Rows of the most frequent confusions, and of right answers of their labels."""
    wrong = counts[counts["true"] != counts["predicted"]]
    chosen = wrong.sort_values("count", ascending=False, kind="stable")[:PAIRS]
    pairs = pd.MultiIndex.from_frame(chosen[["true", "predicted"]])
    if len(pairs):
        inside = pd.MultiIndex.from_frame(confused[["true", "predicted"]]).isin(pairs)
        yield confused["row"].to_numpy()[inside]
        named = {*chosen["true"], *chosen["predicted"]}
        yield right["row"].to_numpy()[right["true"].isin(named).to_numpy()]


def _issues(
    store: Store,
    heads: Sequence[str],
    taxonomy: Taxonomy,
    shared: Pictures,
    worst: pd.DataFrame,
) -> pd.DataFrame:
    """The ranked list of the worst labels."""
    worst = worst.sort_values(["key", "head", "row"], kind="stable")[:ISSUES]
    rows = worst["row"].to_numpy(np.int64)
    needed = np.unique(np.concatenate([rows, [row for row, _ in shared.shared]]).astype(np.int64))
    columns = ["id", *(f"{h}_{c}" for h in heads for c in HEAD_COLUMNS)]
    table = store.take(needed, columns).to_pandas().set_index(needed)
    attributes = [heads[i] for i in worst["head"]]
    return label_issues.described(table, rows, attributes, heads, taxonomy, shared)
