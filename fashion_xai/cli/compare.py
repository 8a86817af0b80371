"""``fashion-xai compare``: what changed between two audits of the same products."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fashion_xai.audit import comparison
from fashion_xai.audit.results import Audit
from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema, shared
from fashion_xai.cli.finished_audit import open_audit
from fashion_xai.data.sources import location


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Compare two audits of the same products, of two models or before and after labels were "
        "corrected: accuracy of both, which products were mended and which broken, and whether "
        "chance explains it (McNemar). Writes OUT/comparison.html and OUT/changes.csv."
    )
    command.add_argument("before", type=Path, metavar="BEFORE", help="folder of a finished audit")
    command.add_argument("after", type=Path, metavar="AFTER", help="folder of another one")
    command.add_argument("--out", type=Path, required=True, help="folder to write into")
    command.add_argument("--data", type=location, help=f"for photos in the report: {shared.DATA}")
    shared.add_bundle(command, threads=1)
    schema.add_arguments(command)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Compare, print and write the report."""
    try:
        before, after = Audit(args.before), open_audit(args, args.after)
        found = comparison.compare(before, after)
        file = comparison.write(found, before, after, args.out)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for head, x in found.items():
        print(
            f"{head}: {100 * x.before:.1f} → {100 * x.after:.1f} % of {x.products:,} products; "
            f"{x.mended:,} mended, {x.broken:,} broken, p = {x.p:.3f}: {x.verdict}"
        )
    print(f"Report: {file}")
    return 0
