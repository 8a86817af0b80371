"""``fashion-xai explain``: a heatmap picture per attribute and photo."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from fashion_xai.classifier import FashionClassifier
from fashion_xai.cli import shared
from fashion_xai.data.files import write
from fashion_xai.data.labels import ATTRIBUTES
from fashion_xai.maps import methods
from fashion_xai.progress import ProgressBar
from fashion_xai.trust import card as trust_card
from fashion_xai.viz import overlay
from fashion_xai.viz.contact_sheet import contact_sheet, gallery, peak_of


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Its description and flags."""
    command.description = (
        "Write OUT/PHOTO.ATTRIBUTE.png for each photo and head, OUT/PHOTO.sheet.png "
        "with all of them and their scales, and OUT/explanations.json with the raw maps."
    )
    shared.add_photos(command)
    command.add_argument("--out", type=Path, required=True, help="folder for pictures and JSON")
    command.add_argument(
        "--method",
        type=shared.method,
        default=methods.DEFAULT,
        metavar="METHOD",
        help="; ".join(
            f"{' = '.join((m.name, *m.aliases))} ({m.title}, in {m.unit}; extra cost: {m.cost})"
            for m in methods.METHODS.values()
        )
        + f" (default: {methods.DEFAULT})",
    )
    command.add_argument(
        "--fine",
        dest="method",
        action="store_const",
        const="fine",
        help="the same as --method fine: outlines instead of cells",
    )
    command.add_argument(
        "--attribute",
        metavar="HEAD",
        action="append",
        help=f"only this head, such as {ATTRIBUTES[3]}; may be given several times",
    )
    command.add_argument(
        "--against",
        metavar="LABEL",
        help='"why the prediction and not LABEL", on the head that knows LABEL',
    )
    command.add_argument(
        "--signed",
        action="store_true",
        help="show what speaks against the label too: orange for, purple against",
    )
    command.add_argument(
        "--one-scale",
        action="store_true",
        help="the same colours mean the same evidence in all maps of a photo",
    )
    command.add_argument(
        "--gallery",
        action="store_true",
        help="also write OUT/PHOTO.gallery.png: every head by every method, a row each",
    )
    command.set_defaults(run=run)


def run(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    """Write the pictures; 1 if some photo could not be used."""
    against = {}
    chosen = args.attribute
    if args.against is not None:
        head = _head_of(classifier, args.against, chosen)
        against, chosen = {head: args.against}, chosen or [head]
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    stems: set[str] = set()
    for name, photo, forward_pass in ProgressBar(
        shared.forward_passes(classifier, args.images),
        total=len(args.images),
        unit="photo",
        disable=None,
    ):
        if photo is None or forward_pass is None:
            continue
        stem = _unused(Path(name).stem, stems)
        maps = list(
            classifier.explanations(forward_pass, chosen, None, against, args.method).values()
        )
        near = [asdict(product) for product in classifier.similar(forward_pass)]
        card = classifier.bundle.trust
        badges = [trust_card.badge(card, e.prediction.attribute, e.method) for e in maps]
        look = {"signed": args.signed, "one_scale": args.one_scale, "badges": badges}
        write(args.out / f"{stem}.sheet.png", contact_sheet(photo, maps, classifier.size, **look))
        if args.gallery:
            shared.name_missing_methods()
            table = {
                name: classifier.explanations(forward_pass, chosen, None, against, name)
                for name, method in methods.METHODS.items()
                if method.available
            }
            write(args.out / f"{stem}.gallery.png", gallery(photo, table, classifier.size))
        top = max(peak_of(e, args.signed) for e in maps) if args.one_scale else None
        for e in maps:
            picture = overlay.blend(
                photo, e.heatmap, e.box, classifier.size, peak=top, signed=args.signed
            )
            file = args.out / f"{stem}.{e.prediction.attribute}.png"
            write(file, overlay.png(picture))
            says = trust_card.summary(card, e.prediction.attribute, e.method)
            rows.append(
                {
                    "image": name,
                    "picture": file.name,
                    "label": e.prediction.label,
                    "probability": e.prediction.probability,
                    "trust": says,
                    **e.to_json(),
                    "similar": near,
                }
            )
    write(args.out / "explanations.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(rows)} maps of {len(stems)} photos in {args.out}")
    return int(len(stems) < len(args.images))


def _head_of(classifier: FashionClassifier, label: str, chosen: list[str] | None) -> str:
    heads = [a for a in chosen or classifier.attributes if label in classifier.vocabulary.labels[a]]
    if not heads:
        where = " or ".join(chosen) if chosen else "any head"
        labels = classifier.vocabulary.labels
        known = [x for a in chosen or classifier.attributes for x in labels[a]]
        close = get_close_matches(label, known, n=3)
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else "See labels.json."
        raise KeyError(f"--against: {label!r} is no label of {where}. {hint}")
    return heads[-1]  # the finest: some names are both a subCategory and an articleType


def _unused(stem: str, taken: set[str]) -> str:
    name, n = stem, 2
    while name in taken:
        name, n = f"{stem}-{n}", n + 1
    taken.add(name)
    return name
