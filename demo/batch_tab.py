"""The batch tab: many photos, one table, one CSV."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from demo import batch, log
from demo.crowd import Busy, Crowd
from demo.handlers import message
from fashion_xai import ImageError, report

CSS = """
.batch {overflow-x: auto;}
#batch-message progress {width: 100%; height: 8px;}
#batch-message progress::-webkit-progress-bar {background: var(--border-color-primary);}
#batch-message progress::-webkit-progress-value {background: var(--color-accent);}
#batch-message progress::-moz-progress-bar {background: var(--color-accent);}
.batch table {border-collapse: collapse; width: 100%; font-size: .9rem;}
.batch th, .batch td {padding: 4px 10px; text-align: left;
  border-bottom: 1px solid var(--border-color-primary);}
.batch img {height: 60px; margin: 0; border-radius: 4px;}
.batch .bad {color: var(--error-text-color, #b3261e);}
"""


def build(crowd: Crowd) -> None:
    """Add the tab's contents, and the endpoint ``/batch``, to the page."""
    attributes = crowd.classifier.attributes

    def run(paths):
        """Work off the files and show how far it is."""
        if not paths:
            return  # the list was emptied: what is done stays
        rows: list[batch.Done] = []
        with log.request("batch") as line:
            try:
                for number, total, row in batch.work(crowd, paths):
                    rows.append(row)
                    if number == total or number % 10 == 0:
                        says = batch.progress(rows, total)
                        yield says, batch.table(attributes, rows), gr.skip()
            except (ImageError, Busy) as error:
                yield message(str(error)), batch.table(attributes, rows), gr.skip()
            line.facts["files"] = len(rows)
        if rows:
            folder = Path(tempfile.mkdtemp(prefix="fashion_xai-"))
            report.write(folder / "answers.csv", batch.csv_text(attributes, rows))
            file = gr.DownloadButton(value=str(folder / "answers.csv"), interactive=True)
            yield gr.skip(), gr.skip(), file

    def answer_batch(files: list[str]):
        """Six attributes of each photo; a zip's photos count one by one."""
        with log.request("api batch") as line:
            try:
                rows = [row for _, _, row in batch.work(crowd, files or [])]
            except (ImageError, Busy) as error:
                raise gr.Error(str(error), print_exception=False) from error
            line.facts["files"] = len(rows)
        return batch.answers(crowd.classifier, rows)

    gr.Markdown(f"Several photos, or a zip of them. {batch.LIMITS}")
    files = gr.File(
        label="Photos or zips", file_count="multiple", type="filepath", elem_id="batch-files"
    )
    says = gr.HTML(elem_id="batch-message", padding=False)
    save = gr.DownloadButton("Download the table as CSV", interactive=False, elem_id="batch-csv")
    shown = gr.HTML(elem_id="batch-table", padding=False)
    # One batch at a time: visitors' photos have the network between any two of its photos.
    alone: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "batch"}
    files.change(run, files, [says, shown, save], api_visibility="private", **alone)
    gr.Button(visible=False).click(
        answer_batch, files, gr.JSON(visible=False), api_name="batch", **alone
    )
