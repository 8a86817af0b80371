"""Lay clothing-dataset (Alexey Grigorev and contributors, CC0) out as ML Bookcamp does.

    python examples/clothing_folders.py phone-photos.zip clothes
    fashion-xai train --data clothes --init shipped --out runs/clothes

writes ``clothes/train/dress/ID.jpg`` and so on: the ten labels of *Machine Learning Bookcamp*,
chapter 7. The sides are those of the bundle that ships, so that nobody's photos are on two sides,
and the bundle has not been trained on any that are validated or tested on here.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections import Counter
from pathlib import Path

from fashion_xai.data.split import read_split
from fashion_xai.models.bundle import SHIPPED

LABELS = (
    "Dress", "Hat", "Longsleeve", "Outwear", "Pants",
    "Shirt", "Shoes", "Shorts", "Skirt", "T-Shirt",
)  # fmt: skip
"""The ten of chapter 7; the other photos are left out."""


def lay_out(photos: Path, out: Path, split: dict[str, str]) -> Counter[str]:
    """Write the folders and return how many photos each side has."""
    counts: Counter[str] = Counter()
    with zipfile.ZipFile(photos) as archive:
        table = io.TextIOWrapper(archive.open("phone.csv"), encoding="utf-8", newline="")
        for row in csv.DictReader(table):
            side = split.get(row["id"])
            if row["label"] not in LABELS or side is None:
                counts["left out"] += 1
                continue
            folder = out / side / row["label"].lower()
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{row['id']}.jpg"
            (folder / name).write_bytes(archive.read(f"images/{name}"))
            counts[side] += 1
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="phone-photos.zip: phone.csv and images/ID.jpg")
    parser.add_argument("out", type=Path, help="a new folder")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out} is there already")
    try:
        counts = lay_out(args.photos, args.out, read_split(SHIPPED / "split-1.csv"))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        print(f"error: {args.photos}: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{count:,} {side}" for side, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
