"""What several commands need: photos from the command line, heads and methods by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import images
from fashion_xai.data.images import ImageError
from fashion_xai.data.sources import location
from fashion_xai.engines.run import Cluster
from fashion_xai.maps import methods
from fashion_xai.models.outputs import ForwardPass
from fashion_xai.progress import add_quiet

DATA = "folder, zip, table, or the address of a folder or table (docs/data.md)"
"""Help of the flag --data."""


def add_photos(command: argparse.ArgumentParser, count: str = "+") -> None:
    """The arguments of a command that is given photos: ``"+"`` for at least one, ``"*"`` for any
    number."""
    command.add_argument("images", nargs=count, metavar="IMG", help="photos: JPEG, PNG, HEIC, …")
    add_bundle(command)


def add_bundle(command: argparse.ArgumentParser, threads: int | None = None) -> None:
    """What every command has; ``threads`` is the default of that flag."""
    command.add_argument(
        "--bundle",
        type=location,
        help="a trained bundle: its folder, or hf://owner/name[@revision] on the Hugging Face Hub "
        "(default: the shipped one)",
    )
    command.add_argument(
        "--threads",
        type=positive,
        default=threads,
        metavar="N",
        help="cores that one forward pass uses; as many passes run at once as fit "
        f"(default: {threads or 'all'})",
    )
    add_quiet(command)


def add_engine(command: argparse.ArgumentParser) -> None:
    """The flags that say where a catalogue is computed."""
    group = command.add_argument_group("beyond one machine (docs/scale.md)")
    add = group.add_argument
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help='this machine, or Ray Data (pip install "fashion-xai[ray]"); either goes on with what '
        "the other has left (default: local)",
    )
    add(
        "--address",
        metavar="HOST:PORT",
        help="with --engine ray: of a cluster; auto for the one that this machine belongs to "
        "(default: a cluster of this machine alone)",
    )
    add(
        "--actors",
        type=positive,
        metavar="N",
        help="with --engine ray: networks at once (default: one a core, or a GPU)",
    )
    add(
        "--gpus",
        type=float,
        default=0.0,
        metavar="N",
        help="with --engine ray: GPUs of each network, parts of one too (default: 0)",
    )


def cluster(args: argparse.Namespace) -> Cluster | None:
    """What :func:`add_engine`'s flags ask for; None for this machine.

    Raises:
        ValueError: flags of a cluster without --engine ray, or fewer GPUs than none.
    """
    given = [f"--{n}" for n in ("address", "actors", "gpus") if getattr(args, n)]
    if args.engine == "local":
        if given:
            raise ValueError(f"{', '.join(given)}: only with --engine ray.")
        return None
    if args.gpus < 0:
        raise ValueError(f"--gpus: expected 0 or more. Received: {args.gpus:g}")
    return Cluster(args.address, args.actors, args.gpus)


def positive(text: str) -> int:
    """A whole number of 1 or more, for ``argparse``."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more; received {text}")
    return value


def method(text: str) -> str:
    """A method's name of today, for ``argparse``: an old one warns.

    Raises:
        argparse.ArgumentTypeError: there is none of that name.
    """
    if text in methods.OLD_NAMES:
        print(f"warning: method {text} is called {methods.OLD_NAMES[text]} now", file=sys.stderr)
        return methods.OLD_NAMES[text]
    if text not in methods.NAMES:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(methods.NAMES)}; received {text!r}"
        )
    return text


def forward_passes(
    classifier: FashionClassifier, names: list[str]
) -> Iterator[tuple[str, np.ndarray | None, ForwardPass | None]]:
    """Each photo's name, pixels and forward pass, one pass per batch; of a photo that cannot be
    used the name only, and a line on stderr with the reason."""
    for start in range(0, len(names), classifier.batch_size):
        batch = names[start : start + classifier.batch_size]
        photos = {}
        for name in batch:
            try:
                notes: list[str] = []
                photos[name] = images.load(name, notes)
                for note in notes:
                    print(f"note: {name}: {note}", file=sys.stderr)
            except ImageError as error:
                print(f"error: {name}: {error}", file=sys.stderr)
        made = dict(zip(photos, classifier.read(list(photos.values())), strict=True))
        yield from ((name, photos.get(name), made.get(name)) for name in batch)


def check_heads(classifier: FashionClassifier, heads: Sequence[str]) -> None:
    """
    Raises:
        KeyError: a head that the bundle does not have.
    """
    for head in heads:
        if head not in classifier.attributes:
            known = ", ".join(classifier.attributes)
            raise KeyError(f"--attribute: expected one of {known}. Received: {head!r}")


def name_missing_methods() -> None:
    """Say on stderr which methods are left out, and how to get what they need."""
    for m in methods.METHODS.values():
        if not m.available:
            print(f"left out: {m.name}; {m.remedy}", file=sys.stderr)
