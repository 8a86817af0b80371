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

from fashion_xai.data import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import numpy as np
from scipy.stats import binomtest

from fashion_xai import metrics
from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.data.catalogue import Catalogue, Product, summarise
from fashion_xai.data.labels import CATEGORY_PATH, Vocabulary
from fashion_xai.data.schema import Table
from fashion_xai.data.split import SPLITS, in_split, own_side, own_side_note, split_of
from fashion_xai.models import bundle
from fashion_xai.progress import add_quiet
from training import command
from training.data import backgrounds
from training.data.labelled import Labelled
from training.data.packing import allowed
from training.evaluation.corruptions import CORRUPTIONS, before
from training.evaluation.predictions import (
    Change,
    LabelledPredictions,
    Seen,
    encode_truth,
    predict_all,
)

FEW_CLASSES = 45
"""Condition-CNN (Kolisnik et al. 2021) reports articleType on the 45 most frequent labels."""


PROG = "python -m training.evaluate"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    args = parse(argv, prog)
    return command.run(lambda: run(args), "Stopped; nothing was written.")


def parse(argv: list[str] | None, prog: str = PROG) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure each head on one side of the bundle's split: accuracy, top-3, "
        "macro-F1 and more, with bootstrap intervals.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--bundle", type=Path, default=bundle.SHIPPED, help="folder of the bundle")
    add(
        "--data",
        type=Path,
        required=True,
        help="folder, zip or table (docs/data.md)",
    )
    add(
        "--images",
        type=Path,
        help="folder or zip of larger photos of the same ids: the products that have one are "
        "measured on both, side by side",
    )
    add(
        "--split",
        choices=[*SPLITS, "all"],
        default="test",
        help="side of the bundle's own split; 'all' takes every product of --data",
    )
    add(
        "--corruptions",
        nargs="*",
        choices=CORRUPTIONS,
        metavar="KIND",
        help=f"measure again on photos made harder: all kinds, or some of {', '.join(CORRUPTIONS)}",
    )
    add(
        "--floors",
        type=Path,
        metavar="DATA",
        help="another catalogue that the bundle was trained on: measure again in front of "
        "backgrounds grown from the corners of its photos of the same split, unseen in training",
    )
    add("--limit", type=int, metavar="N", help="the first N products of the split only")
    add("--out", type=Path, metavar="DIR", help="write evaluation.html, figures.json and PNGs")
    add("--json", type=Path, metavar="FILE", help="write the figures to this file")
    add("--write-card", action="store_true", help="keep the figures in the bundle's card")
    add_quiet(parser)
    schema.add_arguments(parser)
    return parser.parse_args(in_todays_words(argv, {"--stress": "--corruptions"}))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, print and write what was asked for; returns the figures."""
    classifier = FashionClassifier.load(args.bundle, threads=1)  # most photos, not the soonest
    split, usual = bundle.known(classifier.bundle.card, args.data.name)
    catalogue = schema.open_catalogue(args, Table.from_json(usual), classifier.vocabulary)
    products = choose(catalogue, args, args.bundle / split)
    seen = predict_all(classifier, catalogue, products)
    used = seen.products
    if left_out := summarise([*catalogue.rejected, *seen.rejected]):
        print(left_out)
    truth, unknown = encode_truth(classifier.vocabulary, used)
    if unknown:
        print(f"Labels the bundle does not know, counted as wrong: {dict(unknown)}")
    sets = allowed(classifier.vocabulary, used)
    predictions = LabelledPredictions.of(classifier.decoder, truth, seen.logits, sets)
    figures = measure(classifier, predictions)
    figures["photos_left_out"] = len(seen.rejected)
    figures["doubted"] = measure_doubt(classifier, seen)
    figures["articleType_45"] = measure_few(classifier.vocabulary, predictions, catalogue.products)
    if words := measure_words(predictions, used):
        figures["words"] = words
    if args.images:
        figures["larger"] = compare_larger(classifier, catalogue, args, used)
    if args.corruptions is not None:
        figures["corruptions"] = measure_corruptions(
            classifier, catalogue, used, args.corruptions or [*CORRUPTIONS]
        )
    if args.floors:
        figures["floors"] = measure_floors(classifier, catalogue, used, args)
    print(markdown(figures, args.split))
    if args.out:
        from training.evaluation import report  # matplotlib is slow to import

        args.out.mkdir(parents=True, exist_ok=True)
        report.write(args.out, classifier, catalogue, used, predictions, figures, args.split)
        print(f"Page: {args.out / 'evaluation.html'}")
    if args.json:
        files.write(args.json, json.dumps(figures, indent=1) + "\n")
    if args.write_card:
        write_card(args.bundle, args.data.name, args.split, figures)
    return figures


def write_card(folder: Path, catalogue: str, split: str, figures: Mapping[str, Any]) -> None:
    """Keep the figures in the bundle's card, with the catalogue that they are of."""
    card = bundle.read_card(folder)
    others = card.get("also", [])
    here = next((other for other in others if other["name"] == catalogue), card)
    here["metrics"] = {**here.get("metrics", {}), split: figures}
    bundle.update_card(folder, **card)


