"""What the page shows, as plain functions: no gradio here, so all of it is tested without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from demo.views import similar, words
from demo.views.render import percent, render
from fashion_xai import FashionClassifier
from fashion_xai.data import images
from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy
from fashion_xai.maps import methods
from fashion_xai.models.outputs import Explanation, ForwardPass, Prediction
from fashion_xai.trust import card as trust_card
from fashion_xai.viz import contact_sheet, html, overlay

SIDE = 480
"""Longest side in pixels at which the page shows a photo."""

DECIMALS = 5
"""Of the cells that are sent."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """One visitor's photo after its forward pass.

    Args:
        photo: uint8 RGB, at most SIDE pixels long.
        forward_pass: what every card and every other label's map is computed from.
        notes: what is to be said of the photo, as of ``images.load``.
    """

    photo: np.ndarray
    forward_pass: ForwardPass
    notes: tuple[str, ...] = ()


def analyse(photo: np.ndarray, forward_pass: ForwardPass, notes: Sequence[str] = ()) -> Analysis:
    """What is kept of a photo and its forward pass: nothing of others read beside it."""
    return Analysis(images.shrunk(photo, SIDE), forward_pass.alone(), tuple(notes))


def explain(
    classifier: FashionClassifier,
    analysis: Analysis,
    method: str = methods.DEFAULT,
    targets: Mapping[str, str | None] | None = None,
    against: Mapping[str, str | None] | None = None,
) -> dict[str, Explanation]:
    """All heads' maps from the forward pass that was made.

    Args:
        method: how the maps are made.
        targets: attribute → the label that is explained; None for the predicted one.
        against: attribute → a label to compare with: "why target and not this one"; None for all
            rivals.
    """
    wanted, rivals = (
        {a: label for a, label in (chosen or {}).items() if label is not None}
        for chosen in (targets, against)
    )
    return classifier.explanations(analysis.forward_pass, None, wanted, rivals, method)


def choices(maps: Mapping[str, Explanation]) -> dict[str, list[tuple[str, str]]]:
    """Attribute → (text with probability, label) of every label, most probable first."""
    return {
        attribute: [
            (f"{label} · {percent(share)}", label)
            for label, share in e.prediction.top(len(e.prediction.labels))
        ]
        for attribute, e in maps.items()
    }


def six(
    classifier: FashionClassifier, analysis: Analysis, maps: Mapping[str, Explanation]
) -> list[Markup]:
    """The cards of a photo, in the maps' order."""
    doubted = classifier.is_one_product(analysis.forward_pass) is False
    answers = {a: e.prediction for a, e in maps.items()}
    agreeing = similar.agreeing(classifier.similar(analysis.forward_pass), answers)
    return [card(classifier, e, answers, doubted, agreeing.get(a, "")) for a, e in maps.items()]


def card(
    classifier: FashionClassifier,
    e: Explanation,
    answers: Mapping[str, Prediction],
    doubted: bool = False,
    agreeing: str = "",
) -> Markup:
    """One head's card: label, probability, next two labels, map, evidence, trust.

    Args:
        e: the head's map.
        answers: of all heads.
        doubted: the photo hardly looks like one product; its maps are shown faintly.
        agreeing: a sentence on how many similar products have this label.
    """
    alone = _alone(e.prediction, answers, classifier.taxonomy)
    (best, probability), *others = _shares(e.prediction) if alone else e.prediction.top(3)
    cells = {
        "cells": np.round(e.heatmap.astype(np.float64), DECIMALS).tolist(),
        "box": e.box._asdict(),
        "size": list(classifier.size),
    }
    return render(
        "card",
        attribute=e.prediction.attribute,
        title=words.title(e.prediction.attribute),
        e=e,
        knows=methods.METHODS[e.method].about_the_label,
        supports=words.evidence(e),
        weak=words.is_weak(e),
        faint=doubted or words.is_weak(e),
        what=_what(e),
        map=json.dumps(cells),
        best=best,
        probability=percent(probability),
        width=f"{100 * probability:.1f}",
        others=[(label, percent(share)) for label, share in others],
        alone=alone,
        agreeing=agreeing,
        kinds=", ".join(words.title(a).lower() for a in CATEGORY_PATH),
        trust=_trust(classifier.bundle.trust, e),
    )


def looked_closer(classifier: FashionClassifier, analysis: Analysis, e: Explanation) -> Markup:
    """The card of one head with a map that took longer."""
    return card(
        classifier,
        e,
        classifier.predictions(analysis.forward_pass),
        classifier.is_one_product(analysis.forward_pass) is False,
    )


def shown_photo(analysis: Analysis | None) -> Markup:
    """The photo, sent once; the page blends it with each map."""
    return Markup() if analysis is None else render("photo", uri=html.data_uri(analysis.photo))


def result_page(
    classifier: FashionClassifier, analysis: Analysis, maps: Sequence[Explanation]
) -> Markup:
    """The answers and their maps as a page of its own, for the link to a result."""
    figures = [(_blended(classifier, analysis, e), _caption(e)) for e in maps]
    return html.page(
        "What is it, and what tells you so?",
        render("result", figures=figures, doubts=doubts(classifier, analysis)),
        html.paragraph("This page is forgotten an hour after it was made."),
    )


