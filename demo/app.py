"""The web demo: ``python demo/app.py``. Drop a photo, see six predictions and what they rest on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

import gradio as gr

from demo import audit_tab, handlers, log, service
from demo.crowd import MOST, Busy, Crowd
from fashion_xai import (
    BundleError,
    Catalogue,
    FashionClassifier,
    ImageError,
    images,
    methods,
    verdicts,
)
from fashion_xai.audited import Audit

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


def build(crowd: Crowd, audit: Audit, verdicts_file: Path | None = None) -> gr.Blocks:
    """The page and its one API endpoint, ``/predict``.

    Args:
        crowd: the classifier whose answers are explained, shared by all visitors.
        audit: what the audit tab opens on.
        verdicts_file: where the analyst's verdicts go; None takes none.
    """
    with gr.Blocks(title="fashion_xai", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        with gr.Tab("Explain", id="explain"):
            build_explain(crowd)
        with gr.Tab("Audit", id="audit"):
            audit_tab.build(page, audit, verdicts_file)
    return page


def build_explain(crowd: Crowd) -> None:
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
    gr.Button(visible=False).click(
        predict,
        photo,
        gr.JSON(visible=False),
        api_name="predict",
        concurrency_limit=2 * MOST,
        concurrency_id="network",
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python demo/app.py",
        description="Serve the demo. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT work too.",
    )
    add = parser.add_argument
    add("--host", help="address to listen on (default: 127.0.0.1; 0.0.0.0 for every network)")
    add("--port", type=int, help="port (default: the first free one from 7860)")
    add(
        "--share",
        action="store_true",
        help="also make a public link; it downloads Gradio's tunnel program and needs the network",
    )
    add("--bundle", type=Path, help="folder of a trained bundle (default: the one that ships)")
    add(
        "--data",
        type=Path,
        default=os.environ.get("FASHION_DATA"),
        help="folder or zip of the catalogue, for the photos of the audit (default: $FASHION_DATA)",
    )
    add("--audit", type=Path, help="folder of an audit of your own (default: the one that ships)")
    add("--verdicts", type=Path, help="CSV that keeps the verdicts given in the audit")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 stopped by Ctrl-C, 1 failed, 2 wrong use."""
    args = parse(argv)
    try:
        classifier = FashionClassifier.load(args.bundle)
        catalogue = None if args.data is None else Catalogue(args.data)
        audit = Audit(args.audit, catalogue)
        if args.verdicts is not None:
            verdicts.read(args.verdicts)  # a file of something else is refused before anyone clicks
    except (BundleError, ValueError, OSError) as error:  # CatalogueError is a ValueError
        print(f"error: {error}", file=sys.stderr)
        return 1
    crowd = Crowd(classifier)
    page = build(crowd, audit, args.verdicts)
    log.to_stderr()
    try:
        page.launch(
            server_name=args.host,
            server_port=args.port,
            share=args.share,
            css=CSS + audit_tab.CSS,
            theme=gr.themes.Soft(),
            max_file_size=images.MAX_BYTES,
            state_session_capacity=500,  # a session holds about 1 MB of features and photo
            run_history=False,
            ssr_mode=False,
            footer_links=["api"],
            app_kwargs=service.options(crowd),
            prevent_thread_lock=True,
        )
    except OSError as error:  # the port is taken
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Ready after {time.perf_counter() - STARTED:.1f} s. Ctrl-C stops.", flush=True)
    wait_for_the_end()
    print("Finishing what is in flight; Ctrl-C again stops at once.", flush=True)
    crowd.close()
    page.close(verbose=False)
    return 0


def wait_for_the_end() -> None:
    """Return at the first Ctrl-C or SIGTERM; a second one ends the process at once."""
    end = threading.Event()

    def asked(number, frame):
        if end.is_set():
            os._exit(1)
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    while not end.wait(0.5):  # a wait without a limit would not see signals on every system
        pass


if __name__ == "__main__":
    sys.exit(main())
