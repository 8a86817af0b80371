"""``fashion-xai audit``: where a labelled catalogue and the model disagree."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fashion_xai.audit import engine, report
from fashion_xai.audit.results import Audit
from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema, shared
from fashion_xai.cli.renamed import Today
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.files import write
from fashion_xai.data.label_matching import suggested_map, unknown_labels
from fashion_xai.data.schema import Table
from fashion_xai.data.sources import location
from fashion_xai.data.split import SPLITS, own_side, own_side_note, read_split, split_of
from fashion_xai.models.bundle import SPLIT

MAP = "suggested-labels.json"

RENAMED: dict[str, Today] = {
    "--side": "--split",
    "--split": lambda text: None if text in (*SPLITS, "all") else ("--split-file", text),
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Ask the model about every product and compare with the catalogue's labels. "
        "Writes into OUT: audit.html (confusions, their photos and maps, label issues, "
        "slices), products.parquet (a row per product), confusions.csv, label_issues.csv, "
        "slices.csv, rejected.csv and audit.json. A stopped audit resumes when the same command "
        "is given again."
    )
    shared.add_bundle(command, threads=1)
    command.add_argument(
        "--data",
        type=location,
        required=True,
        help=shared.DATA,
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the audit")
    command.add_argument(
        "--split-file",
        type=Path,
        metavar="CSV",
        help="id,split: which products were trained on (default: the bundle's own; products it "
        "does not name are audited too)",
    )
    command.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        default="all",
        help="audit this split only; a model agrees too easily with labels it was "
        "trained on (default: all)",
    )
    command.add_argument(
        "--attribute",
        metavar="HEAD",
        action="append",
        help="report only this head, such as articleType; may be given several times (the table "
        "holds all heads)",
    )
    command.add_argument(
        "--no-titles", action="store_true", help="keep no product names: for an audit to pass on"
    )
    command.add_argument(
        "--no-report", action="store_true", help="write the table and audit.json only"
    )
    schema.add_arguments(command)
    shared.add_engine(command)
    command.set_defaults(run=run)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Audit and write the report."""
    usual = Table.from_json(classifier.bundle.card.get("table"))
    shared.check_heads(classifier, args.attribute or ())
    try:
        vocabulary = classifier.vocabulary
        catalogue = schema.open_catalogue(args, usual, vocabulary)
        if words := suggested_map(unknown_labels(catalogue.products, vocabulary)):
            args.out.mkdir(parents=True, exist_ok=True)
            write(args.out / MAP, json.dumps(words, indent=1, ensure_ascii=False) + "\n")
            print(f"  A map to begin with, fill in what is empty: {args.out / MAP}")
        split = _split(classifier, args, catalogue)
        chosen = None if args.split == "all" else args.split
        if chosen and (own := own_side(catalogue.products, split, chosen)):
            print(own_side_note(own, chosen))
            catalogue.products, chosen = own, None
        summary = engine.run(
            classifier,
            catalogue,
            args.out,
            split,
            chosen,
            titles=not args.no_titles,
            cluster=shared.cluster(args),
        )
        if summary["rejected"]:
            print(f"{summary['rejected']} rows left out: {args.out / engine.REJECTED} says why")
        for head, figures in summary["heads"].items():
            wrong = figures["labelled"] - figures["right"]
            of = f"{wrong:,} of {figures['labelled']:,} differ from the label"
            print(f"{head}: {of if figures['labelled'] else '– (no product has a label)'}")
        if not args.no_report:
            opened = Audit(args.out, catalogue)
            bundle = classifier.bundle
            file = report.write(opened, args.out, bundle.card, bundle.trust, args.attribute)
            print(f"Report: {file}")
    except ValueError as error:  # CatalogueError is one
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _split(
    classifier: FashionClassifier, args: argparse.Namespace, catalogue: Catalogue
) -> dict[str, str]:
    """The named split; else the bundle's, if it is of this catalogue."""
    if args.split_file:
        return read_split(args.split_file)
    split, why_not = split_of(classifier.bundle.folder / SPLIT, catalogue.products)
    if why_not:
        print(why_not)
    return split
