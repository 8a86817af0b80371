"""What the audit tab shows, as plain functions: no gradio here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from demo.views import words
from demo.views.cards import note
from demo.views.render import render
from fashion_xai.audit import confusions, gallery, label_issues, slices
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
SLICES_HEADER = ["trait", "value", "products", "errors (95 %)", "elsewhere"]
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
        state: as the browser sent it: ``ids`` and ``id`` of products, and ``pair`` (true and
            predicted label) or the name of a ``list``.
    """
    given = state if isinstance(state, dict) else {}

    listed = given.get("ids")
    ids = listed[:MOST] if isinstance(listed, list) else []
    pair, identity = given.get("pair"), given.get("id")
    name = given.get("list")
    sound = isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
    known = isinstance(identity, str) and identity in audit.row
    return {
        **nothing,
        "ids": [x for x in ids if isinstance(x, str) and x in audit.row],
        "id": identity if known else None,
        "pair": pair if sound else None,
        "list": name if isinstance(name, str) else None,
    }


class Address(NamedTuple):
    """What the page's address asks for: the same confusion that somebody else looks at."""

    head: str
    pair: tuple[str, str] | None = None
    id: str | None = None
    list: str | None = None
    """Of :class:`demo.views.lists.Lists`."""

    @classmethod
    def read(cls, audit: Audit, asked: Any, first: str) -> Address:
        """As far as it is of this audit; the rest is ``first`` and nothing.

        Args:
            asked: ``audit`` (the head), ``true``, ``predicted``, ``list`` and ``id``, as a browser
                sent them.
        """
        given = asked if isinstance(asked, dict) else {}
        head = given.get("audit")
        if head not in audit.heads:
            return cls(first)
        true, predicted = given.get("true"), given.get("predicted")
        named = isinstance(true, str) and isinstance(predicted, str)
        pair = (str(true), str(predicted)) if named else None
        identity = given.get("id")
        known = isinstance(identity, str) and identity in audit.row
        name = given.get("list")
        return cls(
            head,
            pair,
            identity if known else None,
            name if isinstance(name, str) and name else None,
        )


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
    audit: Audit,
    f: Filters,
    true: str,
    predicted: str,
    order: str,
    without: Collection[str] = (),
) -> tuple[list[tuple[np.ndarray, str]], list[str]]:
    """A confusion's gallery: the pictures of its first products, and the ids of all.

    Args:
        without: ids that are left out.
    """
    ids = [i for i in members(audit, f, true, predicted, order) if i not in without][:MOST]
    return pictures(audit, f.head, ids), ids


def pictures(audit: Audit, head: str, ids: Sequence[str]) -> list[tuple[np.ndarray, str]]:
    """(picture, caption) of the first :data:`PHOTOS` products. Where the photos are not at hand,
    the maps take their place: the difference of an error, else what speaks for the answer."""
    items = []
    for identity in ids[:PHOTOS]:
        t = gallery.tile(audit, head, identity)
        picture = audit.photo(identity)
        for kind in ("difference", "map"):
            if picture is None:
                picture = gallery.picture(audit, head, identity, kind, 160)
        assert picture is not None  # every product has the map of its answer
        items.append((picture, f"{identity} · {t.predicted} {t.probability:.0%}"))
    return items


def members(
    audit: Audit, f: Filters, true: str, predicted: str, order: str = "confident"
) -> list[str]:
    """The ids of all products of a confusion that pass."""
    return gallery.choose(audit, f.head, true, predicted, order, rows=rows(audit, f))


def confusion(audit: Audit, f: Filters, true: str, predicted: str) -> Markup:
    """What the errors of a confusion share, as HTML."""
    ids = members(audit, f, true, predicted)
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


def worst_slices(audit: Audit, f: Filters) -> list[list[str]]:
    """The slices in which this head errs significantly more often: :data:`SLICES_HEADER`'s cells,
    or a row that says that there is none."""
    found = slices.error_slices(audit.table[rows(audit, f)], f.head, audit.heads)
    chosen = found[found["significant"]][:12]
    cells = [
        [
            s.trait,
            str(s.value),
            f"{s.products:,}",
            f"{s.rate:.0%} ({s.low:.0%}–{s.high:.0%})",
            f"{s.rest:.0%}",
        ]
        for s in chosen.itertuples()
    ]
    return cells or [["No slice errs significantly more often than the rest.", "", "", "", ""]]


def issues(
    audit: Audit, head: str, without: Collection[str] = (), most: int = 60
) -> tuple[list[list[object]], list[str]]:
    """The head's label issues, the worst first: :data:`LABEL_ISSUES_HEADER`'s cells, and ids.

    Args:
        without: ids that are left out.
        most: of them.
    """
    found = audit.label_issues
    wanted = found["attribute"].isin([head, label_issues.PICTURE]) & ~found["id"].isin([*without])
    chosen = found[wanted][:most]
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