def choose(catalogue: Catalogue, args: argparse.Namespace, split: Path) -> list[Product]:
    """The products of the chosen side of the bundle's split of this catalogue."""
    products, why_not = catalogue.products, ""
    if args.split != "all":
        sides, why_not = split_of(split, products)
        if own := own_side(products, sides, args.split):
            print(own_side_note(own, args.split))
        products = own or in_split(products, sides, args.split)
    if not products:
        raise ValueError(
            f"{args.data}: no product of the bundle's {args.split} split. {why_not} "
            "--split all measures every product."
        )
    return products[: args.limit]


def measure(classifier: FashionClassifier, predictions: LabelledPredictions) -> dict[str, Any]:
    """All figures of one run, shares in 0–1; ``raw`` is without the taxonomy."""
    labelled = [a for a in classifier.attributes if (predictions.truth[a] >= 0).any()]
    if not labelled:
        raise ValueError("No product has a label that the bundle knows: nothing can be measured.")
    heads = {a: measure_head(predictions, a) for a in labelled}
    true, predicted, raw = (
        np.stack([x[a] for a in labelled], 1)
        for x in (predictions.truth, predictions.predicted, predictions.raw)
    )
    return {
        "heads": heads,
        "unlabelled": [a for a in classifier.attributes if a not in labelled],
        "all_right": metrics.all_right(true, predicted),
        "all_right_interval": metrics.interval(metrics.all_right, true, predicted),
        "all_right_raw": metrics.all_right(true, raw),
        "consistent_raw": consistent(classifier, predictions.raw),
        "products": len(true),
    }


PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)
"""For which a threshold is kept: of the validation split they are what ``predict --precision`` goes
by."""


def measure_head(predictions: LabelledPredictions, attribute: str) -> dict[str, Any]:
    """The figures of one head."""
    rows = predictions.truth[attribute] >= 0  # a bootstrap sample must not miss them all
    y, p = predictions.truth[attribute][rows], predictions.probabilities[attribute][rows]
    x, raw = predictions.predicted[attribute][rows], predictions.raw[attribute][rows]
    confidence, right = metrics.confidences(y, p, x)
    return {
        "accuracy": metrics.accuracy(y, x),
        "accuracy_interval": metrics.interval(metrics.accuracy, y, x),
        "macro_f1": metrics.macro_f1(y, x),
        "macro_f1_interval": metrics.interval(metrics.macro_f1, y, x),
        "weighted_f1": metrics.weighted_f1(y, x),
        "balanced_accuracy": metrics.balanced_accuracy(y, x),
        "top3": metrics.top_k(y, p, 3),
        "ece": metrics.ece(confidence, right),
        "ece_at_best": metrics.ece_at_best(confidence),
        "precision": [
            {"precision": wanted, "threshold": threshold, "coverage": coverage}
            for wanted in PRECISIONS
            for threshold, coverage in (metrics.at_precision(confidence, right, wanted),)
        ],
        "raw": {"accuracy": metrics.accuracy(y, raw), "macro_f1": metrics.macro_f1(y, raw)},
        "products": int((y >= 0).sum()),
        "classes": len(np.unique(y[y >= 0])),
        "classes_known": int(p.shape[1]),
    }


def measure_doubt(classifier: FashionClassifier, seen: Seen) -> float | None:
    """Share of the photos under the bundle's threshold; None where it has none."""
    if classifier.threshold is None:
        return None
    score = classifier.ood_score.score(seen.pooled, seen.logits)
    return float((score < classifier.threshold).mean())


