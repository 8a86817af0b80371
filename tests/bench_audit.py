"""``make bench-audit``: an audit's time beside its forward passes, and its memory.

Each size is audited in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SHARES = (0.25, 1.0)

RUN = """
import json, os, resource, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
from pathlib import Path
from fashion_xai import FashionClassifier, audit
from fashion_xai.data.catalogue import Catalogue
data, out, share = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
catalogue = Catalogue(data)
catalogue.products = catalogue.products[: round(share * len(catalogue.products))]
summary = audit.run(FashionClassifier.load(), catalogue, out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"products": summary["audited"], "peak_gb": peak, **summary["seconds"]}))
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
    args = parser.parse_args(argv)
    print("| products | minutes | photos/s | in the forward pass | peak memory |")
    print("|---|---|---|---|---|")
    for share in args.shares:
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(args.data), out, str(share)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        f = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {f['products']:,} | {f['streaming'] / 60:.1f} "
            f"| {f['products'] / f['streaming']:.0f} "
            f"| {100 * f['forward'] / f['streaming']:.1f} % | {f['peak_gb']:.2f} GB |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
