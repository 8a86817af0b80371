"""The audit as one self-contained HTML page with its CSVs: what the analyst takes home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from fashion_xai.audit import confusions, gallery
from fashion_xai.audit.engine import METHOD
from fashion_xai.audit.label_issues import PICTURE
from fashion_xai.audit.results import Audit
from fashion_xai.data import files
from fashion_xai.data.labels import CATEGORY_PATH
from fashion_xai.progress import ProgressBar
from fashion_xai.trust import card as trust_card
from fashion_xai.viz import confusion_matrix, html

GALLERIES, PHOTOS, NEIGHBOURS = 8, 6, 2
"""Confusions of each head with a gallery, photos in each, right answers of both labels beside."""

LABELS, LABEL_ISSUES, ROWS = 25, 20, 30
"""Labels in a head's matrix, label issues of each head, rows of its other tables."""

HEIGHT, THUMBNAIL = 160, 64
"""Of a picture in the report, and of one in a table, in pixels."""


def write(
    audit: Audit,
    out: Path,
    bundle_card: Mapping[str, Any],
    measured: Mapping[str, Any],
    heads: Sequence[str] | None = None,
) -> Path:
    """Write ``audit.html`` and ``confusions``, ``label_issues`` and ``slices`` (CSV) into ``out``.

    Args:
        audit: with its catalogue, whose photos the page shows.
        bundle_card: of the model that was audited.
        measured: the same bundle's trust card; empty where nothing was measured.
        heads: which to report; None for all.
    """
    heads = audit.heads if heads is None else heads
    found = {h: _pairs(audit, h) for h in heads}
    sliced = {h: audit.digest.slices[h] for h in heads}
    issues = audit.label_issues[audit.label_issues["attribute"].isin([*heads, PICTURE])]
    _csv(out / "confusions.csv", found)
    _csv(out / "slices.csv", sliced)
    header, plain = list(issues.columns), issues.astype(object).where(issues.notna(), None)
    files.write(out / "label_issues.csv", files.csv_text(header, plain.to_numpy().tolist()))
    parts = [
        html.contents([(LABEL_ISSUES_TITLE, LABEL_ISSUES_TITLE), *((h, h) for h in _order(heads))]),
        _what_to_do(audit, _order(heads), found, sliced, issues),
        _overview(audit, bundle_card, measured),
        _label_issues(audit, issues, _order(heads)),
    ]
    for head in ProgressBar(_order(heads), desc="report", unit="head"):
        if not audit.summary["heads"][head]["labelled"]:
            nothing = html.paragraph("– (no product has a label)")
            parts += [html.heading(head, anchor=head), nothing]
            continue
        parts += [
            html.heading(head, anchor=head),
            _matrix(audit, head),
            _pairs_table(found[head]),
            *(_rolled(audit) if head == CATEGORY_PATH[2] else ()),
            _slices(sliced[head]),
            *(_gallery(audit, head, pair) for pair in found[head][:GALLERIES].to_dict("records")),
        ]
    file = out / "audit.html"
    files.write(file, html.page("Audit of a catalogue", *parts))
    return file


WORST = 3
"""Confusions that the first lines name."""


def _order(heads: Sequence[str]) -> list[str]:
    """articleType first: that is what an audit is mostly about."""
    return sorted(heads, key=lambda h: h != CATEGORY_PATH[2])


def _pairs(audit: Audit, head: str) -> pd.DataFrame:
    true, predicted, weights = _counts(audit, head)
    return confusions.pairs(true, predicted, head, audit.taxonomy, weights=weights)


