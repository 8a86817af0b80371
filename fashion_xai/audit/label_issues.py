"""Labels that are probably wrong: one ranked list, with the reasons in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

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


COLUMNS = ["id", "attribute", "label", "suggested", "probability", "quality", "score", "reasons"]
"""Of the ranked list."""

UNKNOWN = 0.5
"""Score of a label that the network does not know."""

NEAR = 0.1
"""Distance of two embeddings, as a share of their length, up to which two photos are duplicates."""

SHARED = 20
"""Products with one picture from which it is the picture, a placeholder say, that is at fault."""

PICTURE = "photo"
"""In place of the attribute where the finding is about a picture that many products share."""


@dataclass
class Pictures:
    """Photos that several products have, over all products of an audit.

    Args:
        conflicts: (row, head) → the labels of a product's near-duplicates, where they differ from
            its own.
        shared: of each picture that :data:`SHARED` products and more have, the first row and what
            is to be said of it.
        inside: rows of the products with such a picture.
    """

    conflicts: dict[tuple[int, str], str] = field(default_factory=dict)
    shared: list[tuple[int, str]] = field(default_factory=list)
    inside: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def rank(table: pd.DataFrame, heads: Sequence[str], taxonomy: Taxonomy) -> pd.DataFrame:
    """The labels of all products and heads, the worst first.

    Args:
        table: an audit's, see :func:`fashion_xai.audit.engine.run`, with its ``embedding``.
        heads: whose labels.
        taxonomy: of the bundle.

    Returns:
        A row per labelled product and head that has at least one reason: ``id``, ``attribute``,
        ``label``, ``suggested`` (what the network says), ``probability`` (of that), ``quality``,
        ``score`` (≥ 0) and ``reasons``. A picture that :data:`SHARED` products and more have is one
        row for all of them, with :data:`PICTURE` as its attribute and no label.
    """
    table = table.reset_index(drop=True)
    groups = same_pictures(table) if "fingerprint" in table else []
    found = pictures(table, heads, groups)
    scores = {h: scored(table, h, taxonomy, found) for h in heads}
    rows = np.concatenate([np.flatnonzero(~np.isnan(s)) for s in scores.values()])
    which = np.repeat(np.arange(len(heads)), [int((~np.isnan(s)).sum()) for s in scores.values()])
    return described(table, rows, [heads[h] for h in which.tolist()], heads, taxonomy, found)


def same_pictures(table: pd.DataFrame) -> list[np.ndarray]:
    """Rows of the products whose photos are near-duplicates, two and more together, as the index
    of ``table`` names them.

    Near-duplicates are photos of the same fingerprint and size of evidence: a perceptual hash
    alone also pairs photos that merely look alike, so that their embeddings must agree as well.
    Each is compared with one of every group before it, so that a placeholder that thousands of
    products share costs thousands of comparisons and not millions.
    """
    order = np.argsort(table["fingerprint"].to_numpy(), kind="stable")
    values = table["fingerprint"].to_numpy()[order]
    ends = np.flatnonzero(values[1:] != values[:-1]) + 1
    index = table.index.to_numpy()
    found = []
    for places in np.split(order, ends):
        if len(places) < 2:
            continue
        points = np.stack([np.asarray(table["embedding"].iloc[i], np.float32) for i in places])
        limit = NEAR * np.linalg.norm(points, axis=1).mean()
        group = np.full(len(places), -1)
        for n, point in enumerate(points):
            if group[n] < 0:
                near = np.linalg.norm(points - point, axis=1) < limit
                group[near & (group < 0)] = n
                group[n] = n
        alike = (index[places[group == g]] for g in np.unique(group) if (group == g).sum() > 1)
        found += list(alike)
    return sorted(found, key=lambda rows: rows[0])


def pictures(table: pd.DataFrame, heads: Sequence[str], groups: Iterable[np.ndarray]) -> Pictures:
    """What :func:`same_pictures` means for the labels.

    Args:
        table: of all products in ``groups``, by the same index.
        heads: whose labels.
        groups: of :func:`same_pictures`.
    """
    found = Pictures()
    shared = []
    for rows in groups:
        if len(rows) < SHARED:
            found.conflicts |= near_duplicate_conflicts(table, heads, [rows])
            continue
        kinds = {h: table[f"{h}_true"].loc[rows].nunique() for h in heads}
        differing = [f"{n} labels of {h}" for h, n in kinds.items() if n > 1]
        more = f"; they have {', '.join(differing)}" if differing else ""
        found.shared.append((int(rows[0]), f"{len(rows):,} products share this picture{more}"))
        shared.append(rows)
    if shared:
        found.inside = np.sort(np.concatenate(shared))
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
            labels = _text(table[f"{head}_true"].loc[rows])
            known = sorted({x for x in labels if not pd.isna(x)})
            if len(known) < 2:
                continue
            others = {own: " or ".join(x for x in known if x != own) for own in known}
            for i, label in zip(rows.tolist(), labels, strict=True):
                if label in others:
                    conflicts[i, head] = others[label]
    return conflicts


def scored(table: pd.DataFrame, head: str, taxonomy: Taxonomy, found: Pictures) -> np.ndarray:
    """How much speaks against a head's labels.

    Args:
        table: an audit's, or some of its rows.
        head: whose labels.
        taxonomy: of the bundle.
        found: of :func:`pictures`, over all products.

    Returns:
        float64 (n,), ≥ 0 and rounded to four digits; NaN where nothing does.
    """
    r = _Reasons.of(table, head, taxonomy, found)
    score = np.where(r.unknown, UNKNOWN, np.where(r.low, 1 - r.quality.astype(np.float64), 0.0))
    score += NEAR_DUPLICATE * (r.duplicates != "") + PATH * (r.strange != "") + COMPANY * r.sided
    nothing = ~(r.unknown | r.low | (r.duplicates != "") | (r.strange != "") | r.sided)
    return np.where(nothing, np.nan, np.round(score, 4))


def described(
    table: pd.DataFrame,
    rows: np.ndarray,
    attributes: Sequence[str],
    heads: Sequence[str],
    taxonomy: Taxonomy,
    found: Pictures,
) -> pd.DataFrame:
    """The ranked list of some labels, pictures that many products share first.

    Args:
        table: with the products of ``rows`` and of ``found.shared``, by their rows as the index.
        rows, attributes: of the labels, as :func:`scored` gives something.
        heads: all, in order.
        taxonomy, found: as of :func:`scored`.
    """
    lines = []
    for row, words in found.shared:
        what = [table["id"].loc[row], PICTURE, "", "", np.nan, np.nan, SHARED_SCORE, words]
        lines.append(dict(zip(COLUMNS, what, strict=True)))
    for head in heads:
        own = np.array([a == head for a in attributes], bool)
        some = table.loc[np.sort(rows[own])]
        if not len(some):
            continue
        r, scores = _Reasons.of(some, head, taxonomy, found), scored(some, head, taxonomy, found)
        for i in range(len(some)):
            what = [some["id"].iloc[i], head, r.true[i], r.said[i],
                    float(some[f"{head}_probability"].iloc[i]), float(r.quality[i]),
                    float(scores[i]), "; ".join(r.words(i))]  # fmt: skip
            lines.append(dict(zip(COLUMNS, what, strict=True)))
    ranked = pd.DataFrame(lines, columns=COLUMNS)
    return ranked.sort_values("score", ascending=False, kind="stable", ignore_index=True)


SHARED_SCORE = 2.0
"""Of a picture that many products share: above any label's."""


