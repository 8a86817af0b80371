"""Know the catalogue before training on it: ``python -m training.eda --data DIR_OR_ZIP --out DIR``.

Writes one self-contained page (eda.html), its figures as PNGs and all numbers as eda.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from fashion_xai.data import files

matplotlib.use("Agg")  # no window, also without a display
import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from scipy.stats import entropy

from fashion_xai.cli import schema
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue, Product, summarise
from fashion_xai.data.labels import CATEGORY_PATH
from fashion_xai.progress import ProgressBar, add_quiet
from fashion_xai.viz import html
from training import command
from training.data import near_duplicates, packing

RARE = 10
"""A label with fewer products than this is called rare."""

ODD_SHARE = 0.02
"""A parent seen with less than this share of an articleType's products looks like a mistake."""

BARS = 40
"""Labels shown in a distribution's figure; the table has all."""

SHEETS = 12
COLOUR = "#0b5cad"


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.eda",
        description="Explore a catalogue: distributions, missing values, which attribute "
        "determines which, contradictions, photos, near-duplicates and conflicts among their "
        "labels.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        help="folder, zip or table (docs/data.md)",
    )
    add("--out", type=Path, default=Path("runs/eda"), help="folder to write into")
    add("--cache", type=Path, default=packing.CACHE, help="folder for the decoded photos")
    add_quiet(parser)
    schema.add_arguments(parser)
    args = parser.parse_args(argv)

    def work() -> None:
        catalogue = schema.open_catalogue(args)
        args.out.mkdir(parents=True, exist_ok=True)
        run(catalogue, args.out, args.cache)

    return command.run(work, "Stopped; nothing was written.")


