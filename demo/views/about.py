"""The about tab's text: the model's card, the trust card, how to read a map; no gradio here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from demo.views.render import render
from fashion_xai import FashionClassifier
from fashion_xai.data import images
from fashion_xai.maps import methods
from fashion_xai.models.bundle import MODEL
from fashion_xai.trust import card as trust_card
from fashion_xai.viz import html, overlay

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "green-tshirt.png"

READING = (
    "Bright cells speak most for the label shown, rather than for its rivals.",
    "Clear cells say nothing for it; where a map has none that do, the page says so.",
    "Each map has its own scale, so compare the numbers below the photos, not the brightness.",
    "A map tells where the score is put together, not what in the photo caused it.",
    "Under each map is how it fared against maps that know nothing: believe it that far.",
)

LIMITS = (
    "It knows studio photos of single products, and garments, shoes and hats that people laid down "
    "and photographed at home. Bags, watches and jewellery it has seen in rooms only where "
    "training put them there; blur and heavy compression make it wrong more often.",
    "It always answers, also where no product is; “these answers may be wrong” catches most, "
    "not all of that.",
    "Its labels are those of one Indian online shop of 2011–2017, with its view of gender and "
    "seasons; the season follows the shoot rather than the garment.",
)


def page(classifier: FashionClassifier) -> Markup:
    """The whole tab as HTML."""
    card = classifier.bundle.card
    return render(
        "about",
        heading=html.heading,
        reading=READING,
        pictures=_pictures(classifier),
        figures=_figures(card),
        side_by_side=_side_by_side(card),
        trust=_trust(classifier),
        limits=LIMITS,
        model=card["sha256"][MODEL][:12],
        size=classifier.size,
    )


def _pictures(classifier: FashionClassifier) -> list[tuple[str, str]]:
    """A drawn T-shirt: what speaks for it being one, for its colour, and against another label."""
    photo = images.load(EXAMPLE)
    (forward_pass,) = classifier.read([photo])
    shown = []
    for attribute in [a for a in classifier.attributes if a in ("articleType", "baseColour")]:
        e = classifier.explanations(forward_pass, [attribute])[attribute]
        shown.append((e, f"{attribute}: what speaks for {e.target}", False))
        other = classifier.top(e.prediction, 2)[1][0]
        against = {attribute: other}
        e = classifier.explanations(forward_pass, [attribute], None, against, "gradcam")[attribute]
        shown.append((e, f"orange: {e.target} rather than {other}; purple: the reverse", True))
    return [(_drawn(classifier, photo, e, signed), words) for e, words, signed in shown]


def _drawn(classifier: FashionClassifier, photo, e, signed: bool) -> str:
    return html.data_uri(overlay.blend(photo, e.heatmap, e.box, classifier.size, signed=signed))


def _figures(card: dict) -> Markup:
    """The test split's figures with intervals; a sentence where nothing was measured."""
    measured = card.get("metrics", {}).get("test")
    if not measured:
        return html.paragraph("Not measured: python -m training.evaluate does it.")
    rows = [
        [
            head,
            f"{100 * f['accuracy']:.1f} ({_span(f['accuracy_interval'], 100)})",
            f"{f['macro_f1']:.3f} ({_span(f['macro_f1_interval'], 1)})",
            f"{100 * f['top3']:.1f}",
            f"{100 * f['ece']:.1f}",
            f"{f['classes']} of {f['classes_known']}",
        ]
        for head, f in measured["heads"].items()
    ]
    header = [
        "head",
        "accuracy % (95 %)",
        "macro-F1 (95 %)",
        "top-3 %",
        "off by, % (ECE)",
        "labels here",
    ]
    products = max(f["products"] for f in measured["heads"].values())
    return html.table(header, rows, f"{products:,} products never trained on (test split)")


