"""``make attack``: bounded attacks on a running demo of this machine; prints held or broke.

Without an address it starts two demos and attacks both: one for everybody, one with a log-in.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from urllib.parse import urlsplit

from tests.attack.attacks import LOCKED, OPEN, Attack
from tests.attack.target import Target
from tests.server import start

LOGIN = ("ann", "se:cret")
HERE = ("127.0.0.1", "localhost", "::1")


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 all held, 1 something broke, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("url", nargs="?", help="of a demo on this machine; others are not attacked")
    parser.add_argument("--pid", type=int, help="its process, to watch the memory too")
    parser.add_argument("--login", metavar="USER:PASSWORD", help="where it asks for one")
    parser.add_argument("--only", nargs="+", default=[""], help="attacks that begin with these")
    args = parser.parse_args(argv)
    chosen = {n: a for n, a in OPEN.items() if n.startswith(tuple(args.only))}
    locked = {n: a for n, a in LOCKED.items() if n.startswith(tuple(args.only))}
    if args.url:
        if urlsplit(args.url).hostname not in HERE:
            parser.error(f"expected an address of this machine; received {args.url!r}")
        login = tuple(args.login.split(":", 1)) if args.login else None
        target = Target(args.url.rstrip("/"), args.pid, login)
        return 1 if broken(target, locked if login else chosen, beside=not login) else 0
    count = 0
    for attacks, login in ((chosen, None), (locked, LOGIN)):
        os.environ["FASHION_AUTH"] = ":".join(login) if login else ""
        process, url = start()
        try:
            count += broken(Target(url, process.pid, login), attacks, beside=not login)
        finally:
            process.kill()
            process.wait()
    print(f"{count} broke" if count else "everything held")
    return 1 if count else 0


def broken(target: Target, attacks: dict[str, Attack], beside: bool) -> int:
    """Run the attacks beside an honest visitor; print a line each, return how many broke."""
    count = 0
    for name, attack in attacks.items():
        target.problems.clear()
        before = time.perf_counter()
        # Wrong passwords bar the honest visitor too, who comes from the same address.
        with target.honest_visitor() if beside else contextlib.nullcontext():
            problem = attack(target)
        problem = "; ".join([problem, *target.problems[:2]]).strip("; ")
        count += bool(problem)
        seconds = time.perf_counter() - before
        says = f"broke: {problem}" if problem else "held"
        print(f"{name}: {says} ({seconds:.1f} s, {target.memory():.0f} MB)", flush=True)
    return count


if __name__ == "__main__":
    sys.exit(main())
