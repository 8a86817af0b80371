"""The audit tab: confusion matrix → gallery → a photo's maps → an annotation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo.tabs.inputs import choice_input
from demo.views import audit as view
from demo.views import words
from demo.views.audit import Filters
from demo.views.cards import note
from fashion_xai.audit import gallery
from fashion_xai.audit.annotations import ANNOTATIONS
from fashion_xai.audit.results import Audit

WORST = 3
"""Confusions that the tab opens with."""
UNFILTERED = ("all confusions", 0, 100, view.ANY, view.ANY)
SCROLL = (
    "() => setTimeout(() => document.querySelector('#{}')?.scrollIntoView({{block: 'nearest'}}), "
    "200)"
)
"""To what was chosen: it may lie below the screen."""
NOTHING: dict[str, Any] = {"ids": [], "id": None, "listed": [], "pair": None}
"""What is open at first: the gallery's ids, the photo, the ids of the issues, and the pair."""


def build(page: gr.Blocks, audit: Audit, file: Path | None) -> None:
    """Add the tab's contents to the page that is being built.

    Args:
        page: that is being built.
        audit: what is shown.
        file: CSV for the analyst's annotations; None takes none.
    """
    first = "articleType" if "articleType" in audit.heads else audit.heads[0]
    # What is open travels with the page: the server remembers nothing that a crowd could push out.
    labels = gr.JSON([], visible=False)  # of the matrix
    shown = gr.JSON(NOTHING, visible=False)
    gr.HTML(view.about(audit, file), padding=False, elem_id="audit-about")
    with gr.Row():
        head = gr.Dropdown(
            [(f"{words.title(a)} ({a})", a) for a in audit.heads],
            value=first,
            label="Attribute",
            elem_id="audit-head",
            scale=1,
            min_width=220,
        )
        with gr.Column(scale=4):
            opening = view.summary(audit, first)
            summary = gr.HTML(opening.text, elem_id="audit-summary", padding=False)
            with gr.Row(elem_id="worst"):
                worst = [gr.Button(**_worst(opening, n), size="sm") for n in range(WORST)]
                doubtful = gr.Button(**_doubtful(opening), size="sm", elem_id="doubtful")
    with gr.Accordion("Filters", open=False), gr.Row():
        kind = gr.Dropdown(list(view.KINDS), value="all confusions", label="Confusions")
        minimum = gr.Slider(1, 20, 2, step=1, label="Products a pair needs")
        low = gr.Slider(0, 100, 0, step=5, label="Confidence from (%)")
        high = gr.Slider(0, 100, 100, step=5, label="Confidence to (%)")
        trait = gr.Dropdown(view.traits(audit), value=view.ANY, label="Group by")
        value = choice_input([view.ANY], value=view.ANY, label="only")
    filters = [head, minimum, kind, low, high, trait, value]
    with gr.Row():
        with gr.Column():
            rate = gr.Radio(["counts", "rates"], value="counts", label="Matrix of", type="index")
            matrix = gr.Image(
                label="Click a cell",
                interactive=False,
                format="png",
                buttons=["fullscreen"],
                elem_id="matrix",
                alt_text="Confusion matrix; the table beside it holds the same pairs",
            )
        with gr.Column():
            table = gr.Dataframe(
                headers=view.PAIRS_HEADER,
                label="Confused pairs: choose a row",
                interactive=False,
                max_height=430,
                elem_id="pairs",
                wrap=True,
                column_widths=["140px", "140px", "75px", "70px", "90px", "110px"],
            )
            with gr.Accordion("Where it errs more often", open=False):
                sliced = gr.HTML()
            with gr.Accordion("Label issues: choose a row", open=False) as issues_side:
                listed = gr.Dataframe(
                    headers=view.LABEL_ISSUES_HEADER,
                    interactive=False,
                    max_height=400,
                    elem_id="label-issues",
                    wrap=True,
                    column_widths=["12%", "17%", "17%", "12%", "42%"],
                )
    # Nothing below is there before a confusion or a product is chosen.
    with gr.Column(visible=False, elem_id="gallery-side") as gallery_side:
        shared = gr.HTML(elem_id="shared")
        order = gr.Radio(
            [(text, key) for key, text in gallery.ORDERS.items()], value="confident", label="Photos"
        )
        photos = gr.Gallery(
            label="Choose a photo",
            columns=8,
            height=320,
            object_fit="contain",
            allow_preview=False,
            interactive=False,
            format="jpeg",
            buttons=[],
            elem_id="photos",
        )
    with gr.Column(visible=False, elem_id="product-side") as product_side:
        detail = gr.HTML(elem_id="detail")
        with gr.Row(visible=file is not None):
            annotation = gr.Radio(
                list(ANNOTATIONS),
                label="Your annotation (keys 1, 2, 3; Enter keeps it; arrows go on)",
                elem_id="annotation",
                scale=2,
            )
            right = choice_input(label="The right label, where it is wrong", elem_id="right-label")
            keep = gr.Button("Keep the annotation", elem_id="keep")
            back = gr.Button("Take it back", elem_id="take-back")
        kept = gr.HTML(elem_id="kept", padding=False)
    with gr.Accordion("Annotations given", open=False, visible=file is not None):
        given = gr.Dataframe(
            view.annotated(file),
            headers=view.ANNOTATIONS_HEADER,
            interactive=False,
            max_height=400,
            elem_id="given",
            wrap=True,
        )

    def read(values) -> Filters:
        head, minimum, kind, low, high, trait, value = values
        return Filters(head, int(minimum), kind, low / 100, high / 100, trait, value)

    def overview(by_rate, *values):
        f = read(values)
        picture, names = view.matrix(audit, f, bool(by_rate))
        cells = view.pairs_table(view.pairs(audit, f))
        if picture is None and (why := view.why_nothing(audit, f)):
            gr.Info(why)
        return picture, names, cells, view.worst_slices(audit, f)

    def issues(head, state):
        cells, ids = view.issues(audit, head)
        found = view.summary(audit, head)
        buttons = [gr.Button(**_worst(found, n)) for n in range(WORST)]
        shown = {**opened_now(state), "listed": ids}
        return cells, shown, found.text, *buttons, gr.Button(**_doubtful(found))

    def opened_now(state) -> dict[str, Any]:
        return view.checked(audit, state, NOTHING)

    def open_pair(pair, state, order, *values):
        state = opened_now(state)
        if pair is None:
            return [gr.skip()] * 4
        f, (true, predicted) = read(values), pair
        items, ids = view.photos(audit, f, true, predicted, order)
        text = view.confusion(audit, f, true, predicted)
        return (
            text,
            gr.Gallery(items, selected_index=None),
            {**state, "ids": ids, "pair": list(pair)},
            gr.Column(visible=True),
        )

    # Gradio puts its event where the annotation is.
    def from_matrix(event: gr.SelectData, names, state, order, *values):
        names = [str(name) for name in names or []]
        return open_pair(view.cell(names, *event.index), state, order, *values)

    def from_table(event: gr.SelectData, state, order, *values):
        return open_pair(tuple(event.row_value[:2]), state, order, *values)

    def reorder(state, order, *values):
        return open_pair(opened_now(state)["pair"], state, order, *values)

    def from_worst(n, head, state, order):
        found = view.summary(audit, head).worst
        pair = found[n][:2] if n < len(found) else None
        return open_pair(pair, state, order, head, 1, *UNFILTERED)

    def open_photo(head, state, listed, place):
        state = opened_now(state)
        there = gr.Column(visible=True)
        if not 0 <= place < len(state[listed]):
            lost = note("This list is no longer open; choose a pair again.")
            return lost, state, None, gr.skip(), "", there
        identity = state[listed][place]
        known = view.kept_annotation(file, identity, head)
        offered = gr.Dropdown(
            choices=view.labels_of(audit, head), value=view.suggested(audit, head, identity, known)
        )
        return (
            view.detail(audit, head, identity),
            {**state, "id": identity},
            known and known.annotation,
            offered,
            "",
            there,
        )

    def from_gallery(event: gr.SelectData, head, state):
        return open_photo(head, state, "ids", event.index)

    def from_issues(event: gr.SelectData, head, state):
        return open_photo(head, state, "listed", event.index[0])

    def judge(head, state, annotation, right):
        identity = opened_now(state)["id"]
        if file is None or not identity or not annotation:
            return note("Choose a photo and an annotation first."), gr.skip()
        try:
            return view.judge(audit, file, head, identity, annotation, right), view.annotated(file)
        except (ValueError, OSError) as error:
            return note(f"Not kept: {error}"), gr.skip()

    def take_back(head, state):
        identity = opened_now(state)["id"]
        if file is None or not identity:
            return note("Choose a photo first."), gr.skip(), gr.skip()
        try:
            return view.take_back(file, head, identity), view.annotated(file), None
        except (ValueError, OSError) as error:
            return note(f"Not taken back: {error}"), gr.skip(), gr.skip()

    def forget(state):
        kept = opened_now(state)["listed"]
        gone = [gr.Column(visible=False)] * 2
        return {**NOTHING, "listed": kept}, [], "", "", None, "", *gone

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    # By default a choice made while the one before is still on its way would be dropped.
    latest = {**quiet, "trigger_mode": "always_last"}
    overview_io = (overview, [rate, *filters], [matrix, labels, table, sliced])
    issues_io = (issues, [head, shown], [listed, shown, summary, *worst, doubtful])
    opened = [shared, photos, shown, gallery_side]
    product = [detail, shown, annotation, right, kept, product_side]
    changes = [c.change for c in (rate, *filters)]  # type: ignore[attr-defined]
    gr.on(changes, *overview_io, **quiet)
    head.change(
        forget,
        shown,
        [shown, photos, shared, detail, annotation, kept, gallery_side, product_side],
        **quiet,
    ).then(*issues_io, **quiet)
    trait.change(
        lambda t: gr.Dropdown(view.values_of(audit, t), value=view.ANY),
        trait,
        value,
        **quiet,
    )
    look: dict[str, Any] = {"fn": None, "js": SCROLL.format("gallery-side"), **quiet}
    read_it: dict[str, Any] = {"fn": None, "js": SCROLL.format("product-side"), **quiet}
    matrix.select(from_matrix, [labels, shown, order, *filters], opened, **latest).then(**look)
    table.select(from_table, [shown, order, *filters], opened, **latest).then(**look)
    for n, button in enumerate(worst):
        button.click(partial(from_worst, n), [head, shown, order], opened, **latest).then(**look)
    doubtful.click(lambda: gr.Accordion(open=True), None, issues_side, **quiet).then(
        None, js=SCROLL.format("label-issues"), **quiet
    )
    order.change(reorder, [shown, order, *filters], opened, **quiet)
    photos.select(from_gallery, [head, shown], product, **latest).then(**read_it)
    listed.select(from_issues, [head, shown], product, **latest).then(**read_it)
    if file is not None:
        keep.click(judge, [head, shown, annotation, right], [kept, given], **quiet)
        back.click(take_back, [head, shown], [kept, given, annotation], **quiet)
    page.load(*overview_io, **quiet).then(*issues_io, **quiet)


def _worst(found: view.Summary, n: int) -> dict[str, Any]:
    """The button of the n-th most frequent confusion; none where there are fewer."""
    if n >= len(found.worst):
        return {"value": "", "visible": False}
    one, other, count = found.worst[n]
    return {"value": f"{one} / {other}: {count}", "visible": True}


def _doubtful(found: view.Summary) -> dict[str, Any]:
    """The button of the label issues."""
    return {"value": f"Doubtful labels: {found.issues:,}", "visible": found.issues > 0}
