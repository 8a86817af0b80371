"""``make bench-audit``: an audit's speed beside the bare network's, and its memory.

Each audit runs in a process of its own, so that its peak memory is its own; the bare network is
timed before and after it, in the same process: batches of 32, pixels that are ready.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server import ROOT

SHARES = (0.25, 1.0)

RUN = """
import json, os, resource, sys, time
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
from pathlib import Path
import numpy as np
from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.data.catalogue import Catalogue
data, out, share = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
catalogue = Catalogue(data)
catalogue.products = catalogue.products[: round(share * len(catalogue.products))]
load = FashionClassifier.load
classifier = load()
pixels = np.random.default_rng(0).uniform(0, 255, (32, *classifier.size, 3)).astype(np.float32)
times = []

def bare(rounds=8):
    for _ in range(rounds):
        before = time.perf_counter()
        classifier.network.forward(pixels)
        times.append(time.perf_counter() - before)

bare()
usual = load() if "providers" not in load.__code__.co_varnames else load(threads=1)
summary = engine.run(usual, catalogue, out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
bare()
bare = 32 / float(np.median(times))
f = {"products": summary["audited"], "peak_gb": peak, "bare": bare, **summary["seconds"]}
print(json.dumps(f))
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_audit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder or zip of a catalogue")
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        default=SHARES,
        help="of the products (default: ¼ and 1)",
    )
    parser.add_argument(
        "--beside", type=Path, metavar="CLONE", help="another clone that audits the same, in turn"
    )
    args = parser.parse_args(argv)
    print("| clone | products | minutes | photos/s | of the bare network's | peak memory |")
    print("|---|---|---|---|---|---|")
    for share in args.shares:
        rates = [audit(root, args.data, share) for root in (args.beside, ROOT) if root]
        if len(rates) > 1:
            print(f"{rates[1] / rates[0]:.2f} × the photos/s of {args.beside}")
    return 0


def audit(root: Path, data: Path, share: float) -> float:
    """Audit with a clone's code, print a line, and return its photos/s."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(data.resolve()), out, str(share)],
            stdout=subprocess.PIPE, text=True, check=True, cwd=root,
            env={**os.environ, "PYTHONPATH": str(root.resolve())},
        )  # fmt: skip
    f = json.loads(done.stdout.splitlines()[-1])
    rate = f["products"] / f["streaming"]
    print(
        f"| {root.resolve().name} | {f['products']:,} | {f['streaming'] / 60:.1f} | {rate:.1f} "
        f"| {100 * rate / f['bare']:.0f} % of {f['bare']:.1f} | {f['peak_gb']:.2f} GB |",
        flush=True,
    )
    return rate


if __name__ == "__main__":
    sys.exit(main())
