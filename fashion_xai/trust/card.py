"""What a trust card says: how faithful a bundle's maps are, wherever a map is shown.

:mod:`fashion_xai.trust.benchmark` makes the card; here it is put into words and tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CONTROLS = {
    "random": "random cells",
    "centre": "a blob in the centre",
    "edges": "plain contours",
    "softened": "a blurred map",
    "other heads": "other heads' maps",
}
"""Control → how a sentence calls it."""

MEASURES = {"deletion": -1, "insertion": 1, "road": 1, "mufidelity": 1, "pointing": 1}
"""Measure → 1 where more is better, −1 where less is."""

JUDGED = ("deletion", "insertion", "road")
"""The measures that a summary rests on."""

ARRANGEMENTS = ("centred", "placed")

FURTHER = {
    "overlap": "common to both labels' top 5 %",
    "drop": "relative drop",
    "arcc": "ARCC",
}
"""Measure of :mod:`fashion_xai.trust.further` → its heading."""

HIDING = {"most": "the most important fifth", "least": "the least important fifth"}
"""Which part is hidden, by its key in a card."""

FAIR = 3
"""Controls that a map has to beat, of :data:`CONTROLS`, to be called fair."""


def beaten(card: Mapping[str, Any], head: str, method: str) -> dict[str, int]:
    """Arrangement → how many of :data:`CONTROLS` a head's map by a method beats: by deletion,
    insertion and ROAD, each with an interval apart from zero. Empty where not measured."""
    found = {}
    for arrangement in ARRANGEMENTS:
        advantages = _advantages(card, arrangement, head, method)
        if advantages is not None:
            found[arrangement] = sum(_beats(advantages[c]) for c in CONTROLS)
    return found


def badge(card: Mapping[str, Any], head: str, method: str) -> str:
    """The :func:`grade` of a head's map by a method in few words; '' where not measured."""
    found = grade(card, head, method)
    if found is None:
        return ""
    return (
        f"How reliable is this map? {found.word}: it beat {found.beaten} of {len(CONTROLS)} "
        "simple tests"
    )


def elsewhere(card: Mapping[str, Any], head: str, method: str) -> list[str]:
    """A sentence on each other catalogue, whose photos were measured as they are."""
    sentences = []
    for name, other in card.get("also", {}).items():
        if (found := grade(other, head, method, "centred")) is not None:
            sentences.append(
                f"On {photos(other, head)} photos of {name} ({other['split']} split), as they are: "
                f"{found.word}, beat {found.beaten} of {len(CONTROLS)}."
            )
    return sentences


class Grade(NamedTuple):
    """How far a head's maps by a method can be relied on, for someone who reads no figures."""

    word: str
    """ "Good" where all five controls are beaten, products placed anywhere; "Fair" for three or
    four; else "Weak"."""
    beaten: int
    middle: str
    """Whether it marks the right place better than a blob in the centre: "yes", "no", or "not
    proven" where the interval includes zero."""


def grade(
    card: Mapping[str, Any], head: str, method: str, arrangement: str = "placed"
) -> Grade | None:
    """The grade of a head's map by a method; None where it was not measured."""
    advantages = _advantages(card, arrangement, head, method)
    found = beaten(card, head, method).get(arrangement)
    if advantages is None or found is None:
        return None
    word = "Good" if found == len(CONTROLS) else "Fair" if found >= FAIR else "Weak"
    centre = advantages["centre"]
    middle = "yes" if _beats(centre) else "no" if _loses(centre) else "not proven"
    return Grade(word, found, middle)


def summary(card: Mapping[str, Any], head: str, method: str) -> str:
    """One sentence on a head's map by a method, from a card's figures; '' where not measured."""
    parts = []
    for arrangement, what in (("placed", "placed anywhere"), ("centred", "in the centre")):
        advantages = _advantages(card, arrangement, head, method)
        if advantages is None:
            continue
        behind = [c for c in CONTROLS if not _beats(advantages[c])]
        worse = [c for c in behind if _loses(advantages[c])]
        if not behind:
            parts.append(f"{what}: better than every map that knows nothing of the answer")
        elif not worse:
            parts.append(f"{what}: no better than {_words(behind)}")
        else:
            parts.append(f"{what}: worse than {_words(worse)}")
    return "Faithful? Product " + "; ".join(parts) + "." if parts else ""


PLAIN = {
    "deletion": "hide the marked part",
    "insertion": "show only it",
    "road": "marked against unmarked",
    "centred": "as photographed",
    "placed": "placed anywhere",
}
"""A measure or arrangement → what it is called where nobody knows the field's term."""

MEANINGS = {
    "deletion": "the answer's probability while what the map marks turns white, averaged: less is "
    "better",
    "insertion": "the same while it comes back into a blurred photo: more is better",
    "road": "what hiding the map's most important parts costs beyond hiding its least important "
    "ones: more is better",
}
"""What each of :data:`JUDGED` measures, for someone who has never heard of it."""


def photos(card: Mapping[str, Any], head: str) -> int:
    """On how many photos a head was measured; 0 where it was not."""
    every = card.get("photos", 0)  # cards made before heads could be measured one by one
    figures = card.get("figures", {}).values()
    return max((heads[head].get("photos", every) for heads in figures if head in heads), default=0)


