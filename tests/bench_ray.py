"""What Ray costs and gives on this machine: the same audit by the local engine and by Ray, with
actors of one core and with one actor of all, side by side in one run.

    make bench-ray DATA=…

Rates are those from the first chunk to the last, without starting Ray and its actors.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.classifier import cores
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.engines.parts import CHUNK, Parts
from fashion_xai.engines.run import Cluster

ACTOR = "ray::MapWorker"
"""In the command line of Ray's processes that are our actors."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--products", type=int, default=4096, help="39939 for the memory's course")
    parser.add_argument("--bundle", type=Path, help="default: the shipped one")
    parser.add_argument("--only", help="ways with this in their name")
    return parser


class Written(NamedTuple):
    """When a chunk was written, and the memory then, in bytes."""

    seconds: float
    driver: int
    actor: int


@contextmanager
def watched() -> Iterator[list[Written]]:
    """What was written, chunk by chunk."""
    found: list[Written] = []
    write = Parts.write

    def noted(self, number, table):
        write(self, number, table)
        own = psutil.Process().memory_info().rss
        found.append(Written(time.perf_counter(), own, max(actors(), default=0)))

    Parts.write = noted
    try:
        yield found
    finally:
        Parts.write = write


def actors() -> Iterator[int]:
    """Memory of each actor."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if ACTOR in " ".join(process.cmdline()):
                yield process.memory_info().rss


def main() -> None:
    args = parser().parse_args()
    catalogue = Catalogue(args.data)
    catalogue.products = catalogue.products[: args.products]
    classifier = FashionClassifier.load(args.bundle, threads=1)
    n = cores()
    ways = {
        "local": None,
        "Ray, 1 actor of 1 core": Cluster(actors=1),
        f"Ray, {n} actors of 1 core": Cluster(actors=n),
        f"Ray, 1 actor of {n} cores": Cluster(actors=1, cores=n),
    }
    first = None
    for name, cluster in ways.items():
        if args.only and args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as out, watched() as chunks:
            started = time.perf_counter()
            engine.run(classifier, catalogue, Path(out), cluster=cluster)
        spent = chunks[-1].seconds - chunks[0].seconds
        rate = (len(chunks) - 1) * CHUNK / spent
        first = first or rate
        early, late = chunks[len(chunks) // 10], chunks[-1]
        print(
            f"{name}: {rate:.1f} photos/s ({rate / first:.2f} of the first way), first chunk after "
            f"{chunks[0].seconds - started:.0f} s, all {len(catalogue)} in "
            f"{late.seconds - started:.0f} s; MB after a tenth → at the end: this process "
            f"{early.driver / 1e6:.0f} → {late.driver / 1e6:.0f}, largest actor "
            f"{early.actor / 1e6:.0f} → {late.actor / 1e6:.0f}"
        )


if __name__ == "__main__":
    main()