def sheet_and_json(
    classifier: FashionClassifier, analysis: Analysis, maps: Mapping[str, Explanation]
) -> tuple[bytes, str]:
    """The contact sheet as PNG, and answers and raw maps as JSON."""
    trust = classifier.bundle.trust
    shown = list(maps.values())
    badges = [trust_card.badge(trust, e.prediction.attribute, e.method) for e in shown]
    drawn = contact_sheet.contact_sheet(analysis.photo, shown, classifier.size, badges=badges)
    found = answer(classifier, analysis.forward_pass, maps)
    return drawn, json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def empty_card(attribute: str) -> Markup:
    """The card while there is no photo."""
    return render("card", attribute=attribute, title=words.title(attribute), e=None)


def note(text: str) -> Markup:
    """A sentence."""
    return render("note", text=text, kind="note")


def message(text: str) -> Markup:
    """A complaint for the visitor, read out by screen readers."""
    return render("note", text=text, kind="message") if text else Markup()


def headline(
    classifier: FashionClassifier,
    analysis: Analysis,
    maps: Mapping[str, Explanation],
    turn: int = 0,
) -> Markup:
    """The answer in one line, and under it what to take it with.

    Args:
        turn: degrees clockwise by which the photo should perhaps be turned; 0 offers nothing.
    """
    labels = words.headline({a: e.prediction for a, e in maps.items()})
    return render("headline", labels=labels, doubts=doubts(classifier, analysis), turn=turn)


def doubts(classifier: FashionClassifier, analysis: Analysis) -> list[str]:
    """Sentences where the photo hardly looks like one product, or where something in its file was
    ignored."""
    says = [f"The photo: {note}." for note in analysis.notes]
    if classifier.is_one_product(analysis.forward_pass) is False:
        says.append(words.DOUBT)
    return says


def answer(
    classifier: FashionClassifier,
    forward_pass: ForwardPass,
    maps: Mapping[str, Explanation] | None = None,
) -> dict[str, Any]:
    """The API's reply: attribute → label, probability, three best labels; ``one_product``.

    Args:
        maps: of the same forward pass, to be told in ``maps`` as well, with the ``similar``
            training products.
    """
    if maps is None:
        predictions = classifier.predictions(forward_pass)
    else:
        predictions = {a: e.prediction for a, e in maps.items()}
    found: dict[str, Any] = {a: p.to_json() for a, p in predictions.items()}
    found["one_product"] = classifier.is_one_product(forward_pass)
    if maps is not None:
        found["similar"] = [asdict(product) for product in classifier.similar(forward_pass)]
        found["maps"] = {a: e.to_json(DECIMALS) for a, e in maps.items()}
    return found


def closed_form(method: str) -> str:
    """The method's name, if the forward pass is all it needs: others are not for visitors.

    Raises:
        ValueError: it needs more, or there is none of that name.
    """
    if methods.find(method).name not in methods.CLOSED:
        raise ValueError(f"Expected a method of {', '.join(methods.CLOSED)}. Received: {method!r}")
    return method


def overlays(
    classifier: FashionClassifier, analysis: Analysis, maps: Mapping[str, Explanation]
) -> dict[str, str]:
    """The API's pictures: attribute → the photo under its map, a JPEG as a data URI."""
    return {a: _blended(classifier, analysis, e) for a, e in maps.items()}


def _blended(classifier: FashionClassifier, analysis: Analysis, e: Explanation) -> str:
    signed = e.against is not None
    drawn = overlay.blend(analysis.photo, e.heatmap, e.box, classifier.size, signed=signed)
    return html.data_uri(drawn)


def _alone(
    p: Prediction, answers: Mapping[str, Prediction], taxonomy: Taxonomy
) -> dict[str, Any] | None:
    """What the head would say by itself, where the category heads' joint decoding decided
    otherwise: the card then shows the shares that decided, in which its answer is the first."""
    if p.raw_label == p.label:
        return None
    share = percent(float(p.probabilities.max()))
    return {"label": p.raw_label, "share": share, "apart": words.apart(p, answers, taxonomy)}


def _shares(p: Prediction, k: int = 3) -> list[tuple[str, float]]:
    """The ``k`` labels of a category head that the joint decoding found best, with its shares."""
    assert p.together is not None
    order = np.argsort(-p.together, kind="stable")[:k]
    return [(p.labels[i], float(p.together[i])) for i in order]


def _caption(e: Explanation) -> str:
    """The answer with its probability, and the map apart where it is of another label."""
    p = e.prediction
    answer = f"{words.title(p.attribute)}: {p.label}, {percent(p.probability)}"
    if e.target == p.label and e.against is None:
        return answer
    versus = "" if e.against is None else f" rather than {e.against}"
    return f"{answer}; the map is of {e.target}{versus}"


def _what(e: Explanation) -> str:
    versus = "" if e.against is None else f" rather than {e.against}"
    return f"{words.title(e.prediction.attribute)}: {e.target}{versus}"


def _trust(card: Mapping[str, Any], e: Explanation) -> dict[str, Any] | None:
    """What the trust card says of a head's maps by a method; None where it was not measured."""
    head, method = e.prediction.attribute, e.method
    grade, says = trust_card.grade(card, head, method), trust_card.summary(card, head, method)
    if grade is None or not says:
        return None
    return {
        "badge": trust_card.badge(card, head, method),
        "middle": grade.middle,
        "summary": says,
        "compared": trust_card.compared(card, head, method),
        "measures": trust_card.JUDGED,
        "meanings": trust_card.MEANINGS,
        "plain": trust_card.PLAIN,
        "where": f"{trust_card.photos(card, head)} photos of the {card['split']} split",
        "elsewhere": trust_card.elsewhere(card, head, method),
    }