def compared(
    card: Mapping[str, Any], head: str, method: str
) -> dict[str, dict[str, dict[str, float]]]:
    """The figures behind a summary.

    Returns:
        Arrangement → the method, then each control in its words → measure of :data:`JUDGED` →
        mean over the photos; empty where not measured.
    """
    found = {}
    for arrangement in ARRANGEMENTS:
        maps = card.get("figures", {}).get(arrangement, {}).get(head, {}).get("maps", {})
        if method in maps:
            rows = {"this map": maps[method], **{CONTROLS[c]: maps[c] for c in CONTROLS}}
            found[arrangement] = {
                name: {m: columns[m]["mean"] for m in JUDGED} for name, columns in rows.items()
            }
    return found


def _advantages(
    card: Mapping[str, Any], arrangement: str, head: str, method: str
) -> Mapping[str, Any] | None:
    """Control → measure → figures, or None where the card has none."""
    heads = card.get("figures", {}).get(arrangement, {})
    return heads.get(head, {}).get("advantages", {}).get(method)


def _words(names: Sequence[str]) -> str:
    return " or ".join(CONTROLS[name] for name in names)


def markdown(card: Mapping[str, Any]) -> str:
    """The figures as Markdown tables, one per arrangement and head."""
    lines = []
    if "split" in card:
        lines.append(
            f"{card['photos']} photos of {card.get('catalogue', 'the catalogue')}, {card['split']} "
            f"split, seed {card['seed']}; 95 % intervals, bootstrap over photos"
        )
    for arrangement, heads in card["figures"].items():
        for head, figures in heads.items():
            lines += [f"\n{head}, {arrangement} products ({figures['photos']} photos)\n"]
            lines += _header("map", *MEASURES)
            for name, columns in figures["maps"].items():
                title = f"*{name}*" if name in CONTROLS else name
                cells = (_cell(columns.get(m)) for m in MEASURES)
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += _grid_lines(card.get("grid"))
    lines += _heads_lines(card.get("heads"))
    lines += _sanity_lines(card.get("sanity"))
    lines += _further_lines(card.get("further"))
    for other in card.get("also", {}).values():
        lines += ["", markdown(other)]
    return "\n".join(lines)


def _grid_lines(grid: Mapping[str, Any] | None) -> list[str]:
    if not grid or not any(grid["heads"].values()):
        return []
    names = list(next(filter(None, grid["heads"].values())))
    lines = [
        f"\nFour products in one picture ({grid['grids']} pictures): share of a label's evidence "
        f"on its own product; {grid['chance']:.2f} by chance\n",
        *_header("head", *names),
    ]
    for head, found in grid["heads"].items():
        lines.append(f"| {head} | " + " | ".join(_cell(found.get(n)) for n in names) + " |")
    return lines


def _heads_lines(heads: Mapping[str, Any] | None) -> list[str]:
    if heads is None:
        return []
    lines = []
    for place, found in heads["places"].items():
        lines += [
            f"\nShare of the evidence on the {place} ({found['photos']} photos have one; it covers "
            f"{found['area']:.3f} of them)\n",
            *_header(*found["heads"]),
            "| " + " | ".join(_cell(x) for x in found["heads"].values()) + " |",
        ]
    names = sorted({name for pair in heads["overlap"] for name in pair.split()})
    lines += [
        f"\nRank correlation of the heads' maps ({heads['photos']} photos)\n",
        *_header("", *names),
    ]
    for a in names:
        pairs = (heads["overlap"].get(f"{a} {b}", heads["overlap"].get(f"{b} {a}")) for b in names)
        cells = ("–" if value is None else f"{value:.2f}" for value in pairs)
        lines.append(f"| {a} | " + " | ".join(cells) + " |")
    return lines


def _sanity_lines(sanity: Mapping[str, Any] | None) -> list[str]:
    if sanity is None:
        return []
    stages = [
        stage["layers"] for heads in sanity["maps"].values() for stage in next(iter(heads.values()))
    ]
    counts = sorted(set(stages))
    lines = [
        f"\nRank correlation with the trained network's map, weights shuffled from the heads down "
        f"({sanity['photos']} photos; layers shuffled so far)\n",
        *_header("map", *(f"{n} layers" for n in counts)),
    ]
    for name, heads in sanity["maps"].items():
        for head, found in heads.items():
            lines.append(
                f"| {name}, {head} | " + " | ".join(_cell(stage) for stage in found) + " |"
            )
    return lines


def _further_lines(further: Mapping[str, Any] | None) -> list[str]:
    if further is None:
        return []
    lines = []
    for head, maps in further["maps"].items():
        lines += [
            f"\n{head}: first against second label ({further['photos']} photos)\n",
            *_header("map", *FURTHER.values()),
        ]
        for name, figures in maps.items():
            lines.append(f"| {name} | " + " | ".join(_cell(figures.get(m)) for m in FURTHER) + " |")
    for head, operators in further["operators"].items():
        names = [f"{n}, {HIDING[k]}" for n in next(iter(operators.values())) for k in HIDING]
        lines += [
            f"\n{head}: probability lost while a fifth of the photo is hidden\n",
            *_header("hidden by", *names),
        ]
        for operator, maps in operators.items():
            cells = (_cell(figures[k]) for figures in maps.values() for k in HIDING)
            lines.append(f"| {operator} | " + " | ".join(cells) + " |")
    return lines


def _header(*names: str) -> list[str]:
    """A Markdown table's first two lines."""
    cells = (f" {name} " if name else " " for name in names)
    return [f"|{'|'.join(cells)}|", "|---" * len(names) + "|"]


def _beats(advantage: Mapping[str, Mapping[str, float]]) -> bool:
    return all(advantage[m]["low"] > 0 for m in JUDGED)


def _loses(advantage: Mapping[str, Mapping[str, float]]) -> bool:
    return any(advantage[m]["high"] < 0 for m in JUDGED)


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return "–"
    return f"{figure['mean']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"
