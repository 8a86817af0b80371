"""``fashion-xai trust``: how faithful the maps are, beside controls."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import schema, shared
from fashion_xai.data.files import write
from fashion_xai.data.labels import ATTRIBUTES
from fashion_xai.data.schema import Table
from fashion_xai.data.sources import location
from fashion_xai.data.split import SPLITS
from fashion_xai.maps import methods
from fashion_xai.models import bundle
from fashion_xai.models.bundle import TRUST
from fashion_xai.trust import benchmark
from fashion_xai.trust import card as trust_card


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Hide what the maps mark and see what the network loses: deletion, insertion, "
        "ROAD, MuFidelity and pointing, on products as they are photographed and placed anywhere, "
        "beside maps that know nothing (noise, a centre blob, contours, a blurred map, other "
        "heads' maps). Writes OUT/trust.json; a stopped run resumes when the same command is "
        "given again. A photo takes 10 to 20 s on 2 cores: --photos 20 gives a first impression."
    )
    shared.add_bundle(command)
    command.add_argument(
        "--data",
        type=location,
        required=True,
        help=shared.DATA,
    )
    command.add_argument("--out", type=Path, default=Path("runs/trust"), help="folder of the card")
    command.add_argument("--split", choices=SPLITS, default="test", help="side (default: test)")
    command.add_argument("--photos", type=int, default=100, help="how many (default: 100)")
    command.add_argument(
        "--arrangement",
        choices=trust_card.ARRANGEMENTS,
        action="append",
        help="the photos as they are, or small and placed anywhere (default: both)",
    )
    command.add_argument(
        "--method",
        type=lambda text: methods.NAMES[shared.method(text)].name,
        action="append",
        metavar="METHOD",
        help="may be given several times (default: those from the forward pass alone)",
    )
    command.add_argument(
        "--attribute",
        metavar="HEAD",
        action="append",
        help=f"may be given several times (default: {ATTRIBUTES[3]})",
    )
    command.add_argument(
        "--sanity",
        type=int,
        default=20,
        metavar="N",
        help="photos of the sanity check: are the maps different once the weights are random? "
        "0 leaves it out (default: 20)",
    )
    command.add_argument(
        "--grids",
        type=int,
        default=60,
        metavar="N",
        help="pictures of four products: does the evidence for a label lie on its own one? "
        "0 leaves it out (default: 60)",
    )
    command.add_argument(
        "--agreement",
        type=int,
        default=500,
        metavar="N",
        help="products whose six maps are compared with each other, with the product's outline and "
        "with a face where one shows; 0 leaves it out (default: 500)",
    )
    command.add_argument(
        "--further",
        type=int,
        default=20,
        metavar="N",
        help="photos of what critics ask beyond that: do maps of two labels differ, does the "
        "marked part tell a label from its neighbour, how much does the way of hiding do alone? "
        "0 leaves it out (default: 20)",
    )
    command.add_argument("--full", action="store_true", help="all heads and all methods: hours")
    command.add_argument(
        "--write-bundle",
        action="store_true",
        help="keep the card in the bundle, for its badges; heads measured there before stay",
    )
    schema.add_arguments(command)
    command.set_defaults(run=run)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Measure, print and write the card."""
    usual = ATTRIBUTES[3] if ATTRIBUTES[3] in classifier.attributes else classifier.attributes[0]
    heads = classifier.attributes if args.full else args.attribute or (usual,)
    names = args.method or methods.CLOSED
    if args.full:
        names = tuple(name for name, m in methods.METHODS.items() if m.available)
        shared.name_missing_methods()
    shared.check_heads(classifier, heads)
    try:
        _, table = bundle.known(classifier.bundle.card, Path(str(args.data)).name)
        catalogue = schema.open_catalogue(args, Table.from_json(table), classifier.vocabulary)
        plan = benchmark.Plan(
            names,
            heads,
            args.split,
            args.arrangement or trust_card.ARRANGEMENTS,
            args.photos,
            args.grids,
            args.agreement,
            args.sanity,
            args.further,
        )
        card = benchmark.make_card(classifier, catalogue, plan, args.out)
    except ValueError as error:  # CatalogueError is one
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(trust_card.markdown(card))
    for head in heads:
        for name in names:
            print(f"{head}, {name}: {trust_card.summary(card, head, name)}")
    for line in card["rejected"]:
        print(f"left out: {line}", file=sys.stderr)
    if args.write_bundle:
        kept = benchmark.merged(classifier.bundle.trust, card)
        write(classifier.bundle.folder / TRUST, json.dumps(kept) + "\n")
    print(f"Card: {args.out / TRUST}")
    return 0
