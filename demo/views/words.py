"""What the page calls things: a visitor reads no names of columns. Raw names are the API's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy
from fashion_xai.models.outputs import Explanation, Prediction

TITLES = {
    "articleType": "What it is",
    "baseColour": "Colour",
    "gender": "For whom",
    "season": "Season",
    "subCategory": "Group",
    "masterCategory": "Kind",
}
"""Attribute → its title, in the order in which a person asks."""

HEADLINE = tuple(TITLES)[:4]
"""What the sentence under the photo says; the categories only repeat what it is."""

WEAK = 1.0
"""Logits of evidence under which a map is called weak: on the shipped audit (3,966 test products)
the answers of such maps are right in 47–56 % by head, all answers in 70–97 % (masterCategory,
nearly always right, has four such maps)."""

DOUBT = "These answers may be wrong. Try one item, filling the picture, on a plain background."

GRADIO = {"common.complete": "Done."}
"""What Gradio tells screen readers; without it, Gradio 6.31 tells them the key."""


def title(attribute: str) -> str:
    """As a person says it; an attribute of one's own keeps its name."""
    return TITLES.get(attribute, attribute)


def in_order(attributes: Iterable[str]) -> list[str]:
    """As a person asks: what it is first; those of one's own at the end."""
    order = list(TITLES)
    return sorted(attributes, key=lambda a: order.index(a) if a in TITLES else len(order))


def headline(answers: Mapping[str, Prediction]) -> list[str]:
    """The labels of the sentence under the photo, what it is first."""
    wanted = [a for a in in_order(answers) if a in HEADLINE] or list(answers)[:4]
    return [answers[a].label for a in wanted]


def is_weak(e: Explanation) -> bool:
    """Whether hardly anything speaks for the label, in a map whose unit says so."""
    return e.unit.startswith("logits") and e.evidence_for < WEAK


def evidence(e: Explanation) -> str:
    """One sentence: how much of what the map shows speaks for its label."""
    over = "" if e.against is None else f" over {e.against}"
    if e.evidence_for <= 0:
        return f"Nothing here supports {e.target}{over}."
    share = e.evidence_for / (e.evidence_for - e.evidence_against)
    if share >= 0.9:
        return f"Almost everything here supports {e.target}{over}."
    if share >= 0.6:
        return f"Most of this supports {e.target}{over}."
    return f"Parts support {e.target}{over}, and as much speaks against it."


def apart(p: Prediction, answers: Mapping[str, Prediction], taxonomy: Taxonomy) -> list[str]:
    """The answers of other category heads that the label which a head would give alone does not
    go together with; none where it decided alone."""
    if p.raw_label == p.label or p.attribute not in CATEGORY_PATH:
        return []
    level = CATEGORY_PATH.index(p.attribute)
    paths = [t for t in taxonomy.triples if t[level] == p.raw_label]
    others = [(n, answers[a].label) for n, a in enumerate(CATEGORY_PATH) if n != level]
    return [label for n, label in others if not any(path[n] == label for path in paths)]
