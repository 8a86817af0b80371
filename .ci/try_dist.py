"""Try what `make dist` has built as a stranger would: each file in an empty environment on each
Python that is here, in an empty folder, with its own dependencies only; it has to explain a photo.

    python .ci/try_dist.py dist/*
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHONS = ("python3.11", "python3.12", "python3.13")
"""What the project supports; those that are not here are named."""

MOST = 60e6
"""Bytes of a wheel."""

DRAW = """
from PIL import Image, ImageDraw
photo = Image.new("RGB", (360, 480), "white")
ImageDraw.Draw(photo).polygon([(120, 80), (240, 80), (300, 420), (60, 420)], fill="crimson")
photo.save("dress.png")
"""


def main(files: list[str]) -> int:
    missing = [name for name in PYTHONS if not works(name)]
    if missing:
        print(f"Not here, so not tried: {', '.join(missing)}")
    for file in map(Path, files):
        size = file.stat().st_size
        print(f"{file.name}: {size / 1e6:.1f} MB")
        if file.suffix == ".whl" and size > MOST:
            print(f"error: expected at most {MOST / 1e6:.0f} MB", file=sys.stderr)
            return 1
        for name in PYTHONS:
            if name not in missing and not tried(name, file.resolve()):
                return 1
    return 0


def works(name: str) -> bool:
    """Whether there is such a Python: a shim without one behind it is there too."""
    found = shutil.which(name)
    return bool(found) and not subprocess.run([found, "-c", ""], capture_output=True).returncode


def tried(name: str, file: Path) -> bool:
    """Whether the file can be installed and used; what it printed where not."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as at:
        venv = Path(at, "venv")
        python, command = venv / "bin" / "python", venv / "bin" / "fashion-xai"
        for step in (
            [name, "-m", "venv", venv],
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", file],
            [python, "-c", DRAW],
            [command, "predict", "dress.png", "--json"],
            [command, "explain", "dress.png", "--out", "maps"],
        ):
            done = subprocess.run(list(map(str, step)), cwd=at, capture_output=True, text=True)
            if done.returncode:
                print(f"error: {name}: {done.stdout}{done.stderr}", file=sys.stderr)
                return False
        count = len(list(Path(at, "maps").glob("*.png")))
    print(f"  {name}: installed, predicted and drew {count} maps "
          f"in {time.perf_counter() - started:.0f} s")  # fmt: skip
    return count >= 6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
