"""The audit tab: confusion matrix → gallery → a photo's maps → an annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo.tabs.inputs import choice_input
from demo.views import audit as view
from demo.views.audit import Filters
from demo.views.cards import note
from fashion_xai.audit import gallery
from fashion_xai.audit.annotations import ANNOTATIONS
from fashion_xai.audit.results import Audit

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
        head = gr.Dropdown(list(audit.heads), value=first, label="Head", elem_id="audit-head")
        kind = gr.Dropdown(list(view.KINDS), value="all confusions", label="Confusions")
        minimum = gr.Slider(1, 20, 2, step=1, label="Products a pair needs")
        low = gr.Slider(0, 100, 0, step=5, label="Confidence from (%)")
        high = gr.Slider(0, 100, 100, step=5, label="Confidence to (%)")
        trait = gr.Dropdown(view.traits(audit), value=view.ANY, label="Slice by")
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
            with gr.Accordion("Label issues: choose a row", open=False):
                listed = gr.Dataframe(
                    headers=view.LABEL_ISSUES_HEADER,
                    interactive=False,
                    max_height=400,
                    elem_id="label-issues",
                    wrap=True,
                    column_widths=["12%", "17%", "17%", "12%", "42%"],
                )
    order = gr.Radio(
        [(text, key) for key, text in gallery.ORDERS.items()], value="confident", label="Photos"
    )
    shared = gr.HTML(elem_id="shared")
    photos = gr.Gallery(
        label="Choose a photo",
        columns=8,
        height=320,
        allow_preview=False,
        interactive=False,
        format="jpeg",
        buttons=[],
        elem_id="photos",
    )
    detail = gr.HTML(elem_id="detail")
    with gr.Row():
        annotation = gr.Radio(
            list(ANNOTATIONS), label="Your annotation", interactive=file is not None,
            elem_id="annotation",
        )  # fmt: skip
        keep = gr.Button("Keep the annotation", interactive=file is not None, elem_id="keep")
    kept = gr.HTML(elem_id="kept", padding=False)

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
        return cells, {**opened_now(state), "listed": ids}

    def opened_now(state) -> dict[str, Any]:
        return view.checked(audit, state, NOTHING)

    def open_pair(pair, state, order, *values):
        state = opened_now(state)
        if pair is None:
            return gr.skip(), gr.skip(), gr.skip()
        f, (true, predicted) = read(values), pair
        items, ids = view.photos(audit, f, true, predicted, order)
        text = view.confusion(audit, f, true, predicted)
        return (
            text,
            gr.Gallery(items, selected_index=None),
            {**state, "ids": ids, "pair": list(pair)},
        )

    # Gradio puts its event where the annotation is.
    def from_matrix(event: gr.SelectData, names, state, order, *values):
        names = [str(name) for name in names or []]
        return open_pair(view.cell(names, *event.index), state, order, *values)

    def from_table(event: gr.SelectData, state, order, *values):
        return open_pair(tuple(event.row_value[:2]), state, order, *values)

    def reorder(state, order, *values):
        return open_pair(opened_now(state)["pair"], state, order, *values)

    def open_photo(head, state, listed, place):
        state = opened_now(state)
        if not 0 <= place < len(state[listed]):
            return note("This list is no longer open; choose a pair again."), state, None, ""
        identity = state[listed][place]
        chosen = view.kept_annotation(file, identity, head)
        return view.detail(audit, head, identity), {**state, "id": identity}, chosen, ""

    def from_gallery(event: gr.SelectData, head, state):
        return open_photo(head, state, "ids", event.index)

    def from_issues(event: gr.SelectData, head, state):
        return open_photo(head, state, "listed", event.index[0])

    def judge(head, state, annotation):
        identity = opened_now(state)["id"]
        if file is None or not identity or not annotation:
            return note("Choose a photo and an annotation first.")
        try:
            return view.judge(audit, file, head, identity, annotation)
        except (ValueError, OSError) as error:
            return note(f"Not kept: {error}")

    def forget(state):
        kept = opened_now(state)["listed"]
        return {**NOTHING, "listed": kept}, [], "", "", None, ""

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    # By default a choice made while the one before is still on its way would be dropped.
    latest = {**quiet, "trigger_mode": "always_last"}
    overview_io = (overview, [rate, *filters], [matrix, labels, table, sliced])
    issues_io = (issues, [head, shown], [listed, shown])
    opened = [shared, photos, shown]
    changes = [c.change for c in (rate, *filters)]  # type: ignore[attr-defined]
    gr.on(changes, *overview_io, **quiet)
    head.change(forget, shown, [shown, photos, shared, detail, annotation, kept], **quiet).then(
        *issues_io, **quiet
    )
    trait.change(
        lambda t: gr.Dropdown(view.values_of(audit, t), value=view.ANY),
        trait,
        value,
        **quiet,
    )
    matrix.select(from_matrix, [labels, shown, order, *filters], opened, **latest)
    table.select(from_table, [shown, order, *filters], opened, **latest)
    order.change(reorder, [shown, order, *filters], opened, **quiet)
    photos.select(from_gallery, [head, shown], [detail, shown, annotation, kept], **latest)
    listed.select(from_issues, [head, shown], [detail, shown, annotation, kept], **latest)
    if file is not None:
        keep.click(judge, [head, shown, annotation], kept, **quiet)
    page.load(*overview_io, **quiet).then(*issues_io, **quiet)
