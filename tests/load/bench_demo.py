"""``make bench-demo``: a crowd before the demo on this machine, beside the bare library.

Starts a server on 127.0.0.1 and sends it a bounded number of drawn photos; stops by itself.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from tqdm import tqdm

from examples import garments
from fashion_xai import ATTRIBUTES, FashionClassifier
from fashion_xai.maps import methods
from tests.server import ROOT, start

BATCH = 16
LEAN = "gradcam-odds"
"""What a lean client asks for: 16×12 cells a map."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench_demo", description=__doc__)
    parser.add_argument("--clients", type=int, default=32, help="at the same time (default: 32)")
    parser.add_argument("--photos", type=int, default=2000, help="in all (default: 2000)")
    parser.add_argument(
        "--pictures",
        type=int,
        default=400,
        help="photos for the default maps, and for those with pictures (default: 400)",
    )
    parser.add_argument(
        "--beside", type=Path, metavar="CLONE", help="another clone whose demo is asked first"
    )
    args = parser.parse_args(argv)
    photos = drawn()
    bare = {name: library(photos, name) for name in (LEAN, methods.DEFAULT)}
    for name, rate in bare.items():
        print(f"library, explain by {name} in batches of {BATCH}: {rate:.0f} photos/s")
    columns = "clone | asked for | photos | failed | photos/s | library | median | p95 | p95/median"
    print(f"| {columns} |\n{'|---' * 9}|")
    for root in (args.beside, ROOT):
        if root:
            measure(root.resolve(), args, photos, bare)
    return 0


def measure(root: Path, args, photos: list[bytes], bare: dict[str, float]) -> None:
    """Ask the demo of a clone for all three and print a line each."""
    process, url = start(root=root)
    try:
        watch = Memory(process.pid)
        send = partial(crowd, url, root.name, photos, args.clients)
        send(args.photos, {"method": LEAN}, bare[LEAN], watch)
        print_memory(watch, args.photos)
        send(args.pictures, {}, bare[methods.DEFAULT], watch)
        send(args.pictures, {"pictures": "true"}, bare[methods.DEFAULT], watch)
    finally:
        process.kill()
        process.wait()


def drawn() -> list[bytes]:
    """JPEGs of about 300 × 400, as a phone's gallery sends them after shrinking."""
    found = []
    for seed in range(24):
        kind, colour = list(garments.KINDS)[seed % 6], list(garments.COLOURS)[seed % 7]
        out = io.BytesIO()
        Image.fromarray(garments.draw(kind, colour, seed=seed)).save(out, "JPEG", quality=88)
        found.append(out.getvalue())
    return found


def library(photos: list[bytes], method: str, rounds: int = 12) -> float:
    """Photos per second of ``explain`` in one process, the best a server could reach."""
    classifier = FashionClassifier.load()
    batch = (photos * 2)[:BATCH]
    classifier.explain(batch, method)
    times = []
    for _ in range(rounds):
        before = time.perf_counter()
        classifier.explain(batch, method)
        times.append(time.perf_counter() - before)
    return BATCH / float(np.median(times))


class Memory:
    """The server's resident memory after each answered photo."""

    def __init__(self, pid: int):
        self.file = Path(f"/proc/{pid}/status")
        self.samples: list[float] = []
        self.lock = threading.Lock()

    def look(self) -> None:
        for line in self.file.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS"):
                with self.lock:
                    self.samples.append(int(line.split()[1]) / 1e6)


def crowd(url, clone, photos, clients, count, query, bare, watch) -> None:
    """Send ``count`` photos from ``clients`` at once and print a line."""
    spent: list[float] = []
    failed: list[str] = []
    bar = tqdm(total=count, unit="photo", disable=None)

    def visit(numbers: range) -> None:
        with httpx.Client(timeout=120) as client:
            for n in numbers:
                before = time.perf_counter()
                reply = client.post(
                    f"{url}/api/explain",
                    params=query,
                    content=photos[n % len(photos)],
                )
                spent.append(time.perf_counter() - before)
                if problem := incomplete(reply, "pictures" in query):
                    failed.append(problem)
                watch.look()
                bar.update()

    before = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(visit, [range(i, count, clients) for i in range(clients)]))
    seconds = time.perf_counter() - before
    bar.close()
    median, p95 = np.percentile(spent, [50, 95])
    what = "maps and pictures" if "pictures" in query else "labels and raw maps"
    what += f" ({query.get('method', methods.DEFAULT)})"
    print(
        f"| {clone} | {what} | {count} | {len(failed)} | {count / seconds:.0f} "
        f"| {100 * count / seconds / bare:.0f} % | {1000 * median:.0f} ms | {1000 * p95:.0f} ms "
        f"| {p95 / median:.2f} |",
        flush=True,
    )
    for problem in failed[:5]:
        print(f"failed: {problem}", file=sys.stderr)


def incomplete(reply: httpx.Response, pictures: bool) -> str:
    """What is wrong with an answer; '' where it is whole."""
    if reply.status_code != 200:
        return f"{reply.status_code} {reply.text[:200]}"
    try:
        maps = reply.json()["maps"]
        for attribute in ATTRIBUTES:
            if not np.isfinite(np.array(maps[attribute]["heatmap"])).all():
                return f"{attribute}: not finite"
            if pictures:
                data = base64.b64decode(maps[attribute]["picture"].split(",", 1)[1])
                Image.open(io.BytesIO(data)).load()  # raises where it is cut off
    except (KeyError, ValueError, OSError, json.JSONDecodeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def print_memory(watch: Memory, count: int) -> None:
    first = watch.samples[min(200, count // 4)]
    print(f"memory after the first 200: {first:.2f} GB; at the end {watch.samples[-1]:.2f} GB, "
          f"at most {max(watch.samples):.2f} GB")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
