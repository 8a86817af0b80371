"""The audit's engine: what a bundle says about each product of a labelled catalogue, as a table.

The catalogue is streamed: photos are decoded beside the forward pass, and every chunk of products
is kept on disk as soon as it is there, so that memory does not grow with the catalogue and a
killed audit resumes where it stopped, to the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout
from tqdm import tqdm

from fashion_xai.audit.label_issues import label_quality
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import files, images
from fashion_xai.data.catalogue import Catalogue, Product, Rejected
from fashion_xai.data.image_properties import ImageProperties, measure_image
from fashion_xai.data.labels import CATEGORY_PATH
from fashion_xai.maps import cams
from fashion_xai.maps.geometry import stretch
from fashion_xai.models import bundle
from fashion_xai.models.outputs import ForwardPass

PRODUCTS, SUMMARY, REJECTED, PARTS = "products.parquet", "audit.json", "rejected.csv", "parts"
METHOD = "gradcam-odds"
"""How the maps of both labels are made: a matrix product, for every product at once."""

CHUNK = 512
"""Products per part on disk: what a kill can lose."""

EMBEDDING = 96
"""Numbers in place of a product's pooled features: enough to tell which products are alike."""

FORMAT = 1


@dataclass(frozen=True)
class Seen:
    """One product after decoding, before the forward pass."""

    product: Product
    canvas: np.ndarray
    box: images.Box
    properties: ImageProperties


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
        catalogue: with labels of the bundle's heads.
        out: folder; what an audit of the same model and catalogue left there is gone on with.
        split, chosen: id → split, and which of them to audit; None for all products.
        titles: False keeps none: what a catalogue says of its products need not travel.

    Returns:
        The summary, as written to ``audit.json``.

    Raises:
        ValueError: no product to audit, or ``out`` holds another audit or is being written to.
    """
    products = [
        p for p in catalogue.products if chosen is None or (split or {}).get(p.id) == chosen
    ]
    if not products:
        raise ValueError(f"{catalogue.source}: no product of the {chosen} split to audit.")
    settings = {
        "format": FORMAT,
        "model": classifier.bundle.card["sha256"][bundle.MODEL],
        "products": len(products),
        "ids": hashlib.sha256("\n".join(p.id for p in products).encode()).hexdigest(),
        "split": chosen,
        "titles": titles,
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
    started, forward = time.perf_counter(), 0.0
    chunks = [products[i : i + CHUNK] for i in range(0, len(products), CHUNK)]
    waiting = [n for n in range(len(chunks)) if not _part(parts, n).exists()]
    done = len(products) - sum(len(chunks[n]) for n in waiting)
    bar = tqdm(total=len(products), initial=done, unit="photo", desc="audit", smoothing=0.02)
    for number in waiting:
        rows: list[dict[str, Any]] = []
        rejected: list[Rejected] = []
        for batch in _decoded(catalogue, chunks[number], classifier, rejected):
            before = time.perf_counter()
            forward_passes = classifier.read_fitted([(seen.canvas, seen.box) for seen in batch])
            forward += time.perf_counter() - before
            rows += _rows(classifier, batch, forward_passes, split, settings["titles"])
            bar.update(len(batch))
        bar.update(len(rejected))
        _write_part(_part(parts, number), rows, rejected, _schema(classifier))
    bar.close()
    spent = time.perf_counter() - started
    summary = _finish(classifier, catalogue, parts, len(chunks), out)
    summary = {
        **settings,
        **summary,
        "seconds": {"streaming": round(spent, 2), "forward": round(forward, 2)},
    }
    files.write(out / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(parts)
    return summary


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
    if file.exists() and json.loads(file.read_text()) != settings:
        raise ValueError(
            f"{out} holds an unfinished audit of another model or other products. "
            "Give another --out, or remove the folder."
        )
    parts.mkdir(parents=True, exist_ok=True)
    files.write(file, json.dumps(settings))
    return parts


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:06}.parquet"


def _decoded(
    catalogue: Catalogue,
    products: Sequence[Product],
    classifier: FashionClassifier,
    rejected: list[Rejected],
) -> Iterator[list[Seen]]:
    """Batches of decoded products; the next one is decoded while the caller works on one."""

    def decode(batch: Sequence[Product]) -> tuple[list[Seen], list[Rejected]]:
        seen, bad = [], []
        for product in batch:
            try:
                photo = catalogue.photo(product)
            except images.ImageError as error:
                bad.append(Rejected(product.row, product.id, str(error)))
                continue
            canvas, box = images.letterbox(photo, classifier.size)
            seen.append(Seen(product, canvas, box, measure_image(photo, canvas, box)))
        return seen, bad

    size = classifier.batch_size
    batches = [products[i : i + size] for i in range(0, len(products), size)]
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(decode, batches[0])
        for following in [*batches[1:], None]:
            seen, bad = ahead.result()
            if following is not None:
                ahead = pool.submit(decode, following)
            rejected += bad
            if seen:
                yield seen


def _rows(
    classifier: FashionClassifier,
    batch: Sequence[Seen],
    forward_passes: Sequence[ForwardPass],
    split: Mapping[str, str],
    titles: bool,
) -> list[dict[str, Any]]:
    logits = {h: np.stack([r.logits[h] for r in forward_passes]) for h in classifier.attributes}
    features = np.stack([r.features for r in forward_passes])
    probabilities = classifier.decoder.probabilities(logits)
    predicted = classifier.decoder.labels(probabilities)
    consistent = _consistent(classifier, {h: p.argmax(1) for h, p in probabilities.items()})
    embedded = features.mean((1, 2)) @ _projection(features.shape[-1])
    rows = [
        {
            "id": seen.product.id,
            "title": seen.product.title if titles else "",
            "split": split.get(seen.product.id),
            **seen.properties.columns(),
            "one_product": classifier.is_one_product(forward_pass),
            "consistent": bool(consistent[i]),
            "embedding": embedded[i].astype(np.float16),
        }
        for i, (seen, forward_pass) in enumerate(zip(batch, forward_passes, strict=True))
    ]
    for head in classifier.attributes:
        truth = [seen.product.labels[head] for seen in batch]
        columns = _head_columns(
            classifier, head, truth, predicted[head], probabilities[head], logits[head], features
        )
        for i, (row, seen) in enumerate(zip(rows, batch, strict=True)):
            row.update({f"{head}_{name}": values[i] for name, values in columns.items()})
            row[f"{head}_off_product"] = _off_product(columns["map"][i], seen)
    return rows


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
        return _maps(features, c @ kernel.T)

    own = odds(predicted)
    wrong = (true >= 0) & (true != predicted)
    # One label costs what the others cost: maps of the true label are made for all, kept of some.
    theirs = odds(np.maximum(true, 0))
    difference = _maps(features, (kernel[:, np.maximum(true, 0)] - kernel[:, predicted]).T)
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
        "probabilities": list(probabilities.astype(np.float16)),
        "evidence": np.maximum(own, 0).sum((1, 2)),
        "map": list(own.astype(np.float16)),
        "true_map": where(wrong, list(theirs.astype(np.float16))),
        "difference": where(wrong, list(difference.astype(np.float16))),
        "gap": where(wrong, gap),
    }


def _maps(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Grad-CAM of n photos, each with its own weights (n, channels): float32 (n, h, w)."""
    n, height, width, channels = features.shape
    cells = features.reshape(n, height * width, channels) @ weights[:, :, None]
    return cells.reshape(n, height, width) / (height * width)


