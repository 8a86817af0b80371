"""The explain tab: a photo, six answers, what each rests on, and what if a part were hidden."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import matplotlib
import numpy as np

from demo.serving import closer, request_log
from demo.serving.analyses import Analyses
from demo.serving.queue_full import QueueFull
from demo.serving.result_store import PAGE, Results
from demo.tabs.inputs import EXAMPLES, choice_input, photo_input
from demo.views import cards, similar, turned, whatif, words
from demo.views.lists import CORNERS
from demo.views.render import render
from fashion_xai import ImageError
from fashion_xai.maps import methods
from fashion_xai.maps.methods import METHODS
from fashion_xai.viz import html, overlay

DEMO = Path(__file__).resolve().parents[1]
OPACITY = 70
FAINT = 0.4
"""Of the opacity, for a map that is shown faintly."""
RIVALS = "(all others)"
INTRO = "# What is it – and what tells you so?"
INVITATION = "Take or drop a photo of one item: clothes, shoes or an accessory."
READING = """Bright parts speak most for the answer, clear parts do not. Point at a map, tap it or
press Enter on it to see the photo without it. Compared with another answer, orange speaks for the
first and purple for the other. A map tells where the network's score comes from, not what caused
it; the numbers under *Details* are in logits, the unit of those scores."""

SCRIPTS = (
    "cards.js",
    "paint.js",
    "photo.js",
    "part.js",
    "reload.js",
    "names.js",
    "audit.js",
    "address.js",
    "atlas.js",
)
BOARD = (
    '<canvas id="paint" hidden role="img" aria-label="the photo, to paint over with mouse or '
    'finger; without them, hide what a head looked at"></canvas>'
)

LEGEND = '<p class="legend" aria-hidden="true">speaks little <i></i> speaks most for the answer</p>'

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
        f"const OPACITY = {OPACITY / 100}, FAINT = {FAINT}, MASK = {whatif.MASK}, "
        f"OUTLINED = {overlay.OUTLINED}, WIDTH = {overlay.WIDTH}, "
        f"CORNERS = {CORNERS}, COLOURS = {json.dumps(colours)};"
    )
    return f"<script>{settings}\n{code}</script>"


def build(analyses: Analyses, results: Results, shelf: similar.Shelf) -> None:
    """Add a photo, its six cards and the endpoints ``/predict`` and ``/explain`` to the page.

    Args:
        analyses: photos and their forward passes.
        results: where what is saved is kept.
        shelf: photos of similar products.
    """
    answers = Answers(analyses, results, shelf)
    gr.Markdown(INTRO, elem_id="intro")
    with gr.Row(elem_id="stage"):
        with gr.Column(scale=2, min_width=260, elem_id="photo-side"):
            photo = _photo_side()
        with gr.Column(scale=5, elem_id="answers"):
            shown = _cards_side(answers.attributes)
    _connect(photo, shown, answers)
    _offer(photo.photo, answers)


class Answers:
    """What the tab answers to a photo, a choice or a click.

    Args:
        analyses: photos and their forward passes.
        results: where what is saved is kept.
        shelf: photos of similar products.
    """

    def __init__(self, analyses: Analyses, results: Results, shelf: similar.Shelf):
        self.analyses, self.results, self.shelf = analyses, results, shelf
        self.classifier = analyses.batcher.classifier
        self.attributes = words.in_order(self.classifier.attributes)

    def look(self, path, method):
        """A new photo: message, photo, six cards, the drop-downs, outcome, link, the button,
        similar products."""
        blank = [cards.empty_card(a) for a in self.attributes]
        closed = [gr.Dropdown(choices=[], value=None, interactive=False)] * 2 * len(blank)
        nothing = ["", *blank, *closed, "", "", gr.Button(interactive=False), ""]
        if path is None:
            return [cards.note(INVITATION), *nothing]
        try:
            analysis = self.analyses.of(path, "look")
            maps = self._maps(analysis, method)
            turn = turned.better(self.classifier, analysis, self.analyses.batcher.submit)
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *nothing]
        options = cards.choices(maps).values()
        about = METHODS[method].about_the_label
        opened = [gr.Dropdown(choices=o, value=o[0][1], interactive=about) for o in options]
        opened += [
            gr.Dropdown(choices=[RIVALS, *o], value=RIVALS, interactive=about) for o in options
        ]
        shown = cards.shown_photo(analysis)
        message = cards.headline(self.classifier, analysis, maps, turn)
        drawn = cards.six(self.classifier, analysis, maps)
        near = similar.strip(self.classifier.similar(analysis.forward_pass), self.shelf)
        return [message, shown, *drawn, *opened, "", "", gr.Button(interactive=True), near]

    def redraw(self, path, method, *labels):
        """Other labels' or another method's maps, from the same forward pass; a message, and no
        link any more: what it leads to is not what is shown now."""
        if path is None:
            blank = [cards.empty_card(a) for a in self.attributes]
            return [cards.note(INVITATION), *blank, ""]
        try:
            analysis = self.analyses.of(path, "look again")
            maps = self._maps(analysis, method, labels)
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *[gr.skip()] * (len(self.attributes) + 1)]
        message = cards.headline(self.classifier, analysis, maps)
        return [message, *cards.six(self.classifier, analysis, maps), ""]

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

    def closer(self, attribute, path, target, rival):
        """How far the careful map of one answer is; in the end what was asked, and its card."""
        bar = "closer"
        try:
            analysis = self.analyses.of(path, "look again")
            against = None if rival in (None, RIVALS) else rival
            with request_log.request("look closer") as line:
                steps = closer.look(
                    self.analyses.batcher, analysis.forward_pass, attribute, target, against
                )
                for step in steps:
                    line.facts["done"] = step if isinstance(step, float) else 1.0
                    if isinstance(step, float):
                        yield render(bar, share=step), None
                    else:
                        shown = cards.looked_closer(self.classifier, analysis, step)
                        yield "", (path, target, rival, shown)
        except UNUSABLE as error:
            yield cards.message(_sentence(error)), None

    def show_closer(self, path, target, rival, found):
        """The card of a careful map, unless something else was chosen meanwhile; what is prepared
        for download is not what is shown any more."""
        if found is None or found[:3] != (path, target, rival):
            return gr.skip(), gr.skip()
        return found[3], ""

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

    def menus(self, method):
        """Whether another answer can be chosen: not for a map that knows none."""
        about = METHODS[cards.closed_form(method)].about_the_label
        return [gr.Dropdown(interactive=about)] * 2 * len(self.attributes)

    def _maps(self, analysis, method, labels=()):
        """In the page's order. ``labels``: the label shown of each head, then its rival of each."""
        n = len(self.attributes)
        shown, against = {}, {}
        if labels and METHODS[cards.closed_form(method)].about_the_label:
            rivals = [None if x in (None, RIVALS) else x for x in labels[n:]]
            shown = dict(zip(self.attributes, labels[:n], strict=True))
            against = dict(zip(self.attributes, rivals, strict=True))
        if same := [a for a, label in shown.items() if label and label == against[a]]:
            raise ValueError(f"{words.title(same[0])}: choose two different answers to compare.")
        maps = cards.explain(self.classifier, analysis, method, shown, against)
        return {a: maps[a] for a in self.attributes}

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
    closer: list[gr.Button]
    progress: list[gr.HTML]
    make: gr.Button
    link: gr.HTML
    hide_it: gr.Button
    unpaint: gr.Button
    head: gr.Dropdown
    hide_seen: gr.Button
    outcome: gr.HTML
    near: gr.HTML


