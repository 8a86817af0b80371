"""Fit on the validation split what training leaves open: ``python -m training.calibrate``.

Per head three numbers, all found on the validation split alone:

- two strengths of a post-hoc logit adjustment (Menon et al. 2021, section 4.2): multiples of the
  log frequencies taken from the head's bias, one down to :data:`RARE` and one from there on, so
  that rare labels get their due. What they ask for, frequent labels beside each other often do
  not. It becomes part of the bias: the logits, the maps and their identities stay exact;
- a temperature (Guo et al. 2017), kept in the card, that makes the probability of the answer mean
  what it says.

And one out-of-distribution score for all heads, with the threshold under which a photo is
doubted to show one product: fitted on training products against pictures of none or several, its
threshold on the validation split.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from fashion_xai import metrics
from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema
from fashion_xai.data.catalogue import Product, summarise
from fashion_xai.data.labels import MISSING
from fashion_xai.data.schema import Table
from fashion_xai.data.split import in_split
from fashion_xai.models import bundle
from fashion_xai.models.decoding import softmax
from fashion_xai.models.ood import OODScore, energies
from fashion_xai.progress import add_quiet
from training import command
from training.data import backgrounds
from training.data.corrections import correct
from training.data.labelled import TRAIN, VALIDATION, Labelled, own_split
from training.data.packing import allowed
from training.engine.losses import log_prior
from training.engine.onnx_graph import to_onnx
from training.evaluation.ood import OOD_SAMPLES, several
from training.evaluation.predictions import (
    LabelledPredictions,
    Seen,
    encode_truth,
    look,
    predict_split,
    resolve,
)

STRENGTHS = np.round(np.arange(-0.5, 1.01, 0.05), 2)
"""Multiples of the log frequencies that are tried."""

RARE = 0.007
"""Share of the training products below which a label is rare. On four folds of the validation split
two strengths that meet here give articleType a macro-F1 of .665 and an accuracy of 88.7 % where one
gives .649 and 88.8 % (run i; docs/training.md)."""

COST = 0.001
"""Accuracy, 0–1, that a better macro-F1 may cost a head."""

KEPT, KEPT_OTHER = 0.98, 0.94
"""Share of the validation products, and of another catalogue's, that stays above the threshold of
abstention: photos taken at home are harder to tell from a room without a product."""

OOD_EACH = 300
"""Pictures of each kind of OOD samples that the threshold is measured on; no more than products."""

FITTED_EACH = 600
"""Training products of each catalogue that the score is fitted on, and pictures of each kind: no
more than products."""


See = Callable[[Sequence[np.ndarray]], Seen]
"""What the calibrated network says about pictures."""


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.calibrate",
        description="Fit each head's logit adjustment and temperature on the validation split and "
        "write them into the bundle. training.train does this at its end.",
    )
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--data", type=Path, required=True, help="the catalogue it was trained on")
    parser.add_argument(
        "--also",
        type=Path,
        nargs="+",
        default=[],
        metavar="DATA",
        help="the other catalogues it was trained on",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="CSV",
        help="annotations of an audit that it was trained with",
    )
    add_quiet(parser)
    schema.add_arguments(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        loaded = bundle.load(args.bundle)
        usual = Table.from_json(loaded.card.get("table"))
        catalogue = schema.open_catalogue(args, usual, loaded.vocabulary)
        products = catalogue.products
        split = own_split(args.bundle / bundle.SPLIT, products)
        if args.corrections:
            products, _ = correct(products, args.corrections, split)
        first = Labelled(catalogue, products, split, args.data.name)
        others = [Labelled.of_bundle(args.bundle, data) for data in args.also]
        save(calibrate(loaded, first, others))

    return command.run(work, "Stopped; nothing was written.")


def calibrate(
    loaded: bundle.Bundle, first: Labelled, others: Sequence[Labelled] = ()
) -> bundle.Bundle:
    """The bundle with what is fitted on its validation split; nothing is written.

    Args:
        loaded: its heads' biases are changed in place.
        first: the catalogue that it was trained on.
        others: those beside it; their validation products count like the first one's, and the
            accuracy on each is printed and kept in the card.

    Raises:
        ValueError: the catalogue has no product of the training or the validation split.
    """
    classifier = FashionClassifier(loaded)
    for name in (TRAIN, VALIDATION):
        if not in_split(first.products, first.split, name):
            raise ValueError(f"{first.catalogue.source}: no product of the bundle's {name} split.")
    parts = [predict_split(classifier, each, VALIDATION) for each in (first, *others)]
    seen = Seen.joined(parts)
    if seen.rejected:
        print(summarise(seen.rejected))
    truth, _ = encode_truth(classifier.vocabulary, seen.products)
    sets = allowed(classifier.vocabulary, seen.products)
    fits = fit_heads(classifier, seen, truth, sets, first.train)
    print(markdown(fits))
    offsets = {a: fits[a]["offset"] if a in fits else 0.0 for a in classifier.attributes}

    def see(pictures: Sequence[np.ndarray]) -> Seen:
        return look(classifier, pictures).shifted(offsets)

    score = fit_ood_score(see, (first, *others))
    abstention = fit_abstention(score, see, [p.shifted(offsets) for p in parts], first, others)
    print(in_words(abstention))
    ends = np.cumsum([len(part.products) for part in parts]).tolist()
    logits = seen.shifted(offsets).logits
    figures = by_catalogue(classifier, truth, logits, sets, ends, others)
    return _with(loaded, fits, score, abstention, figures)


def fit_heads(
    classifier: FashionClassifier,
    seen: Seen,
    truth: Mapping[str, np.ndarray],
    sets: Mapping[str, np.ndarray] | None,
    train: Sequence[Product],
) -> dict[str, dict[str, Any]]:
    """Attribute → as of :func:`fit_head`; heads without a validation label are named and left out.

    Args:
        train: products whose labels' frequencies are the prior.
    """
    known = {a: (y >= 0).any() or (sets is not None and sets[a].any()) for a, y in truth.items()}
    if unlabelled := [a for a in classifier.attributes if not known[a]]:
        print(f"Not calibrated, no validation product has a label: {', '.join(unlabelled)}")
    trained, _ = encode_truth(classifier.vocabulary, train)
    fits = {}
    for a in classifier.attributes:
        if a in unlabelled:
            continue
        labels = seen.logits[a].shape[1]
        prior = log_prior(np.where(trained[a] < labels, trained[a], MISSING), labels)
        fits[a] = fit_head(truth[a], seen.logits[a], prior, None if sets is None else sets[a])
    return fits


def fit_abstention(
    score: OODScore,
    see: See,
    parts: Sequence[Seen],
    first: Labelled,
    others: Sequence[Labelled],
) -> dict[str, Any]:
    """As of :func:`choose_threshold`, for the validation photos of each catalogue in ``parts``."""
    names = ["products", *(other.name for other in others)]
    own = {
        name: score.score(part.pooled, part.logits) for name, part in zip(names, parts, strict=True)
    }
    chosen = parts[0].products[:OOD_EACH]
    photos = [first.catalogue.photo(product) for product in chosen]
    ood_samples = {
        name: score.score(theirs.pooled, theirs.logits)
        for name, theirs in read_ood_samples(see, photos, others).items()
    }
    return choose_threshold(own, ood_samples)


def in_words(abstention: Mapping[str, Any]) -> str:
    """What the threshold does, in one sentence."""
    own = ", ".join(f"{100 * x:.1f} % of {name}" for name, x in abstention["products"].items())
    theirs = ", ".join(
        f"{100 * s['doubted']:.0f} % of {name} (AUROC {s['auroc']:.3f})"
        for name, s in abstention["ood_samples"].items()
    )
    return (
        f"An OOD score under {abstention['threshold']:.2f} is doubted: {own} (validation); {theirs}"
    )


def by_catalogue(
    classifier: FashionClassifier,
    truth: Mapping[str, np.ndarray],
    logits: Mapping[str, np.ndarray],
    sets: Mapping[str, np.ndarray] | None,
    ends: Sequence[int],
    others: Sequence[Labelled],
) -> dict[str, dict[str, Any]]:
    """Name of each other catalogue → head → accuracy on its validation products, and how many."""
    predictions = LabelledPredictions.of(classifier.decoder, truth, logits, sets)
    figures: dict[str, dict[str, Any]] = {}
    for other, start, end in zip(others, ends, ends[1:]):
        figures[other.name] = row = {}
        for a in classifier.attributes:
            known = predictions.truth[a][start:end] >= 0
            right = (predictions.truth[a] == predictions.predicted[a])[start:end][known]
            if len(right):
                row[a] = {"accuracy": float(right.mean()), "products": len(right)}
        print(
            f"{other.name}, validation: "
            + ", ".join(
                f"{a} {100 * f['accuracy']:.1f} % of {f['products']}" for a, f in row.items()
            )
        )
    return figures


def fit_head(
    truth: np.ndarray, logits: np.ndarray, prior: np.ndarray, allowed: np.ndarray | None = None
) -> dict[str, Any]:
    """Choose one head's adjustment and temperature.

    Args:
        truth: int (n,), negative where missing or one of several.
        logits: (n, k).
        prior: (k,) log frequencies of the training split.
        allowed: bool (n, k), the labels that may be true, where some rows have several.

    Returns:
        ``strength``, ``rare_strength``, ``offset`` (k,) to add to the bias, ``temperature``, and
        the figures before and after.
    """
    strength, rare = choose_strengths(truth, logits, prior, allowed)
    offset = adjustment(prior, strength, rare)
    offset -= offset.mean()  # the softmax does not see it; the bias stays small
    adjusted = logits + offset
    temperature = fit_temperature(_resolved(truth, adjusted, allowed), adjusted)
    return {
        "strength": strength,
        "rare_strength": rare,
        "offset": offset,
        "temperature": temperature,
        "before": _figures(_resolved(truth, logits, allowed), logits, 1.0),
        "after": _figures(_resolved(truth, adjusted, allowed), adjusted, temperature),
    }


def adjustment(prior: np.ndarray, strength: float, rare: float) -> np.ndarray:
    """What is added to the logits: the first strength counts for the log frequency down to
    :data:`RARE`, the second for what goes below it. Of equal strengths it is the plain adjustment.

    Args:
        prior: (k,) log frequencies.
    """
    knee = np.log(RARE)
    return -strength * np.maximum(prior, knee) - rare * np.minimum(prior - knee, 0)


def choose_strengths(
    truth: np.ndarray, logits: np.ndarray, prior: np.ndarray, allowed: np.ndarray | None = None
) -> tuple[float, float]:
    """The two strengths of :func:`adjustment` with the largest macro-F1 of those that cost at most
    :data:`COST` of accuracy.

    Of equals the weakest.
    """
    tried = sorted(product(STRENGTHS, STRENGTHS), key=lambda pair: np.abs(pair).sum())
    if not (prior < np.log(RARE)).any():
        tried = [(s, rare) for s, rare in tried if rare == 0]
    answers = {}
    for pair in tried:
        adjusted = logits + adjustment(prior, *pair)
        answers[pair] = _resolved(truth, adjusted, allowed), adjusted.argmax(1)
    accuracy = {pair: metrics.accuracy(*answer) for pair, answer in answers.items()}
    affordable = [pair for pair in tried if accuracy[pair] >= max(accuracy.values()) - COST]
    strength, rare = max(affordable, key=lambda pair: metrics.macro_f1(*answers[pair]))
    return float(strength) + 0.0, float(rare) + 0.0  # no −0


def _resolved(truth: np.ndarray, logits: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    return truth if allowed is None else resolve(truth, allowed, logits.argmax(1), logits)


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """The temperature under which the answer's probability best tells whether it is right.

    It has the least cross-entropy between the two (top-label calibration: Gupta & Ramdas 2022,
    arXiv:2107.08353). That of the true labels' probabilities would follow the labels that are
    wrong, whose probabilities are tiny, and leave the answers too sure.
    """
    known = truth >= 0
    right = logits[known].argmax(1) == truth[known]

    def loss(log_t: float) -> float:
        p = softmax(logits[known].astype(np.float64), np.exp(log_t)).max(1)
        return float(-np.log(np.clip(np.where(right, p, 1 - p), 1e-12, 1)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def fit_ood_score(see: See, catalogues: Sequence[Labelled]) -> OODScore:
    """The score, fitted on training products of all catalogues against scenery
    (:mod:`training.data.backgrounds`), floors grown from the other catalogues' training photos, and
    several training products."""
    rng = np.random.default_rng(1)
    photos = []
    for each in catalogues:
        train = each.train
        order = rng.permutation(len(train))[:FITTED_EACH]
        photos.append([each.catalogue.photo(train[i]) for i in order])
    without = [*backgrounds.bank(len(photos[0]), seed=1)]
    for theirs in photos[1:]:
        without += [*backgrounds.floors(theirs[: FITTED_EACH // 2], seed=1)]
    for theirs in photos:
        without += [several(rng, theirs) for _ in theirs[::2]]
    return fit_score(see([photo for theirs in photos for photo in theirs]), see(without))


def fit_score(products: Seen, ood_samples: Seen) -> OODScore:
    """A logistic regression on the standardised pooled features and energies, both sides weighing
    alike."""
    both = Seen.joined([products, ood_samples])
    features = np.hstack([both.pooled, energies(both.logits)])
    inside = np.arange(len(features)) < len(products.pooled)
    scale = StandardScaler().fit(features)
    fit = LogisticRegression(max_iter=5000, class_weight="balanced")
    fit.fit(scale.transform(features), inside)
    weights = fit.coef_[0] / scale.scale_
    channels = both.pooled.shape[1]
    return OODScore(
        weights[:channels],
        dict(zip(both.logits, map(float, weights[channels:]), strict=True)),
        float(fit.intercept_[0] - weights @ scale.mean_),
    )


def read_ood_samples(
    see: See, photos: list[np.ndarray], others: Sequence[Labelled]
) -> dict[str, Seen]:
    """What the network says of pictures that show no single product, by their kind.

    Besides :data:`OOD_SAMPLES`, floors grown from the validation photos of each other catalogue.
    """
    rng = np.random.default_rng(0)
    pictures = {name: [make(rng, photos) for _ in photos] for name, make in OOD_SAMPLES.items()}
    for other in others:
        theirs = [other.catalogue.photo(p) for p in other.validation[:OOD_EACH]]
        pictures[f"floors of {other.name}"] = [*backgrounds.floors(theirs, seed=0)]
    return {name: see(them) for name, them in pictures.items()}


def choose_threshold(
    products: Mapping[str, np.ndarray], ood_samples: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The threshold that keeps ``KEPT`` of the first catalogue's products and ``KEPT_OTHER`` of
    each other one's, and what it does to each kind of OOD sample.

    Args:
        products: name of a catalogue → scores (n,) of its products.
        ood_samples: kind → scores (m,).
    """
    first, *rest = products.values()
    threshold = min(np.quantile(first, 1 - KEPT), *(np.quantile(x, 1 - KEPT_OTHER) for x in rest),
                    np.inf)  # fmt: skip
    own = np.concatenate(list(products.values()))
    figures = {}
    for name, theirs in ood_samples.items():
        truth = np.r_[np.ones(len(own)), np.zeros(len(theirs))]
        figures[name] = {
            "auroc": float(roc_auc_score(truth, np.r_[own, theirs])),
            "doubted": float((theirs < threshold).mean()),
            "pictures": len(theirs),
        }
    doubted = {name: float((x < threshold).mean()) for name, x in products.items()}
    return {"threshold": float(threshold), "products": doubted, "ood_samples": figures}