def _off_product(heatmap: np.ndarray, seen: Seen) -> float | None:
    """Share of the positive evidence off the product; None without silhouette or evidence."""
    if seen.properties.product is None:
        return None
    shape = seen.properties.product.shape
    positive = np.maximum(stretch(heatmap.astype(np.float32), shape), 0)
    total = float(positive.sum())
    return float(positive[~seen.properties.product].sum()) / total if total > 0 else None


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


def _schema(classifier: FashionClassifier, final: bool = False) -> pa.Schema:
    """The columns; those of ``probabilities`` only until the labels' quality is known."""
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
    for head, labels in classifier.vocabulary.labels.items():
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
            (f"{head}_quality", number)
            if final
            else (f"{head}_probabilities", pa.list_(pa.float16(), len(labels))),
        ]
    return pa.schema(fields)


def _write_part(
    file: Path, rows: Sequence[Mapping[str, Any]], rejected: Sequence[Rejected], schema: pa.Schema
) -> None:
    note = {b"rejected": json.dumps(rejected).encode()}
    columns = [_column([row[f.name] for row in rows], f.type) for f in schema]
    table = pa.Table.from_arrays(columns, schema=schema.with_metadata(note))
    part = file.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    os.replace(part, file)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    flat = [v.ravel() if isinstance(v, np.ndarray) else v for v in values]
    if pa.types.is_dictionary(kind):
        return pa.array(flat, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(flat, kind)


def _finish(
    classifier: FashionClassifier, catalogue: Catalogue, parts: Path, count: int, out: Path
) -> dict[str, Any]:
    """Join the parts, with the labels' quality, which needs all of them."""
    done = [_part(parts, n) for n in range(count)]
    quality = {h: _qualities(classifier, h, done) for h in classifier.attributes}
    schema = _schema(classifier, final=True)
    rejected = list(catalogue.rejected)
    start = 0
    temporary = parts / PRODUCTS
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for file in done:
            table = pq.read_table(file)
            rejected += [Rejected(*r) for r in json.loads(table.schema.metadata[b"rejected"])]
            rows = slice(start, start + table.num_rows)
            start = rows.stop
            for head, values in quality.items():
                column = pa.array(values[rows], pa.float32(), from_pandas=True)
                table = table.append_column(f"{head}_quality", column)
            writer.write_table(table.select(schema.names).cast(schema))
    os.replace(temporary, out / PRODUCTS)
    files.write(
        out / REJECTED, files.csv_text(["row", "id", "reason"], [list(r) for r in rejected])
    )
    table = pq.read_table(
        out / PRODUCTS,
        columns=[f"{h}_{c}" for h in classifier.attributes for c in ("true", "predicted")],
    ).to_pandas()
    heads = {}
    for h in classifier.attributes:
        known = table[f"{h}_true"].notna()
        right = table[f"{h}_true"][known].astype(str) == table[f"{h}_predicted"][known].astype(str)
        heads[h] = {"labelled": int(known.sum()), "right": int(right.sum())}
    return {
        "audited": start,
        "rejected": len(rejected),
        "map_shape": list(classifier.network.cells),
        "input_size": list(classifier.size),
        "heads": heads,
        "labels": classifier.vocabulary.to_json(),
        "taxonomy": classifier.taxonomy.to_json(),
    }


def _qualities(classifier: FashionClassifier, head: str, files: Sequence[Path]) -> np.ndarray:
    """float32 (n,): NaN where the label is missing or unknown to the bundle."""
    columns = [f"{head}_true", f"{head}_probabilities"]
    tables = [pq.read_table(file, columns=columns) for file in files]
    truth = [x for t in tables for x in t[columns[0]].to_pylist()]
    probabilities = np.concatenate(
        [_matrix(t[columns[1]].combine_chunks()) for t in tables]
    ).astype(np.float32)
    return label_quality(classifier.vocabulary.labels[head], truth, probabilities)


def _matrix(column: pa.FixedSizeListArray) -> np.ndarray:
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
