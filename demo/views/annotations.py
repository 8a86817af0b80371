"""The analyst's annotations on the audit tab: kept, taken back, listed, counted, taken home."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from demo.views.cards import note
from fashion_xai.audit import annotations as kept
from fashion_xai.audit import gallery
from fashion_xai.audit.annotations import Annotation
from fashion_xai.audit.results import Audit
from fashion_xai.data.files import csv_text

MOST = 500
"""Of the list that the page holds."""


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


def looked_at(file: Path | None, head: str) -> set[str]:
    """The ids that have an annotation of this head."""
    return set() if file is None else {i for i, attribute in kept.read(file) if attribute == head}


def progress(file: Path | None, head: str, ids: Sequence[str]) -> Markup:
    """How many of some products were looked at: "12 of 40 looked at"."""
    if file is None or not ids:
        return Markup()
    seen = looked_at(file, head)
    return note(f"{sum(i in seen for i in ids):,} of {len(ids):,} looked at.")


def downloads(audit: Audit, file: Path) -> dict[str, str]:
    """What an analyst takes home, by file name: the annotations as they are kept, and the labels of
    all products of the audit, corrected where one was found wrong."""
    given = kept.read(file)
    right = {key: a.suggested for key, a in given.items() if a.annotation == kept.LABEL_WRONG}
    rows = []
    for _, product in audit.table.iterrows():
        own = {h: product[f"{h}_true"] for h in audit.heads}
        labels = [right.get((product["id"], h), x) for h, x in own.items()]
        rows.append([product["id"], *(None if pd.isna(x) else x for x in labels)])
    return {
        "annotations.csv": kept.text(given),
        "corrected.csv": csv_text(["id", *audit.heads], rows),
    }
