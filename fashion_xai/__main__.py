"""The command line: ``python -m fashion_xai predict | explain | audit | trust``."""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import audit, explain, predict, trust
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.models.bundle import BundleError

COMMANDS = (predict, explain, audit, trust)


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed (some photo could not be used), 2 wrong use."""
    args = parse(argv)
    try:
        return args.run(FashionClassifier.load(args.bundle), args)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 1
    except KeyError as error:  # an unknown label; its message offers close ones
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    except (BundleError, OSError, ImportError) as error:  # ImportError: an extra is missing
        print(f"error: {error}", file=sys.stderr)
        return 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fashion-xai", description="Classify fashion photos and see what the answers rest on."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    words = in_todays_words(argv, audit.RENAMED)
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
