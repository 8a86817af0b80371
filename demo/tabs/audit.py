"""The audit tab: confusion matrix → gallery → a photo's maps → an annotation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from demo.serving.result_store import Results
from demo.tabs.inputs import choice_input
from demo.tabs.lists import ListsSide
from demo.views import annotations as given
from demo.views import audit as view
from demo.views import lists, words
from demo.views.audit import Address, Filters
from demo.views.cards import note
from demo.views.render import render
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
TELL = "(head, shown) => window.fashion.tell(head, shown)"
ASKED = "() => [window.fashion.asked()]"
NOTHING: dict[str, Any] = {"ids": [], "id": None, "pair": None, "list": None}
"""What is open at first: the gallery's ids, the photo, and the pair or the list's name."""


def build(page: gr.Blocks, audit: Audit, results: Results, file: Path | None) -> None:
    """Add the tab's contents to the page that is being built.

    Args:
        page: that is being built.
        audit: what is shown.
        results: where what is downloaded is kept.
        file: CSV for the analyst's annotations; None takes none.
    """
    side = ListsSide(audit, file)
    first = "articleType" if "articleType" in audit.heads else audit.heads[0]
    # What is open travels with the page: the server remembers nothing that a crowd could push out.
    labels = gr.JSON([], visible=False)  # of the matrix
    shown = gr.JSON(NOTHING, visible=False)
    wanted = gr.JSON(None, visible=False)  # what the address asks for, until it is open
    gr.HTML(view.about(audit, file), padding=False, elem_id="audit-about")
    with gr.Row():
        with gr.Column(scale=1, min_width=220):
            head = gr.Dropdown(
                [(f"{words.title(a)} ({a})", a) for a in audit.heads],
                value=first,
                label="Attribute",
                elem_id="audit-head",
            )
            side.place_menu()
        with gr.Column(scale=4):
            opening = view.summary(audit, first)
            summary = gr.HTML(opening.text, elem_id="audit-summary", padding=False)
            with gr.Row(elem_id="worst"):
                worst = [gr.Button(**_worst(opening, n), size="sm") for n in range(WORST)]
                doubtful = gr.Button(**_doubtful(opening), size="sm", elem_id="doubtful")
            unseen = gr.Checkbox(
                label="Only what was not looked at yet",
                visible=file is not None,
                elem_id="unseen",
                container=False,
            )
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
            with gr.Accordion("Label issues: choose a row", open=True) as issues_side:
                issues_seen = gr.HTML(elem_id="issues-seen", padding=False)
                listed = gr.Dataframe(
                    headers=view.LABEL_ISSUES_HEADER,
                    interactive=False,
                    max_height=230,
                    elem_id="label-issues",
                    wrap=True,
                    column_widths=["12%", "17%", "17%", "12%", "42%"],
                )
            table = gr.Dataframe(
                headers=view.PAIRS_HEADER,
                label="Confused pairs: choose a row",
                interactive=False,
                max_height=330,
                elem_id="pairs",
                wrap=True,
                column_widths=["140px", "140px", "75px", "70px", "90px", "110px"],
            )
            with gr.Accordion("Where it errs more often: choose a row", open=False):
                sliced = gr.Dataframe(
                    headers=view.SLICES_HEADER,
                    interactive=False,
                    max_height=330,
                    elem_id="slices",
                    wrap=True,
                )
    side.place_map()
    # Nothing below is there before a confusion or a product is chosen.
    with gr.Column(visible=False, elem_id="gallery-side") as gallery_side:
        shared = gr.HTML(elem_id="shared")
        pair_seen = gr.HTML(elem_id="pair-seen", padding=False)
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
        side.place_tags()
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
        kept_list = gr.Dataframe(
            given.annotated(file),
            headers=given.ANNOTATIONS_HEADER,
            interactive=False,
            max_height=400,
            elem_id="given",
            wrap=True,
        )
        with gr.Row():
            take_home = gr.Button("Prepare the download", elem_id="take-home")
            taken = gr.HTML(elem_id="taken", padding=False)
    side.place_views()

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

    def without(head, only_unseen) -> set[str]:
        return given.looked_at(file, head) if only_unseen else set()

    def issues(head, state, only_unseen):
        cells, _ = view.issues(audit, head, without(head, only_unseen))
        found = view.summary(audit, head)
        buttons = [gr.Button(**_worst(found, n)) for n in range(WORST)]
        return cells, found.text, *buttons, gr.Button(**_doubtful(found)), *seen(head, state)

    def seen(head, state) -> tuple[Any, Any]:
        """How many of the label issues, and of the open confusion or list, were looked at."""
        state = opened_now(state)
        pair = state["pair"]
        confused = view.members(audit, Filters(head), *pair) if pair else state["ids"]
        _, doubted = view.issues(audit, head)
        return given.progress(file, head, doubted), given.progress(file, head, confused)

    def opened_now(state) -> dict[str, Any]:
        return view.checked(audit, state, NOTHING)

    def open_pair(pair, state, order, only_unseen, *values):
        state = opened_now(state)
        if pair is None:
            return [gr.skip()] * 6
        f, (true, predicted) = read(values), pair
        left_out = without(f.head, only_unseen)
        items, ids = view.photos(audit, f, true, predicted, order, left_out)
        text = view.confusion(audit, f, true, predicted)
        return (
            text,
            gr.Gallery(items, selected_index=None),
            {**state, "ids": ids, "pair": list(pair), "list": None},
            gr.Column(visible=True),
            seen(f.head, {**state, "pair": list(pair)})[1],
            gr.Radio(visible=True),
        )

    def open_list(listed, name, head, state, only_unseen):
        left_out = without(head, only_unseen)
        ids = [identity for identity in listed.ids if identity not in left_out][: view.MOST]
        items = view.pictures(audit, head, ids)
        state = {**opened_now(state), "ids": ids, "pair": None, "list": name}
        return [
            lists.shown(listed, len(items)),
            gr.Gallery(items, selected_index=None),
            state,
            gr.Column(visible=True),
            given.progress(file, head, ids),
            gr.Radio(visible=False),  # a list has its own order
        ]

    # Gradio puts its event where the annotation is.
    def from_matrix(event: gr.SelectData, names, state, *choices):
        names = [str(name) for name in names or []]
        return open_pair(view.cell(names, *event.index), state, *choices)

    def from_table(event: gr.SelectData, state, *choices):
        return open_pair(tuple(event.row_value[:2]), state, *choices)

    def again(state, order, only_unseen, *values):
        state = opened_now(state)
        if state["pair"] is None and state["ids"]:
            return side.again(open_list, read(values).head, state, only_unseen)
        return open_pair(state["pair"], state, order, only_unseen, *values)

    def from_worst(n, head, state, order, only_unseen):
        found = view.summary(audit, head).worst
        pair = found[n][:2] if n < len(found) else None
        return open_pair(pair, state, order, only_unseen, head, 1, *UNFILTERED)

    def arrive(asked):
        """The head that the address asks for, and what is to be opened once it is there."""
        there = Address.read(audit, asked, first)
        return (
            there.head,
            there._asdict(),
            given.annotated(file),
            side.menu_now(),
            side.views_now(),
        )

    def open_wanted(loading, asked, head, state, order):
        """The confusion and the product of the address, once its head is chosen: where that is
        not the one that is there while the page loads, its change comes here too."""
        there = Address.read(audit, {**(asked or {}), "audit": (asked or {}).get("head")}, first)
        pair = (asked or {}).get("pair")
        if (
            head != there.head
            or (loading and head != first)
            or not (pair or there.id or there.list)
        ):
            return [gr.skip()] * (len(opened) + len(product)) + [asked]
        if there.list:
            confusion = side.show_list(open_list, there.list, head, state, False)
        else:
            confusion = open_pair(pair, state, order, False, head, 1, *UNFILTERED)
        state = opened_now(state)
        if isinstance(confusion[2], dict) and "ids" in confusion[2]:
            state = confusion[2]
        found = [gr.skip()] * len(product)
        if there.id:
            found = [*open_photo(head, state, there.id)]
            state = {**state, "id": there.id}
        found[1] = state
        return [*confusion[:2], gr.skip(), *confusion[3:], *found, None]

    def open_photo(head, state, identity):
        state = opened_now(state)
        there = gr.Column(visible=True)
        if identity not in audit.row:
            lost = note("This list is no longer open; choose a pair again.")
            return lost, state, None, gr.skip(), "", there
        known = given.kept_annotation(file, identity, head)
        offered = gr.Dropdown(
            choices=given.labels_of(audit, head),
            value=given.suggested(audit, head, identity, known),
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
        ids = opened_now(state)["ids"]
        return open_photo(head, state, ids[event.index] if event.index < len(ids) else None)

    def from_issues(event: gr.SelectData, head, state):
        return open_photo(head, state, str(event.row_value[0]))

    def judge(head, state, annotation, right):
        identity = opened_now(state)["id"]
        if file is None or not identity or not annotation:
            return note("Choose a photo and an annotation first."), *[gr.skip()] * 3
        try:
            says = given.judge(audit, file, head, identity, annotation, right)
            return says, given.annotated(file), *seen(head, state)
        except (ValueError, OSError) as error:
            return note(f"Not kept: {error}"), *[gr.skip()] * 3

    def take_back(head, state):
        identity = opened_now(state)["id"]
        if file is None or not identity:
            return note("Choose a photo first."), *[gr.skip()] * 4
        try:
            says = given.take_back(file, head, identity)
            return says, given.annotated(file), *seen(head, state), None
        except (ValueError, OSError) as error:
            return note(f"Not taken back: {error}"), *[gr.skip()] * 4

    def prepare():
        try:
            files = given.downloads(audit, file) if file else {}
        except (ValueError, OSError) as error:
            return note(f"Not prepared: {error}")
        return render("taken", name=results.keep(files), files=list(files))

    def forget():
        return NOTHING, [], "", "", None, "", *[gr.Column(visible=False)] * 2

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    # By default a choice made while the one before is still on its way would be dropped.
    latest = {**quiet, "trigger_mode": "always_last"}
    overview_io = (overview, [rate, *filters], [matrix, labels, table, sliced])
    issues_out = [listed, summary, *worst, doubtful, issues_seen, pair_seen]
    issues_io = (issues, [head, shown, unseen], issues_out)
    opened = [shared, photos, shown, gallery_side, pair_seen, order]
    product = [detail, shown, annotation, right, kept, product_side]
    wanted_io = [wanted, head, shown, order], [*opened, *product, wanted]
    changes = [c.change for c in (rate, *filters)]  # type: ignore[attr-defined]
    gr.on(changes, *overview_io, **quiet)
    head.change(
        forget,
        None,
        [shown, photos, shared, detail, annotation, kept, gallery_side, product_side],
        **quiet,
    ).then(*issues_io, **quiet).then(partial(open_wanted, False), *wanted_io, **quiet)
    trait.change(
        lambda t: gr.Dropdown(view.values_of(audit, t), value=view.ANY),
        trait,
        value,
        **quiet,
    )
    look: dict[str, Any] = {"fn": None, "js": SCROLL.format("gallery-side"), **quiet}
    read_it: dict[str, Any] = {"fn": None, "js": SCROLL.format("product-side"), **quiet}
    choices = [shown, order, unseen, *filters]
    matrix.select(from_matrix, [labels, *choices], opened, **latest).then(**look)
    table.select(from_table, choices, opened, **latest).then(**look)
    for n, button in enumerate(worst):
        asked = [head, shown, order, unseen]
        button.click(partial(from_worst, n), asked, opened, **latest).then(**look)
    doubtful.click(lambda: gr.Accordion(open=True), None, issues_side, **quiet).then(
        None, js=SCROLL.format("label-issues"), **quiet
    )
    order.change(again, choices, opened, **quiet)
    unseen.change(again, choices, opened, **quiet).then(*issues_io, **quiet)
    photos.select(from_gallery, [head, shown], product, **latest).then(**read_it)
    listed.select(from_issues, [head, shown], product, **latest).then(**read_it)
    if file is not None:
        told = [kept, kept_list, issues_seen, pair_seen]
        keep.click(judge, [head, shown, annotation, right], told, **quiet)
        back.click(take_back, [head, shown], [*told, annotation], **quiet)
        take_home.click(prepare, None, taken, **quiet)
    # What is open is in the address, so that somebody else can open the same.
    shown.change(None, [head, shown], None, js=TELL, **quiet)
    side.connect(open_list, [head, shown, unseen], opened, sliced, look, latest)
    arrived = [head, wanted, kept_list, side.menu, side.saved]
    page.load(arrive, wanted, arrived, js=ASKED, **quiet).then(*overview_io, **quiet).then(
        *issues_io, **quiet
    ).then(partial(open_wanted, True), *wanted_io, **quiet)


def _worst(found: view.Summary, n: int) -> dict[str, Any]:
    """The button of the n-th most frequent confusion; none where there are fewer."""
    if n >= len(found.worst):
        return {"value": "", "visible": False}
    one, other, count = found.worst[n]
    return {"value": f"{one} / {other}: {count}", "visible": True}


def _doubtful(found: view.Summary) -> dict[str, Any]:
    """The button of the label issues."""
    return {"value": f"Doubtful labels: {found.issues:,}", "visible": found.issues > 0}
