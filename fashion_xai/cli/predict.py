"""``fashion-xai predict``: the six attributes of photos, or of all products of a catalogue."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema, shared
from fashion_xai.data.sources import location


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Print the six attributes of each photo; or, with --data and --out, write those of every "
        "product of a catalogue, labelled or not: a Parquet with a row a product (label, "
        "calibrated probability, three best labels, whether it shows one product), and a CSV of "
        "what a person should look at. A stopped run goes on when the same command is given again."
    )
    shared.add_photos(command, "*")
    command.add_argument("--json", action="store_true", help="one JSON object a line, with top 3")
    group = command.add_argument_group("a whole catalogue")
    group.add_argument("--data", type=location, help=shared.DATA)
    group.add_argument("--out", type=Path, metavar="PARQUET", help="the file to write")
    group.add_argument(
        "--precision",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="how often an answer must be right not to be reviewed; the thresholds were chosen on "
        "the bundle's validation split (default: 0.95)",
    )
    schema.add_arguments(command)
    shared.add_engine(command)
    command.set_defaults(run=run, refuse=command.error)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Print a line a photo, or write a catalogue's; 1 if some photo could not be used."""
    if bool(args.images) == bool(args.data):
        args.refuse("expected photos, or --data with a catalogue")
    if args.data:
        if args.out is None:
            args.refuse("--data needs --out PARQUET")
        return _catalogue(classifier, args)
    failed = False
    for name, _, forward_pass in shared.forward_passes(classifier, args.images):
        if forward_pass is None:
            failed = True
            continue
        predictions = classifier.predictions(forward_pass)
        if args.json:
            answer: dict[str, Any] = {
                p.attribute: [
                    {**one, "probability": round(one["probability"], 6)}
                    for one in p.to_json()["top3"]
                ]
                for p in predictions.values()
            }
            known = {"one_product": classifier.is_one_product(forward_pass)}
            print(json.dumps({"image": name, **answer, **known}, ensure_ascii=False), flush=True)
        else:
            line = " · ".join(f"{p.label} ({p.probability:.0%})" for p in predictions.values())
            doubt = " · not sure this is one product"
            doubtful = classifier.is_one_product(forward_pass) is False
            print(f"{name}: {line}{doubt if doubtful else ''}", flush=True)
    return int(failed)


def _catalogue(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Write the attributes of a catalogue's products."""
    from fashion_xai import batch_prediction

    try:
        sure = batch_prediction.thresholds(classifier.bundle.card, args.precision)
        args.columns = args.columns or {}  # labels are not needed
        catalogue = schema.open_catalogue(args)
        counts = batch_prediction.run(classifier, catalogue, args.out, sure, shared.cluster(args))
    except ValueError as error:  # CatalogueError is one
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"{counts['products']:,} rows, of which {counts['review']:,} are for a person to look at: "
        f"{args.out}{batch_prediction.REVIEW}"
    )
    if counts["problems"]:
        print(f"{counts['problems']:,} rows have no answer; the column problem says why")
    print(f"Attributes: {args.out}")
    return 0
