"""The audit's engine: what a bundle says about each product of a labelled catalogue, as a table.

The catalogue is streamed: photos are decoded beside the forward pass, and every chunk of products
is kept on disk as soon as it is there, so that memory does not grow with the catalogue and a
killed audit resumes where it stopped, to the same file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout

from fashion_xai.audit.label_issues import label_quality
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue, Product, Rejected
from fashion_xai.data.image_properties import ImageProperties, measure_image
from fashion_xai.data.labels import CATEGORY_PATH
from fashion_xai.data.split import in_split
from fashion_xai.inference import ProductReader, ReadProduct
from fashion_xai.maps import cams
from fashion_xai.models import bundle
from fashion_xai.progress import ProgressBar
from fashion_xai.trust.faithfulness import pointing

PRODUCTS, SUMMARY, REJECTED, PARTS = "products.parquet", "audit.json", "rejected.csv", "parts"
METHOD = "gradcam-odds"
"""How the maps of both labels are made: a matrix product, for every product at once."""

CHUNK = 512
"""Products per part on disk: what a kill can lose."""

INPUTS = "inputs"
"""Setting with the fingerprint of the labels and photos."""

SETTINGS = ("format", "model", "products", "ids", "split", "titles", "table", INPUTS)
"""What an audit is made with; a stopped one goes on with the same."""

EMBEDDING = 96
"""Numbers in place of a product's pooled features: enough to tell which products are alike."""

FORMAT = 1

PART_FORMAT = 2
"""Of the parts of an unfinished audit."""


def run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    out: Path,
    split: Mapping[str, str] | None = None,
    chosen: str | None = None,
    titles: bool = True,
) -> dict[str, Any]:
    """Audit a catalogue and write ``products.parquet``, ``rejected.csv`` and ``audit.json``.

    ``products.parquet`` has a row per product, in the catalogue's order: ``id``, ``title``,
    ``split``, how the photo looks
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

    Returns:
        The summary, as written to ``audit.json``.

    Raises:
        ValueError: no product to audit, or ``out`` holds another audit or is being written to.
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
            return _run(classifier, catalogue, products, settings, split or {}, out)
    except Timeout:
        raise ValueError(
            f"{out} is in use: another audit writes into it. Give another --out, or wait."
        ) from None


def _run(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    settings: dict[str, Any],
    split: Mapping[str, str],
    out: Path,
) -> dict[str, Any]:
    parts = _claim(out, settings)
    size = max(CHUNK // classifier.batch_size, 1) * classifier.batch_size  # whole batches
    chunks = [products[i : i + size] for i in range(0, len(products), size)]
    seconds = _stream(classifier, catalogue, chunks, parts, split, settings["titles"])
    _join(classifier, [_part(parts, n) for n in range(len(chunks))], out)
    rejected = [*catalogue.rejected, *_rejected(parts, len(chunks))]
    lines = [list(r) for r in rejected]
    files.write(out / REJECTED, files.csv_text(["row", "id", "reason"], lines))
    summary = {**settings, **_summary(classifier, out, len(rejected)), "seconds": seconds}
    files.write(out / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(parts)
    return summary


def _stream(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    chunks: Sequence[Sequence[Product]],
    parts: Path,
    split: Mapping[str, str],
    titles: bool,
) -> dict[str, float]:
    """Write the parts that are not there yet; the seconds that it took."""
    started = time.perf_counter()
    waiting = [n for n in range(len(chunks)) if not _part(parts, n).exists()]
    total = sum(map(len, chunks))
    done = total - sum(len(chunks[n]) for n in waiting)
    schema = _schema(classifier)
    bar = ProgressBar(total=total, initial=done, unit="photo", desc="audit", smoothing=0.02)
    # One reader for all parts, so that it never waits for one to be written.
    products = [product for number in waiting for product in chunks[number]]
    reader = ProductReader(classifier, catalogue, products, beside=measure_image)
    batches = iter(reader)
    for number in waiting:
        tables, before = [], len(reader.rejected)
        for batch in islice(batches, math.ceil(len(chunks[number]) / classifier.batch_size)):
            if batch:
                columns = _columns(classifier, batch, split, titles)
                arrays = [_array(columns[field.name], field.type) for field in schema]
                tables.append(pa.Table.from_arrays(arrays, schema=schema))
            bar.update(len(batch))
        rejected = reader.rejected[before:]
        bar.update(len(rejected))
        _write_part(_part(parts, number), tables, rejected, schema)
    bar.close()
    for note in sorted({note for _, note in reader.notes}):
        ids = sorted(i for i, said in reader.notes if said == note)
        print(f"{len(ids):,} photos: {note} ({', '.join(ids[:5])}{' …' if ids[5:] else ''})")
    spent = time.perf_counter() - started
    return {"streaming": round(spent, 2)}


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


def _claim(out: Path, settings: Mapping[str, Any]) -> Path:
    """The folder of the parts; an audit's folder belongs to one model and one set of products."""
    parts = out / PARTS
    file = parts / "settings.json"
    settings = {**settings, "parts": PART_FORMAT}
    before = files.read_json(file) if file.exists() else settings
    changed = [name for name, value in settings.items() if before.get(name) != value]
    if set(changed) - {INPUTS, "table"}:
        raise ValueError(
            f"{out} holds an unfinished audit of another model or other products. "
            "Give another --out, or remove the folder."
        )
    if changed:
        print("Labels, columns, split or photos have changed since it stopped: it starts anew.")
        shutil.rmtree(parts)
    parts.mkdir(parents=True, exist_ok=True)
    files.write(file, json.dumps(settings))
    return parts


