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
from contextlib import contextmanager
from pathlib import Path

from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.classifier import cores
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.engines.parts import CHUNK, Parts
from fashion_xai.engines.run import Cluster


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--products", type=int, default=4096)
    return parser


@contextmanager
def timed_chunks() -> Iterator[list[float]]:
    """When each chunk was written."""
    times: list[float] = []
    write = Parts.write

    def noted(self, number, table):
        write(self, number, table)
        times.append(time.perf_counter())

    Parts.write = noted
    try:
        yield times
    finally:
        Parts.write = write


def main() -> None:
    args = parser().parse_args()
    catalogue = Catalogue(args.data)
    catalogue.products = catalogue.products[: args.products]
    classifier = FashionClassifier.load(threads=1)
    n = cores()
    ways = {
        "local": None,
        f"Ray, {n} actors of 1 core": Cluster(actors=n),
        f"Ray, 1 actor of {n} cores": Cluster(actors=1, cores=n),
    }
    first = None
    for name, cluster in ways.items():
        with tempfile.TemporaryDirectory() as out, timed_chunks() as times:
            started = time.perf_counter()
            engine.run(classifier, catalogue, Path(out), cluster=cluster)
        rate = (len(times) - 1) * CHUNK / (times[-1] - times[0])
        first = first or rate
        print(
            f"{name}: {rate:.1f} photos/s ({rate / first:.2f} of local), first chunk after "
            f"{times[0] - started:.0f} s, all {len(catalogue)} in {times[-1] - started:.0f} s"
        )


if __name__ == "__main__":
    main()
