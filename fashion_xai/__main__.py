"""The command line: ``fashion-xai COMMAND``, the same as ``python -m fashion_xai COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from fashion_xai.cli import programs
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.cli.streams import print_anything

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before a gradient method loads TensorFlow

COMMANDS = {
    "predict": "print the six attributes of each photo",
    "explain": "write a heatmap picture per attribute and photo",
    "audit": "find where a labelled catalogue and the model disagree, and why",
    "trust": "measure how faithful the maps are, beside controls",
    "compare": "what changed between two audits of the same products",
    "export": "write an audit in the formats of FiftyOne, cleanlab, COCO and Hugging Face",
    "push": "share a bundle on the Hugging Face Hub",
}
"""Command → what it does. Each is a module of ``fashion_xai.cli``, loaded when it is asked for: a
question for help is answered at once."""


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed (some photo could not be used), 2 wrong use."""
    print_anything()
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in programs.PROGRAMS:
        return programs.run(argv[0], argv[1:])
    args = parse(argv)
    try:
        from fashion_xai.classifier import FashionClassifier

        return args.run(FashionClassifier.load(args.bundle, threads=args.threads), args)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 1
    except KeyError as error:  # an unknown label; its message offers close ones
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    except (OSError, ImportError) as error:  # ImportError: an extra is missing
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        from fashion_xai.models.bundle import BundleError

        if not isinstance(error, BundleError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fashion-xai", description="Classify fashion photos and see what the answers rest on."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does)
        if name in argv[:1]:
            module = import_module(f"fashion_xai.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
            argv = in_todays_words(argv, getattr(module, "RENAMED", {}))
    for name, (_, _, does) in programs.PROGRAMS.items():
        commands.add_parser(name, help=does)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
