"""What the page shows, as plain functions: no gradio here, so all of it is tested without one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

import cv2
import numpy as np

from fashion_xai import FashionClassifier
from fashion_xai.maps import methods
from fashion_xai.models.outputs import Explanation, ForwardPass
from fashion_xai.trust import card as trust_card
from fashion_xai.viz import contact_sheet, html, overlay

SIDE = 480
"""Longest side in pixels at which the page shows a photo."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """One visitor's photo after its forward pass.

    Args:
        photo: uint8 RGB, at most SIDE pixels long.
        forward_pass: what every card and every other label's map is computed from.
    """

    photo: np.ndarray
    forward_pass: ForwardPass


def analyse(photo: np.ndarray, forward_pass: ForwardPass) -> Analysis:
    """What is kept of a photo and its forward pass: nothing of others read beside it."""
    return Analysis(_shrink(photo), forward_pass.alone())


def choices(classifier: FashionClassifier, analysis: Analysis) -> dict[str, list[tuple[str, str]]]:
    """Attribute → (text with probability, label) of every label, most probable first."""
    predictions = classifier.predictions(analysis.forward_pass)
    return {
        attribute: [
            (f"{label} · {percent(probability)}", label)
            for label, probability in classifier.top(prediction, len(prediction.probabilities))
        ]
        for attribute, prediction in predictions.items()
    }


def card(
    classifier: FashionClassifier,
    analysis: Analysis,
    attribute: str,
    target: str | None = None,
    method: str = methods.DEFAULT,
    against: str | None = None,
) -> str:
    """One head's card as HTML: label, probability, next two labels, map, evidence, trust.

    Args:
        target: the label whose map is shown; None for the predicted one.
        method: how the map is made.
        against: a label to compare with: "why target and not this one"; None for all rivals.
    """
    e = explain(classifier, analysis, attribute, target, method, against)
    best, *others = classifier.top(e.prediction, 3)
    rows = "".join(
        f"<li><span>{escape(label)}</span><span>{percent(p)}</span></li>" for label, p in others
    )
    return (
        f'<article class="card" data-attribute="{attribute}"><h3>{attribute}</h3>'
        f"{_view(classifier, e)}"
        f'<p class="label"><b>{escape(best[0])}</b><span>{percent(best[1])}</span></p>'
        f'<div class="bar"><i style="width:{100 * best[1]:.1f}%"></i></div>'
        f'<ol start="2">{rows}</ol>'
        f'<p class="evidence">{_evidence(e)}</p>'
        f"{_badge(classifier, e)}</article>"
    )


def explain(
    classifier: FashionClassifier,
    analysis: Analysis,
    attribute: str,
    target: str | None,
    method: str,
    against: str | None,
) -> Explanation:
    """One head's map from the forward pass that was made, see :func:`card`."""
    found = classifier.explanations(
        analysis.forward_pass,
        [attribute],
        {} if target is None else {attribute: target},
        {} if against is None else {attribute: against},
        method,
    )
    return found[attribute]


def shown_photo(analysis: Analysis | None) -> str:
    """The photo, sent once; the page blends it with each map."""
    if analysis is None:
        return ""
    return f'<img src="{html.data_uri(analysis.photo)}" alt="your photo">'


def result_page(classifier: FashionClassifier, analysis: Analysis, maps: list[Explanation]) -> str:
    """The answers and their maps as a page of its own, for the link to a result."""
    figures = "".join(
        f'<figure><img src="{_blended(classifier, analysis, e)}" alt="">'
        f"<figcaption>{escape(_what(e))}: {percent(e.prediction.probability)}</figcaption></figure>"
        for e in maps
    )
    return html.page(
        "What is it, and what tells you so?",
        f'<div class="sheet">{figures}</div>',
        html.paragraph("This page is forgotten an hour after it was made."),
    )


def sheet_and_json(
    classifier: FashionClassifier, analysis: Analysis, maps: list[Explanation]
) -> tuple[bytes, str]:
    """The contact sheet as PNG, and answers and raw maps as JSON."""
    card = classifier.bundle.trust
    badges = [trust_card.badge(card, e.prediction.attribute, e.method) for e in maps]
    drawn = contact_sheet.contact_sheet(analysis.photo, maps, classifier.size, badges=badges)
    found = {
        **answer(classifier, analysis.forward_pass),
        "maps": {e.prediction.attribute: _raw(e) for e in maps},
    }
    return drawn, json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def empty_card(attribute: str) -> str:
    """The card before a photo is there."""
    return (
        f'<article class="card" data-attribute="{attribute}"><h3>{attribute}</h3>'
        '<div class="stack none"></div><p class="label">–</p></article>'
    )


def note(text: str) -> str:
    """A sentence, escaped."""
    return f'<p class="note">{escape(text)}</p>'


def message(text: str) -> str:
    """A complaint for the visitor, read out by screen readers."""
    return f'<p class="message" role="alert">{escape(text)}</p>' if text else ""


def doubt(classifier: FashionClassifier, analysis: Analysis) -> str:
    """A sentence where the photo hardly looks like one product, else ''."""
    if classifier.is_one_product(analysis.forward_pass) is False:
        return message("Not sure this is one product: take the answers with doubt.")
    return ""


