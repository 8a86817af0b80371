"""The explain tab: a photo, six answers, what each rests on, and what if a part were hidden."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import gradio as gr
import matplotlib
import numpy as np

from demo.serving import request_log
from demo.serving.analyses import Analyses
from demo.serving.batcher import MAX_BATCH_SIZE
from demo.serving.queue_full import QueueFull
from demo.serving.result_store import PAGE, Results
from demo.tabs.inputs import choice_input, photo_input
from demo.views import cards, whatif
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
    batcher = analyses.batcher
    classifier = batcher.classifier
    attributes = classifier.attributes

    def look(path, method):
        """A new photo: message, photo, six cards, the drop-downs, outcome, the button."""
        blank = [cards.empty_card(a) for a in attributes]
        closed = [gr.Dropdown(choices=[], value=None, interactive=False)] * 2 * len(attributes)
        nothing = ["", *blank, *closed, "", gr.Button(interactive=False)]
        if path is None:
            return ["", *nothing]
        try:
            analysis = analyses.of(path, "look")
            made = [cards.card(classifier, analysis, a, method=method) for a in attributes]
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *nothing]
        options = cards.choices(classifier, analysis).values()
        opened = [gr.Dropdown(choices=o, value=o[0][1], interactive=True) for o in options]
        opened += [
            gr.Dropdown(choices=[RIVALS, *o], value=RIVALS, interactive=True) for o in options
        ]
        shown = cards.shown_photo(analysis)
        message = cards.doubt(classifier, analysis)
        return [message, shown, *made, *opened, "", gr.Button(interactive=True)]

    def wanted(labels):
        """(attribute, target, rival or None) of each card."""
        n = len(attributes)
        rivals = [None if x in (None, RIVALS) else x for x in labels[n:]]
        return zip(attributes, labels[:n], rivals, strict=True)

    def redraw(path, method, *labels):
        """Other labels' or another method's maps, from the same forward pass; and a message."""
        if path is None:
            return ["", *(cards.empty_card(a) for a in attributes)]
        try:
            analysis = analyses.of(path, "look again")
            made = [
                cards.card(classifier, analysis, a, target, method, rival)
                for a, target, rival in wanted(labels)
            ]
        except UNUSABLE as error:
            return [cards.message(_sentence(error)), *[gr.skip()] * len(attributes)]
        return [cards.doubt(classifier, analysis), *made]

    def maps(analysis, method, labels):
        return [
            cards.explain(classifier, analysis, a, target, method, rival)
            for a, target, rival in wanted(labels)
        ]

    def save(path, method, *labels):
        """Links to the contact sheet, to the JSON of what is shown, and to a page with both."""
        try:
            analysis = analyses.of(path, "save")
            shown = maps(analysis, method, labels)
        except UNUSABLE as error:
            return cards.message(_sentence(error))
        sheet, text = cards.sheet_and_json(classifier, analysis, shown)
        page = cards.result_page(classifier, analysis, shown)
        name = results.keep({PAGE: page, "maps.png": sheet, "answers.json": text})
        return (
            f'<a href="/result/{name}/maps.png" download="maps.png">Contact sheet (PNG)</a> · '
            f'<a href="/result/{name}/answers.json" download="answers.json">Answers and maps '
            f'(JSON)</a> · <a href="/result/{name}" target="_blank">Link to this result, for an '
            "hour</a>"
        )

    def hide_painted(path, strokes):
        try:
            analysis = analyses.of(path, "look again")
            mask = whatif.painted(strokes, analysis.photo.shape[:2])
        except UNUSABLE as error:
            return cards.message(_sentence(error))
        if mask is None:
            return cards.message("Paint over a part of the photo first.")
        return hide(analysis, mask)

    def hide_looked_at(path, attribute):
        try:
            analysis = analyses.of(path, "look again")
            return hide(analysis, whatif.looked_at(classifier, analysis, attribute))
        except UNUSABLE as error:
            return cards.message(_sentence(error))

    def hide(analysis, mask):
        changed = whatif.hide(analysis.photo, mask)
        try:
            with request_log.request("what if"):
                table = whatif.compare(classifier, analysis.forward_pass, batcher.read, changed)
        except QueueFull as error:
            return cards.message(str(error))
        picture = f'<img src="{html.data_uri(changed)}" alt="the photo with the part hidden">'
        return f'<div class="shared">{picture}{table}</div>'

    def predict(photo):
        """Six attributes of one photo: label, probability and the three best labels of each."""
        try:
            return cards.answer(classifier, analyses.of(photo, "predict").forward_pass)
        except (ImageError, QueueFull) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def explain(photo, method):
        """The answers of /predict, and the raw map of each by a method of the forward pass."""
        try:
            forward_pass = analyses.of(photo, "explain").forward_pass
            found = cards.raw_maps(classifier, forward_pass, method)
            return {**cards.answer(classifier, forward_pass), "maps": found}
        except (ImageError, QueueFull, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    gr.Markdown(INTRO)
    with gr.Row(elem_id="stage"):
        with gr.Column(scale=1, min_width=260, elem_id="photo-side"):
            photo = photo_input(
                label="Photo",
                sources=["upload", "clipboard", "webcam"],
                height=300,
                elem_id="photo",
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
                opacity = gr.Slider(
                    0, 100, OPACITY, step=1, label="Heatmap opacity (%)", elem_id="opacity"
                )
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
        with gr.Column(scale=3):
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
                                    choice_input(
                                        label=f"{attribute}: rather than", interactive=False
                                    )
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
    strokes = gr.Textbox(visible=False)
    network: dict[str, Any] = {"concurrency_limit": 2 * MAX_BATCH_SIZE, "concurrency_id": "network"}
    private: dict[str, Any] = {"api_visibility": "private"}
    photo.change(
        look,
        [photo, method],
        [message, shown, *places, *labels, outcome, make],
        show_progress="minimal",
        **private,
        **network,
    )
    changes = [c.input for c in (method, *labels)]  # type: ignore[attr-defined]
    # By default a choice made while the one before is still on its way would be dropped.
    gr.on(
        changes,
        redraw,
        [photo, method, *labels],
        [message, *places],
        show_progress="hidden",
        trigger_mode="always_last",
        **private,
    )
    make.click(save, [photo, method, *labels], link, **private)
    hide_it.click(
        hide_painted,
        [photo, strokes],
        outcome,
        js="(photo, strokes) => [photo, window.fashion.painted()]",
        **private,
        **network,
    )
    hide_seen.click(hide_looked_at, [photo, head], outcome, **private, **network)
    unpaint.click(None, None, None, js="() => window.fashion.unpaint()", **private)
    opacity.input(None, opacity, None, js="(value) => window.fashion.opacity(value)", **private)
    scale.input(None, scale, None, js="(value) => window.fashion.shared(value)", **private)
    named = gr.Textbox(methods.DEFAULT, visible=False)
    hidden = gr.JSON(visible=False)
    gr.Button(visible=False).click(explain, [photo, named], hidden, api_name="explain", **network)
    gr.Button(visible=False).click(predict, photo, hidden, api_name="predict", **network)
