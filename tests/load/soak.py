"""``make soak``: visitors of all kinds for some minutes; prints what memory and files do.

Starts a server on 127.0.0.1, sends it what eight visitors do, and stops by itself.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError

from tests.attack.target import Target
from tests.load.bench_demo import drawn
from tests.server import start


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 none failed, 1 some did, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="in all (default: 600)")
    parser.add_argument("--clients", type=int, default=8, help="at the same time (default: 8)")
    args = parser.parse_args(argv)
    failed: Counter[str] = Counter()
    done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder))
        process, url = start()
        try:
            target = Target(url, process.pid)
            end = time.monotonic() + args.seconds
            threads = [
                threading.Thread(target=visit, args=[target, paths, i, end, done, failed])
                for i in range(args.clients)
            ]
            print("| s | requests | failed | MB in all | MB server | descriptors | temp files |\n"
                  f"{'|---' * 7}|")  # fmt: skip
            began = time.monotonic()
            memory = [(0.0, report(target, 0, done, failed))]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(min(30.0, args.seconds / 10))
                seconds = time.monotonic() - began
                memory.append((seconds, report(target, seconds, done, failed)))
        finally:
            process.kill()
            process.wait()
    print(", ".join(f"{what} {n:,}" for what, n in done.items()))
    print(flatness(memory))
    for what, n in failed.most_common(10):
        print(f"failed: {n} × {what}", file=sys.stderr)
    return 1 if failed else 0


def flatness(memory: Sequence[tuple[float, float]], settled: float = 115) -> str:
    """How far the mean of each minute is from the mean of all, once the server is warm.

    Single samples swing with what is being answered just then; the minutes say whether it creeps.

    Args:
        memory: (seconds, MB) of each line.
        settled: seconds that do not count.
    """
    minutes: dict[int, list[float]] = {}
    for seconds, megabytes in memory:
        if seconds >= settled:
            minutes.setdefault(int((seconds - settled) // 60), []).append(megabytes)
    means = [sum(values) / len(values) for values in minutes.values()]
    if len(means) < 2:
        return "Too short to say whether memory is flat after two minutes."
    mean = sum(means) / len(means)
    low, high = (100 * (extreme / mean - 1) for extreme in (min(means), max(means)))
    return (
        f"After two minutes: {mean:,.0f} MB, the mean of a minute {low:+.1f} to {high:+.1f} % of "
        f"that; the last {means[-1]:,.0f} MB, the first {means[0]:,.0f} MB"
    )


def written(folder: Path) -> list[Path]:
    """Drawn photos as files, and a zip of ten."""
    paths = []
    for i, data in enumerate(drawn()):
        paths.append(folder / f"{i}.jpg")
        paths[-1].write_bytes(data)
    with zipfile.ZipFile(folder / "ten.zip", "w") as archive:
        for path in paths[:10]:
            archive.write(path, path.name)
    return paths


def visit(target: Target, paths: list[Path], seed: int, end: float, done, failed) -> None:
    """One visitor: photos, other labels and methods, results, hidden parts, batches, plain HTTP."""
    rng = random.Random(seed)
    events = {name: target.event(name) for name in ("look", "redraw", "save", "hide_looked_at")}
    client = Client(target.url, verbose=False)
    for turn in itertools.count():
        if time.monotonic() > end:
            return
        path = rng.choice(paths)
        session = f"soak{seed}-{turn // 20}"  # a new tab now and then
        what = rng.choice(["page"] * 6 + ["http"] * 3 + ["api"] * 3 + ["bad"] * 2 + ["batch"])
        try:
            if what == "page":
                # Every photo is another file: a byte after its end.
                file = target.upload(path.name, path.read_bytes() + bytes([turn % 256, seed]))
                none = [None] * 12
                steps = [("look", [file, "gradcam-odds"]), ("redraw", [file, "layercam", *none])]
                steps += [("hide_looked_at", [file, "season"])]
                if rng.random() < 0.2:
                    steps.append(("save", [file, "gradcam", *none]))
                for name, data in steps:
                    reply = target.join(events[name], data, session)
                    if reply.status_code != 200 or not target.answer(session)["success"]:
                        failed[f"{name} {reply.status_code}"] += 1
            elif what == "http":
                reply = target.post("/api/explain?pictures=true", content=path.read_bytes())
                if reply.status_code != 200:
                    failed[f"http {reply.status_code}"] += 1
            elif what == "bad":
                reply = target.post(
                    "/api/explain", content=path.read_bytes()[: rng.randint(0, 400)]
                )
                if reply.status_code != 400:
                    failed[f"bad {reply.status_code}"] += 1
            elif what == "batch":
                if len(client.predict([handle_file(str(path.parent / "ten.zip"))],
                                      api_name="/batch")) != 10:  # fmt: skip
                    failed["batch"] += 1
            else:
                client.predict(handle_file(str(path)), "gradcam-odds", api_name="/explain")
        except QueueError:  # an address may have two batches waiting, and all visitors share ours
            done["batch refused"] += 1
        except (httpx.HTTPError, AppError, AssertionError) as error:
            failed[f"{what}: {error!r}"[:160]] += 1
        done[what] += 1


def report(target: Target, seconds: float, done, failed) -> float:
    """One line of the table; returns the MB in all."""
    server = Path(f"/proc/{target.pid}")
    resident = next(
        int(line.split()[1]) / 1e3
        for line in (server / "status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmRSS")
    )
    temp = [f for f in Path(tempfile.gettempdir()).glob("fashion_xai-*/**/*") if f.is_file()]
    print(
        f"| {seconds:.0f} | {sum(done.values()):,} | {sum(failed.values())} "
        f"| {(memory := target.memory()):,.0f} | {resident:,.0f} "
        f"| {len(list((server / 'fd').iterdir()))} | {len(temp):,} |",
        flush=True,
    )
    return memory


if __name__ == "__main__":
    sys.exit(main())