def markdown(fits: Mapping[str, Mapping[str, Any]]) -> str:
    """What the fits changed, as a Markdown table."""
    lines = [
        "| head | adjustment (rare) | temperature | accuracy % | macro-F1 | ECE % | at best |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, fit in fits.items():
        a, b = fit["before"], fit["after"]
        lines.append(
            f"| {name} | {fit['strength']:.2f} ({fit['rare_strength']:.2f}) "
            f"| {fit['temperature']:.2f} "
            f"| {100 * a['accuracy']:.1f} → {100 * b['accuracy']:.1f} "
            f"| {a['macro_f1']:.3f} → {b['macro_f1']:.3f} "
            f"| {100 * a['ece']:.1f} → {100 * b['ece']:.1f} | {100 * b['ece_at_best']:.1f} |"
        )
    return "\n".join(lines)


def _figures(truth: np.ndarray, logits: np.ndarray, temperature: float) -> dict[str, float]:
    p = softmax(logits, temperature)
    confidence, right = metrics.confidences(truth, p)
    predicted = logits.argmax(1)
    return {
        "accuracy": metrics.accuracy(truth, predicted),
        "macro_f1": metrics.macro_f1(truth, predicted),
        "ece": metrics.ece(confidence, right),
        "ece_at_best": metrics.ece_at_best(confidence),
    }


def _with(
    loaded: bundle.Bundle,
    fits: Mapping[str, Mapping[str, Any]],
    score: OODScore,
    abstention: Mapping[str, Any],
    also: Mapping[str, Any],
) -> bundle.Bundle:
    """The bundle with all that was fitted."""
    model = loaded.model
    for attribute, fit in fits.items():
        model.get_layer(attribute).bias.assign_add(fit["offset"])
    # Fitted a second time, the offsets add up and so do the strengths.
    old = loaded.card.get("calibration", {})
    calibration = {}
    for a, fit in fits.items():
        was = old.get(a, {}).get("strength", 0.0)  # of all labels, in bundles up to run h
        calibration[a] = {
            "strength": was + fit["strength"],
            "rare_strength": old.get(a, {}).get("rare_strength", was) + fit["rare_strength"],
            "before": fit["before"],
            "after": fit["after"],
        }
    card = {
        **loaded.card,
        "temperatures": {a: fit["temperature"] for a, fit in fits.items()},
        "calibration": calibration,
        "abstention": dict(abstention),
        "metrics": {},  # of the uncalibrated heads
    }
    if "also" in card:
        card["also"] = [{k: v for k, v in x.items() if k != "metrics"} for x in card["also"]]
    if also:
        card["also_validation"] = dict(also)
    return replace(loaded, card=card, ood_score=score, graph=None, changed=model)


def save(made: bundle.Bundle) -> None:
    """Write a bundle in the place of the one that it was read from: with that one's splits, and
    with a graph if it had one.

    Raises:
        onnx_graph.DifferentAnswers: ONNX Runtime does not answer as Keras does.
    """
    theirs = sorted(made.folder.glob(bundle.OTHER_SPLIT.format("*")))
    bundle.save(
        made.folder,
        made.model,
        made.vocabulary,
        made.taxonomy,
        made.card,
        made.folder / bundle.SPLIT,
        theirs,
        made.ood_score,
        to_onnx(made.model) if (made.folder / bundle.GRAPH).exists() else None,
    )


if __name__ == "__main__":
    sys.exit(main())