def answer(classifier: FashionClassifier, forward_pass: ForwardPass) -> dict[str, Any]:
    """The API's reply: attribute → label, probability, three best labels; ``one_product``."""
    answers: dict[str, Any] = {
        attribute: {
            "label": p.label,
            "probability": p.probability,
            "top3": [{"label": x, "probability": q} for x, q in classifier.top(p, 3)],
        }
        for attribute, p in classifier.predictions(forward_pass).items()
    }
    return {**answers, "one_product": classifier.is_one_product(forward_pass)}


def raw_maps(
    classifier: FashionClassifier, forward_pass: ForwardPass, method: str
) -> dict[str, dict[str, Any]]:
    """The API's maps: attribute → what is explained, in which unit, and the raw cells.

    Raises:
        ValueError: a method that needs more than the forward pass, or none.
    """
    if methods.find(method).name not in methods.CLOSED:
        raise ValueError(f"Expected a method of {', '.join(methods.CLOSED)}. Received: {method!r}")
    return {a: _raw(e) for a, e in classifier.explanations(forward_pass, method=method).items()}


def _raw(e: Explanation) -> dict[str, Any]:
    return {
        "target": e.target,
        "against": e.against,
        "method": e.method,
        "unit": f"{methods.METHODS[e.method].unit} per cell",
        "heatmap": np.round(e.heatmap.astype(np.float64), 5).tolist(),
        "box": e.box._asdict(),
    }


def overlays(classifier: FashionClassifier, analysis: Analysis, method: str) -> dict[str, str]:
    """The API's pictures: attribute → the photo under its map, a JPEG as a data URI."""
    return {
        attribute: _blended(classifier, analysis, e)
        for attribute, e in classifier.explanations(analysis.forward_pass, method=method).items()
    }


def _view(classifier: FashionClassifier, e: Explanation) -> str:
    """A canvas and the raw map that ``cards.js`` paints on it."""
    data = {
        "cells": np.round(e.heatmap.astype(np.float64), 5).tolist(),
        "box": e.box._asdict(),
        "size": list(classifier.size),
    }
    signed = ' data-signed="1"' if e.against is not None else ""
    words = f"heatmap of the evidence for {_what(e)}; press Enter for the photo without it"
    return (
        f'<div class="stack"><canvas class="view" role="img" tabindex="0"{signed} '
        f'aria-label="{escape(words, quote=True)}" '
        f'data-map="{escape(json.dumps(data), quote=True)}"></canvas></div>'
    )


def _blended(classifier: FashionClassifier, analysis: Analysis, e: Explanation) -> str:
    signed = e.against is not None
    drawn = overlay.blend(analysis.photo, e.heatmap, e.box, classifier.size, signed=signed)
    return html.data_uri(drawn)


def _what(e: Explanation) -> str:
    versus = "" if e.against is None else f" rather than {e.against}"
    return f"{e.prediction.attribute}: {e.target}{versus}"


def _evidence(explanation: Explanation) -> str:
    name = escape(explanation.target)
    if explanation.against is not None:
        name += f"</b> rather than <b>{escape(explanation.against)}"
    if explanation.evidence_for <= 0:
        return f"No positive evidence for <b>{name}</b> anywhere in this photo."
    return (
        f"Evidence for <b>{name}</b>: +{explanation.evidence_for:.1f} for, "
        f"−{abs(explanation.evidence_against):.1f} against "
        f"({escape(methods.METHODS[explanation.method].unit)})"
    )


def _badge(classifier: FashionClassifier, explanation: Explanation) -> str:
    """What the trust card says of this head's maps by this method; '' where it was not measured."""
    attribute = explanation.prediction.attribute
    says = trust_card.summary(classifier.bundle.trust, attribute, explanation.method)
    if not says:
        return '<p class="trust none">Not measured how faithful this map is.</p>'
    card = classifier.bundle.trust
    short = trust_card.badge(card, attribute, explanation.method)
    tables = "".join(
        _figures(arrangement, rows)
        for arrangement, rows in trust_card.compared(card, attribute, explanation.method).items()
    )
    meanings = "".join(
        f"<li><b>{name}</b>: {escape(text)}</li>" for name, text in trust_card.MEANINGS.items()
    )
    where = f"{trust_card.photos(card, attribute)} photos of the {card['split']} split"
    return (
        f'<details class="trust"><summary>{escape(short)}</summary><p>{escape(says)}</p>'
        f"{tables}<ul>{meanings}</ul>"
        f"<p>Means over {escape(where)}.</p></details>"
    )


def _figures(arrangement: str, rows: dict[str, dict[str, float]]) -> str:
    """A table: a map's and the controls' figures in one arrangement."""
    header = "".join(f'<th scope="col">{m}</th>' for m in trust_card.JUDGED)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{figures[m]:.2f}</td>" for m in trust_card.JUDGED)
        + "</tr>"
        for name, figures in rows.items()
    )
    return (
        f'<table><thead><tr><th scope="col">{arrangement}</th>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _shrink(photo: np.ndarray) -> np.ndarray:
    scale = SIDE / max(photo.shape[:2])
    if scale >= 1:
        return photo
    size = [max(1, round(side * scale)) for side in photo.shape[1::-1]]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
