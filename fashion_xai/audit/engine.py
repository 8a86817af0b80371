"""The audit's engine: what a bundle says about each product of a labelled catalogue, as a table.

The catalogue is streamed (:mod:`fashion_xai.engines`): every chunk of products is kept on disk as
soon as it is there, so that a killed audit resumes where it stopped, to the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import Timeout

from fashion_xai.audit.columns import AuditColumns
from fashion_xai.audit.slices import labelled_and_wrong
from fashion_xai.audit.store import Store
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.split import in_split
from fashion_xai.engines.parts import Parts
from fashion_xai.engines.run import Cluster
from fashion_xai.engines.run import run as compute
from fashion_xai.models import bundle

PRODUCTS, SUMMARY, REJECTED, PARTS = "products.parquet", "audit.json", "rejected.csv", "parts"
METHOD = "gradcam-odds"
"""How the maps of both labels are made: a matrix product, for every product at once."""

WHOLE = 100_000
"""Products up to which the table is one file, and is opened whole; of more it is a folder."""

INPUTS = "inputs"
"""Setting with the fingerprint of the labels and photos."""

SETTINGS = ("format", "model", "products", "ids", "split", "titles", "table", INPUTS)
"""What an audit is made with; a stopped one goes on with the same."""

FATAL = tuple(sorted({*SETTINGS} - {INPUTS, "table"}))
"""Settings of which a difference makes it another audit, which needs another folder."""

FORMAT = 1


def run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    out: Path,
    split: Mapping[str, str] | None = None,
    chosen: str | None = None,
    titles: bool = True,
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Audit a catalogue and write ``products.parquet``, ``rejected.csv`` and ``audit.json``.

    ``products.parquet`` (of more than :data:`WHOLE` products a folder of parts, with the columns of
    :mod:`fashion_xai.engines.work` too) has a row per product, in the catalogue's order: ``id``,
    ``title``, ``split``, how the photo looks
    (:class:`fashion_xai.data.image_properties.ImageProperties`), ``consistent`` (whether what the
    three category heads say alone fits the taxonomy), ``embedding``, and for each head H:

    - ``H_true`` (null where missing), ``H_predicted``, ``H_probability`` (calibrated, of the
      prediction), ``H_true_probability``, ``H_top3`` and ``H_top3_probabilities``,
    - ``H_margin`` (first less second probability), ``H_entropy`` (nats), ``H_quality`` (of the
      label, 0–1, see :func:`fashion_xai.audit.label_issues.label_quality`; null where it cannot
      be judged),
    - ``H_evidence`` (logits that speak for the prediction), ``H_off_product`` (share of that
      evidence on the background; null without a studio background),
    - ``H_map`` (float16, the :data:`METHOD` map of the prediction) and, where it is wrong,
      ``H_true_map``, ``H_difference`` (true rather than predicted: exact, its sum plus the biases'
      difference is ``H_gap``) and ``H_gap`` (the true label's logit less the predicted one's).

    Args:
        catalogue: with labels of the bundle's heads; a head that it has none of is unlabelled.
        out: folder; what an audit of the same model and catalogue left there is gone on with, or
            begun anew where labels or photos have changed since, which is said.
        split, chosen: id → split, and which of them to audit; None for all products.
        titles: False keeps none: what a catalogue says of its products need not travel.
        cluster: that computes it; None for this machine.

    Returns:
        The summary, as written to ``audit.json``.

    Raises:
        ValueError: no product to audit, ``out`` holds another audit or is being written to, or the
            cluster fails.
    """
    products = catalogue.products
    if chosen is not None:
        products = in_split(products, split or {}, chosen)
    if not products:
        raise ValueError(f"{catalogue.source}: no product of the {chosen} split to audit.")
    settings = {
        "format": FORMAT,
        "model": classifier.bundle.card["sha256"][bundle.MODEL],
        "products": len(products),
        "ids": hashlib.sha256("\n".join(p.id for p in products).encode()).hexdigest(),
        "split": chosen,
        "titles": titles,
        "table": catalogue.table.to_json(),
        INPUTS: fingerprint(catalogue, products, split or {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    try:
        with files.lock(out / SUMMARY, timeout=0):
            sides = [replace(p, side=(split or {}).get(p.id, "")) for p in products]
            return _run(classifier, catalogue, sides, settings, out, cluster)
    except Timeout:
        raise ValueError(
            f"{out} is in use: another audit writes into it. Give another --out, or wait."
        ) from None


def _run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    settings: dict[str, Any],
    out: Path,
    cluster: Cluster | None,
) -> dict[str, Any]:
    work = AuditColumns(settings["titles"])
    parts = Parts(out / PARTS, settings, FATAL)
    seconds = compute(work, classifier, catalogue.photos, products, parts, cluster, "audit")
    rejected = [*catalogue.rejected, *parts.rejected()]
    lines = [list(r) for r in rejected]
    summary = {**settings, **_summary(classifier, Store(parts.folder), len(rejected))}
    summary["seconds"] = {"streaming": seconds}
    if whole := len(products) <= WHOLE:
        parts.join(out / PRODUCTS, table_schema(classifier))
    files.write(out / REJECTED, files.csv_text(["row", "id", "reason"], lines))
    files.write(out / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    if whole:
        parts.remove()
    else:  # last, as nothing is left to go on with then
        parts.keep(out / PRODUCTS)
    return summary


def table_schema(classifier: FashionClassifier) -> pa.Schema:
    """Of ``products.parquet``."""
    return pa.schema([("id", pa.string()), *AuditColumns().fields(classifier)])


def read_summary(folder: Path) -> dict[str, Any]:
    """An audit's ``audit.json``.

    Raises:
        ValueError: no finished audit, or one of another format.
    """
    try:
        summary = files.read_json(folder / SUMMARY)
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: no finished audit. Expected {SUMMARY} and {PRODUCTS}, as "
            "`python -m fashion_xai audit` writes them."
        ) from None
    if summary.get("format") != FORMAT:
        raise ValueError(
            f"{folder / SUMMARY}: expected format {FORMAT}. Received: {summary.get('format')!r}"
        )
    if "side" in summary:  # what the split was called once
        summary["split"] = summary.pop("side")
    return summary


def fingerprint(catalogue: Catalogue, products: Sequence[Product], split: Mapping[str, str]) -> str:
    """Of all that a row of the audit is made from, beside the model."""
    digest = hashlib.sha256()
    for p in products:
        facts = (p.id, p.title, p.labels, dict(p.one_of), catalogue.stamp(p), split.get(p.id))
        digest.update(repr(facts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _summary(classifier: FashionClassifier, store: Store, rejected: int) -> dict[str, Any]:
    heads = {h: {"labelled": 0, "right": 0} for h in classifier.attributes}
    names = [f"{h}_{c}" for h in classifier.attributes for c in ("true", "predicted")]
    for table in store.batches(names):
        for h, figures in heads.items():
            labelled, wrong = labelled_and_wrong(table, h)
            figures["labelled"] += labelled
            figures["right"] += labelled - wrong
    return {
        "audited": store.count,
        "rejected": rejected,
        "map_shape": list(classifier.network.cells),
        "input_size": list(classifier.size),
        "heads": heads,
        "labels": classifier.vocabulary.to_json(),
        "taxonomy": classifier.taxonomy.to_json(),
    }
