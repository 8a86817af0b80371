"""An audit in the formats of the neighbours: FiftyOne, cleanlab, COCO, Hugging Face datasets.

Each is a function of an opened audit and a folder, which it writes into. What they show is the
audit's table: of a large audit the products that are kept to look at.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_xai.audit.results import Audit
from fashion_xai.data import files

FIFTYONE_VERSION = "1.0.0"
"""Whose samples these are; later ones migrate them."""

_IDS = uuid.UUID("6f1f6a53-2f0b-5e57-9a5b-0d3f6a3a3a3a")


def cleanlab(audit: Audit, out: Path) -> list[Path]:
    """``cleanlab-HEAD.csv`` for each head that has labels, with the columns of Datalab's label
    issues (``is_label_issue``, ``label_score``, ``given_label``, ``predicted_label``) and the
    ``id``; the score is cleanlab's normalised margin."""
    issues = audit.label_issues
    written = []
    for head in audit.heads:
        table = audit.table[audit.table[f"{head}_quality"].notna()]
        if not len(table):
            continue
        doubted = set(issues[issues["attribute"] == head]["id"])
        rows = [
            [t.id, t.id in doubted, f"{t.score:.6f}", t.given, t.said]
            for t in _columns(table, head, score="quality", given="true", said="predicted")
        ]
        header = ["id", "is_label_issue", "label_score", "given_label", "predicted_label"]
        file = out / f"cleanlab-{head}.csv"
        files.write(file, files.csv_text(header, rows))
        written.append(file)
    return written


def coco(audit: Audit, out: Path) -> list[Path]:
    """``coco.json`` with the labels and ``coco-predictions.json`` with the answers, in COCO's
    results format: a category per head and label (``supercategory`` is the head), the whole photo
    as the box of each."""
    categories: list[dict[str, Any]] = []
    place: dict[tuple[str, str], int] = {}
    for head in audit.heads:
        known = [str(x) for x in audit.table[f"{head}_true"].dropna().unique()]
        for label in sorted({*audit.vocabulary.labels[head], *known}):
            place[head, label] = len(categories) + 1
            categories.append({"id": len(categories) + 1, "name": label, "supercategory": head})
    images: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for number, row in enumerate(audit.table.itertuples(index=False), start=1):
        width, height = int(row.width), int(row.height)
        images.append({"id": number, "file_name": row.id, "width": width, "height": height})
        for head in audit.heads:
            box = {"image_id": number, "bbox": [0, 0, width, height], "area": width * height}
            label, said = getattr(row, f"{head}_true"), getattr(row, f"{head}_predicted")
            if not pd.isna(label):
                truth.append({"id": len(truth) + 1, "iscrowd": 0, **box,
                              "category_id": place[head, str(label)]})  # fmt: skip
            score = round(float(getattr(row, f"{head}_probability")), 6)
            answers.append({**box, "category_id": place[head, str(said)], "score": score})
    whole = {
        "info": {"description": f"{len(images)} products of a fashion_xai audit"},
        "images": images,
        "annotations": truth,
        "categories": categories,
    }
    return [
        _json(out / "coco.json", whole),
        _json(out / "coco-predictions.json", answers),
    ]


def datasets(audit: Audit, out: Path) -> list[Path]:
    """``predictions.parquet``: ``id``, ``title``, and for each head the label, the answer (both of
    Hugging Face's ClassLabel) and the answer's probability; ``datasets.load_dataset("parquet",
    data_files=…)`` reads it with its features."""
    table: dict[str, Any] = {
        "id": pa.array(audit.table["id"]),
        "title": pa.array(audit.table["title"]),
    }
    features: dict[str, Any] = {n: {"dtype": "string", "_type": "Value"} for n in table}
    for head in audit.heads:
        known = [str(x) for x in audit.table[f"{head}_true"].dropna().unique()]
        names = sorted({*audit.vocabulary.labels[head], *known})
        place = {label: i for i, label in enumerate(names)}
        for kind in ("true", "predicted"):
            values = [None if pd.isna(x) else place[str(x)] for x in audit.table[f"{head}_{kind}"]]
            table[f"{head}_{kind}"] = pa.array(values, pa.int64())
            features[f"{head}_{kind}"] = {"names": names, "_type": "ClassLabel"}
        shares = audit.table[f"{head}_probability"].to_numpy(np.float32)
        table[f"{head}_probability"] = pa.array(shares)
        features[f"{head}_probability"] = {"dtype": "float32", "_type": "Value"}
    note = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    file = out / "predictions.parquet"
    part = file.with_suffix(".part")
    pq.write_table(pa.table(table).replace_schema_metadata(note), part, compression="zstd")
    part.replace(file)
    return [file]


