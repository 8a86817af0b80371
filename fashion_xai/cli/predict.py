"""``fashion-xai predict``: the six attributes of photos."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import shared


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    shared.add_photos(command)
    command.add_argument("--json", action="store_true", help="one JSON object a line, with top 3")
    command.set_defaults(run=run)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Print a line a photo; 1 if some photo could not be used."""
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
