"""Attributes of a whole catalogue, with or without labels: a row a product, and which answers a
person should look at.

Products are read by an engine of :mod:`fashion_xai.engines`: a killed run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.engines.parts import Parts
from fashion_xai.engines.run import Cluster
from fashion_xai.engines.run import run as compute
from fashion_xai.engines.work import problems, schema
from fashion_xai.inference import Beside, ReadProduct
from fashion_xai.models.bundle import MODEL

PARTS = ".parts"
"""Ending of the folder of parts, beside the output."""

REVIEW = ".review.csv"
"""Ending of the review queue's file, beside the output."""

REVIEW_HEADER = ("id", "attribute", "label", "probability", "second", "second_probability", "why")


class Threshold(NamedTuple):
    """From which probability a head's answers are as often right as was asked for.

    Args:
        probability: 0–1; above 1 where no threshold reaches the precision.
        coverage: share of the validation answers at or above it.
    """

    probability: float
    coverage: float


def thresholds(card: Mapping[str, Any], precision: float) -> dict[str, Threshold]:
    """Head → the threshold for a wanted precision, as it was measured on the validation split.

    Raises:
        ValueError: the card has no such measurement; names the command that makes it.
    """
    heads = card.get("metrics", {}).get("validation", {}).get("heads", {})
    found: dict[str, Threshold] = {}
    wanted: set[float] = set()
    for head, figures in heads.items():
        for row in figures.get("precision", ()):
            wanted.add(row["precision"])
            if math.isclose(row["precision"], precision):
                found[head] = Threshold(row["threshold"], row["coverage"])
    if not found:
        known = ", ".join(f"{x:g}" for x in sorted(wanted)) or "none"
        raise ValueError(
            f"--precision {precision:g}: expected one of those that the bundle's card knows. "
            f"Received: it knows {known}. python -m training.evaluate --split validation "
            "--write-card measures them."
        )
    return found


