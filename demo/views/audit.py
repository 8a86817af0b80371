"""What the audit tab shows, as plain functions: no gradio here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from demo.views import words
from demo.views.cards import note
from demo.views.render import render
from fashion_xai.audit import annotations as kept
from fashion_xai.audit import confusions, gallery, label_issues, slices
from fashion_xai.audit.annotations import Annotation
from fashion_xai.audit.results import Audit
from fashion_xai.viz import confusion_matrix, html

LABELS = 22
"""Of the matrix: those with most errors."""

MOST = 500
"""Of a list that the page holds."""

PHOTOS = 24
"""Of a gallery."""

ANY = "(any)"
KINDS = {
    "all confusions": (confusions.EXPECTED, confusions.STARTLING, ""),
    "expected (neighbours)": (confusions.EXPECTED,),
    "startling (far apart)": (confusions.STARTLING,),
}
PAIRS_HEADER = ["true", "predicted", "count", "%", "reverse", "kind"]
LABEL_ISSUES_HEADER = ["id", "label", "suggested", "score", "why"]


@dataclass(frozen=True)
class Filters:
    """Which products and confusions the tab shows.

    Args:
        head: whose answers.
        minimum: products that a pair needs, both directions together.
        kind: a key of :data:`KINDS`.
        low, high: probability of the prediction, 0–1.
        trait, value: a slice, see ``slices.traits``; ANY for all products.
    """

    head: str
    minimum: int = 1
    kind: str = "all confusions"
    low: float = 0.0
    high: float = 1.0
    trait: str = ANY
    value: str = ANY


def checked(audit: Audit, state: Any, nothing: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says is open, as far as it is of this audit; ``nothing`` for the rest.

    Args:
        state: as the browser sent it: ``ids`` and ``listed`` (ids of products), ``id`` and ``pair``
            (true and predicted label).
    """
    given = state if isinstance(state, dict) else {}

    def ids(name: str) -> list[str]:
        values = given.get(name)
        values = values[:MOST] if isinstance(values, list) else []
        return [x for x in values if isinstance(x, str) and x in audit.row]

    pair, identity = given.get("pair"), given.get("id")
    sound = isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
    known = isinstance(identity, str) and identity in audit.row
    return {
        **nothing,
        "ids": ids("ids"),
        "listed": ids("listed"),
        "id": identity if known else None,
        "pair": pair if sound else None,
    }


class Summary(NamedTuple):
    """What an analyst wants to know of a head first."""

    text: Markup
    worst: list[tuple[str, str, int]]
    """The most frequent confusions: one label, the other, and the products of both directions."""
    issues: int
    """Labels with a reason for doubt."""


def summary(audit: Audit, head: str, most: int = 3) -> Summary:
    """How often a head is right, which confusions make up its errors, and the doubtful labels."""
    figures = audit.summary["heads"][head]
    labelled, wrong = figures["labelled"], figures["labelled"] - figures["right"]
    title = words.title(head)
    if not labelled:
        return Summary(note(f"{title}: no product has a label."), [], 0)
    found = pairs(audit, Filters(head)).head(most)
    worst = [(p.true, p.predicted, int(p.both)) for p in found.itertuples(name="Pair")]
    listed = audit.label_issues
    issues = int((listed["attribute"] == head).sum())
    parts = [f"{title} ({head}): {figures['right'] / labelled:.1%} of {labelled:,} products right."]
    if worst and audit.whole:
        share = sum(count for *_, count in worst) / wrong
        confused = "confusion makes" if len(worst) == 1 else "confusions make"
        parts.append(f"{len(worst)} {confused} up {share:.0%} of the {wrong:,} errors.")
    parts.append(f"{issues:,} labels have a reason for doubt.")
    return Summary(note(" ".join(parts)), worst, issues)


def rows(audit: Audit, f: Filters) -> np.ndarray:
    """bool (n,): the audit's rows that pass."""
    table = audit.table
    chosen = table[f"{f.head}_probability"].between(f.low, f.high).to_numpy()
    if f.trait != ANY and f.value != ANY:
        chosen = chosen & (slices.traits(table, audit.heads)[f.trait] == f.value).to_numpy()
    return chosen


def values_of(audit: Audit, trait: str) -> list[str]:
    """What a trait can be, ANY first."""
    if trait == ANY:
        return [ANY]
    values = slices.traits(audit.table, audit.heads)[trait].dropna()
    return [ANY, *sorted(str(x) for x in values.unique())]


def traits(audit: Audit) -> list[str]:
    return [ANY, *slices.traits(audit.table, audit.heads)]


def pairs(audit: Audit, f: Filters) -> pd.DataFrame:
    """The confused pairs that pass, see ``confusions.pairs``."""
    both = confusions.labelled_predictions(audit.table[rows(audit, f)], f.head)
    found = confusions.pairs(*both, f.head, audit.taxonomy, f.minimum)
    return found[found["kind"].isin(KINDS[f.kind])].reset_index(drop=True)