def _counts(audit: Audit, head: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels and answers that occur together, and how often."""
    counts = audit.digest.confusions[head]
    return tuple(counts[c].to_numpy() for c in ("true", "predicted", "count"))  # type: ignore[return-value]


def _csv(file: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    joined = pd.concat([f.assign(attribute=h) for h, f in frames.items() if len(f)] or [_EMPTY])
    columns = ["attribute", *(c for c in joined.columns if c != "attribute")]
    rows = joined[columns].astype(object).where(joined[columns].notna(), None)
    files.write(file, files.csv_text(columns, rows.to_numpy().tolist()))


_EMPTY = pd.DataFrame({"attribute": []})


def _what_to_do(
    audit: Audit,
    heads: Sequence[str],
    found: Mapping[str, pd.DataFrame],
    sliced: Mapping[str, pd.DataFrame],
    issues: pd.DataFrame,
) -> Markup:
    """The first lines: where to begin, of the first head that has labels."""
    head = next((h for h in heads if audit.summary["heads"][h]["labelled"]), None)
    if head is None:
        return html.paragraph("No product has a label: there is nothing to compare with.")
    figures = audit.summary["heads"][head]
    wrong = figures["labelled"] - figures["right"]
    says = [f"{head}: {figures['right'] / figures['labelled']:.1%} of its labels are the answer's."]
    if doubted := int((issues["attribute"] != PICTURE).sum()):
        says.append(
            f"Begin with the labels: {doubted:,} have a reason for doubt, the worst first below. "
            "Correct the wrong ones; train with --corrections; audit again."
        )
    top = found[head].head(WORST)
    if wrong and len(top):
        pairs = ", ".join(f"{p.true} / {p.predicted} ({p.both:,})" for p in top.itertuples())
        says.append(f"{top['both'].sum() / wrong:.0%} of its {wrong:,} errors are {pairs}.")
        if (top["kind"] == confusions.EXPECTED).any():
            says.append(
                "Pairs called expected are neighbours: a rule for those who label, or one label "
                "for both, mends more than another model."
            )
        if len(far := top[top["kind"] == confusions.STARTLING]):
            one = far.iloc[0]
            says.append(f"{one['true']} / {one['predicted']} are far apart: look at the photos.")
    worse = sliced[head][sliced[head]["significant"]]
    if len(worse):
        s = worse.iloc[0]
        says.append(
            f"It errs most where {s['trait']} is {s['value']}: in {s['rate']:.0%} of "
            f"{s['products']:,} products, and {s['rest']:.0%} elsewhere."
        )
    trained = int((audit.table["split"] == "train").sum()) if audit.whole else 0
    if trained:
        says.append(
            f"{trained:,} of these products were trained on: there the model agrees too easily."
        )
    return html.joined([html.heading("What to do about it"), *map(html.paragraph, says)])


def _overview(audit: Audit, card: Mapping[str, Any], measured: Mapping[str, Any]) -> Markup:
    summary = audit.summary
    side = f" of the {summary['split']} split" if summary["split"] else ""
    rows = []
    for head, figures in summary["heads"].items():
        known, right = figures["labelled"], figures["right"]
        own = _measured(card).get(head, {}).get("accuracy")
        rows.append(
            [
                head,
                known,
                known - right if known else "–",
                f"{100 * right / known:.1f}" if known else "–",
                "–" if own is None else f"{100 * own:.1f}",
                trust_card.badge(measured, head, METHOD) or "not measured",
            ]
        )
    header = [
        "head",
        "labelled",
        "errors",
        "right %",
        "right % of its test products",
        "its maps",
    ]
    left = f" {summary['rejected']:,} rows were left out; rejected.csv names them."
    return html.joined(
        [
            html.paragraph(
                f"{summary['audited']:,} products{side}.{left if summary['rejected'] else ''} "
                "An error is where the model's answer differs from the catalogue's label; the "
                "label, the photo or the model may be at fault."
            ),
            html.table(header, rows),
            html.paragraph(
                "How to read the maps. Bright cells speak most for a label rather than its rivals. "
                "In the difference, orange speaks for the true label, purple for the predicted "
                "one; the sum of its cells, with the biases, is exactly by how many logits the two "
                "differ. A map says where a score is put together, not what caused it."
            ),
        ]
    )


def _measured(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Head → figures on the test split, from the model's card."""
    return card.get("metrics", {}).get("test", {}).get("heads", {})


LABEL_ISSUES_TITLE = "Label issues"


def _label_issues(audit: Audit, issues: pd.DataFrame, heads: Sequence[str]) -> Markup:
    parts = [
        html.heading(LABEL_ISSUES_TITLE, anchor=LABEL_ISSUES_TITLE),
        html.paragraph(_how_many(audit, issues)),
    ]
    for head in (PICTURE, *heads):
        own = issues[issues["attribute"] == head]
        rows = [
            [
                _thumbnail(audit, s.id),
                s.id,
                s.label or "–",
                s.suggested or "–",
                f"{s.score:.2f}",
                s.reasons,
            ]
            for s in own[:LABEL_ISSUES].itertuples()
        ]
        if rows:
            caption = f"{head}: the first {len(rows)} of {len(own):,}"
            header = ["photo", "id", "label", "suggested", "score", "why"]
            parts.append(html.table(header, rows, caption))
    return html.joined(parts)


def _thumbnail(audit: Audit, identity: str) -> Markup | str:
    photo = audit.photo(identity)
    return "" if photo is None else html.thumbnail(gallery.resized(photo, THUMBNAIL), "the photo")


def _how_many(audit: Audit, issues: pd.DataFrame) -> str:
    listed = issues[issues["attribute"] != PICTURE]["attribute"].unique()
    every = sum(audit.digest.all_issues[h] for h in listed)
    every += int((issues["attribute"] == PICTURE).sum())
    kept = "them all" if every == len(issues) else f"the {len(issues):,} with most against them"
    return f"{every:,} labels with a reason for doubt; label_issues.csv holds {kept}."


def _matrix(audit: Audit, head: str) -> Markup:
    drawn = _drawn(*_counts(audit, head), f"Errors of {head}")
    return drawn or html.paragraph("Not a single error.")


def _drawn(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray, title: str) -> Markup:
    """The matrix of the labels with most errors as a picture; '' where there is no error."""
    labels = confusions.worst_labels(true, predicted, LABELS, weights)
    if not labels:
        return Markup()
    frame = confusions.matrix(true, predicted, labels, diagonal=False, weights=weights)
    what = f"{title}: true labels down, predicted ones across"
    return html.drawing(confusion_matrix.draw(frame, title), what)


def _pairs_table(found: pd.DataFrame) -> Markup:
    rows = [
        [p.true, p.predicted, p.count, f"{100 * p.rate:.1f}", p.reverse, p.kind]
        for p in found[:ROWS].itertuples(name="Pair")
    ]
    header = ["true", "predicted", "products", "% of the true label", "the other way", ""]
    return html.table(header, rows, f"Confused pairs ({len(found)})")


def _rolled(audit: Audit) -> list[Markup]:
    """articleTypes under their subCategories: how many errors stay among neighbours."""
    true, predicted, weights = _counts(audit, CATEGORY_PATH[2])
    parts = []
    for level in CATEGORY_PATH[1::-1]:
        above, said = (confusions.rolled_up(x, audit.taxonomy, level) for x in (true, predicted))
        inside = int(weights[(true != predicted) & (above == said)].sum())
        errors = int(weights[true != predicted].sum())
        picture = _drawn(above, said, weights, f"articleType as {level}")
        if picture:
            title = f"Rolled up to {level}: {inside} of {errors} errors stay inside one"
            parts.append(html.folded(title, picture))
    return parts


def _slices(found: pd.DataFrame) -> Markup:
    chosen = found[found["significant"]]
    rows = [
        [
            s.trait,
            s.value,
            s.products,
            s.errors,
            f"{100 * s.rate:.1f} ({100 * s.low:.1f}–{100 * s.high:.1f})",
            f"{100 * s.rest:.1f}",
        ]
        for s in chosen[:ROWS].itertuples()
    ]
    header = ["trait", "value", "products", "errors", "error % (95 %)", "error % elsewhere"]
    caption = (
        f"Where it errs more often than elsewhere ({len(chosen)} of {len(found)} slices; Fisher's "
        "test, 5 % false discoveries)"
    )
    return html.table(header, rows, caption)


def _gallery(audit: Audit, head: str, pair: Mapping[str, Any]) -> Markup:
    true, predicted = pair["true"], pair["predicted"]
    ids = gallery.choose(audit, head, true, predicted, limit=PHOTOS)
    tiles = [_tile(audit, head, identity) for identity in ids]
    right = []
    for label in (true, predicted):
        for identity in gallery.neighbours(audit, head, ids[0], label, NEIGHBOURS):
            right.append(_right(audit, head, identity))
    off = _off_product(audit, head, true, predicted)
    every = gallery.choose(audit, head, true, predicted)
    mean = audit.mean_map(every, head, "difference")
    if mean is not None:
        size = tuple(audit.summary["input_size"])
        drawn = gallery.draw(None, mean, size, signed=True, height=HEIGHT)
        whose = "their" if len(every) == pair["count"] else f"the {len(every)} surest ones'"
        tiles.insert(0, html.tile([html.figure(drawn, f"{whose} mean difference")]))
    return html.joined(
        [
            html.heading(f"{true} taken for {predicted} ({pair['count']})", 3),
            html.paragraph(off) if off else "",
            html.tiles(tiles),
            html.paragraph("Right answers that look like the first one:") if right else "",
            html.tiles(right),
        ]
    )


def _off_product(audit: Audit, head: str, true: str, predicted: str) -> str:
    counts = audit.digest.confusions[head]
    pair = counts[(counts["true"] == true) & (counts["predicted"] == predicted)]
    if not pair["off_count"].sum():
        return ""
    share = pair["off"].sum() / pair["off_count"].sum()
    usual = counts["off"].sum() / counts["off_count"].sum()
    return (
        f"On the background lie {100 * share:.0f} % of the evidence for {predicted}; "
        f"over all products it is {100 * usual:.0f} %."
    )


def _tile(audit: Audit, head: str, identity: str) -> Markup:
    t = gallery.tile(audit, head, identity)
    words = {kind: text.format(true=t.true, predicted=t.predicted)
             for kind, text in gallery.WHAT.items()}  # fmt: skip
    pictures = [
        html.figure(gallery.picture(audit, head, identity, kind, HEIGHT), words[kind])
        for kind in gallery.WHAT
    ]
    gap = "" if t.gap is None else f", {t.gap:+.2f} logits"
    caption = (
        f"{t.id}: {t.title} — {t.predicted} {t.probability:.0%}, "
        f"{t.true} {t.true_probability:.0%}{gap}"
    )
    return html.tile([_photo(audit, identity), *pictures], _short(caption))


def _right(audit: Audit, head: str, identity: str) -> Markup:
    t = gallery.tile(audit, head, identity)
    own = html.figure(gallery.picture(audit, head, identity, "map", HEIGHT), "its map")
    words = _short(f"{t.id}: {t.title} — {t.predicted}, right")
    return html.tile([_photo(audit, identity), own], words)


def _photo(audit: Audit, identity: str) -> Markup:
    photo = audit.photo(identity)
    return Markup() if photo is None else html.figure(gallery.resized(photo, HEIGHT), "the photo")


def _short(text: str, most: int = 240) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