def consistent(classifier: FashionClassifier, indices: Mapping[str, np.ndarray]) -> float | None:
    """Share of the category answers that are a path of the taxonomy; None without such heads."""
    paths = classifier.decoder.paths
    if paths is None:
        return None
    known = {tuple(path) for path in paths.tolist()}
    triples = np.stack([indices[a] for a in CATEGORY_PATH], 1).tolist()
    return float(np.mean([tuple(triple) in known for triple in triples]))


def measure_few(
    vocabulary: Vocabulary, predictions: LabelledPredictions, catalogue: Sequence[Product]
) -> dict[str, Any] | None:
    """articleType on the products of its 45 most frequent labels, choosing among those only."""
    if "articleType" not in vocabulary.attributes:
        return None
    counts = Counter(p.labels.get("articleType") for p in catalogue)
    labels = vocabulary.labels["articleType"]
    known = [label for label, _ in counts.most_common() if label in labels]
    few = np.array([labels.index(label) for label in known[:FEW_CLASSES]])
    rows = np.isin(predictions.truth["articleType"], few)
    if not rows.any():
        return None
    truth = predictions.truth["articleType"][rows]
    among = few[predictions.probabilities["articleType"][rows][:, few].argmax(1)]
    return {
        "accuracy": metrics.accuracy(truth, among),
        "accuracy_among_all": metrics.accuracy(truth, predictions.predicted["articleType"][rows]),
        "macro_f1": metrics.macro_f1(truth, among),
        "products": int(rows.sum()),
        "classes": len(few),
    }


def measure_words(predictions: LabelledPredictions, products: Sequence[Product]) -> dict[str, Any]:
    """Word of a label map → head → how many products and the share with an allowed answer.

    Empty where the catalogue has no words of its own.
    """
    words = np.array([p.word for p in products])
    figures: dict[str, Any] = {}
    for word in sorted({w for w in words if w}):
        row: dict[str, Any] = {}
        for a, truth in predictions.truth.items():
            rows = (words == word) & (truth >= 0)
            if rows.any():
                right = (truth == predictions.predicted[a])[rows]
                row[a] = {
                    "accuracy": float(right.mean()),
                    "accuracy_interval": _wilson(right),
                    "products": int(rows.sum()),
                }
        if row:  # of some words nothing is known
            figures[word] = row
    return figures


