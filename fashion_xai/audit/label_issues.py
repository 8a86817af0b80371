"""Labels that are probably wrong: one ranked list, with the reasons in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy

NEAR_DUPLICATE, PATH, COMPANY = 0.30, 0.20, 0.10
"""What a near-duplicate with another label, a path outside the taxonomy, and other heads that side
with the prediction add to the score, whose bulk is 1 less the label's quality."""


def label_quality(
    labels: Sequence[str], truth: Sequence[str | None], probabilities: np.ndarray
) -> np.ndarray:
    """How well each label fits what the network says (Northcutt et al. 2021, arXiv:1911.00068):
    cleanlab's normalised margin, (p of the label − largest other p + 1) / 2.

    Args:
        labels: of the head, in order.
        truth: the labels as given; None where missing.
        probabilities: (n, labels), calibrated. Of products that were trained on they flatter.

    Returns:
        float32 (n,), 0–1, low where the label is probably wrong; NaN where it is missing or the
        head does not know it.
    """
    from cleanlab.rank import get_label_quality_scores  # loads scikit-learn: when it is asked for

    place = {label: i for i, label in enumerate(labels)}
    index = np.array([-1 if x is None else place.get(x, -1) for x in truth])
    quality = np.full(len(index), np.nan, np.float32)
    known = index >= 0
    if known.any() and len(labels) > 1:
        rows = probabilities[known].astype(np.float64)
        rows /= rows.sum(1, keepdims=True)
        quality[known] = get_label_quality_scores(index[known], rows, method="normalized_margin")
    return quality


def rank(table: pd.DataFrame, heads: Sequence[str], taxonomy: Taxonomy) -> pd.DataFrame:
    """The labels of all products and heads, the worst first.

    Args:
        table: an audit's, see :func:`fashion_xai.audit.engine.run`.
        heads: whose labels.
        taxonomy: of the bundle.

    Returns:
        A row per labelled product and head that has at least one reason: ``id``, ``attribute``,
        ``label``, ``suggested`` (what the network says), ``probability`` (of that), ``quality``,
        ``score`` (≥ 0) and ``reasons``. A picture that :data:`SHARED` products and more have is one
        row for all of them, with :data:`PICTURE` as its attribute and no label.
    """
    groups = same_pictures(table)
    shared = [rows for rows in groups if len(rows) >= SHARED]
    in_shared = np.zeros(len(table), bool)
    for rows in shared:
        in_shared[rows] = True
    few = [rows for rows in groups if len(rows) < SHARED]
    duplicates = near_duplicate_conflicts(table, heads, few)
    strange = _outside(table, taxonomy)
    found = [_shared_picture(table, rows, heads) for rows in shared]
    for head in heads:
        quality = table[f"{head}_quality"].to_numpy(np.float32)
        true, said = _text(table[f"{head}_true"]), _text(table[f"{head}_predicted"])
        sided = _company(table, head, taxonomy)
        for i in np.flatnonzero(~pd.isna(true) & ~in_shared).tolist():
            reasons, score = [], 0.0
            if np.isnan(quality[i]):
                reasons.append(f"the network does not know {true[i]}")
                score = 0.5
            elif quality[i] < 0.5:
                reasons.append(
                    f"the network says {said[i]} ({table[f'{head}_probability'].iloc[i]:.0%}), "
                    f"{true[i]} gets {table[f'{head}_true_probability'].iloc[i]:.1%}"
                )
                score = 1 - float(quality[i])
            if other := duplicates.get((i, head)):
                reasons.append(f"the same photo is labelled {other} elsewhere")
                score += NEAR_DUPLICATE
            if strange[i] and head in CATEGORY_PATH:
                reasons.append(f"nowhere else do {strange[i]} occur together")
                score += PATH
            if sided[i] and true[i] != said[i]:
                reasons.append(f"the other category heads go with {said[i]}, not with {true[i]}")
                score += COMPANY
            if reasons:
                found.append(
                    {
                        "id": table["id"].iloc[i],
                        "attribute": head,
                        "label": true[i],
                        "suggested": said[i],
                        "probability": float(table[f"{head}_probability"].iloc[i]),
                        "quality": float(quality[i]),
                        "score": round(score, 4),
                        "reasons": "; ".join(reasons),
                    }
                )
    columns = [
        "id",
        "attribute",
        "label",
        "suggested",
        "probability",
        "quality",
        "score",
        "reasons",
    ]
    ranked = pd.DataFrame(found, columns=columns)
    return ranked.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def same_pictures(table: pd.DataFrame) -> list[np.ndarray]:
    """Rows of the products whose photos are near-duplicates, two and more together.

    Near-duplicates are photos of the same fingerprint and size of evidence: a perceptual hash
    alone also pairs photos that merely look alike, so that their embeddings must agree as well.
    Each is compared with one of every group before it, so that a placeholder that thousands of
    products share costs thousands of comparisons and not millions.
    """
    alike: dict[int, list[int]] = defaultdict(list)
    for i, fingerprint in enumerate(table["fingerprint"].to_numpy()):
        alike[int(fingerprint)].append(i)
    found = []
    for rows in alike.values():
        if len(rows) < 2:
            continue
        points = np.stack([np.asarray(table["embedding"].iloc[i], np.float32) for i in rows])
        limit = NEAR * np.linalg.norm(points, axis=1).mean()
        group = np.full(len(rows), -1)
        for n, point in enumerate(points):
            if group[n] < 0:
                near = np.linalg.norm(points - point, axis=1) < limit
                group[near & (group < 0)] = n
                group[n] = n
        found += [np.array(rows)[group == g] for g in np.unique(group) if (group == g).sum() > 1]
    return found