@dataclass
class _Reasons:
    """What speaks against a head's labels, each (n,)."""

    true: np.ndarray
    said: np.ndarray
    probability: np.ndarray
    true_probability: np.ndarray
    quality: np.ndarray
    unknown: np.ndarray
    low: np.ndarray
    duplicates: np.ndarray
    strange: np.ndarray
    sided: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, head: str, taxonomy: Taxonomy, found: Pictures) -> _Reasons:
        index = table.index.to_numpy()
        true, said = _text(table[f"{head}_true"]), _text(table[f"{head}_predicted"])
        judged = ~pd.isna(true) & ~np.isin(index, found.inside)
        quality = table[f"{head}_quality"].to_numpy(np.float32)
        no_words = np.full(len(table), "", object)
        duplicates = no_words.copy()
        if found.conflicts:
            for i in np.flatnonzero(np.isin(index, [row for row, _ in found.conflicts])):
                duplicates[i] = found.conflicts.get((int(index[i]), head), "")
        strange, sided = no_words, np.zeros(len(table), bool)
        if head in CATEGORY_PATH and all(f"{h}_true" in table for h in CATEGORY_PATH):
            strange = np.where(judged, _outside(table, taxonomy), "")
            sided = _company(table, head, taxonomy, judged & (true != said))
        with np.errstate(invalid="ignore"):
            low = judged & (quality < 0.5)
        return cls(
            true,
            said,
            table[f"{head}_probability"].to_numpy(),
            table[f"{head}_true_probability"].to_numpy(),
            quality,
            judged & np.isnan(quality),
            low,
            np.where(judged, duplicates, ""),
            strange,
            sided,
        )

    def words(self, i: int) -> list[str]:
        """A label's reasons, one each."""
        reasons = []
        if self.unknown[i]:
            reasons.append(f"the network does not know {self.true[i]}")
        elif self.low[i]:
            reasons.append(
                f"the network says {self.said[i]} ({self.probability[i]:.0%}), "
                f"{self.true[i]} gets {self.true_probability[i]:.1%}"
            )
        if self.duplicates[i]:
            reasons.append(f"the same photo is labelled {self.duplicates[i]} elsewhere")
        if self.strange[i]:
            reasons.append(f"nowhere else do {self.strange[i]} occur together")
        if self.sided[i]:
            reasons.append(
                f"the other category heads go with {self.said[i]}, not with {self.true[i]}"
            )
        return reasons


