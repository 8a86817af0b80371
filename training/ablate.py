"""What each ingredient gives: ``python -m training.ablate --data … --out DIR --limit 10000``.

Trains the same short run once per variant, each changed in one thing, and compares them on the
validation split. The same command resumes where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashion_xai.data import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import in_split, read_split
from fashion_xai.models import bundle
from training import command, config, train
from training.data.labelled import VALIDATION, read_other
from training.data.packing import allowed
from training.evaluate import measure, measure_words
from training.evaluation.corruptions import CORRUPTIONS
from training.evaluation.predictions import (
    LabelledPredictions,
    encode_truth,
    predict_all,
    predict_split,
)

TEACHER = "a teacher beside the labels"
SINGLE = "labels of several left empty"

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, another seed": {"seed": 1},
    "no replaced backgrounds": {"backgrounds": 0.0},
    "light augmentation": {"augment": "light"},
    "light, no backgrounds": {"augment": "light", "backgrounds": 0.0},
    "small photos only": {"images": None},
    TEACHER: {},
    "no label smoothing": {"smoothing": 0.0},
    "logit adjustment 0.5 in the loss": {"logit_adjustment": 0.5},
    "class balance 0.99": {"class_balance": 0.99},
    "EMA 0.99": {"ema": 0.99},
    "squeeze-and-excitation block": {"attention": "se"},
    "CBAM block": {"attention": "cbam"},
    "random split": {"split_by": "random", "split_file": None},
    "medium augmentation": {"augment": "medium"},
    "no other catalogue": {"also": ()},
    SINGLE: {},
    "square-root sampling of --also": {"also_balance": 0.5},
}
"""Name → what it changes in the settings that are given. ``--teacher`` is kept for its variant."""

NEEDED = {TEACHER: "--teacher"} | dict.fromkeys(list(VARIANTS)[-3:], "--also")
"""Variants that make sense only with a flag."""


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.ablate",
        description=__doc__,
        epilog="Variants: " + "; ".join(VARIANTS) + ". All other flags are those of training.train "
        "(--help there).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=VARIANTS, metavar="VARIANT", help="only these")
    args, rest = parser.parse_known_args(argv)
    base = config.parse(rest)
    given = {"--teacher": base.teacher, "--also": base.also}
    possible = [n for n in VARIANTS if n not in NEEDED or given[NEEDED[n]]]
    names = args.only or possible
    for name in names:
        if name not in possible:
            parser.error(f"{name!r}: expected {NEEDED[name]} as well")
    resumes = "Stopped. The same command resumes in the same variant."
    return command.run(lambda: run(base, names), resumes)


def run(base: config.Config, names: Sequence[str]) -> dict[str, Any]:
    """Train and measure the variants; write and print the table after each."""
    base.out.mkdir(parents=True, exist_ok=True)
    file = base.out / "ablation.json"
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in names:
        if name in figures:
            continue
        print(f"Variant: {name}")
        settings = change(base, name)
        figures[name] = score(train.run(settings), settings, base.also)
        files.write(file, json.dumps(figures, indent=1) + "\n")
        print(markdown(figures))
    print(markdown(figures))
    return figures


def change(base: config.Config, name: str) -> config.Config:
    """The settings of a variant, which has a folder of its own."""
    folder = base.out / name.replace(" ", "-").replace(",", "")
    teacher = base.teacher if name == TEACHER else None
    others = tuple(map(_single, base.also)) if name == SINGLE else base.also
    changed = {"out": folder, "teacher": teacher, "also": others, **VARIANTS[name]}
    return dataclasses.replace(base, **changed)


def _single(other: config.Also) -> config.Also:
    """Without the labels that allow several."""
    words = {
        word: {a: labels for a, labels in allowed.items() if len(labels) == 1}
        for word, allowed in other.table.words.items()
    }
    return dataclasses.replace(other, table=dataclasses.replace(other.table, words=words))


def score(
    folder: Path, settings: config.Config, others: Sequence[config.Also] = ()
) -> dict[str, Any]:
    """The figures on the validation split, as the photos are and in front of scenes.

    Args:
        folder: the variant's bundle.
        settings: the variant's.
        others: catalogues whose validation sides are measured too, by their own words; also
            those that the variant was not trained on.
    """
    classifier = FashionClassifier.load(folder)
    catalogue = Catalogue(settings.data, table=settings.table)
    products = catalogue.products[: settings.limit]
    chosen = in_split(products, read_split(folder / bundle.SPLIT), "validation")
    figures = {}
    for name, change in (("plain", None), ("scene", CORRUPTIONS["scene"])):
        seen = predict_all(classifier, catalogue, chosen, change, name)
        truth, _ = encode_truth(classifier.vocabulary, seen.products)
        sets = allowed(classifier.vocabulary, seen.products)
        measured = measure(
            classifier, LabelledPredictions.of(classifier.decoder, truth, seen.logits, sets)
        )
        figures[name] = {
            "heads": {
                a: {"accuracy": f["accuracy"], "macro_f1": f["macro_f1"]}
                for a, f in measured["heads"].items()
            },
            "all_right": measured["all_right"],
            "products": measured["products"],
        }
    for number, each in enumerate(others, start=1):
        other = read_other(settings, each, number, [settings.stages[-1].size]).labelled
        seen = predict_split(classifier, other, VALIDATION)
        truth, _ = encode_truth(classifier.vocabulary, seen.products)
        sets = allowed(classifier.vocabulary, seen.products)
        predictions = LabelledPredictions.of(classifier.decoder, truth, seen.logits, sets)
        figures[each.data.name] = {
            "heads": {
                a: {"accuracy": f["accuracy"]}
                for a, f in measure(classifier, predictions)["heads"].items()
            },
            "words": measure_words(predictions, seen.products),
        }
    return figures


def markdown(figures: Mapping[str, Any]) -> str:
    """Accuracy % / macro-F1 of each head on the validation photos, one variant a line."""
    if not figures:
        return "Nothing measured yet."
    heads = list(next(iter(figures.values()))["plain"]["heads"])
    fine = "articleType" if "articleType" in heads else heads[-1]
    others = [n for n in next(iter(figures.values())) if n not in ("plain", "scene")]
    columns = [
        *heads,
        "all right %",
        f"{fine} in front of scenes %",
        *(f"{fine} of {name} % (mean of its words)" for name in others),
    ]
    lines = [f"| variant | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for name, f in figures.items():
        cells = [
            f"{100 * h['accuracy']:.1f} / {h['macro_f1']:.3f}" for h in f["plain"]["heads"].values()
        ]
        cells += [
            f"{100 * f['plain']['all_right']:.1f}",
            f"{100 * f['scene']['heads'][fine]['accuracy']:.1f}",
        ]
        for other in others:
            words = [row[fine]["accuracy"] for row in f[other]["words"].values() if fine in row]
            mean = f" ({100 * sum(words) / len(words):.1f})" if words else ""
            cells.append(f"{100 * f[other]['heads'][fine]['accuracy']:.1f}{mean}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