def run(catalogue: Catalogue, out: Path, cache: Path) -> dict[str, Any]:
    """Explore and write; returns the numbers of eda.json."""
    (thumbs,) = packing.pack(catalogue, [near_duplicates.THUMBNAIL], cache)
    left_out = [*catalogue.rejected, *thumbs.rejected]
    if left_out:
        print(summarise(left_out))
    products = thumbs.products
    attributes = catalogue.table.attributes
    print("Looking for near-duplicates; some minutes for 40,000 photos …")
    duplicates = near_duplicates.find_near_duplicates(np.asarray(thumbs.pixels[..., :3]))
    groups = group_members(duplicates)
    numbers: dict[str, Any] = {
        "products": len(products),
        "left_out": [r._asdict() for r in left_out],
        "distributions": {a: distribution(products, a) for a in attributes},
        "determines": determines(products, attributes),
        "odd_paths": odd_paths(products),
        "photos": photo_kinds(catalogue, products),
        "near_duplicates": {
            "groups": len(groups),
            "photos": sum(len(g) for g in groups),
            "identical_photos": duplicates.identical,
            "largest": max((len(g) for g in groups), default=0),
        },
        "conflicts": conflicts(products, groups, attributes),
    }
    pictures = {
        f"{a}.png": html.png(draw_distribution(numbers["distributions"][a], a)) for a in attributes
    }
    pictures["determines.png"] = html.png(draw_determines(numbers["determines"]))
    for name, data in pictures.items():
        files.write(out / name, data)
    files.write(out / "eda.json", json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")
    text = page(catalogue, products, groups, numbers, pictures)
    files.write(out / "eda.html", text)
    print(f"Page: {out / 'eda.html'}")
    return numbers


def distribution(products: Sequence[Product], attribute: str) -> dict[str, Any]:
    """Counts of every label, missing ones, and how uneven they are."""
    seen = Counter(p.labels[attribute] for p in products)
    missing = seen.pop(None, 0)
    counts = dict(seen.most_common())
    values = np.array(list(counts.values()))
    return {
        "labels": len(counts),
        "missing": missing,
        "rare": int((values < RARE).sum()),
        "imbalance": float(values.max() / values.min()),
        "effective_labels": float(np.exp(entropy(values))),
        "counts": counts,
    }


def determines(
    products: Sequence[Product], attributes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """How much knowing one attribute tells about another: column → row → 0–1.

    The uncertainty coefficient 1 − H(row | column) / H(row) (Theil 1970): 0 nothing, 1 all. With
    many rare labels it is optimistic.
    """
    table: dict[str, dict[str, float]] = {}
    for column in attributes:
        table[column] = {}
        for row in attributes:
            pairs = Counter(
                (p.labels[column], p.labels[row])
                for p in products
                if p.labels[column] is not None and p.labels[row] is not None
            )
            n = sum(pairs.values())
            of_row, of_column = Counter(), Counter()  # type: ignore[var-annotated]
            for (c, r), count in pairs.items():
                of_row[r] += count
                of_column[c] += count
            h_row = entropy(list(of_row.values()))
            h_joint = entropy(list(pairs.values()))
            h_column = entropy(list(of_column.values()))
            known = n and h_row > 0
            table[column][row] = float(1 - (h_joint - h_column) / h_row) if known else 1.0
    return table


def odd_paths(products: Sequence[Product]) -> list[dict[str, Any]]:
    """Category paths that are rare for their articleType: probably wrong labels.

    The paths with less than ``ODD_SHARE`` of an articleType's products, rarest first.
    """
    paths: dict[str, Counter] = defaultdict(Counter)
    ids: dict[tuple, list[str]] = defaultdict(list)
    for p in products:
        path = tuple(p.labels.get(a) for a in CATEGORY_PATH)
        if None not in path:
            paths[path[2] or ""][path] += 1
            ids[path].append(p.id)
    odd = [
        {
            "path": list(path),
            "usual": list(counter.most_common(1)[0][0]),
            "products": n,
            "share": n / counter.total(),
            "ids": ids[path][:5],
        }
        for counter in paths.values()
        for path, n in counter.items()
        if n / counter.total() < ODD_SHARE
    ]
    return sorted(odd, key=lambda o: (o["share"], o["path"]))


def photo_kinds(catalogue: Catalogue, products: Sequence[Product]) -> dict[str, Any]:
    """Sizes, modes and formats of the photos' files."""
    sizes: Counter = Counter()
    modes: Counter = Counter()
    formats: Counter = Counter()
    for product in ProgressBar(products, desc="looking at files", unit="photo"):
        with images.open_picture(catalogue.read(product)) as picture:
            sizes[f"{picture.width}×{picture.height}"] += 1
            modes[picture.mode] += 1
            formats[str(picture.format)] += 1
    return {
        "sizes": dict(sizes.most_common()),
        "modes": dict(modes.most_common()),
        "formats": dict(formats.most_common()),
    }


def group_members(duplicates: near_duplicates.NearDuplicates) -> list[list[int]]:
    """The groups of two photos or more, largest first, as positions."""
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(duplicates.group.tolist()):
        members[group].append(position)
    return sorted((m for m in members.values() if len(m) > 1), key=lambda m: (-len(m), m))


def conflicts(
    products: Sequence[Product], groups: Sequence[Sequence[int]], attributes: Sequence[str]
) -> dict[str, Any]:
    """Per attribute: groups of near-duplicates whose labels differ, and the commonest pairs."""
    found: dict[str, Any] = {}
    for attribute in attributes:
        pairs: Counter = Counter()
        differing = 0
        for group in groups:
            labels = sorted({products[i].labels[attribute] or "(missing)" for i in group})
            differing += len(labels) > 1
            pairs.update((a, b) for k, a in enumerate(labels) for b in labels[k + 1 :])
        found[attribute] = {
            "groups": differing,
            "share": differing / len(groups) if groups else 0.0,
            "pairs": [[a, b, n] for (a, b), n in pairs.most_common(10)],
        }
    return found


def draw_distribution(numbers: Mapping[str, Any], attribute: str):
    """The counts on a logarithmic axis: the long tail is visible."""
    counts = list(numbers["counts"].items())
    shown = counts if len(counts) <= BARS else [*counts[: BARS // 2], *counts[-BARS // 2 :]]
    figure, axes = plt.subplots(figsize=(7.5, 0.6 + 0.19 * len(shown)))
    names = [name for name, _ in shown]
    places = np.arange(len(shown), dtype=float)
    if len(counts) > BARS:
        places[BARS // 2 :] += 1
        note = f"⋮ {len(counts) - BARS} labels between"
        axes.text(0.01, BARS // 2, note, fontsize=7, va="center",
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.barh(places, [n for _, n in shown], color=COLOUR)
    axes.set_yticks(places, names, fontsize=7)
    axes.set(xscale="log", xlabel="products (logarithmic)", ylim=(places[-1] + 0.7, -0.7))
    axes.set_xlim(0.5, 3 * counts[0][1])  # a bar for one product, and room for the longest's number
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for place, (_, n) in zip(places, shown):
        axes.text(n * 1.05, place, f"{n:,}", va="center", fontsize=6)
    axes.set_title(f"{attribute}: {len(counts)} labels", fontsize=10)
    return figure


def draw_determines(table: Mapping[str, Mapping[str, float]]):
    """The matrix of uncertainty coefficients."""
    names = list(table)
    values = np.array([[table[c][r] for c in names] for r in names])
    figure, axes = plt.subplots(figsize=(5.6, 4.6))
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="knowing this …", ylabel="… tells this share of that")
    for r in range(len(names)):
        for c in range(len(names)):
            axes.text(c, r, f"{values[r, c]:.2f}", ha="center", va="center", fontsize=8,
                      color="black" if values[r, c] > 0.55 else "white")  # fmt: skip
    return figure


def page(
    catalogue: Catalogue,
    products: Sequence[Product],
    groups: Sequence[Sequence[int]],
    numbers: Mapping[str, Any],
    pictures: Mapping[str, bytes],
) -> str:
    """The page, for a person who has never seen the data."""
    return html.page(
        "The catalogue at a glance",
        html.paragraph(
            f"{len(products):,} products, each one photo and a label for each of "
            f"{len(numbers['distributions'])} attributes. "
            f"{len(numbers['left_out'])} rows were left out. What matters for a model: a few "
            "labels have most of the products (the long tail), some labels contradict each "
            "other, and some photos occur more than once, so that a random split into training "
            "and test would test on photos it was trained on."
        ),
        *_distribution_parts(numbers, pictures),
        html.heading("Which attribute tells another"),
        html.paragraph(
            "1.00 means that the attribute below the column settles the one beside the row. "
            "Only a little of colour and season follows from the rest: they must be seen."
        ),
        html.image(pictures["determines.png"], "Uncertainty coefficients"),
        *_odd_parts(numbers),
        *_photo_parts(numbers),
        *_near_duplicate_parts(catalogue, products, groups, numbers),
    )


def _distribution_parts(numbers: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Markup]:
    rows = [
        [a, d["labels"], d["missing"], d["rare"], f"{d['imbalance']:,.0f} : 1",
         f"{d['effective_labels']:.1f}"]
        for a, d in numbers["distributions"].items()
    ]  # fmt: skip
    header = ["attribute", "labels", "missing", f"labels with < {RARE} products",
              "most : least frequent", "effective labels"]  # fmt: skip
    parts = [
        html.heading("How often each label occurs"),
        html.table(header, rows),
        html.paragraph(
            "Effective labels: exp of the entropy, the number of equally frequent labels that "
            "would be as hard to guess. Missing labels are no class: they weigh nothing."
        ),
    ]
    for a, d in numbers["distributions"].items():
        every = html.table(["label", "products"], list(d["counts"].items()))
        parts += [
            html.heading(a, 3),
            html.image(pictures[f"{a}.png"], f"Products per {a}"),
            html.folded(f"All {d['labels']} labels", every),
        ]
    return parts


def _odd_parts(numbers: Mapping[str, Any]) -> list[Markup]:
    rows = [
        [" › ".join(o["path"]), " › ".join(o["usual"]), o["products"], ", ".join(o["ids"])]
        for o in numbers["odd_paths"]
    ]
    return [
        html.heading("Labels that contradict the taxonomy"),
        html.paragraph(
            f"{len(rows)} category paths hold less than {ODD_SHARE:.0%} of their articleType's "
            "products: probably wrong labels."
        ),
        html.table(["path", "usual path of this articleType", "products", "ids"], rows),
    ]


def _photo_parts(numbers: Mapping[str, Any]) -> list[Markup]:
    photos = numbers["photos"]
    return [
        html.heading("The photos' files"),
        html.table(["width × height", "photos"], list(photos["sizes"].items())[:15]),
        html.table(["mode (L: greyscale)", "photos"], list(photos["modes"].items())),
        html.table(["format", "photos"], list(photos["formats"].items())),
    ]


def _near_duplicate_parts(
    catalogue: Catalogue,
    products: Sequence[Product],
    groups: Sequence[Sequence[int]],
    numbers: Mapping[str, Any],
) -> list[Markup]:
    duplicates = numbers["near_duplicates"]
    parts = [
        html.heading("Photos that occur more than once"),
        html.paragraph(
            f"{duplicates['groups']} groups with {duplicates['photos']:,} photos "
            f"({duplicates['identical_photos']:,} identical to the pixel); the largest holds "
            f"{duplicates['largest']}. Their labels should agree; where they do not, at least one "
            "is wrong, or the attribute cannot be seen."
        ),
        html.table(
            ["attribute", "groups whose labels differ", "% of the groups", "most often"],
            [
                [a, c["groups"], f"{100 * c['share']:.1f}",
                 "; ".join(f"{x} / {y} ({n})" for x, y, n in c["pairs"][:3])]
                for a, c in numbers["conflicts"].items()
            ],
        ),
    ]  # fmt: skip
    attributes = catalogue.table.attributes
    key = "articleType" if "articleType" in attributes else attributes[0]
    differing = [g for g in groups if len({products[i].labels[key] for i in g}) > 1]
    for title, chosen in [
        ("The largest groups", groups[:SHEETS]),
        (f"Near-duplicates that differ in {key}", differing[:SHEETS]),
    ]:
        parts.append(html.heading(title, 3))
        for group in chosen:
            parts.append(
                html.sheet(
                    (catalogue.photo(products[i]), f"{products[i].id}: {_caption(products[i])}")
                    for i in group
                )
            )
    return parts


def _caption(product: Product) -> str:
    """The labels worth reading beside a photo: the finest category and the colour, if known."""
    wanted = [a for a in ("articleType", "baseColour") if a in product.labels]
    return ", ".join(product.labels[a] or "(missing)" for a in wanted or list(product.labels)[:2])


if __name__ == "__main__":
    sys.exit(main())
