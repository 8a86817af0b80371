"""``fashion-xai demo``, ``train`` and ``evaluate``: the programs that stand beside the library.

In a checkout they are its folders ``demo`` and ``training``; a wheel brings the same two packages
in ``fashion_xai/apps``, where they are in nobody's way.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

PROGRAMS = {
    "demo": ("demo.server", "demo", "serve the page, and an API"),
    "train": ("training.train", "train", "train or fine-tune a bundle"),
    "evaluate": ("training.evaluate", "train", "measure a bundle on a catalogue"),
}
"""Command → its module, the extra with what it needs, and what it does."""

APPS = Path(__file__).resolve().parents[1] / "apps"
"""Where a wheel keeps them."""


def run(name: str, argv: list[str]) -> int:
    """Run one of them and return its exit code; each has its own ``--help``."""
    module, extra, _ = PROGRAMS[name]
    home = APPS if APPS.is_dir() else APPS.parents[1]
    # First, so that a folder of the user's with such a name is not taken for it.
    sys.path.insert(0, str(home))
    try:
        program = import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("demo", "training", "fashion_xai"):
            raise
        print(
            f'error: fashion-xai {name} needs {missing}: pip install "fashion-xai[{extra}]"',
            file=sys.stderr,
        )
        return 1
    return program.main(argv, prog=f"fashion-xai {name}")