def _photo_side() -> _Photo:
    photo = photo_input(
        label="Photo", sources=["upload", "clipboard", "webcam"], height=360, elem_id="photo"
    )
    message = gr.HTML(cards.note(INVITATION), elem_id="message", padding=False)
    gr.HTML(render("part"), elem_id="part", padding=False)
    shown = gr.HTML(elem_id="shown-photo", padding=False)
    with gr.Column(elem_id="controls"):  # on a phone below the answers
        gr.Examples(
            EXAMPLES,
            photo,
            label="Drawn examples",
            cache_examples=False,
            api_visibility="private",
        )
        with gr.Accordion("How to read a map", open=False):
            gr.Markdown(READING)
        with gr.Accordion("Map settings", open=False, elem_id="settings"):
            opacity = gr.Slider(
                0, 100, OPACITY, step=1, label="Strength of the heatmap (%)", elem_id="opacity"
            )
            scale = gr.Radio(
                [("per picture", "own"), ("comparable", "shared")],
                value="own",
                label="Brightness",
                elem_id="scale",
            )
            method = gr.Radio(
                [(_style(name), name) for name in methods.CLOSED],
                value=methods.DEFAULT,
                label="Map style",
                elem_id="method",
            )
    return _Photo(photo, message, shown, opacity, scale, method)


def _legend() -> list[str]:
    """The colours of a map from little to much, for CSS."""
    table = matplotlib.colormaps[overlay.COLOURS](np.linspace(0, 1, 7))[:, :3]
    return [f"rgb({r} {g} {b})" for r, g, b in (255 * table).round().astype(int).tolist()]


