"""Measure a bundle: ``python -m training.evaluate --bundle DIR --data DIR_OR_ZIP --split test``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import numpy as np
from tqdm import tqdm

from fashion_xai import bundle, metrics
from fashion_xai.catalogue import Catalogue, CatalogueError, Product, Rejected, summarise
from fashion_xai.classifier import FashionClassifier
from fashion_xai.images import ImageError
from fashion_xai.labels import MISSING, Vocabulary
from training.splits import SPLITS, read_split

CHUNK = 256


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Accuracy, macro-F1 and top-3 of each head on one side of the bundle's split.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--bundle", type=Path, default=bundle.SHIPPED, help="folder of the bundle")
    add("--data", type=Path, required=True, help="folder or zip: styles.csv beside images/ID.jpg")
    add("--images", type=Path, help="folder or zip of larger photos of the same ids")
    add(
        "--split",
        choices=[*SPLITS, "all"],
        default="test",
        help="side of the bundle's own split; 'all' takes every product of --data",
    )
    add("--json", type=Path, help="also write the figures to this file")
    add("--write-card", action="store_true", help="also keep the figures in the bundle's card")
    args = parser.parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        print("\nStopped; nothing was written.", file=sys.stderr)
        return 1
    except (CatalogueError, bundle.BundleError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace) -> dict[str, Any]:
    classifier = FashionClassifier.load(args.bundle)
    catalogue = Catalogue(args.data, args.images)
    products = catalogue.products
    if args.split != "all":
        split = read_split(args.bundle / bundle.SPLIT)
        products = [p for p in products if split.get(p.id) == args.split]
    if not products:
        raise ValueError(f"{args.data}: no product of the bundle's {args.split} split.")
    logits, used, rejected = predict_all(classifier, catalogue, products)
    if left_out := summarise([*catalogue.rejected, *rejected]):
        print(left_out)
    truth, unknown = encode_truth(classifier.vocabulary, used)
    if unknown:
        print(f"Labels the bundle does not know, counted as wrong: {dict(unknown)}")
    figures = measure(truth, logits)
    figures["photos_left_out"] = len(rejected)
    print(table(figures, args.split))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    if args.write_card:
        card = bundle.read_card(args.bundle)
        bundle.update_card(args.bundle, metrics={**card["metrics"], args.split: figures})
    return figures


def predict_all(
    classifier: FashionClassifier, catalogue: Catalogue, products: Sequence[Product]
) -> tuple[dict[str, np.ndarray], list[Product], list[Rejected]]:
    """Attribute → logits (n, k), the n products, and those whose photo cannot be used."""
    rows: list[dict[str, np.ndarray]] = []
    used: list[Product] = []
    rejected: list[Rejected] = []
    bar = tqdm(total=len(products), unit="photo", desc="predicting")
    for start in range(0, len(products), CHUNK):
        photos = []
        for product in products[start : start + CHUNK]:
            try:
                photos.append(catalogue.photo(product))
                used.append(product)
            except ImageError as error:
                rejected.append(Rejected(product.row, product.id, str(error)))
        rows += [reading.logits for reading in classifier.read(photos)]
        bar.update(len(products[start : start + CHUNK]))
    bar.close()
    if not rows:
        raise ValueError(f"{catalogue.source}: no photo could be used. {summarise(rejected)}")
    return {a: np.stack([r[a] for r in rows]) for a in classifier.attributes}, used, rejected


def encode_truth(
    vocabulary: Vocabulary, products: Sequence[Product]
) -> tuple[dict[str, np.ndarray], Counter]:
    """Attribute → true indices (n,), and the labels unknown to the bundle with their counts.

    A label the bundle never learnt gets an index past its last one, so that it is always wrong.
    """
    unknown: Counter = Counter()
    truth = {}
    for attribute, labels in vocabulary.labels.items():
        index: dict[str | None, int] = {label: i for i, label in enumerate(labels)}
        index[None] = MISSING
        seen = [product.labels[attribute] for product in products]
        strange = Counter(f"{attribute}={label}" for label in seen if label not in index)
        unknown.update(strange)
        for label in seen:
            index.setdefault(label, len(index) - 1)  # None holds one place
        truth[attribute] = np.array([index[label] for label in seen], np.int32)
    return truth, unknown


def measure(truth: Mapping[str, np.ndarray], logits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """All figures of one run, shares in 0–1."""
    heads = {}
    for attribute, x in logits.items():
        y = truth[attribute]
        heads[attribute] = {
            "accuracy": metrics.accuracy(y, x),
            "macro_f1": metrics.macro_f1(y, x),
            "top3": metrics.top_k(y, x, 3),
            "products": int((y >= 0).sum()),
            "classes": len(np.unique(y[y >= 0])),
            "classes_known": int(x.shape[1]),
        }
    true = np.stack([truth[a] for a in logits], 1)
    predicted = np.stack([x.argmax(1) for x in logits.values()], 1)
    return {"heads": heads, "all_right": metrics.all_right(true, predicted), "products": len(true)}


def table(figures: Mapping[str, Any], split: str) -> str:
    """The figures as a Markdown table."""
    lines = [
        f"{split} split, {figures['products']:,} products",
        "",
        "| head | accuracy % | macro-F1 | top-3 % | products | classes here / known |",
        "|---|---|---|---|---|---|",
    ]
    for name, f in figures["heads"].items():
        lines.append(
            f"| {name} | {100 * f['accuracy']:.1f} | {f['macro_f1']:.3f} | {100 * f['top3']:.1f} "
            f"| {f['products']:,} | {f['classes']} / {f['classes_known']} |"
        )
    lines += ["", f"all {len(figures['heads'])} right: {100 * figures['all_right']:.1f} %"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