def _side_by_side(card: dict) -> Markup:
    """Catalogue, scenes behind its products, and photos of each other catalogue, head by head."""
    measured = card.get("metrics", {}).get("test")
    others = {o["name"]: o["metrics"]["test"] for o in card.get("also", [])
              if "test" in o.get("metrics", {})}  # fmt: skip
    if not measured or not others:
        return Markup()
    columns = {"catalogue": _accuracies(measured)}
    if scene := measured.get("corruptions", measured.get("stress", {})).get("scene"):
        columns["a scene behind its products"] = scene
    columns |= {name: _accuracies(figures) for name, figures in others.items()}
    rows = [
        [head, *(f"{100 * c[head]:.1f}" if head in c else "–" for c in columns.values())]
        for head in measured["heads"]
    ]
    doubts = [measured, *([{}] if scene else []), *others.values()]
    shares = [d.get("doubted") for d in doubts]
    rows.append(["doubted", *("–" if x is None else f"{100 * x:.1f}" for x in shares)])
    text = "Accuracy in % on photos never trained on; where a label allows several, any of them"
    tables = [html.table(["head", *columns], rows, text)]
    for name, figures in others.items():
        words = [
            [word, *_word(row["articleType"])]
            for word, row in figures.get("words", {}).items()
            if "articleType" in row
        ]
        if words:
            table = html.table(["label there", "articleType % (95 %)", "photos"], words)
            tables.append(html.folded(f"{name}, label by label", table))
    return html.joined(tables)


def _accuracies(figures: dict) -> dict[str, float]:
    return {head: f["accuracy"] for head, f in figures["heads"].items()}


def _word(figure: dict) -> list[str]:
    span = _span(figure["accuracy_interval"], 100)
    return [f"{100 * figure['accuracy']:.1f} ({span})", str(figure["products"])]


def _trust(classifier: FashionClassifier) -> Markup:
    """What the trust card says of each head's map by each method that the page offers."""
    card, heads = classifier.bundle.trust, classifier.attributes
    rows, sentences = _beaten(card, heads)
    if not rows:
        return html.paragraph("Not measured: python -m fashion_xai trust does it.")
    text = (
        f"On {_counts(card, heads)} products of the {card['split']} split the network was "
        "asked again with parts of the photo hidden, the most important ones first, by each map "
        f"and by five controls: {', '.join(trust_card.CONTROLS.values())}. A map beats a control "
        "only where deletion, insertion and ROAD all say so beyond chance. The table holds how "
        "many of the five each map beats, the product placed anywhere · as photographed."
    )
    parts = [
        html.paragraph(text),
        html.table(["map", *heads], rows),
        html.folded("In words", html.table(["head", "map", "what was found"], sentences)),
    ]
    for name, other in card.get("also", {}).items():
        parts += [
            html.paragraph(f"The same on {_counts(other, heads)} photos of {name}:"),
            html.table(["map", *heads], _beaten(other, heads)[0]),
        ]
    return Markup().join(parts)


def _beaten(card: dict, heads: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """How many controls each map beats, and the same in sentences."""
    rows, sentences = [], []
    for name in methods.CLOSED:
        beaten = [trust_card.beaten(card, head, name) for head in heads]
        if not any(beaten):
            continue
        title = methods.METHODS[name].title
        cells = (f"{b.get('placed', '–')} · {b.get('centred', '–')}" if b else "–" for b in beaten)
        rows.append([title + (" (shown first)" if name == methods.DEFAULT else ""), *cells])
        sentences += [
            [head, title, trust_card.summary(card, head, name)]
            for head, found in zip(heads, beaten, strict=True)
            if found
        ]
    return rows, sentences


def _counts(card: dict, heads: Sequence[str]) -> str:
    """Of the photos that the heads were measured on."""
    counts = sorted(filter(None, (trust_card.photos(card, head) for head in heads)))
    return f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def _span(interval, unit: float) -> str:
    low, high = (unit * x for x in interval)
    return f"{low:.1f}–{high:.1f}" if unit == 100 else f"{low:.3f}–{high:.3f}"
