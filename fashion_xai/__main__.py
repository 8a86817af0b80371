"""The command line: ``python -m fashion_xai predict | explain | audit | trust``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

from tqdm import tqdm

from fashion_xai import audit, audit_report, images, methods, overlay, trust, trust_card
from fashion_xai import table as tables
from fashion_xai.audited import Audit
from fashion_xai.bundle import SPLIT, TRUST, BundleError
from fashion_xai.catalogue import Catalogue
from fashion_xai.classifier import FashionClassifier
from fashion_xai.images import ImageError
from fashion_xai.labels import ATTRIBUTES
from fashion_xai.records import Explanation, Reading
from fashion_xai.report import write
from fashion_xai.sheet import contact_sheet, gallery, peak_of
from fashion_xai.split import SPLITS, read_split
from fashion_xai.table import Table


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
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("images", nargs="+", metavar="IMG", help="photos: JPEG, PNG, WebP, …")
    shared.add_argument("--bundle", type=Path, help="a trained bundle (default: the shipped one)")

    command = commands.add_parser(
        "predict", parents=[shared], help="print the six attributes of each photo"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line, with top 3")
    command.set_defaults(run=predict)

    command = commands.add_parser(
        "explain",
        parents=[shared],
        help="write a heatmap picture per attribute and photo",
        description="Write OUT/PHOTO.ATTRIBUTE.png for each photo and head, OUT/PHOTO.sheet.png "
        "with all of them and their scales, and OUT/explanations.json with the raw maps.",
    )
    command.add_argument("--out", type=Path, required=True, help="folder for pictures and JSON")
    command.add_argument(
        "--method",
        choices=methods.NAMES,
        default=methods.DEFAULT,
        metavar="METHOD",
        help="; ".join(
            f"{' = '.join((m.name, *m.twins))} ({m.title}, in {m.unit}; extra cost: {m.cost})"
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
    command.set_defaults(run=explain)

    command = commands.add_parser(
        "audit",
        help="find where a labelled catalogue and the model disagree, and why",
        description="Ask the model about every product and compare with the catalogue's labels. "
        "Writes into OUT: audit.html (confusions, their photos and maps, suspicious labels, "
        "slices), products.parquet (a row per product), confusions.csv, suspicious.csv, "
        "slices.csv, rejected.csv and audit.json. A stopped audit goes on when the same command "
        "is given again.",
    )
    command.add_argument("--bundle", type=Path, help="a trained bundle (default: the shipped one)")
    command.add_argument(
        "--data", type=Path, required=True, help="folder or zip: styles.csv beside images/ID.jpg"
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the audit")
    command.add_argument(
        "--split",
        type=Path,
        metavar="CSV",
        help="id,split: which products were trained on (default: the bundle's own; products it "
        "does not name are audited too)",
    )
    command.add_argument(
        "--side",
        choices=(*SPLITS, "all"),
        default="all",
        help="audit this side of the split only; a model agrees too easily with labels it was "
        "trained on (default: all)",
    )
    command.add_argument(
        "--attribute",
        metavar="HEAD",
        action="append",
        help="report only this head, such as articleType; may be given several times (the table "
        "holds all heads)",
    )
    command.add_argument(
        "--no-titles", action="store_true", help="keep no product names: for an audit to pass on"
    )
    command.add_argument(
        "--no-report", action="store_true", help="write the table and audit.json only"
    )
    tables.add_arguments(command)
    command.set_defaults(run=audit_catalogue)

    command = commands.add_parser(
        "trust",
        help="measure how faithful the maps are, beside controls",
        description="Hide what the maps mark and see what the network loses: deletion, insertion, "
        "ROAD, MuFidelity and pointing, on products as they are photographed and placed anywhere, "
        "beside maps that know nothing (noise, a centre blob, contours, a blurred map, other "
        "heads' maps). Writes OUT/trust.json; a stopped run goes on when the same command is "
        "given again. The default takes about six minutes on 2 cores.",
    )
    command.add_argument("--bundle", type=Path, help="a trained bundle (default: the shipped one)")
    command.add_argument(
        "--data", type=Path, required=True, help="folder or zip: styles.csv beside images/ID.jpg"
    )
    command.add_argument("--out", type=Path, default=Path("runs/trust"), help="folder of the card")
    command.add_argument("--split", choices=SPLITS, default="test", help="side (default: test)")
    command.add_argument("--photos", type=int, default=100, help="how many (default: 100)")
    command.add_argument(
        "--method",
        choices=methods.METHODS,
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
    command.add_argument("--full", action="store_true", help="all heads and all methods: hours")
    command.add_argument(
        "--write-bundle",
        action="store_true",
        help="keep the card in the bundle, for its badges; heads measured there before stay",
    )
    command.set_defaults(run=measure_trust)
    return parser.parse_args(argv)


def predict(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    failed = False
    for name, reading in _readings(classifier, args.images):
        if reading is None:
            failed = True
            continue
        predictions = classifier.predictions(reading)
        if args.json:
            answer: dict[str, Any] = {
                p.attribute: [
                    {"label": label, "probability": round(q, 6)}
                    for label, q in classifier.top(p, 3)
                ]
                for p in predictions.values()
            }
            known = {"one_product": classifier.is_one_product(reading)}
            print(json.dumps({"image": name, **answer, **known}, ensure_ascii=False), flush=True)
        else:
            line = " · ".join(f"{p.label} ({p.probability:.0%})" for p in predictions.values())
            doubt = " · not sure this is one product"
            doubtful = classifier.is_one_product(reading) is False
            print(f"{name}: {line}{doubt if doubtful else ''}", flush=True)
    return int(failed)


def explain(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    against = {}
    chosen = args.attribute
    if args.against is not None:
        head = _head_of(classifier, args.against, chosen)
        against, chosen = {head: args.against}, chosen or [head]
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    stems: set[str] = set()
    for name, reading in tqdm(
        _readings(classifier, args.images), total=len(args.images), unit="photo", disable=None
    ):
        if reading is None:
            continue
        stem = _unused(Path(name).stem, stems)
        photo = images.load(name)
        maps = list(classifier.explanations(reading, chosen, None, against, args.method).values())
        card = classifier.bundle.trust
        badges = [trust_card.badge(card, e.prediction.attribute, e.method) for e in maps]
        look = {"signed": args.signed, "one_scale": args.one_scale, "badges": badges}
        write(args.out / f"{stem}.sheet.png", contact_sheet(photo, maps, classifier.size, **look))
        if args.gallery:
            _name_what_is_missing()
            table = {
                name: classifier.explanations(reading, chosen, None, against, name)
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
            says = trust_card.verdict(card, e.prediction.attribute, e.method)
            rows.append({"image": name, "picture": file.name, **_row(e, says)})
    write(args.out / "explanations.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(rows)} maps of {len(stems)} photos in {args.out}")
    return int(len(stems) < len(args.images))


def audit_catalogue(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    usual = Table.from_json(classifier.bundle.card.get("table"))
    _check_heads(classifier, args.attribute or ())
    try:
        catalogue = Catalogue(args.data, table=tables.from_arguments(args, usual))
        split = read_split(args.split or classifier.bundle.folder / SPLIT)
        side = None if args.side == "all" else args.side
        summary = audit.run(classifier, catalogue, args.out, split, side, titles=not args.no_titles)
        if summary["rejected"]:
            print(f"{summary['rejected']} rows left out: {args.out / audit.REJECTED} says why")
        for head, figures in summary["heads"].items():
            if figures["labelled"]:
                wrong = figures["labelled"] - figures["right"]
                print(f"{head}: {wrong:,} of {figures['labelled']:,} differ from the label")
        if not args.no_report:
            opened = Audit(args.out, catalogue)
            bundle = classifier.bundle
            file = audit_report.write(opened, args.out, bundle.card, bundle.trust, args.attribute)
            print(f"Report: {file}")
    except ValueError as error:  # CatalogueError is one
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measure_trust(classifier: FashionClassifier, args: argparse.Namespace) -> int:
    usual = ATTRIBUTES[3] if ATTRIBUTES[3] in classifier.attributes else classifier.attributes[0]
    heads = classifier.attributes if args.full else args.attribute or (usual,)
    names = args.method or methods.CLOSED
    if args.full:
        names = tuple(name for name, m in methods.METHODS.items() if m.available)
        _name_what_is_missing()
    _check_heads(classifier, heads)
    try:
        catalogue = Catalogue(args.data, table=Table.from_json(classifier.bundle.card.get("table")))
        card = trust.make_card(
            classifier,
            catalogue,
            args.split,
            args.photos,
            names,
            heads,
            args.out,
            sanity_photos=args.sanity,
            grids=args.grids,
            agreement=args.agreement,
        )
    except ValueError as error:  # CatalogueError is one
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(trust_card.markdown(card))
    for head in heads:
        for name in names:
            print(f"{head}, {name}: {trust_card.verdict(card, head, name)}")
    for line in card["rejected"]:
        print(f"left out: {line}", file=sys.stderr)
    if args.write_bundle:
        kept = trust.merged(classifier.bundle.trust, card)
        write(classifier.bundle.folder / TRUST, json.dumps(kept) + "\n")
    print(f"Card: {args.out / TRUST}")
    return 0


def _check_heads(classifier: FashionClassifier, heads: Sequence[str]) -> None:
    for head in heads:
        if head not in classifier.attributes:
            known = ", ".join(classifier.attributes)
            raise KeyError(f"--attribute: expected one of {known}. Received: {head!r}")


def _readings(
    classifier: FashionClassifier, names: list[str]
) -> Iterator[tuple[str, Reading | None]]:
    """One forward pass per batch; a photo that cannot be used is named on stderr and gives None."""
    for start in range(0, len(names), classifier.batch_size):
        batch = names[start : start + classifier.batch_size]
        photos = {}
        for name in batch:
            try:
                photos[name] = images.load(name)
            except ImageError as error:
                print(f"error: {name}: {error}", file=sys.stderr)
        readings = dict(zip(photos, classifier.read(list(photos.values())), strict=True))
        yield from ((name, readings.get(name)) for name in batch)


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


def _name_what_is_missing() -> None:
    for m in methods.METHODS.values():
        if not m.available:
            print(f"left out: {m.name}, which needs the package {m.package}", file=sys.stderr)


def _unused(stem: str, taken: set[str]) -> str:
    name, n = stem, 2
    while name in taken:
        name, n = f"{stem}-{n}", n + 1
    taken.add(name)
    return name


def _row(e: Explanation, says: str) -> dict[str, Any]:
    return {
        "attribute": e.prediction.attribute,
        "label": e.prediction.label,
        "probability": e.prediction.probability,
        "target": e.target,
        "against": e.against,
        "method": e.method,
        "layer": e.layer,
        "unit": f"{methods.METHODS[e.method].unit} per cell",
        "evidence_for": e.evidence_for,
        "evidence_against": e.evidence_against,
        "trust": says,
        "heatmap": e.heatmap.tolist(),
        "box": e.box._asdict(),
    }


if __name__ == "__main__":
    sys.exit(main())
