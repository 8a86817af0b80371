"""``fashion-xai push``: share a bundle on the Hugging Face Hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fashion_xai.classifier import FashionClassifier
from fashion_xai.models import hub
from fashion_xai.models.bundle import BundleError


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Share a bundle on the Hugging Face Hub, with a model card made of its figures. Log in "
        "first: hf auth login, or HF_TOKEN. With --out the files are only written, to be looked at."
    )
    command.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    command.add_argument("repository", metavar="OWNER/NAME", help="made where it is not there")
    command.add_argument("--private", action="store_true", help="as a new, private repository")
    command.add_argument("--branch", help="to put it on (default: the main one)")
    command.add_argument("--message", default="Share a fashion_xai bundle", help="of the commit")
    command.add_argument("--out", type=Path, metavar="DIR", help="write the files here instead")
    command.set_defaults(threads=1)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Share it; the address is printed."""
    try:
        if args.out:
            hub.save(classifier.bundle.folder, args.out, hub.parsed(args.repository)[0])
            print(f"Written, and not shared: {args.out}")
            return 0
        address = classifier.push_to_hub(
            args.repository,
            private=args.private or None,
            branch=args.branch,
            commit_message=args.message,
        )
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Shared: {address}")
    repository, _ = hub.parsed(args.repository)
    print(f'FashionClassifier.load("hf://{repository}") loads it.')
    return 0
