"""``fashion-xai export``: an audit in the formats of FiftyOne, cleanlab, COCO and Hugging Face."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fashion_xai.audit.exports import FORMATS
from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema, shared
from fashion_xai.cli.finished_audit import open_audit
from fashion_xai.data.sources import location


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Write a finished audit in other tools' formats: cleanlab (a CSV a head, as Datalab's "
        "label issues), coco (labels and results as JSON), datasets (a Parquet with Hugging Face's "
        "ClassLabels), fiftyone (a FiftyOneDataset with photos and heatmaps; needs --data)."
    )
    command.add_argument("audit", type=Path, metavar="AUDIT", help="folder of a finished audit")
    command.add_argument("--to", nargs="+", required=True, choices=list(FORMATS), metavar="FORMAT",
                         help=f"one or more of {', '.join(FORMATS)}")  # fmt: skip
    command.add_argument("--out", type=Path, required=True, help="folder to write into")
    command.add_argument("--data", type=location, help=shared.DATA)
    shared.add_bundle(command, threads=1)
    schema.add_arguments(command)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Write each format into a folder of its own."""
    try:
        opened = open_audit(args, args.audit)
        for name in args.to:
            folder = args.out / name
            folder.mkdir(parents=True, exist_ok=True)
            for file in FORMATS[name](opened, folder):
                print(file)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
