"""Two audits of the same products: what another model or other labels mended, and what broke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from fashion_xai.audit.results import Audit
from fashion_xai.data import files
from fashion_xai.metrics import interval
from fashion_xai.viz import html

MENDED, BROKEN, OTHERWISE = "mended", "broken", "wrong in another way"
CHANGES = ["id", "attribute", "label", "before", "after", "change"]

SIGNIFICANT = 0.05

PAIRS, PHOTOS, HEIGHT = 12, 12, 140
"""Confusions and photos of each head in the report, and a photo's pixels there."""


@dataclass(frozen=True)
class Compared:
    """What two audits say of one head, on the products that both hold with the same label.

    Args:
        products: how many.
        before, after: accuracy, 0–1.
        low, high: of after − before, 95 % (paired bootstrap).
        mended, broken: products that only the second, only the first has right.
        p: of McNemar's test (1947), exact: are mended and broken products equally frequent?
        relabelled: products left out, as their label changed between the audits.
        changes: a row per product that was answered otherwise, :data:`CHANGES` without the
            attribute.
    """

    products: int
    before: float
    after: float
    low: float
    high: float
    mended: int
    broken: int
    p: float
    relabelled: int
    changes: pd.DataFrame

    @property
    def verdict(self) -> str:
        """In a word; a difference that may be chance is called that."""
        if self.p >= SIGNIFICANT:
            return "no difference that chance does not explain"
        return "better" if self.after > self.before else "worse"


def compare(before: Audit, after: Audit) -> dict[str, Compared]:
    """Head → what changed.

    Raises:
        ValueError: no product or no head in common.
    """
    heads = [h for h in before.heads if h in after.heads]
    tables = [_answers(audit, heads) for audit in (before, after)]
    both = tables[0].merge(tables[1], left_index=True, right_index=True, suffixes=("", " after"))
    if not heads or not len(both):
        raise ValueError(
            f"{before.folder} and {after.folder} have nothing to compare: "
            f"{len(heads)} heads and {len(both)} products in common."
        )
    return {h: _compared(both, h) for h in heads if both[f"{h}_true"].notna().any()}


def _answers(audit: Audit, heads: Sequence[str]) -> pd.DataFrame:
    """Labels and answers of all products, as text by id."""
    columns = [f"{h}_{x}" for h in heads for x in ("true", "predicted")]
    parts = [part.astype(object) for part in audit.store.batches(["id", *columns])]
    return pd.concat(parts).set_index("id")


def _compared(both: pd.DataFrame, head: str) -> Compared:
    from scipy.stats import binomtest  # slow to load

    true, relabel = both[f"{head}_true"], both[f"{head}_true after"]
    known = true.notna() & relabel.notna()
    same = known & (true == relabel)
    chosen = both[same]
    label, was, now = (
        chosen[f"{head}_{x}"].to_numpy(object) for x in ("true", "predicted", "predicted after")
    )
    old, new = was == label, now == label
    mended, broken = int((new & ~old).sum()), int((old & ~new).sum())
    gained = new.astype(float) - old.astype(float)
    low, high = interval(lambda x: float(x.mean()), gained) if len(gained) else (0.0, 0.0)
    moved = mended + broken
    change = np.where(new & ~old, MENDED, np.where(old & ~new, BROKEN, OTHERWISE))
    table = pd.DataFrame({"id": chosen.index, "label": label, "before": was, "after": now,
                          "change": change})  # fmt: skip
    return Compared(
        len(chosen),
        float(old.mean()) if len(old) else float("nan"),
        float(new.mean()) if len(new) else float("nan"),
        low,
        high,
        mended,
        broken,
        float(binomtest(mended, moved).pvalue) if moved else 1.0,
        int((known & ~same).sum()),
        table[was != now].reset_index(drop=True),
    )


def write(found: Mapping[str, Compared], before: Audit, after: Audit, out: Path) -> Path:
    """Write ``comparison.html`` and ``changes.csv`` into ``out``; the first one's path.

    Args:
        found: of :func:`compare`.
        before, after: the same audits; the photos are the second's.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        [c.id, head, c.label, c.before, c.after, c.change]
        for head, x in found.items()
        for c in x.changes.itertuples()
    ]
    files.write(out / "changes.csv", files.csv_text(CHANGES, rows))
    first = (
        f"Before: {before.folder.name}, model {_model(before)}. "
        f"After: {after.folder.name}, model {_model(after)}. "
        "Only products with the same label in both are compared; changes.csv names each that is "
        "answered otherwise now."
    )
    parts = [html.paragraph(first), html.table(HEADER, summary(found))]
    for head, x in found.items():
        parts += [html.heading(head), html.paragraph(_says(x)), _pairs(x)]
        parts += [_photos(after, x, change) for change in (BROKEN, MENDED)]
    file = out / "comparison.html"
    files.write(file, html.page("Two audits compared", *parts))
    return file


HEADER = ["head", "products", "before %", "after %", "difference (95 %)", "mended", "broken", "p"]


def summary(found: Mapping[str, Compared]) -> list[list[str]]:
    """:data:`HEADER`'s cells."""
    return [
        [
            head,
            f"{x.products:,}",
            f"{100 * x.before:.1f}",
            f"{100 * x.after:.1f}",
            f"{100 * (x.after - x.before):+.1f} ({100 * x.low:+.1f} to {100 * x.high:+.1f})",
            f"{x.mended:,}",
            f"{x.broken:,}",
            f"{x.p:.3f}",
        ]
        for head, x in found.items()
    ]


def _says(x: Compared) -> str:
    left = f" {x.relabelled:,} products have another label now and are left out."
    return (
        f"{x.verdict.capitalize()}: {x.mended:,} mended, {x.broken:,} broken "
        f"(McNemar's exact test, p = {x.p:.3f}).{left if x.relabelled else ''}"
    )


def _pairs(x: Compared) -> Markup:
    """The confusions that grew or shrank most."""
    sides = []
    for side in ("before", "after"):
        wrong = x.changes[x.changes[side] != x.changes["label"]]
        sides.append(wrong.groupby(["label", side]).size().rename_axis(["label", "answer"]))
    counts = pd.DataFrame({"before": sides[0], "after": sides[1]}).fillna(0).astype(int)
    counts["more"] = counts["after"] - counts["before"]
    counts = counts[counts["more"] != 0]
    order = counts["more"].abs().sort_values(ascending=False, kind="stable").index[:PAIRS]
    rows = [[label, answer, f"{counts['more'][label, answer]:+d}"] for label, answer in order]
    if not rows:
        return html.paragraph("No confusion grew or shrank.")
    return html.table(["label", "taken for", "products"], rows, "Confusions that changed most")


def _photos(audit: Audit, x: Compared, change: str) -> Markup:
    chosen = x.changes[x.changes["change"] == change]
    photos = []
    for c in chosen.head(PHOTOS).itertuples():
        photo = audit.photo(c.id)
        if photo is not None:
            other = f"before: {c.before}" if change == MENDED else f"now: {c.after}"
            photos.append((photo, f"{c.id} · {c.label}; {other}"))
    if not photos:
        return Markup()
    return html.folded(f"{change.capitalize()}: {len(photos)} of {len(chosen)}", html.sheet(photos))


def _model(audit: Audit) -> str:
    return str(audit.summary.get("model", "?"))[:12]
