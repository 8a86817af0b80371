"""The explain tab: a photo, six answers, what each rests on, and what if a part were hidden."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import matplotlib
import numpy as np

from demo.serving import request_log
from demo.serving.analyses import Analyses
from demo.serving.queue_full import QueueFull
from demo.serving.result_store import PAGE, Results
from demo.tabs.inputs import choice_input, photo_input
from demo.views import cards, whatif
from demo.views.render import render
from fashion_xai import ImageError
from fashion_xai.maps import methods
from fashion_xai.viz import html, overlay

DEMO = Path(__file__).resolve().parents[1]
OPACITY = 70
RIVALS = "(all others)"
INTRO = """# What is it – and what tells you so?
Drop a photo of a garment, a shoe or an accessory. Six answers, each with a **heatmap** of the
cells of the photo that speak for it. A map tells where the network's score comes from, not what
caused it."""
READING = """**Reading a map.** Bright: these cells speak most for the label rather than its rivals.
Clear: they do not. With "rather than" one label, orange speaks for the first, purple for the other.
The evidence is counted in logits, the unit of the network's scores. Hover over a map, tap it or
press Enter on it to see the photo without it."""

SCRIPTS = ("cards.js", "paint.js")
BOARD = (
    '<canvas id="paint" hidden role="img" aria-label="the photo, to paint over with mouse or '
    'finger; without them, hide what a head looked at"></canvas>'
)

UNUSABLE = (ImageError, QueueFull, KeyError, ValueError)
"""What a photo, or a choice that is none, raises: all with a sentence for the visitor."""


NETWORK: dict[str, Any] = {"concurrency_limit": 32, "concurrency_id": "network"}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def _sentence(error: Exception) -> str:
    """An error's words; ``str`` of a KeyError would quote them."""
    return str(error.args[0]) if isinstance(error, KeyError) else str(error)


def script() -> str:
    """The page's own JavaScript, with the colour maps that the library uses, for ``<head>``."""
    tables = {"plain": overlay.COLOURS, "signed": overlay.SIGNED_COLOURS}
    colours = {
        name: base64.b64encode(
            (matplotlib.colormaps[table](np.arange(256))[:, :3] * 255)
            .round()
            .astype(np.uint8)
            .tobytes()
        ).decode()
        for name, table in tables.items()
    }
    code = "\n".join((DEMO / "static" / name).read_text(encoding="utf-8") for name in SCRIPTS)
    settings = (
        f"const OPACITY = {OPACITY / 100}, MASK = {whatif.MASK}, COLOURS = {json.dumps(colours)};"
    )
    return f"<script>{settings}\n{code}</script>"


def build(analyses: Analyses, results: Results) -> None:
    """Add a photo, its six cards and the endpoints ``/predict`` and ``/explain`` to the page.

    Args:
        analyses: photos and their forward passes.
        results: where what is saved is kept.
    """
    answers = Answers(analyses, results)
    gr.Markdown(INTRO)
    with gr.Row(elem_id="stage"):
        with gr.Column(scale=1, min_width=260, elem_id="photo-side"):
            photo = _photo_side()
        with gr.Column(scale=3):
            shown = _cards_side(answers.attributes)
    _connect(photo, shown, answers)
    _offer(photo.photo, answers)