def fingerprint(catalogue: Catalogue, products: Sequence[Product], split: Mapping[str, str]) -> str:
    """Of all that a row of the audit is made from, beside the model."""
    digest = hashlib.sha256()
    for p in products:
        facts = (p.id, p.title, p.labels, dict(p.one_of), catalogue.stamp(p), split.get(p.id))
        digest.update(repr(facts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:06}.parquet"


def _columns(
    classifier: FashionClassifier,
    batch: Sequence[ReadProduct],
    split: Mapping[str, str],
    titles: bool,
) -> dict[str, Sequence[Any]]:
    """Name of a column → one value a product."""
    products = [read.product for read in batch]
    passes = [read.forward_pass for read in batch]
    properties: list[ImageProperties] = [read.beside for read in batch]
    logits = {h: np.stack([f.logits[h] for f in passes]) for h in classifier.attributes}
    features = np.stack([f.features for f in passes])
    probabilities = classifier.decoder.probabilities(logits)
    predicted = classifier.decoder.labels(probabilities)
    alone = {h: p.argmax(1) for h, p in probabilities.items()}
    pooled = features.mean((1, 2))
    embedded = pooled @ _projection(features.shape[-1])
    columns: dict[str, Sequence[Any]] = {
        "id": [p.id for p in products],
        "title": [p.title if titles else "" for p in products],
        "split": [split.get(p.id) for p in products],
        **{n: [getattr(x, n) for x in properties] for n, _ in ImageProperties.FIELDS},
        "one_product": classifier.are_one_product(pooled, logits),
        "consistent": _consistent(classifier, alone).tolist(),
        "embedding": list(embedded.astype(np.float16)),
    }
    masks = [x.product for x in properties]
    for head in classifier.attributes:
        truth = [p.labels.get(head) for p in products]
        found = _head_columns(
            classifier, head, truth, predicted[head], probabilities[head], logits[head], features
        )
        off = [_off_product(*pair) for pair in zip(found["map"], masks, strict=True)]
        columns |= {f"{head}_{name}": values for name, values in found.items()}
        columns[f"{head}_off_product"] = off
    return columns


def _head_columns(
    classifier: FashionClassifier,
    head: str,
    truth: Sequence[str | None],
    predicted: np.ndarray,
    probabilities: np.ndarray,
    logits: np.ndarray,
    features: np.ndarray,
) -> dict[str, Sequence[Any]]:
    """Name → one value a product, of one head."""
    labels = classifier.vocabulary.labels[head]
    place = {label: i for i, label in enumerate(labels)}
    true = np.array([place.get(x, -1) if x is not None else -1 for x in truth])
    n = np.arange(len(predicted))
    ordered = np.sort(probabilities, 1)[:, ::-1]
    # The answer first, then the most probable others: a decoded answer need not be the top one.
    rank = np.argsort(-probabilities, 1, kind="stable")
    top = [[p, *(i for i in row if i != p)][:3] for p, row in zip(predicted, rank, strict=True)]
    kernel = classifier.network.kernels[head]
    eye = np.eye(len(labels), dtype=np.float32)

    def odds(target: np.ndarray) -> np.ndarray:
        c = np.stack([cams.against_rivals(eye[t], z) for t, z in zip(target, logits, strict=True)])
        return c @ kernel.T

    wrong = (true >= 0) & (true != predicted)
    # One product makes all maps: those of the true label too, which are kept of some.
    apart = (kernel[:, np.maximum(true, 0)] - kernel[:, predicted]).T
    weights = np.stack([odds(predicted), odds(np.maximum(true, 0)), apart], 1)
    own, theirs, difference = np.moveaxis(cams.grad_cam(features, weights), 1, 0)
    gap = logits[n, np.maximum(true, 0)] - logits[n, predicted]

    def where(mask: np.ndarray, values: Sequence[Any]) -> list[Any]:
        return [v if m else None for m, v in zip(mask, values, strict=True)]

    return {
        "true": list(truth),
        "predicted": [labels[i] for i in predicted],
        "probability": probabilities[n, predicted],
        "true_probability": where(true >= 0, probabilities[n, np.maximum(true, 0)]),
        "top3": [[labels[i] for i in row] for row in top],
        "top3_probabilities": [probabilities[i, row] for i, row in enumerate(top)],
        "margin": ordered[:, 0] - ordered[:, 1] if len(labels) > 1 else ordered[:, 0],
        "entropy": -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(1),
        "quality": _known(label_quality(labels, truth, probabilities)),
        "evidence": np.maximum(own, 0).sum((1, 2)),
        "map": list(own.astype(np.float16)),
        "true_map": where(wrong, list(theirs.astype(np.float16))),
        "difference": where(wrong, list(difference.astype(np.float16))),
        "gap": where(wrong, gap),
    }


def _off_product(heatmap: np.ndarray, product: np.ndarray | None) -> float | None:
    """Share of the positive evidence off the product; None without silhouette or evidence."""
    if product is None or not (heatmap > 0).any():
        return None
    return 1 - pointing(heatmap.astype(np.float32), product)


def _known(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in values]


def _consistent(classifier: FashionClassifier, alone: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether the category heads' own answers form a path of the taxonomy; True without those."""
    size = len(next(iter(alone.values())))
    if not set(CATEGORY_PATH) <= set(alone):
        return np.ones(size, bool)
    names = [[classifier.vocabulary.labels[h][i] for i in alone[h]] for h in CATEGORY_PATH]
    return np.array([triple in classifier.taxonomy for triple in zip(*names, strict=True)])


def _projection(channels: int) -> np.ndarray:
    """Random directions that keep distances (Johnson & Lindenstrauss 1984); always the same."""
    directions = np.random.default_rng(0).normal(size=(channels, EMBEDDING))
    return (directions / np.sqrt(EMBEDDING)).astype(np.float32)


def _schema(classifier: FashionClassifier) -> pa.Schema:
    cells = int(np.prod(classifier.network.cells))
    text, number = pa.dictionary(pa.int32(), pa.string()), pa.float32()
    fields = [
        ("id", pa.string()),
        ("title", pa.string()),
        ("split", pa.string()),
        *ImageProperties.FIELDS,
        ("one_product", pa.bool_()),
        ("consistent", pa.bool_()),
        ("embedding", pa.list_(pa.float16(), EMBEDDING)),
    ]
    for head in classifier.attributes:
        fields += [
            (f"{head}_true", text),
            (f"{head}_predicted", text),
            (f"{head}_probability", number),
            (f"{head}_true_probability", number),
            (f"{head}_top3", pa.list_(pa.string())),
            (f"{head}_top3_probabilities", pa.list_(number)),
            (f"{head}_margin", number),
            (f"{head}_entropy", number),
            (f"{head}_evidence", number),
            (f"{head}_off_product", number),
            *((f"{head}_{m}", pa.list_(pa.float16(), cells)) for m in ("map", "true_map")),
            (f"{head}_difference", pa.list_(pa.float16(), cells)),
            (f"{head}_gap", number),
            (f"{head}_quality", number),
        ]
    return pa.schema(fields)


def _write_part(
    file: Path, tables: Sequence[pa.Table], rejected: Sequence[Rejected], schema: pa.Schema
) -> None:
    note = {b"rejected": json.dumps(rejected).encode()}
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    part = file.with_suffix(".part")
    pq.write_table(table.replace_schema_metadata(note), part, compression="zstd")
    os.replace(part, file)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    flat = [v.ravel() if isinstance(v, np.ndarray) else v for v in values]
    if pa.types.is_dictionary(kind):
        return pa.array(flat, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(flat, kind)


def _join(classifier: FashionClassifier, parts: Sequence[Path], out: Path) -> None:
    """One file of all parts."""
    schema = _schema(classifier)
    temporary = out / PARTS / PRODUCTS
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for file in parts:
            writer.write_table(pq.read_table(file).select(schema.names).cast(schema))
    os.replace(temporary, out / PRODUCTS)


def _rejected(parts: Path, count: int) -> list[Rejected]:
    notes = [pq.read_schema(_part(parts, n)).metadata[b"rejected"] for n in range(count)]
    return [Rejected(*r) for note in notes for r in json.loads(note)]


def _summary(classifier: FashionClassifier, out: Path, rejected: int) -> dict[str, Any]:
    names = [f"{h}_{c}" for h in classifier.attributes for c in ("true", "predicted")]
    table = pq.read_table(out / PRODUCTS, columns=names).to_pandas()
    heads = {}
    for h in classifier.attributes:
        known = table[f"{h}_true"].notna()
        right = table[f"{h}_true"][known].astype(str) == table[f"{h}_predicted"][known].astype(str)
        heads[h] = {"labelled": int(known.sum()), "right": int(right.sum())}
    return {
        "audited": len(table),
        "rejected": rejected,
        "map_shape": list(classifier.network.cells),
        "input_size": list(classifier.size),
        "heads": heads,
        "labels": classifier.vocabulary.to_json(),
        "taxonomy": classifier.taxonomy.to_json(),
    }