def _style(name: str) -> str:
    title = METHODS[name].title
    return f"{title} (recommended)" if name == methods.DEFAULT else title


def _cards_side(attributes: Sequence[str]) -> _Cards:
    places, menus, rivals, nearer, bars = [], [], [], [], []
    gr.HTML(render("legend", colours=_legend()), padding=False, elem_id="legend")
    for first in range(0, len(attributes), 3):
        with gr.Row(elem_classes="answers"):
            for attribute in attributes[first : first + 3]:
                with gr.Column(min_width=210, elem_classes="slot"):
                    places.append(gr.HTML(cards.empty_card(attribute), padding=False))
                    with gr.Group(elem_classes="compare"):
                        title = words.title(attribute)
                        menus.append(choice_input(label=f"{title}: explain", interactive=False))
                        rivals.append(
                            choice_input(
                                label=f"{title}: compare with another answer", interactive=False
                            )
                        )
                        nearer.append(
                            gr.Button(f"{title}: look closer", size="sm", elem_classes="closer")
                        )
                        bars.append(gr.HTML(padding=False))
    with gr.Row():
        make = gr.Button("Prepare downloads and link", interactive=False, elem_id="save")
        link = gr.HTML(elem_id="link", padding=False)
    near = gr.HTML(elem_id="similar", padding=False)
    with gr.Accordion("What if a part were hidden?", open=False):
        gr.Markdown(
            "Paint over a part of the photo, or blur the fifth that decided an answer: the "
            "questions are asked again."
        )
        with gr.Row():
            gr.HTML(BOARD, elem_id="editor")
            with gr.Column():
                hide_it = gr.Button("Hide what I painted", elem_id="hide-painted")
                unpaint = gr.Button("Start painting anew", elem_id="unpaint")
                head = gr.Dropdown(
                    [(words.title(a), a) for a in attributes], value=attributes[0], label="Answer"
                )
                hide_seen = gr.Button("Blur what decided this answer", elem_id="hide-seen")
                outcome = gr.HTML(elem_id="outcome", padding=False)
    labels = [*menus, *rivals]
    return _Cards(
        places, labels, nearer, bars, make, link, hide_it, unpaint, head, hide_seen, outcome, near
    )


def _connect(left: _Photo, right: _Cards, answers: Answers) -> None:
    """Which choice calls for which answer."""
    left.photo.change(
        answers.look,
        [left.photo, left.method],
        [
            *(left.message, left.shown, *right.places, *right.labels),
            *(right.outcome, right.link, right.make, right.near),
        ],
        show_progress="minimal",
        show_progress_on=left.message,  # on two dozen places it costs .2 s
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
        [left.message, *right.places, right.link],
        show_progress="hidden",
        trigger_mode="always_last",
        **PRIVATE,
    )
    left.method.input(  # type: ignore[attr-defined]
        answers.menus, left.method, right.labels, show_progress="hidden", **PRIVATE
    )
    _connect_closer(left, right, answers)
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


def _connect_closer(left: _Photo, right: _Cards, answers: Answers) -> None:
    """Each answer's button for a careful map, which ends when something else is asked for."""
    n, begun = len(answers.attributes), []
    menus = zip(right.labels[:n], right.labels[n:], strict=True)
    for attribute, button, chosen, bar, place in zip(
        answers.attributes, right.closer, menus, right.progress, right.places, strict=True
    ):
        asked, found = [left.photo, *chosen], gr.State()
        work = button.click(
            partial(answers.closer, attribute),
            asked,
            [bar, found],
            show_progress="hidden",
            concurrency_limit=2,
            concurrency_id="closer",
            **PRIVATE,
        )
        work.success(
            answers.show_closer,
            [*asked, found],
            [place, right.link],
            show_progress="hidden",
            queue=False,
            **PRIVATE,
        )
        begun.append(work)
    bars: dict[str, Any] = {"show_progress": "hidden", "queue": False, **PRIVATE}
    others = [left.photo.change, left.method.input, *(menu.input for menu in right.labels)]  # type: ignore[attr-defined]
    empty = [""] * n
    stopped = gr.on(others, lambda: empty, None, right.progress, cancels=begun, **bars)
    stopped.then(lambda: empty, None, right.progress, **bars)  # also what was on its way


def _offer(photo: gr.Image, answers: Answers) -> None:
    """The endpoints for programs."""
    named, found = gr.Textbox(methods.DEFAULT, visible=False), gr.JSON(visible=False)
    gr.Button(visible=False).click(
        answers.explain, [photo, named], found, api_name="explain", **NETWORK
    )
    gr.Button(visible=False).click(answers.predict, photo, found, api_name="predict", **NETWORK)