class Answers:
    """What the tab answers to a photo, a choice or a click.

    Args:
        analyses: photos and their forward passes.
        results: where what is saved is kept.
    """

    def __init__(self, analyses: Analyses, results: Results):
        self.analyses, self.results = analyses, results
        self.classifier = analyses.batcher.classifier
        self.attributes = self.classifier.attributes

    def look(self, path, method):
        """A new photo: message, photo, six cards, the drop-downs, outcome, the button."""
        blank = [cards.empty_card(a) for a in self.attributes]
        closed = [gr.Dropdown(choices=[], value=None, interactive=False)] * 2 * len(blank)
        nothing = ["", *blank, *closed, "", gr.Button(interactive=False)]
        if path is None:
            return ["", *nothing]
        try:
            analysis = self.analyses.of(path, "look")
            maps = cards.explain(self.classifier, analysis, method)
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *nothing]
        options = cards.choices(maps).values()
        opened = [gr.Dropdown(choices=o, value=o[0][1], interactive=True) for o in options]
        opened += [
            gr.Dropdown(choices=[RIVALS, *o], value=RIVALS, interactive=True) for o in options
        ]
        shown = cards.shown_photo(analysis)
        message = cards.doubt(self.classifier, analysis)
        return [message, shown, *self._cards(maps), *opened, "", gr.Button(interactive=True)]

    def redraw(self, path, method, *labels):
        """Other labels' or another method's maps, from the same forward pass; and a message."""
        if path is None:
            return ["", *(cards.empty_card(a) for a in self.attributes)]
        try:
            analysis = self.analyses.of(path, "look again")
            maps = self._maps(analysis, method, labels)
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *[gr.skip()] * len(self.attributes)]
        return [cards.doubt(self.classifier, analysis), *self._cards(maps)]

    def save(self, path, method, *labels):
        """Links to the contact sheet, to the JSON of what is shown, and to a page with both."""
        try:
            analysis = self.analyses.of(path, "save")
            maps = self._maps(analysis, method, labels)
        except UNUSABLE as error:
            return cards.message(_sentence(error))
        sheet, text = cards.sheet_and_json(self.classifier, analysis, maps)
        page = cards.result_page(self.classifier, analysis, list(maps.values()))
        name = self.results.keep({PAGE: page, "maps.png": sheet, "answers.json": text})
        return render("saved", name=name)

    def hide_painted(self, path, strokes):
        """What if the painted part were hidden: the answers before and after."""
        try:
            analysis = self.analyses.of(path, "look again")
            mask = whatif.painted(strokes, analysis.photo.shape[:2])
        except UNUSABLE as error:
            return cards.message(_sentence(error))
        if mask is None:
            return cards.message("Paint over a part of the photo first.")
        return self._hide(analysis, mask)

    def hide_looked_at(self, path, attribute):
        """The same with the fifth of the photo that a head looked at most."""
        try:
            analysis = self.analyses.of(path, "look again")
            return self._hide(analysis, whatif.looked_at(self.classifier, analysis, attribute))
        except UNUSABLE as error:
            return cards.message(_sentence(error))

    def predict(self, photo):
        """Six attributes of one photo: label, probability and the three best labels of each."""
        try:
            return cards.answer(self.classifier, self.analyses.of(photo, "predict").forward_pass)
        except (ImageError, QueueFull) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def explain(self, photo, method):
        """The answers of /predict, and the raw map of each by a method of the forward pass."""
        try:
            chosen = cards.closed_form(method)
            analysis = self.analyses.of(photo, "explain")
        except (ImageError, QueueFull, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        maps = cards.explain(self.classifier, analysis, chosen)
        return cards.answer(self.classifier, analysis.forward_pass, maps)

    def _cards(self, maps):
        return [cards.card(self.classifier, e) for e in maps.values()]

    def _maps(self, analysis, method, labels):
        """``labels``: the label shown of each head, then its rival of each."""
        n = len(self.attributes)
        rivals = [None if x in (None, RIVALS) else x for x in labels[n:]]
        shown = dict(zip(self.attributes, labels[:n], strict=True))
        against = dict(zip(self.attributes, rivals, strict=True))
        return cards.explain(self.classifier, analysis, method, shown, against)

    def _hide(self, analysis, mask):
        changed = whatif.hide(analysis.photo, mask)
        try:
            with request_log.request("what if"):
                read = self.analyses.batcher.read
                table = whatif.compare(self.classifier, analysis.forward_pass, read, changed)
        except QueueFull as error:
            return cards.message(str(error))
        return render("hidden", uri=html.data_uri(changed), table=table)


class _Photo(NamedTuple):
    """What is left of the cards, or above them on a phone."""

    photo: gr.Image
    message: gr.HTML
    shown: gr.HTML
    opacity: gr.Slider
    scale: gr.Radio
    method: gr.Radio


class _Cards(NamedTuple):
    """The cards and what is below them."""

    places: list[gr.HTML]
    labels: list[gr.Dropdown]
    make: gr.Button
    link: gr.HTML
    hide_it: gr.Button
    unpaint: gr.Button
    head: gr.Dropdown
    hide_seen: gr.Button
    outcome: gr.HTML


def _photo_side() -> _Photo:
    photo = photo_input(
        label="Photo", sources=["upload", "clipboard", "webcam"], height=300, elem_id="photo"
    )
    message = gr.HTML(elem_id="message", padding=False)
    shown = gr.HTML(elem_id="shown-photo", padding=False)
    gr.Examples(
        sorted(str(p) for p in (DEMO / "examples").glob("*.png")),
        photo,
        label="Drawn examples",
        cache_examples=False,
        api_visibility="private",
    )
    with gr.Column(elem_id="controls"):  # on a phone below the answers
        opacity = gr.Slider(0, 100, OPACITY, step=1, label="Heatmap opacity (%)", elem_id="opacity")
        scale = gr.Radio(
            [("each map its own", "own"), ("one for all maps", "shared")],
            value="own",
            label="Scale",
            elem_id="scale",
        )
        method = gr.Radio(
            [(methods.METHODS[name].title, name) for name in methods.CLOSED],
            value=methods.DEFAULT,
            label="Map",
            elem_id="method",
        )
        gr.Markdown(READING)
    return _Photo(photo, message, shown, opacity, scale, method)


def _cards_side(attributes: Sequence[str]) -> _Cards:
    places, menus, rivals = [], [], []
    for first in range(0, len(attributes), 3):
        with gr.Row():
            for attribute in attributes[first : first + 3]:
                with gr.Column(min_width=210):
                    places.append(gr.HTML(cards.empty_card(attribute)))
                    with gr.Accordion(f"{attribute}: why not another?", open=False):
                        menus.append(
                            choice_input(label=f"explain {attribute} as", interactive=False)
                        )
                        rivals.append(
                            choice_input(label=f"{attribute}: rather than", interactive=False)
                        )
    with gr.Row():
        make = gr.Button("Save what is shown", interactive=False, elem_id="save")
        link = gr.HTML(elem_id="link", padding=False)
    with gr.Accordion("What if a part were hidden?", open=False):
        gr.Markdown(
            "Paint over a part of the photo, or hide the fifth that a head looked at most: "
            "the six answers are asked for again."
        )
        with gr.Row():
            gr.HTML(BOARD, elem_id="editor")
            with gr.Column():
                hide_it = gr.Button("Hide what I painted", elem_id="hide-painted")
                unpaint = gr.Button("Start painting anew", elem_id="unpaint")
                head = gr.Dropdown(
                    list(attributes), value=attributes[0], label="or what this looked at"
                )
                hide_seen = gr.Button("Hide what this head looked at", elem_id="hide-seen")
                outcome = gr.HTML(elem_id="outcome", padding=False)
    labels = [*menus, *rivals]
    return _Cards(places, labels, make, link, hide_it, unpaint, head, hide_seen, outcome)


def _connect(left: _Photo, right: _Cards, answers: Answers) -> None:
    """Which choice calls for which answer."""
    left.photo.change(
        answers.look,
        [left.photo, left.method],
        [left.message, left.shown, *right.places, *right.labels, right.outcome, right.make],
        show_progress="minimal",
        **PRIVATE,
        **NETWORK,
    )
    choices = [c.input for c in (left.method, *right.labels)]  # type: ignore[attr-defined]
    shown = [left.photo, left.method, *right.labels]
    # By default a choice made while the one before is still on its way would be dropped.
    gr.on(
        choices,
        answers.redraw,
        shown,
        [left.message, *right.places],
        show_progress="hidden",
        trigger_mode="always_last",
        **PRIVATE,
    )
    right.make.click(answers.save, shown, right.link, **PRIVATE)
    strokes = gr.Textbox(visible=False)
    right.hide_it.click(
        answers.hide_painted,
        [left.photo, strokes],
        right.outcome,
        js="(photo, strokes) => [photo, window.fashion.painted()]",
        **PRIVATE,
        **NETWORK,
    )
    right.hide_seen.click(
        answers.hide_looked_at, [left.photo, right.head], right.outcome, **PRIVATE, **NETWORK
    )
    right.unpaint.click(None, None, None, js="() => window.fashion.unpaint()", **PRIVATE)
    for control, name in ((left.opacity, "opacity"), (left.scale, "shared")):
        control.input(  # type: ignore[attr-defined]
            None, control, None, js=f"(value) => window.fashion.{name}(value)", **PRIVATE
        )


def _offer(photo: gr.Image, answers: Answers) -> None:
    """The endpoints for programs."""
    named, found = gr.Textbox(methods.DEFAULT, visible=False), gr.JSON(visible=False)
    gr.Button(visible=False).click(
        answers.explain, [photo, named], found, api_name="explain", **NETWORK
    )
    gr.Button(visible=False).click(answers.predict, photo, found, api_name="predict", **NETWORK)