def pairs_table(found: pd.DataFrame) -> list[list[object]]:
    """:data:`PAIRS_HEADER`'s cells."""
    return [
        [p.true, p.predicted, int(p.count), round(100 * p.rate, 1), int(p.reverse), p.kind]
        for p in found.itertuples(name="Pair")
    ]


def why_nothing(audit: Audit, f: Filters) -> str:
    """Why there is nothing to show, in a sentence; '' where products pass and none is an error."""
    if not audit.summary["heads"][f.head]["labelled"]:
        return f"{f.head}: – (no product has a label)"
    return "" if rows(audit, f).any() else "No product passes these filters."


def matrix(audit: Audit, f: Filters, rate: bool) -> tuple[np.ndarray | None, list[str]]:
    """The errors' matrix as a picture and its labels, in order; None where there is no error."""
    true, predicted = confusions.labelled_predictions(audit.table[rows(audit, f)], f.head)
    found = pairs(audit, f)
    kept = {(p.true, p.predicted) for p in found.itertuples()}
    kept |= {(b, a) for a, b in kept}
    wanted = np.array(
        [t == p or (t, p) in kept for t, p in zip(true, predicted, strict=True)], bool
    )
    true, predicted = true[wanted], predicted[wanted]
    labels = confusions.worst_labels(true, predicted, LABELS)
    if not labels:
        return None, []
    frame = confusions.matrix(true, predicted, labels, diagonal=False, rate=rate)
    what = "errors as a share of the true label" if rate else "errors"
    return confusion_matrix.draw(frame, f"{f.head}: {what}"), labels


def cell(labels: list[str], x: int, y: int) -> tuple[str, str] | None:
    """The (true, predicted) labels of the cell that was clicked; None beside the matrix or on its
    diagonal."""
    place = confusion_matrix.cell_at(x, y, len(labels))
    if place is None or place[0] == place[1]:
        return None
    return labels[place[0]], labels[place[1]]


def photos(
    audit: Audit, f: Filters, true: str, predicted: str, order: str
) -> tuple[list[tuple[np.ndarray, str]], list[str]]:
    """A confusion's gallery: (picture, caption) pairs, and the ids behind them.

    Where the photos are not at hand, the difference maps take their place.
    """
    ids = gallery.choose(audit, f.head, true, predicted, order, PHOTOS, rows(audit, f))
    items = []
    for identity in ids:
        t = gallery.tile(audit, f.head, identity)
        picture = audit.photo(identity)
        if picture is None:
            picture = gallery.picture(audit, f.head, identity, "difference", 160)
        if picture is not None:
            items.append((picture, f"{identity} · {t.predicted} {t.probability:.0%}"))
    return items, ids


def confusion(audit: Audit, f: Filters, true: str, predicted: str) -> Markup:
    """What the errors of a confusion share, as HTML."""
    ids = gallery.choose(audit, f.head, true, predicted, rows=rows(audit, f))
    chosen = audit.table.iloc[[audit.row[i] for i in ids]]
    if not len(chosen):
        return note(f"No {true} is taken for {predicted} among these products.")
    off = chosen[f"{f.head}_off_product"].dropna()
    usual = audit.table[f"{f.head}_off_product"].dropna()
    mean = audit.mean_map(ids, f.head, "difference")
    picture = Markup()
    if mean is not None:
        size = tuple(audit.summary["input_size"])
        drawn = gallery.draw(None, mean, size, signed=True, height=150)
        picture = html.figure(drawn, f"mean of these maps; orange: {true}, purple: {predicted}")
    known = len(off) and len(usual)
    return render(
        "confusion",
        shown=min(PHOTOS, len(chosen)),
        picture=picture,
        label=true,
        predicted=predicted,
        products=len(chosen),
        off=f"{off.mean():.0%}" if known else None,
        usual=f"{usual.mean():.0%}" if known else None,
    )


def worst_slices(audit: Audit, f: Filters) -> Markup:
    """The slices in which this head errs significantly more often, as an HTML table."""
    found = slices.error_slices(audit.table[rows(audit, f)], f.head, audit.heads)
    chosen = found[found["significant"]][:12]
    if not len(chosen):
        return note("No slice errs significantly more often than the rest.")
    cells = [
        [
            f"{s.trait}: {s.value}",
            s.products,
            f"{s.rate:.0%} ({s.low:.0%}–{s.high:.0%})",
            f"{s.rest:.0%}",
        ]
        for s in chosen.itertuples()
    ]
    return html.table(["slice", "products", "errors (95 %)", "elsewhere"], cells)


