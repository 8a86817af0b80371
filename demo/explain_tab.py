"""The explain tab: a photo, six answers, and what each rests on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import gradio as gr

from demo import handlers, log
from demo.crowd import MOST, Busy, Crowd
from fashion_xai import ImageError, methods

HERE = Path(__file__).resolve().parent
OPACITY = 70
INTRO = """# What is it – and what tells you so?
Drop a photo of a garment, a shoe or an accessory. Six answers, each with a **heatmap** of the
cells of the photo that speak for it. A map tells where the network's score comes from, not what
caused it."""
READING = """**Reading a map.** Bright: these cells speak most for the label rather than its rivals.
Clear: they do not. Each map has its own scale, so compare the numbers below the photos, not the
brightness of two maps. The evidence is counted in logits, the unit of the network's scores."""

CSS = """
.card {border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 10px 12px;
  background: var(--background-fill-primary);}
.card h3 {margin: 0 0 6px; font-size: .95rem; color: var(--body-text-color-subdued);}
.card .stack {position: relative; background: #fff; border-radius: 6px; overflow: hidden;
  display: flex; justify-content: center; height: 260px;}
.card .stack.none {background: var(--background-fill-secondary);}
.card .stack img {height: 100%; width: 100%; object-fit: contain; margin: 0;}
.card .stack .heat {position: absolute; inset: 0; opacity: var(--heat, .7);}
.card .stack:hover .heat {opacity: 0;}
.card .label, .card li {display: flex; justify-content: space-between; gap: 8px;}
.card .label {font-size: 1.15rem; margin: 8px 0 2px;}
.card .bar {height: 4px; border-radius: 2px; background: var(--border-color-primary);}
.card .bar i {display: block; height: 100%; border-radius: 2px; background: var(--color-accent);}
.card ol {margin: 6px 0; padding: 0; list-style: none; font-size: .9rem;}
.card .evidence {font-size: .85rem; margin: 4px 0 0; color: var(--body-text-color-subdued);}
.card .trust {font-size: .8rem; margin: 4px 0 0; color: var(--body-text-color-subdued);
  border-left: 3px solid var(--color-accent); padding-left: 8px;}
.card .trust.none {border-color: var(--border-color-primary);}
.message {padding: 10px 14px; border-radius: 8px; background: #fdecea; color: #7a1c12;
  font-weight: 600;}
"""
SLIDE = "(value) => document.documentElement.style.setProperty('--heat', value / 100)"


def photo_input(**options) -> gr.Image:
    """An image input that hands over the file as it came.

    ``gr.Image`` decodes before our function runs: for a file it cannot read the visitor would
    get its technical error and never our sentence. (Replaced on the instance: for a subclass
    Gradio would write a stub file beside this one.)
    """
    photo = gr.Image(type="filepath", **options)
    photo.preprocess = lambda payload: None if payload is None else payload.path  # type: ignore[method-assign]
    return photo


def build(crowd: Crowd) -> None:
    """Add a photo, its six cards and the endpoint ``/predict`` to the page."""
    classifier = crowd.classifier
    attributes = classifier.attributes

    def read(path, what):
        """A file's photo and its forward pass. Raises ``ImageError`` and ``Busy``."""
        with log.request(what) as line:
            with line.stage("decode"):
                photo = handlers.load(path)
            line.facts["size"] = list(photo.shape[:2])
            with line.stage("network"):
                return photo, crowd.read(photo)

    def look(path, method):
        """A new photo: state, message, six cards, six drop-downs."""
        blank = [handlers.empty_card(a) for a in attributes]
        closed = [gr.Dropdown(choices=[], value=None, interactive=False) for _ in attributes]
        if path is None:
            return [None, "", *blank, *closed]
        try:
            analysis = handlers.analyse(*read(path, "look"))
        except (ImageError, Busy) as error:
            return [None, handlers.message(str(error)), *blank, *closed]
        cards = [handlers.card(classifier, analysis, a, method=method) for a in attributes]
        options = handlers.choices(classifier, analysis).values()
        opened = [gr.Dropdown(choices=o, value=o[0][1], interactive=True) for o in options]
        return [analysis, handlers.doubt(classifier, analysis), *cards, *opened]

    def redraw(attribute, analysis, method, label):
        """Another label's or method's map, from the same forward pass."""
        if analysis is None or label is None:
            return handlers.empty_card(attribute)
        return handlers.card(classifier, analysis, attribute, label, method)

    def redraw_all(analysis, method, *labels):
        return [redraw(a, analysis, method, x) for a, x in zip(attributes, labels, strict=True)]

    def predict(photo):
        """Six attributes of one photo: label, probability and the three best labels of each."""
        try:
            _, reading = read(photo, "predict")
            return handlers.answer(classifier, reading)
        except (ImageError, Busy) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def explain(photo, method):
        """The answers of /predict, and the raw map of each by a method of the forward pass."""
        try:
            _, reading = read(photo, "explain")
            maps = handlers.raw_maps(classifier, reading, method)
            return {**handlers.answer(classifier, reading), "maps": maps}
        except (ImageError, Busy, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    state = gr.State(time_to_live=3600)
    gr.Markdown(INTRO)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            photo = photo_input(
                label="Photo",
                sources=["upload", "clipboard", "webcam"],
                height=300,
                elem_id="photo",
            )
            message = gr.HTML(elem_id="message", padding=False)
            opacity = gr.Slider(
                0, 100, OPACITY, step=1, label="Heatmap opacity (%)", elem_id="opacity"
            )
            method = gr.Radio(
                [(methods.METHODS[name].title, name) for name in methods.CLOSED],
                value=methods.DEFAULT,
                label="Map",
                elem_id="method",
            )
            gr.Examples(
                sorted(str(p) for p in (HERE / "examples").glob("*.png")),
                photo,
                label="Drawn examples",
                cache_examples=False,
                api_visibility="private",
            )
            gr.Markdown(READING)
        with gr.Column(scale=3):
            cards, menus = [], []
            for first in range(0, len(attributes), 3):
                with gr.Row():
                    for attribute in attributes[first : first + 3]:
                        with gr.Column(min_width=210):
                            cards.append(gr.HTML(handlers.empty_card(attribute)))
                            menus.append(
                                gr.Dropdown(label=f"explain {attribute} as", interactive=False)
                            )
    photo.change(
        look,
        [photo, method],
        [state, message, *cards, *menus],
        api_visibility="private",
        show_progress="minimal",
        concurrency_limit=2 * MOST,
        concurrency_id="network",
    )
    for attribute, shown, menu in zip(attributes, cards, menus, strict=True):
        menu.input(
            partial(redraw, attribute),
            [state, method, menu],
            shown,
            api_visibility="private",
            show_progress="hidden",
        )
    method.input(
        redraw_all,
        [state, method, *menus],
        cards,
        api_visibility="private",
        show_progress="hidden",
    )
    opacity.input(None, opacity, None, js=SLIDE, api_visibility="private")
    named = gr.Textbox(methods.DEFAULT, visible=False)
    gr.Button(visible=False).click(
        explain,
        [photo, named],
        gr.JSON(visible=False),
        api_name="explain",
        concurrency_limit=2 * MOST,
        concurrency_id="network",
    )
    gr.Button(visible=False).click(
        predict,
        photo,
        gr.JSON(visible=False),
        api_name="predict",
        concurrency_limit=2 * MOST,
        concurrency_id="network",
    )