def fiftyone(audit: Audit, out: Path) -> list[Path]:
    """A FiftyOneDataset (``metadata.json``, ``samples.json``, ``data/``, ``fields/``), for
    ``fiftyone.Dataset.from_dir(dir, fiftyone.types.FiftyOneDataset)``: for each head ``HEAD`` (the
    label), ``HEAD_predicted`` (with confidence, margin and top 3), ``HEAD_map``, and of wrong
    answers ``HEAD_true_map`` and ``HEAD_difference`` as heatmaps; products with label issues are
    tagged ``issue:HEAD``. Photos are written as PNG where they are at hand; without them the
    products have none, which FiftyOne does not take.

    Raises:
        ValueError: the audit was opened without photos.
    """
    if not audit.has_photos:
        raise ValueError(
            "FiftyOne's samples are photos: give --data, where the audit's photos are."
        )
    for folder in ("data", "fields"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    issues = audit.label_issues.groupby("id")["attribute"].agg(list)
    samples, left_out = [], []
    for identity in audit.table["id"]:
        photo = audit.photo(identity)
        if photo is None:
            left_out.append(identity)
            continue
        key = uuid.uuid5(_IDS, identity).hex[:24]
        Image.fromarray(photo).save(out / "data" / f"{key}.png")
        tags = [f"issue:{a}" for a in issues.get(identity, [])]
        sample: dict[str, Any] = {
            "_id": {"$oid": key}, "filepath": f"data/{key}.png", "tags": tags,
            "_media_type": "image", "product": identity,
            "title": audit.value(identity, "title") or "",
        }  # fmt: skip
        for head in audit.heads:
            sample |= _sample_fields(audit, out, key, identity, head)
        samples.append(sample)
    print(f"{len(samples):,} samples; {len(left_out):,} products have no photo here"
          + (f" ({', '.join(left_out[:5])} …)" if left_out else ""))  # fmt: skip
    metadata = {
        "name": "fashion_xai-audit", "version": FIFTYONE_VERSION, "media_type": "image",
        "sample_fields": [*_PLAIN, *(f for head in audit.heads for f in _fields(head))],
        "info": {"audited": int(audit.summary["audited"])}, "tags": [], "classes": {
            h: list(audit.vocabulary.labels[h]) for h in audit.heads}, "default_classes": [],
    }  # fmt: skip
    return [
        _json(out / "metadata.json", metadata),
        _json(out / "samples.json", {"samples": samples}),
    ]


def _sample_fields(audit: Audit, out: Path, key: str, identity: str, head: str) -> dict[str, Any]:
    def get(column: str) -> Any:
        return audit.value(identity, f"{head}_{column}")

    def named(what: str, label: str, **more: Any) -> dict[str, Any]:
        identifier = uuid.uuid5(_IDS, f"{identity} {head} {what}").hex[:24]
        return {
            "_id": {"$oid": identifier},
            "_cls": "Classification",
            "tags": [],
            "label": label,
            **more,
        }

    found: dict[str, Any] = {f"{head}_predicted": named(
        "said", get("predicted"), confidence=float(get("probability")), margin=float(get("margin")),
        top3=list(get("top3")))}  # fmt: skip
    found[head] = None if get("true") is None else named("true", get("true"))
    for kind in ("map", "true_map", "difference"):
        heatmap = audit.map(identity, head, kind)
        found[f"{head}_{kind}"] = None
        if heatmap is None:
            continue
        peak = float(np.abs(heatmap).max()) or 1.0
        name = f"fields/{key}-{head}-{kind}.png"
        grey = np.round(127.5 + 127.5 * heatmap / peak).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(out / name)
        # 127.5 is nothing; above it speaks for the label, below against it.
        found[f"{head}_{kind}"] = {
            "_id": {"$oid": uuid.uuid5(_IDS, name).hex[:24]}, "_cls": "Heatmap", "tags": [],
            "map_path": name, "range": [0.0, 255.0], "peak": peak,
        }  # fmt: skip
    return found


def _field(
    name: str, kind: str, document: str | None = None, sub: str | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": f"fiftyone.core.fields.{kind}",
        "embedded_doc_type": document and f"fiftyone.core.labels.{document}",
        "subfield": sub and f"fiftyone.core.fields.{sub}",
        "fields": [],
        "db_field": "_id" if name == "id" else name,
        "description": None,
        "info": None,
    }


_PLAIN = [
    _field("id", "ObjectIdField"),
    _field("filepath", "StringField"),
    _field("tags", "ListField", sub="StringField"),
    _field("product", "StringField"),
    _field("title", "StringField"),
]


def _fields(head: str) -> list[dict[str, Any]]:
    labels = [
        _field(n, "EmbeddedDocumentField", "Classification") for n in (head, f"{head}_predicted")
    ]
    kinds = ("map", "true_map", "difference")
    return labels + [_field(f"{head}_{k}", "EmbeddedDocumentField", "Heatmap") for k in kinds]


def _columns(table: pd.DataFrame, head: str, **names: str) -> Any:
    """Rows with the id and some of a head's columns by other names."""
    chosen = table[["id", *(f"{head}_{c}" for c in names.values())]]
    return chosen.set_axis(["id", *names], axis=1).itertuples(index=False)


def _json(file: Path, content: Any) -> Path:
    files.write(file, json.dumps(content, ensure_ascii=False) + "\n")
    return file


FORMATS: dict[str, Callable[[Audit, Path], list[Path]]] = {
    "fiftyone": fiftyone,
    "cleanlab": cleanlab,
    "coco": coco,
    "datasets": datasets,
}
"""Name → what writes it."""