def issues(audit: Audit, head: str, most: int = 60) -> tuple[list[list[object]], list[str]]:
    """The head's label issues, the worst first: :data:`LABEL_ISSUES_HEADER`'s cells, and ids."""
    found = audit.label_issues
    chosen = found[found["attribute"].isin([head, label_issues.PICTURE])][:most]
    cells = [
        [s.id, s.label or "–", s.suggested or "–", s.score, s.reasons] for s in chosen.itertuples()
    ]
    return cells, list(chosen["id"])


def detail(audit: Audit, head: str, identity: str) -> Markup:
    """A product at full size: photo, its three maps, and right answers that look like it."""
    t = gallery.tile(audit, head, identity)
    says = {
        kind: text.format(true=t.true, predicted=t.predicted) for kind, text in gallery.WHAT.items()
    }
    for kind in says:
        cells = audit.map(identity, head, kind)
        if cells is not None and cells.max() <= 0 and kind != "difference":
            says[kind] += ": nothing in this photo"
    photo = audit.photo(identity)
    pictures = [] if photo is None else [html.figure(gallery.resized(photo, 320), "the photo")]
    pictures += [
        html.figure(drawn, says[kind])
        for kind in gallery.WHAT
        if (drawn := gallery.picture(audit, head, identity, kind, 320)) is not None
    ]
    near = [
        html.figure(gallery.picture(audit, head, i, "map", 140), f"right: {label} ({i})")
        for label in dict.fromkeys(x for x in (t.true, t.predicted) if x)
        for i in gallery.neighbours(audit, head, identity, label, 3)
    ]
    return render(
        "detail",
        id=identity,
        title=t.title if len(t.title) <= 200 else f"{t.title[:199]}…",
        pictures=Markup().join(pictures),
        tile=t,
        near=Markup().join(near),
    )


def kept_annotation(file: Path | None, identity: str, head: str) -> Annotation | None:
    """The annotation that is on disk, or None."""
    return None if file is None else kept.read(file).get((identity, head))


def suggested(audit: Audit, head: str, identity: str, known: Annotation | None) -> str:
    """The label that is offered as the right one: what was kept, else what the model says."""
    return gallery.tile(audit, head, identity).predicted if known is None else known.suggested


def labels_of(audit: Audit, head: str) -> list[str]:
    """Every label that a product of the audit has, or was given by the model."""
    both = (audit.table[f"{head}_{side}"].dropna() for side in ("true", "predicted"))
    return sorted({str(label) for column in both for label in column.unique()})


def judge(
    audit: Audit, file: Path, head: str, identity: str, annotation: str, right: str | None = None
) -> Markup:
    """Keep an annotation on disk; says so. Raises as ``kept.add``.

    Args:
        right: the label it should be; None for the model's.
    """
    t = gallery.tile(audit, head, identity)
    label = right if annotation == kept.LABEL_WRONG and right else t.predicted
    if annotation == kept.LABEL_WRONG and label == t.true:
        raise ValueError(f"{label} is the label that it has. Choose the right one.")
    if label not in labels_of(audit, head):
        raise ValueError(f"{label} is no label of {head} here.")
    kept.add(file, Annotation(identity, head, t.true, label, annotation))
    count = len(kept.read(file))
    should = f" (should be {label})" if annotation == kept.LABEL_WRONG else ""
    return note(
        f"Kept: {identity}, {head}: {annotation}{should}. {count} annotations in {file.name}."
    )


def take_back(file: Path, head: str, identity: str) -> Markup:
    """Remove an annotation from disk; says so."""
    gone = kept.remove(file, identity, head)
    return note(f"Taken back: {identity}, {head}." if gone else "There is none to take back.")


ANNOTATIONS_HEADER = ["id", "attribute", "label", "annotation", "should be", "at"]


def annotated(file: Path | None) -> list[list[str]]:
    """All annotations that are kept, the newest first: :data:`ANNOTATIONS_HEADER`'s cells."""
    found = [] if file is None else list(kept.read(file).values())
    return [
        [a.id, a.attribute, a.label, a.annotation,
         a.suggested if a.annotation == kept.LABEL_WRONG else "", a.at]
        for a in sorted(found, key=lambda a: a.at, reverse=True)[:MOST]
    ]  # fmt: skip


def about(audit: Audit, file: Path | None) -> Markup:
    """What is open, and what cannot be done as the server was started."""
    side = f" of the {audit.summary['split']} split" if audit.summary["split"] else ""
    parts = [f"{audit.summary['audited']:,} products{side}."]
    if not audit.whole:
        parts.append(
            f"Here are the {len(audit.table):,} that tell most; audit.html counts them all."
        )
    if bare := [h for h, x in audit.summary["heads"].items() if not x["labelled"]]:
        parts.append(f"No product has a label of {', '.join(bare)}.")
    if not audit.has_photos:
        parts.append(
            "The photos are not here: maps take their place. Start the server with --data "
            "FOLDER_OR_ZIP, or FASHION_DATA, to see them."
        )
    if file is None:
        parts.append("Annotations can be given when it was started with --annotations FILE.")
    return note(" ".join(parts))
