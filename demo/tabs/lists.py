"""On the audit tab: lists beside the confusions, the map with its lasso, tags and saved views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from demo.tabs.inputs import choice_input
from demo.views import audit as view
from demo.views import saved_views
from demo.views.cards import note
from demo.views.lists import CIRCLED, SLICE, Listed, Lists, tags_beside
from fashion_xai.audit import tags
from fashion_xai.audit.results import Audit

Show = Callable[..., list[Any]]
"""(list, its name or None, head, what is open, only what was not looked at) → the gallery."""


class ListsSide:
    """Its components, placed one by one where the tab has room for them, then connected.

    Args:
        audit: what is shown.
        file: the analyst's annotations; tags and views are kept beside it. None keeps none.
    """

    def __init__(self, audit: Audit, file: Path | None):
        self._audit = audit
        self._tags = file and tags_beside(file)
        self._views = file and saved_views.beside(file)
        self.lists = Lists(audit, self._tags)

    def place_menu(self) -> None:
        self.menu = choice_input(
            self.lists.names(), value=None, label="Or open a list", elem_id="lists"
        )

    def place_map(self) -> None:
        with gr.Accordion("Map: circle products that look alike", open=False, elem_id="map-side"):
            ready = self.lists.is_drawn_at_once()
            self.draw = gr.Button(
                "Show the map" if ready else "Lay out the map (some 15 s for 4,000 products)",
                elem_id="show-map",
            )
            self.map = gr.HTML(elem_id="map", padding=False)
            self.circled = gr.Button("Show what is circled", elem_id="circled", size="sm")
            self.polygon = gr.JSON(visible=False)

    def place_tags(self) -> None:
        with gr.Row(visible=self._tags is not None, elem_id="tags"):
            self.tag = gr.Textbox(label="Tag", max_lines=1, scale=2, elem_id="tag")
            self.give = gr.Button("Tag all of these", elem_id="give-tag")
            self.take = gr.Button("Take the tag from them", elem_id="take-tag")
        self.tagged = gr.HTML(elem_id="tagged", padding=False)

    def place_views(self) -> None:
        with gr.Accordion("Saved views", open=False, visible=self._views is not None):
            with gr.Row():
                self.name = gr.Textbox(
                    label="Name of what is open", max_lines=1, scale=2, elem_id="view-name"
                )
                self.save = gr.Button("Save this view", elem_id="save-view")
                self.forget = gr.Button("Forget the view of this name", elem_id="forget-view")
            self.saved = gr.HTML(saved_views.links(self._views), elem_id="views", padding=False)

    def show_list(self, show: Show, name: Any, head: str, state: Any, unseen: Any) -> list[Any]:
        """A list by its name in the gallery; says so where it is no longer there."""
        if not name:
            return [gr.skip()] * 6
        try:
            return show(self.lists.listed(head, str(name)), str(name), head, state, unseen)
        except ValueError as error:
            return [note(str(error)), *[gr.skip()] * 5]

    def again(self, show: Show, head: str, state: dict[str, Any], unseen: Any) -> list[Any]:
        """The list that is open, anew: its products may have been looked at since."""
        if state["list"]:
            return self.show_list(show, state["list"], head, state, unseen)
        return show(Listed(CIRCLED, state["ids"]), None, head, state, unseen)

    def connect(
        self, show: Show, asked: list[Any], opened: list[Any], sliced: gr.Dataframe,
        look: dict[str, Any], quiet: dict[str, Any],
    ) -> None:  # fmt: skip
        """Which choice opens what.

        Args:
            show: puts a list into the gallery.
            asked: the components for head, what is open, and only what was not looked at.
            opened: the components of the gallery.
            sliced: the table of slices, whose rows open their errors.
            look: what scrolls to the gallery.
            quiet: options of every event.
        """
        head, shown, _ = asked

        def from_menu(name, *asked):
            return self.show_list(show, name, *asked)

        def from_slice(event: gr.SelectData, *asked):
            trait, value = event.row_value[:2]
            return self.show_list(show, f"{SLICE}{trait}={value}" if value else None, *asked)

        def from_map(polygon, *asked):
            try:
                return show(self.lists.circled(polygon), None, *asked)
            except ValueError as error:
                return [note(str(error)), *[gr.skip()] * 5]

        self.menu.input(from_menu, [self.menu, *asked], opened, **quiet).then(**look)
        sliced.select(from_slice, asked, opened, **quiet).then(**look)
        self.draw.click(self.lists.drawn, head, self.map, **{**quiet, "show_progress": "full"})
        self.circled.click(
            from_map,
            [self.polygon, *asked],
            opened,
            js="(_, ...asked) => [window.fashion.circled(), ...asked]",
            **quiet,
        ).then(**look)
        head.change(lambda: "", None, self.map, **quiet)
        if self._tags is not None:
            told = [self.tagged, self.menu]
            self.give.click(self._give, [self.tag, shown], told, **quiet)
            self.take.click(self._take, [self.tag, shown], told, **quiet)
            self.save.click(self._save, [self.name, head, shown], self.saved, **quiet)
            self.forget.click(self._forget, self.name, self.saved, **quiet)

    def menu_now(self) -> Any:
        """The menu with the tags that are there now, and the saved views."""
        return gr.Dropdown(choices=self.lists.names(), value=None)

    def views_now(self) -> Any:
        return saved_views.links(self._views)

    def _give(self, tag, state):
        return self._changed(tags.add, "Tagged", tag, state)

    def _take(self, tag, state):
        return self._changed(tags.remove, "Taken back", tag, state)

    def _changed(self, change, says: str, tag, state):
        ids = view.checked(self._audit, state, {})["ids"]
        if self._tags is None or not ids:
            return note("Open a confusion or a list first."), gr.skip()
        try:
            count = change(self._tags, str(tag or ""), ids)
        except (ValueError, OSError) as error:
            return note(f"Not kept: {error}"), gr.skip()
        return note(f"{says}: {count:,} of {len(ids):,} products."), self.menu_now()

    def _save(self, name, head, state):
        try:
            if self._views is not None:
                where = saved_views.address(head, view.checked(self._audit, state, {}))
                saved_views.save(self._views, str(name or ""), where)
        except (ValueError, OSError) as error:
            return note(f"Not saved: {error}") + saved_views.links(self._views)
        return saved_views.links(self._views)

    def _forget(self, name):
        try:
            if self._views is not None:
                saved_views.remove(self._views, str(name or ""))
        except (ValueError, OSError) as error:
            return note(str(error)) + saved_views.links(self._views)
        return saved_views.links(self._views)
