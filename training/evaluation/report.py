"""The evaluation as one HTML page with its figures as PNGs, made from the user's own catalogue."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from fashion_xai.data import files

matplotlib.use("Agg")  # no window, also without a display
import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox
from sklearn.metrics import precision_recall_fscore_support

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.viz import html
from training.evaluation.predictions import LabelledPredictions

PAIRS, PHOTOS = 20, 8
"""Confused pairs per head in the table; photos of each of the first pairs on its sheet."""

SHEETS = 6


def write(
    out: Path,
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    predictions: LabelledPredictions,
    figures: Mapping[str, Any],
    split: str,
) -> None:
    """Write evaluation.html, figures.json (every label's figures too) and the PNGs into ``out``."""
    details: dict[str, dict[str, Any]] = {
        a: {
            "per_class": per_class(predictions, a, classifier.vocabulary.labels[a]),
            "confusions": confusions(predictions, a, classifier.vocabulary.labels[a]),
        }
        for a in classifier.attributes
    }
    pictures = {
        f"reliability-{a}.png": html.png(reliability(predictions, a)) for a in classifier.attributes
    }
    pictures |= {
        f"f1-{a}.png": html.png(f1_by_support(details[a]["per_class"], a))
        for a in classifier.attributes
    }
    for name, data in pictures.items():
        files.write(out / name, data)
    full = json.dumps({**figures, "details": details}, indent=1, ensure_ascii=False)
    files.write(out / "figures.json", full + "\n")
    parts = [overview(figures, split)]
    for a in classifier.attributes:
        parts += [
            html.heading(a),
            html.image(pictures[f"reliability-{a}.png"], f"Reliability of {a}"),
            html.image(pictures[f"f1-{a}.png"], f"F1 of each {a} by its number of products"),
            pairs_table(details[a]["confusions"]),
            class_table(details[a]["per_class"]),
        ]
        if a == "articleType":
            parts.append(sheets(classifier, catalogue, products, predictions, a))
    files.write(out / "evaluation.html", html.page(f"Evaluation, {split} split", *parts))


def per_class(
    predictions: LabelledPredictions, attribute: str, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Label → precision, recall, F1 and support, for labels that are true or predicted."""
    y, x = predictions.truth[attribute], predictions.predicted[attribute]
    known = (y >= 0) & (y < len(labels))
    seen = np.union1d(y[known], x[known])
    columns = precision_recall_fscore_support(
        y[known], x[known], labels=seen, zero_division=np.float64(0.0)
    )
    rows = zip(seen, *columns, strict=True)
    return {
        labels[i]: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for i, p, r, f, s in rows
    }


def confusions(
    predictions: LabelledPredictions, attribute: str, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The most frequent wrong pairs: true, predicted, count, and their share of the true label."""
    y, x = predictions.truth[attribute], predictions.predicted[attribute]
    known = (y >= 0) & (y < len(labels))
    totals = Counter(y[known].tolist())
    wrong = Counter((t, p) for t, p in zip(y[known].tolist(), x[known].tolist()) if t != p)
    return [
        {"true": labels[t], "predicted": labels[p], "count": n, "share": n / totals[t]}
        for (t, p), n in wrong.most_common(PAIRS)
    ]


def overview(figures: Mapping[str, Any], split: str) -> Markup:
    """All heads in one table, and the photos made harder."""
    header = ["head", "accuracy %", "macro-F1", "weighted F1", "balanced acc. %", "top-3 %",
              "calibration error % (at best)", "products", "labels here (known)"]  # fmt: skip
    rows = [
        [
            name,
            f"{_percent(f['accuracy'])} ({_span(f['accuracy_interval'], 100)})",
            f"{f['macro_f1']:.3f} ({_span(f['macro_f1_interval'], 1)})",
            f["weighted_f1"],
            _percent(f["balanced_accuracy"]),
            _percent(f["top3"]),
            f"{_percent(f['ece'])} ({_percent(f['ece_at_best'])})",
            f["products"],
            f"{f['classes']} ({f['classes_known']})",
        ]
        for name, f in figures["heads"].items()
    ]
    parts = [
        html.paragraph(
            f"{figures['products']:,} products of the {split} split; all attributes right: "
            f"{100 * figures['all_right']:.1f} % "
            f"({_span(figures['all_right_interval'], 100)}). Intervals: bootstrap over products. "
            "Calibration error: how far the stated probabilities are from the share that is right "
            "(ECE, 15 bins); at best: that of a perfectly calibrated model with the same ones."
        ),
        html.table(header, rows),
    ]
    if "corruptions" in figures:
        heads = list(figures["heads"])
        rows = [
            [name, *(_percent(row[a]) for a in (*heads, "all_right"))]
            for name, row in figures["corruptions"].items()
        ]
        parts.append(
            html.table(["photos", *heads, "all right"], rows, "Accuracy % on photos made harder")
        )
    return html.joined(parts)


def reliability(predictions: LabelledPredictions, attribute: str, bins: int = 10):
    """Share of right answers against stated probability, with how many answers there are."""
    y, x = predictions.truth[attribute], predictions.predicted[attribute]
    known = y >= 0
    p = predictions.probabilities[attribute][known, x[known]]
    right = x[known] == y[known]
    place = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    hits = np.bincount(place, weights=right, minlength=bins)
    stated = np.bincount(place, weights=p, minlength=bins)
    some = counts > 0
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(4.6, 4.6), sharex=True, height_ratios=(3, 1)
    )
    top.plot([0, 1], [0, 1], color="0.6", lw=1)
    top.plot(stated[some] / counts[some], hits[some] / counts[some], "o-", color="#0b5cad")
    top.set_ylabel("share right")
    bottom.bar((np.arange(bins) + 0.5) / bins, counts, 0.9 / bins, color="#0b5cad")
    bottom.set(xlabel="stated probability", ylabel="answers")
    top.set_title(f"{attribute}: does the probability mean what it says?", fontsize=10)
    return figure


def f1_by_support(classes: Mapping[str, Mapping[str, float]], attribute: str):
    """F1 of every label that has a product against how many it has: where the long tail costs."""
    there = {label: c for label, c in classes.items() if c["support"]}
    figure, axes = plt.subplots(figsize=(6.4, 4.6))
    support = [c["support"] for c in there.values()]
    axes.plot(support, [c["f1"] for c in there.values()], "o", color="#0b5cad", alpha=0.6)
    axes.set(xscale="log", xlabel="products of the label", ylabel="F1", ylim=(-0.03, 1.03))
    axes.set_xlim(0.7, 1.6 * max(support))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    absent = len(classes) - len(there)
    title = f"{attribute}: {len(there)} labels"
    axes.set_title(
        title + (f"; {absent} without a product are left out" if absent else ""), size=10
    )
    worst = sorted(there.items(), key=lambda item: (item[1]["f1"] - 1) * item[1]["support"])[:8]
    _name(axes, [(label, c["support"], c["f1"]) for label, c in worst])
    return figure


def _name(axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write names beside points, inside the axes; one that would cover another is left out."""
    canvas = axes.figure.canvas
    canvas.draw()
    frame, taken = axes.get_window_extent(), list[Bbox]()
    for label, x, y in points:
        for side, shift in (("left", (4, 3)), ("right", (-4, 3)), ("left", (4, -9))):
            text = axes.annotate(
                label, (x, y), fontsize=7, xytext=shift, textcoords="offset points", ha=side
            )
            box = text.get_window_extent(canvas.get_renderer())
            inside = box.x0 >= frame.x0 and box.x1 <= frame.x1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def pairs_table(pairs: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [[c["true"], c["predicted"], c["count"], _percent(c["share"])] for c in pairs]
    header = ["true", "predicted", "products", "% of the true label"]
    return html.table(header, rows, "Most frequent confusions")


def class_table(classes: Mapping[str, Mapping[str, float]]) -> Markup:
    rows = [
        [label, c["support"], c["precision"], c["recall"], c["f1"]]
        for label, c in sorted(classes.items(), key=lambda item: -item[1]["support"])
    ]
    header = ["label", "products", "precision", "recall", "F1"]
    return html.folded(f"Every label ({len(rows)})", html.table(header, rows))


def sheets(
    classifier: FashionClassifier,
    catalogue: Catalogue,
    products: Sequence[Product],
    predictions: LabelledPredictions,
    attribute: str,
) -> Markup:
    """Photos of the most frequent confusions, most confident first."""
    labels = classifier.vocabulary.labels[attribute]
    y, x = predictions.truth[attribute], predictions.predicted[attribute]
    parts = []
    for pair in confusions(predictions, attribute, labels)[:SHEETS]:
        t, p = labels.index(pair["true"]), labels.index(pair["predicted"])
        rows = np.flatnonzero((y == t) & (x == p))
        rows = rows[np.argsort(-predictions.probabilities[attribute][rows, p])][:PHOTOS]
        photos = [
            (
                catalogue.photo(products[i]),
                f"{products[i].id}: {products[i].title} "
                f"({100 * predictions.probabilities[attribute][i, p]:.0f} %)",
            )
            for i in rows.tolist()
        ]
        parts += [
            html.heading(f"{pair['true']} taken for {pair['predicted']}", 3),
            html.sheet(photos),
        ]
    return html.joined(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _span(interval: Sequence[float], unit: float) -> str:
    low, high = (unit * x for x in interval)
    return f"{low:.1f}–{high:.1f}" if unit == 100 else f"{low:.3f}–{high:.3f}"
