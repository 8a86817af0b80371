"""How many labels flipped at random the audit finds: ``python -m tests.bench_flips --data …``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import read_split, rows_in
from fashion_xai.models.bundle import SPLIT

FIRST = 0.05
"""Of the ranked list."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_flips", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder or zip of a catalogue")
    parser.add_argument("--head", default="articleType")
    parser.add_argument("--share", type=float, default=0.03, help="of the test split's labels")
    args = parser.parse_args(argv)
    classifier, catalogue = FashionClassifier.load(), Catalogue(args.data)
    split = read_split(classifier.bundle.folder / SPLIT)
    test = rows_in(catalogue.products, split, "test").tolist()
    rng, labels = np.random.default_rng(0), classifier.vocabulary.labels[args.head]
    flipped = set()
    for i in rng.choice(test, round(args.share * len(test)), replace=False):
        product = catalogue.products[i]
        others = [x for x in labels if x != product.labels[args.head]]
        wrong = {**product.labels, args.head: str(rng.choice(others))}
        catalogue.products[i] = replace(product, labels=wrong)
        flipped.add(product.id)
    with tempfile.TemporaryDirectory() as out:
        engine.run(classifier, catalogue, Path(out), split, "test")
        opened = Audit(out)
    ranked = opened.label_issues
    ranked = ranked[ranked["attribute"] == args.head]
    found = flipped & set(ranked["id"][: round(FIRST * len(opened.table))])
    print(
        f"{len(flipped)} of {len(opened.table):,} {args.head}s flipped; {len(found)} "
        f"({len(found) / len(flipped):.1%}) in the first {FIRST:.0%} of the ranked list"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