def run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    out: Path,
    sure: Mapping[str, Threshold],
    cluster: Cluster | None = None,
) -> dict[str, int]:
    """Predict a catalogue's products and write a Parquet and its review queue.

    The Parquet has a row for each row of the catalogue's table, those that cannot be read too:
    ``id``, ``row`` (in the table), ``problem`` (why there is no answer; null where there is one),
    ``note`` (what is to be said of the photo; mostly null),
    ``one_product`` (null: the bundle cannot tell), ``review`` (some head is below its threshold, or
    it hardly shows one product), and for each head H ``H``, ``H_probability`` (calibrated),
    ``H_review``, ``H_top3`` and ``H_top3_probabilities``. ``OUT.review.csv`` lists what a person
    should look at, the least probable answer first.

    Args:
        classifier: whose answers.
        catalogue: its labels, if it has any, are not looked at.
        out: the Parquet; a stopped run goes on where it stopped.
        sure: head → threshold; heads that are not named are never reviewed.
        cluster: that computes it; None for this machine.

    Returns:
        ``products``, ``problems`` and ``review``: how many rows of each.

    Raises:
        ValueError: ``out`` is being written by another run, or the cluster fails.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.lock(out, timeout=0):
            return _run(classifier, catalogue, out, sure, cluster)
    except Timeout:
        raise ValueError(f"{out} is in use: another run writes it.") from None


def _run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    out: Path,
    sure: Mapping[str, Threshold],
    cluster: Cluster | None,
) -> dict[str, int]:
    work = Attributes({head: t.probability for head, t in sure.items()})
    stamps = "\n".join(f"{p.id} {catalogue.stamp(p)}" for p in catalogue.products)
    settings = {
        "model": classifier.bundle.card["sha256"][MODEL],
        "thresholds": work.thresholds,
        "photos": hashlib.sha256(stamps.encode("utf-8", "replace")).hexdigest(),
    }
    parts = Parts(out.with_name(out.name + PARTS), settings)
    compute(work, classifier, catalogue.photos, catalogue.products, parts, cluster, "predict")
    note = {b"fashion_xai": json.dumps({k: settings[k] for k in ("model", "thresholds")}).encode()}
    kept = schema(work, classifier).with_metadata(note)
    parts.join(out, kept, [problems(work, classifier, catalogue.rejected)])
    counts = _review(out, list(sure))
    parts.remove()
    return counts


class Attributes:
    """The work of a batch prediction, see :class:`fashion_xai.engines.work.Work`.

    Args:
        thresholds: head → the probability below which a person should look.
    """

    beside: Beside | None = None
    without: Mapping[str, Any] = {"review": True}

    def __init__(self, thresholds: Mapping[str, float]):
        self.thresholds = dict(thresholds)

    def fields(self, classifier: FashionClassifier) -> list[tuple[str, pa.DataType]]:
        text = pa.dictionary(pa.int32(), pa.string())
        yes = pa.bool_()
        fields: list[tuple[str, pa.DataType]] = [("one_product", yes), ("review", yes)]
        for head in classifier.attributes:
            fields += [
                (head, text),
                (f"{head}_probability", pa.float32()),
                (f"{head}_review", pa.bool_()),
                (f"{head}_top3", pa.list_(pa.string())),
                (f"{head}_top3_probabilities", pa.list_(pa.float32())),
            ]
        return fields

    def columns(
        self, classifier: FashionClassifier, batch: Sequence[ReadProduct]
    ) -> dict[str, Sequence[Any]]:
        rows = [self._row(classifier, one) for one in batch]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _row(self, classifier: FashionClassifier, one: ReadProduct) -> dict[str, Any]:
        row: dict[str, Any] = {"one_product": classifier.is_one_product(one.forward_pass)}
        for head, p in classifier.predictions(one.forward_pass).items():
            top = p.top(3)
            row |= {
                head: p.label,
                f"{head}_probability": p.probability,
                f"{head}_review": p.probability < self.thresholds.get(head, 0.0),
                f"{head}_top3": [label for label, _ in top],
                f"{head}_top3_probabilities": [share for _, share in top],
            }
        unsure = any(row[f"{head}_review"] for head in self.thresholds)
        return {**row, "review": unsure or row["one_product"] is False}


def _review(out: Path, heads: Sequence[str]) -> dict[str, int]:
    """Write the review queue; how many products, problems and products to review there are."""
    columns = [c for h in heads for c in (f"{h}_review", f"{h}_top3", f"{h}_top3_probabilities")]
    counts = {"products": 0, "problems": 0, "review": 0}
    queue: list[tuple[float, list[object]]] = []
    source = pq.ParquetFile(out)
    for batch in source.iter_batches(
        columns=["id", "problem", "one_product", "review", *columns], batch_size=10_000
    ):
        for row in batch.to_pylist():
            counts["products"] += 1
            counts["problems"] += row["problem"] is not None
            counts["review"] += bool(row["review"])
            queue += _lines(row, heads)
    queue.sort(key=lambda pair: pair[0])
    lines = [line for _, line in queue]
    files.write(out.with_name(out.name + REVIEW), files.csv_text(REVIEW_HEADER, lines))
    return counts


def _lines(row: Mapping[str, Any], heads: Sequence[str]) -> Iterator[tuple[float, list[object]]]:
    """A product's lines of the review queue, with what they are ordered by."""
    if row["problem"] is not None:
        yield -1.0, [row["id"], "", "", "", "", "", row["problem"]]
        return
    if row["one_product"] is False:
        yield 0.0, [row["id"], "", "", "", "", "", "not sure this is one product"]
    for head in heads:
        if row[f"{head}_review"]:
            (label, *others), (p, *more) = row[f"{head}_top3"], row[f"{head}_top3_probabilities"]
            second = [others[0], f"{more[0]:.4f}"] if others else ["", ""]
            yield p, [row["id"], head, label, f"{p:.4f}", *second, "below its threshold"]
