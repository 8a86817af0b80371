"""Attributes of a whole catalogue, with or without labels: a row a product, and which answers a
person should look at.

Products are read in parts that are kept on disk: a killed run goes on where it stopped, by the ids
that are written already.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue, Rejected
from fashion_xai.inference import ProductReader, ReadProduct
from fashion_xai.models.bundle import MODEL
from fashion_xai.progress import ProgressBar

CHUNK = 512
"""Products per part: what a kill can lose."""

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
) -> dict[str, int]:
    """Predict a catalogue's products and write a Parquet and its review queue.

    The Parquet has a row for each row of the catalogue's table, those that cannot be read too:
    ``id``, ``row`` (in the table), ``problem`` (why there is no answer; null where there is one),
    ``one_product`` (null: the bundle cannot tell), ``review`` (some head is below its threshold, or
    it hardly shows one product), and for each head H ``H``, ``H_probability`` (calibrated),
    ``H_review``, ``H_top3`` and ``H_top3_probabilities``. ``OUT.review.csv`` lists what a person
    should look at, the least probable answer first.

    Args:
        classifier: whose answers.
        catalogue: its labels, if it has any, are not looked at.
        out: the Parquet; a stopped run goes on where it stopped.
        sure: head → threshold; heads that are not named are never reviewed.

    Returns:
        ``products``, ``problems`` and ``review``: how many rows of each.

    Raises:
        ValueError: ``out`` is being written by another run.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.lock(out, timeout=0):
            return _run(classifier, catalogue, out, sure)
    except Timeout:
        raise ValueError(f"{out} is in use: another run writes it.") from None


def _run(
    classifier: FashionClassifier, catalogue: Catalogue, out: Path, sure: Mapping[str, Threshold]
) -> dict[str, int]:
    schema = _schema(classifier, sure)
    parts = _claim(out.with_name(out.name + PARTS), schema, catalogue)
    written = {i for part in _finished(parts) for i in _ids(part)}
    waiting = [p for p in catalogue.products if p.id not in written]
    bar = ProgressBar(total=len(catalogue), initial=len(written), unit="photo", desc="predict")
    reader = ProductReader(classifier, catalogue, waiting)
    batches = iter(reader)
    size = max(CHUNK // classifier.batch_size, 1)
    number = len(_finished(parts))
    while chunk := list(islice(batches, size)):
        read = [one for batch in chunk for one in batch]
        rows = [_row(classifier, one, sure) for one in read]
        rows += [_problem(r) for r in reader.rejected]
        reader.rejected.clear()
        _write(parts / f"{number:06}.parquet", rows, schema)
        number += 1
        bar.update(len(rows))
    bar.close()
    _write(parts / "rejected.parquet", [_problem(r) for r in catalogue.rejected], schema)
    _join([*_finished(parts), parts / "rejected.parquet"], out, schema)
    counts = _review(out, list(sure))
    shutil.rmtree(parts)
    return counts


def _schema(classifier: FashionClassifier, sure: Mapping[str, Threshold]) -> pa.Schema:
    text = pa.dictionary(pa.int32(), pa.string())
    fields: list[tuple[str, pa.DataType]] = [
        ("id", pa.string()),
        ("row", pa.int64()),
        ("problem", pa.string()),
        ("one_product", pa.bool_()),
        ("review", pa.bool_()),
    ]
    for head in classifier.attributes:
        fields += [
            (head, text),
            (f"{head}_probability", pa.float32()),
            (f"{head}_review", pa.bool_()),
            (f"{head}_top3", pa.list_(pa.string())),
            (f"{head}_top3_probabilities", pa.list_(pa.float32())),
        ]
    note = {
        "model": classifier.bundle.card["sha256"][MODEL],
        "thresholds": {head: t.probability for head, t in sure.items()},
    }
    return pa.schema(fields, metadata={b"fashion_xai": json.dumps(note, sort_keys=True).encode()})


def _claim(parts: Path, schema: pa.Schema, catalogue: Catalogue) -> Path:
    """The folder of parts; what another model, other thresholds or other photos left is cleared."""
    stamps = "\n".join(f"{p.id} {catalogue.stamp(p)}" for p in catalogue.products)
    mark = hashlib.sha256(schema.metadata[b"fashion_xai"] + stamps.encode("utf-8", "replace"))
    file = parts / "made-of"
    if file.exists() and file.read_text(encoding="utf-8") != mark.hexdigest():
        print("The model, the thresholds or the photos have changed: it starts anew.")
        shutil.rmtree(parts)
    parts.mkdir(exist_ok=True)
    files.write(file, mark.hexdigest())
    return parts


def _finished(parts: Path) -> list[Path]:
    return sorted(parts.glob("[0-9]*.parquet"))


def _ids(part: Path) -> list[str]:
    return pq.read_table(part, columns=["id"])["id"].to_pylist()


def _row(
    classifier: FashionClassifier, one: ReadProduct, sure: Mapping[str, Threshold]
) -> dict[str, Any]:
    one_product = classifier.is_one_product(one.forward_pass)
    row: dict[str, Any] = {"id": one.product.id, "row": one.product.row, "one_product": one_product}
    for head, p in classifier.predictions(one.forward_pass).items():
        top = p.top(3)
        row |= {
            head: p.label,
            f"{head}_probability": p.probability,
            f"{head}_review": head in sure and p.probability < sure[head].probability,
            f"{head}_top3": [label for label, _ in top],
            f"{head}_top3_probabilities": [share for _, share in top],
        }
    unsure = any(row[f"{head}_review"] for head in sure)
    return {**row, "review": unsure or one_product is False}


def _problem(rejected: Rejected) -> dict[str, Any]:
    return {
        "id": rejected.id,
        "row": rejected.row,
        "problem": rejected.reason,
        "review": True,
    }


def _write(file: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    part = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(list(rows), schema), part, compression="zstd")
    os.replace(part, file)


def _join(parts: Sequence[Path], out: Path, schema: pa.Schema) -> None:
    part = out.with_name(f".{out.name}.part")
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for file in parts:
            writer.write_table(pq.read_table(file).cast(schema))
    os.replace(part, out)


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