def _wilson(right: np.ndarray) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: a word may have few photos, all of them right."""
    found = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def measure_corruptions(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    kinds: Sequence[str] = tuple(CORRUPTIONS),
) -> dict[str, dict[str, float]]:
    """Corruption → head → accuracy, and ``all_right``, on the same products."""
    figures = {}
    for name in kinds:
        predictions, _ = _answers(classifier, catalogue, products, CORRUPTIONS[name], name)
        figures[name] = _accuracies(classifier, predictions)
    return figures


def measure_floors(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Accuracies in front of floors, and articleType by masterCategory with and without them."""
    other = Labelled.of_bundle(args.bundle, args.floors)
    photos = in_split(other.products, other.split, args.split)
    if not photos:
        raise ValueError(
            f"--floors {args.floors}: expected photos of the side that is measured. Received: none "
            f"on side {args.split!r}"
        )
    floors = [*backgrounds.floors([other.catalogue.photo(p) for p in photos], seed=0)]

    def change(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return before(photo, rng, floors)

    plain, _ = _answers(classifier, catalogue, products, None, "as they are")
    moved, used = _answers(classifier, catalogue, products, change, "floors")
    by_kind: dict[str, dict[str, float]] = {}
    if {"articleType", "masterCategory"} <= set(classifier.attributes):
        kinds = np.array([p.labels.get("masterCategory") for p in used], object)
        truth = plain.truth["articleType"]
        for kind in sorted({k for k in kinds if k}):
            rows = (kinds == kind) & (truth >= 0)
            if rows.any():
                by_kind[kind] = {
                    "products": int(rows.sum()),
                    "plain": float((plain.predicted["articleType"] == truth)[rows].mean()),
                    "floor": float((moved.predicted["articleType"] == truth)[rows].mean()),
                }
    return {"floors": len(floors), **_accuracies(classifier, moved), "kinds": by_kind}


def compare_larger(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    args: argparse.Namespace,
    products: Sequence[Product],
) -> dict[str, Any]:
    """The products that have a larger photo, on it and on the smaller one."""
    larger = Catalogue(args.data, args.images, catalogue.table)
    pairs = [p for p in products if p.id in larger.replaced]
    if not pairs:
        raise ValueError(f"{args.images}: no photo of a product of this split.")
    on_small, used = _answers(classifier, catalogue, pairs, None, "smaller photos")
    on_larger, also_used = _answers(classifier, larger, pairs, None, "larger photos")
    if used != also_used:
        raise ValueError(f"{args.images}: some larger photos cannot be used; take them out.")
    figures: dict[str, Any] = {
        "products": len(used),
        "small": _accuracies(classifier, on_small),
        "larger": _accuracies(classifier, on_larger),
        "loss_interval": {},
    }
    for a in classifier.attributes:
        known = on_small.truth[a] >= 0
        loss = (on_small.predicted[a] == on_small.truth[a]) * 1.0
        loss -= on_larger.predicted[a] == on_larger.truth[a]
        figures["loss_interval"][a] = metrics.interval(
            lambda x: float(x.mean()), loss[known], draws=1000
        )
    return figures


def _answers(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    change: Change | None,
    name: str,
) -> tuple[LabelledPredictions, list[Product]]:
    seen = predict_all(classifier, catalogue, products, change, name)
    truth, _ = encode_truth(classifier.vocabulary, seen.products)
    sets = allowed(classifier.vocabulary, seen.products)
    return LabelledPredictions.of(classifier.decoder, truth, seen.logits, sets), seen.products


def _accuracies(
    classifier: FashionClassifier, predictions: LabelledPredictions
) -> dict[str, float]:
    true = np.stack([predictions.truth[a] for a in classifier.attributes], 1)
    predicted = np.stack([predictions.predicted[a] for a in classifier.attributes], 1)
    return {
        **{
            a: metrics.accuracy(predictions.truth[a], predictions.predicted[a])
            for a in classifier.attributes
        },
        "all_right": metrics.all_right(true, predicted),
    }


def markdown(figures: Mapping[str, Any], split: str) -> str:
    """The figures as Markdown tables."""
    lines = [
        f"{split} split, {figures['products']:,} products",
        "",
        "| head | accuracy % (95 %) | macro-F1 (95 %) | weighted F1 | balanced acc. % | top-3 % "
        "| ECE % (at best) | products | classes here / known |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, f in figures["heads"].items():
        low, high = f["accuracy_interval"]
        low_f1, high_f1 = f["macro_f1_interval"]
        lines.append(
            f"| {name} | {100 * f['accuracy']:.1f} ({100 * low:.1f}–{100 * high:.1f}) "
            f"| {f['macro_f1']:.3f} ({low_f1:.3f}–{high_f1:.3f}) | {f['weighted_f1']:.3f} "
            f"| {100 * f['balanced_accuracy']:.1f} | {100 * f['top3']:.1f} "
            f"| {100 * f['ece']:.1f} ({100 * f['ece_at_best']:.1f}) "
            f"| {f['products']:,} | {f['classes']} / {f['classes_known']} |"
        )
    for name in figures.get("unlabelled", ()):
        lines.append(f"| {name}{' | –' * 8} |")
    low, high = figures["all_right_interval"]
    lines += [
        "",
        f"all {len(figures['heads'])} right: {100 * figures['all_right']:.1f} % "
        f"({100 * low:.1f}–{100 * high:.1f})",
        *_consistency_lines(figures),
        *_precision_lines(figures["heads"]),
        *_doubt_lines(figures.get("doubted")),
        *_few_lines(figures.get("articleType_45")),
        *_word_lines(figures.get("words"), list(figures["heads"])),
        *_larger_lines(figures.get("larger")),
        *_corruption_lines(figures),
        *_floor_lines(figures),
    ]
    return "\n".join(lines)


def _consistency_lines(figures: Mapping[str, Any]) -> list[str]:
    if figures["consistent_raw"] is None:
        return []
    raw = ", ".join(
        f"{a} {100 * f['raw']['accuracy']:.1f} % / {f['raw']['macro_f1']:.3f}"
        for a, f in figures["heads"].items()
        if a in CATEGORY_PATH
    )
    return [
        f"each head alone: {raw}, all right {100 * figures['all_right_raw']:.1f} %; "
        f"{100 * figures['consistent_raw']:.1f} % of the category answers fit the taxonomy",
    ]


def _precision_lines(heads: Mapping[str, Any]) -> list[str]:
    """Which share of the answers is right as often as wanted."""
    rows = {
        name: [
            f"{100 * row['coverage']:.1f} ({row['threshold']:.2f})" if row["coverage"] else "–"
            for row in f["precision"]
        ]
        for name, f in heads.items()
    }
    says = "Share of the answers % (probability from which) that are right as often as wanted:"
    return [*_table(says, ["head", *(f"{100 * p:g} %" for p in PRECISIONS)], rows), ""]


def _table(says: str, header: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence and, below it, a row of cells for each name."""
    lines = ["", says, "", f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]


def _doubt_lines(doubted: float | None) -> list[str]:
    if doubted is None:
        return []
    return [f"doubted to show one product: {100 * doubted:.1f} %"]


def _few_lines(few: Mapping[str, Any] | None) -> list[str]:
    if not few:
        return []
    return [
        f"articleType on its {few['classes']} most frequent labels ({few['products']:,} products): "
        f"{100 * few['accuracy']:.1f} %, macro-F1 {few['macro_f1']:.3f}; choosing among all labels "
        f"{100 * few['accuracy_among_all']:.1f} %",
    ]


def _word_lines(words: Mapping[str, Any] | None, heads: Sequence[str]) -> list[str]:
    if not words:
        return []
    heads = [a for a in heads if any(a in row for row in words.values())]
    rows = {
        word: [
            f"{100 * row[a]['accuracy']:.1f} ({_span(row[a])}, {row[a]['products']})"
            if a in row
            else "–"
            for a in heads
        ]
        for word, row in words.items()
    }
    says = "Share of allowed answers % (95 %, products) by the catalogue's own words:"
    lines = _table(says, ["word", *heads], rows)
    for a in heads:
        shares = [row[a]["accuracy"] for row in words.values() if a in row]
        lines.append(f"\n{a}, mean of {len(shares)} words: {100 * float(np.mean(shares)):.1f} %")
    return lines


def _span(figure: Mapping[str, Any]) -> str:
    low, high = figure["accuracy_interval"]
    return f"{100 * low:.0f}–{100 * high:.0f}"


def _larger_lines(larger: Mapping[str, Any] | None) -> list[str]:
    if not larger:
        return []
    lines = [
        "",
        f"{larger['products']:,} products with a smaller and a larger photo, accuracy %:",
        "",
        "| head | smaller | larger | points lost (95 %, paired) |",
        "|---|---|---|---|",
    ]
    for a, (low, high) in larger["loss_interval"].items():
        s, x = larger["small"][a], larger["larger"][a]
        lines.append(
            f"| {a} | {100 * s:.1f} | {100 * x:.1f} "
            f"| {100 * (s - x):.1f} ({100 * low:.1f}–{100 * high:.1f}) |"
        )
    return lines


def _corruption_lines(figures: Mapping[str, Any]) -> list[str]:
    if "corruptions" not in figures:
        return []
    heads = list(figures["heads"])
    plain = {a: figures["heads"][a]["accuracy"] for a in heads} | {
        "all_right": figures["all_right"]
    }
    lines = [
        "",
        f"Accuracy % on the same {figures['products']:,} photos made harder "
        "(training.evaluation.corruptions):",
        "",
        f"| photos | {' | '.join(heads)} | all right |",
        "|" + "---|" * (len(heads) + 2),
    ]
    for name, row in {"as they are": plain, **figures["corruptions"]}.items():
        cells = " | ".join(f"{100 * row[a]:.1f}" for a in (*heads, "all_right"))
        lines.append(f"| {name} | {cells} |")
    return lines


def _floor_lines(figures: Mapping[str, Any]) -> list[str]:
    if "floors" not in figures:
        return []
    found = figures["floors"]
    cells = ", ".join(f"{a} {100 * found[a]:.1f}" for a in (*figures["heads"], "all_right"))
    lines = ["", f"In front of {found['floors']} floors of the same side, accuracy %: {cells}"]
    if found["kinds"]:
        lines += [
            "",
            "| articleType % | as they are | in front of floors | products |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {kind} | {100 * f['plain']:.1f} | {100 * f['floor']:.1f} | {f['products']:,} |"
            for kind, f in found["kinds"].items()
        ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