def _outside(table: pd.DataFrame, taxonomy: Taxonomy) -> np.ndarray:
    """Each product's category labels where the taxonomy has no such path, else ''."""

    def words(triple: tuple[object, ...]) -> str:
        known = any(pd.isna(x) for x in triple) or triple in taxonomy
        return "" if known else " / ".join(map(str, triple))

    return _each_once([table[f"{h}_true"] for h in CATEGORY_PATH], words).astype(object)


def _company(table: pd.DataFrame, head: str, taxonomy: Taxonomy, asked: np.ndarray) -> np.ndarray:
    """Whether the other category heads' answers fit the prediction and not the label, bool (n,).

    Args:
        asked: bool (n,), of whom; False for the others.
    """
    place = CATEGORY_PATH.index(head)

    def sided(row: tuple[object, ...]) -> bool:
        *said, true = row
        fits = tuple(said) in taxonomy
        said[place] = true
        return fits and tuple(said) not in taxonomy

    found = np.zeros(len(table), bool)
    some = table[asked]
    columns = [some[f"{h}_predicted"] for h in CATEGORY_PATH]
    found[asked] = _each_once([*columns, some[f"{head}_true"]], sided)
    return found


def _each_once(
    columns: Sequence[pd.Series], function: Callable[[tuple[object, ...]], object]
) -> np.ndarray:
    """A function of each row, called once for each different one."""
    texts = [_text(c) for c in columns]
    coded = np.stack([pd.factorize(t)[0] for t in texts], 1)
    _, first, inverse = np.unique(coded, axis=0, return_index=True, return_inverse=True)
    values = [function(tuple(t[i] for t in texts)) for i in first.tolist()]
    return np.array(values)[inverse.ravel()] if len(values) else np.zeros(0, object)


def _text(column: pd.Series) -> np.ndarray:
    """A column of labels as objects, missing ones NaN."""
    return column.astype(object).to_numpy()
