"""The batch tab: many photos, one table, one CSV."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from demo.serving import request_log
from demo.serving.batcher import DynamicBatcher
from demo.serving.decoder import Decoder
from demo.serving.queue_full import QueueFull
from demo.serving.queue_guard import QueueGuard
from demo.serving.result_store import Results
from demo.tabs.inputs import EXAMPLES
from demo.views import batch
from demo.views.cards import message
from demo.views.render import render
from fashion_xai import ImageError

ID = "batch"
"""The concurrency id of batches: one is worked off at a time."""

LISTEN = 15.0
"""Seconds that a batch waits for its sender to open the stream of answers."""


class Listening:
    """Whether somebody still reads a batch's answers; True until a guard is there to ask."""

    def __init__(self) -> None:
        self.guard: QueueGuard | None = None

    def to(self, request: gr.Request) -> bool:
        return self.guard is None or self.guard.listens(request.session_hash)

    def begun(self, request: gr.Request) -> bool:
        """The same after a moment: a client may join first and then listen."""
        last = time.monotonic() + LISTEN
        while not self.to(request) and time.monotonic() < last:
            time.sleep(0.1)
        return self.to(request)


def build(
    batcher: DynamicBatcher, decoder: Decoder, results: Results, listening: Listening
) -> None:
    """Add the tab's contents, and the endpoint ``/batch``, to the page.

    Args:
        batcher: that runs the network.
        decoder: that reads the files.
        results: where the table is kept for download.
        listening: asked whether a batch is still wanted.
    """
    attributes = batcher.classifier.attributes

    def outcomes(paths, request: gr.Request):
        if not listening.begun(request):
            raise QueueFull("Nobody waits for this batch; it was not begun.")
        return batch.work(batcher, decoder, paths, lambda: listening.to(request))

    def run(paths, request: gr.Request):
        """Work off the files and show how far it is."""
        if not paths:
            return  # the list was emptied: what is done stays
        rows: list[batch.Done] = []
        shown = 0
        with request_log.request("batch") as line:
            try:
                for number, total, row in outcomes(paths, request):
                    rows.append(row)
                    if number != total and number % 10:
                        continue
                    # The table is sent again when it has doubled: twice its size in all.
                    table: Any = gr.skip()
                    if number == total or number >= 2 * shown:
                        table, shown = batch.table(attributes, rows), number
                    yield batch.progress(rows, total), table, gr.skip()
            except (ImageError, QueueFull) as error:
                yield message(str(error)), batch.table(attributes, rows), gr.skip()
            line.facts["files"] = len(rows)
        if rows:
            name = results.keep({"answers.csv": batch.csv_text(attributes, rows)})
            yield gr.skip(), gr.skip(), render("link", name=name)

    def run_examples(request: gr.Request):
        yield from run(EXAMPLES, request)

    def answer_batch(files: list[str], request: gr.Request):
        """Six attributes of each photo; a zip's photos count one by one."""
        with request_log.request("api batch") as line:
            try:
                rows = [row for _, _, row in outcomes(files or [], request)]
            except (ImageError, QueueFull) as error:
                raise gr.Error(str(error), print_exception=False) from error
            line.facts["files"] = len(rows)
        return batch.answers(batcher.classifier, rows)

    gr.Markdown(
        "Drop several photos, or a zip of them. A row a photo appears below while they are "
        f"answered, and all rows as a CSV at the end. {batch.LIMITS}"
    )
    files = gr.File(
        label="Photos or zips", file_count="multiple", type="filepath", elem_id="batch-files"
    )
    sample = gr.Button(f"Try it with {len(EXAMPLES)} drawn examples", elem_id="batch-examples")
    says = gr.HTML(elem_id="batch-message", padding=False)
    link = gr.HTML(elem_id="batch-csv", padding=False)
    shown = gr.HTML(elem_id="batch-table", padding=False)
    # One batch at a time: visitors' photos have the network between any two of its photos.
    alone: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": ID}
    files.change(run, files, [says, shown, link], api_visibility="private", **alone)
    sample.click(run_examples, None, [says, shown, link], api_visibility="private", **alone)
    gr.Button(visible=False).click(
        answer_batch, files, gr.JSON(visible=False), api_name="batch", **alone
    )
