"""Give a bundle the training products that a photo can be compared with, and measure their worth.

``python -m training.similar --bundle DIR --data DIR_OR_ZIP``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema
from fashion_xai.cli.shared import add_quiet
from fashion_xai.data.catalogue import Catalogue, summarise
from fashion_xai.data.labels import MISSING
from fashion_xai.data.schema import Table
from fashion_xai.data.split import SPLITS
from fashion_xai.metrics import interval
from fashion_xai.models import bundle
from fashion_xai.models.similar import NEAREST, SIZE, ProductIndex
from training import command
from training.data.labelled import Labelled, own_split
from training.evaluation.predictions import LabelledPredictions, Seen, encode_truth, predict_split

TRAIN, VALIDATION, _ = SPLITS

FOLDS = 5
"""Parts of the validation split, of which each is judged by what was fitted on the others."""


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.similar",
        description="Keep embeddings, labels and ids of the training products in a bundle, no "
        "photo: explanations then name the products that a photo resembles most. Measures on the "
        "validation split whether their labels tell right from wrong answers.",
    )
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--data", type=Path, required=True, help="the catalogue it was trained on")
    parser.add_argument(
        "--images", type=Path, help="folder or zip of larger photos of the same ids"
    )
    parser.add_argument(
        "--size", type=int, default=SIZE, help=f"numbers of an embedding (default: {SIZE})"
    )
    add_quiet(parser)
    schema.add_arguments(parser)
    args = parser.parse_args(argv)
    return command.run(lambda: run(args), "Stopped; the bundle is as it was.")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make, measure, print and keep; returns what the card says of it."""
    classifier = FashionClassifier.load(args.bundle, threads=1)  # most photos, not the soonest
    usual = Table.from_json(classifier.bundle.card.get("table"))
    catalogue = Catalogue(args.data, args.images, table=schema.from_arguments(args, usual))
    split = own_split(args.bundle / bundle.SPLIT, catalogue.products)
    labelled = Labelled(catalogue, catalogue.products, split, args.data.name)
    known = predict_split(classifier, labelled, TRAIN)
    asked = predict_split(classifier, labelled, VALIDATION)
    if left_out := summarise([*known.rejected, *asked.rejected]):
        print(left_out)
    ids = [product.id for product in known.products]
    index = ProductIndex.fit(known.pooled, ids, labels_of(classifier, known), args.size)
    figures = {
        "products": len(ids),
        "size": index.projection.shape[1],
        "split": VALIDATION,
        "heads": worth(classifier, index, asked),
    }
    print(markdown(figures))
    bundle.replace_products(args.bundle, index)
    bundle.update_card(args.bundle, similar=figures)
    print(f"{args.bundle / bundle.SIMILAR}: {len(ids):,} products")
    return figures


def labels_of(classifier: FashionClassifier, seen: Seen) -> np.ndarray:
    """int (n, heads): places in the vocabulary; ``MISSING`` also for a label it has not."""
    truth, _ = encode_truth(classifier.vocabulary, seen.products)
    sizes = classifier.vocabulary.sizes
    return np.stack([np.where(y < sizes[a], y, MISSING) for a, y in truth.items()], 1)


def worth(
    classifier: FashionClassifier, index: ProductIndex, asked: Seen, k: int = NEAREST
) -> dict[str, dict[str, Any]]:
    """Whether the share of the nearest products that have the answer's label tells right from
    wrong answers, beside the answer's probability.

    Returns:
        Head → ``photos``, ``right``; and the area under the ROC curve of ``probability``, of
        ``agreement``, and of ``both`` (a logistic regression, cross-validated), with ``gain``, the
        95 % interval of what both have over the probability. Without answers of both kinds, or
        with fewer than :data:`FOLDS`, what cannot be told is left out.
    """
    truth, _ = encode_truth(classifier.vocabulary, asked.products)
    predictions = LabelledPredictions.of(classifier.decoder, truth, asked.logits)
    places, _ = index.nearest(asked.pooled, k)
    found = {}
    for head, name in enumerate(classifier.attributes):
        answers = predictions.predicted[name]
        known = truth[name] >= 0
        right = (answers == truth[name])[known]
        shares = predictions.probabilities[name][np.arange(len(answers)), answers]
        near = index.labels[places][:, :, head]
        having = np.maximum(1, (near != MISSING).sum(1))
        agreeing = (near == answers[:, None]).sum(1) / having
        p, agree = shares[known], agreeing[known]
        figures: dict[str, Any] = {"photos": len(right), "right": float(right.mean())}
        if 0 < right.sum() < len(right):
            figures["probability"] = float(roc_auc_score(right, p))
            figures["agreement"] = float(roc_auc_score(right, agree))
        if FOLDS <= right.sum() <= len(right) - FOLDS:
            logit = np.log(np.clip(p, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(p, 1e-6, 1 - 1e-6))
            columns = np.stack([logit, agree], 1)
            both = cross_val_predict(
                LogisticRegression(), columns, right, cv=FOLDS, method="predict_proba"
            )[:, 1]
            figures["both"] = float(roc_auc_score(right, both))
            figures["gain"] = interval(_gain, right, both, p)
        found[name] = figures
    return found


def _gain(right: np.ndarray, both: np.ndarray, p: np.ndarray) -> float:
    if right.all() or not right.any():
        return 0.0
    return float(roc_auc_score(right, both) - roc_auc_score(right, p))


def markdown(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    lines = [
        f"Right or wrong? Area under the ROC curve, {figures['split']} split, "
        f"{figures['products']:,} products to compare with",
        "",
        "| head | photos | right | by probability | by agreement | by both | gain of both |",
        "|---|---|---|---|---|---|---|",
    ]
    for head, x in figures["heads"].items():
        cells = [f"{x['photos']:,}", f"{100 * x['right']:.1f} %"]
        cells += [f"{x[k]:.3f}" if k in x else "–" for k in ("probability", "agreement", "both")]
        cells.append("{:+.3f} to {:+.3f}".format(*x["gain"]) if "gain" in x else "–")
        lines.append(f"| {head} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