def near_duplicate_conflicts(
    table: pd.DataFrame, heads: Sequence[str], groups: Iterable[np.ndarray]
) -> dict[tuple[int, str], str]:
    """(row, head) → the labels of its near-duplicates, where they differ from its own.

    Args:
        table: an audit's.
        heads: whose labels.
        groups: of :func:`same_pictures`.
    """
    conflicts: dict[tuple[int, str], str] = {}
    for rows in groups:
        for head in heads:
            labels = _text(table[f"{head}_true"].iloc[rows])
            known = sorted({x for x in labels if not pd.isna(x)})
            if len(known) < 2:
                continue
            others = {own: " or ".join(x for x in known if x != own) for own in known}
            for i, label in zip(rows.tolist(), labels, strict=True):
                if label in others:
                    conflicts[i, head] = others[label]
    return conflicts


NEAR = 0.1
"""Distance of two embeddings, as a share of their length, up to which two photos are duplicates."""

SHARED = 20
"""Products with one picture from which it is the picture, a placeholder say, that is at fault."""

PICTURE = "photo"
"""In place of the attribute where the finding is about a picture that many products share."""


def _shared_picture(table: pd.DataFrame, rows: np.ndarray, heads: Sequence[str]) -> dict[str, Any]:
    """One finding for all products that share a picture."""
    kinds = {h: table[f"{h}_true"].iloc[rows].nunique() for h in heads}
    differing = [f"{n} labels of {h}" for h, n in kinds.items() if n > 1]
    more = f"; they have {', '.join(differing)}" if differing else ""
    return {
        "id": table["id"].iloc[rows[0]],
        "attribute": PICTURE,
        "label": "",
        "suggested": "",
        "probability": np.nan,
        "quality": np.nan,
        "score": 2.0,  # above any label's
        "reasons": f"{len(rows):,} products share this picture{more}",
    }


def _outside(table: pd.DataFrame, taxonomy: Taxonomy) -> list[str]:
    """Each product's category labels where the taxonomy has no such path, else ''."""
    if not all(f"{h}_true" in table for h in CATEGORY_PATH):
        return [""] * len(table)
    columns = [_text(table[f"{h}_true"]) for h in CATEGORY_PATH]
    return [
        "" if any(pd.isna(x) for x in triple) or tuple(triple) in taxonomy else " / ".join(triple)
        for triple in zip(*columns, strict=True)
    ]


def _company(table: pd.DataFrame, head: str, taxonomy: Taxonomy) -> np.ndarray:
    """Whether the other category heads' answers fit the prediction and not the label."""
    if head not in CATEGORY_PATH or not all(f"{h}_true" in table for h in CATEGORY_PATH):
        return np.zeros(len(table), bool)
    said = {h: _text(table[f"{h}_predicted"]) for h in CATEGORY_PATH}
    true = _text(table[f"{head}_true"])

    def path(i: int, label: str) -> tuple[str, ...]:
        return tuple(label if h == head else said[h][i] for h in CATEGORY_PATH)

    return np.array(
        [
            not pd.isna(true[i])
            and path(i, said[head][i]) in taxonomy
            and path(i, true[i]) not in taxonomy
            for i in range(len(table))
        ]
    )


def _text(column: pd.Series) -> np.ndarray:
    """A column of labels as objects, missing ones NaN."""
    return column.astype(object).to_numpy()
