"""Drawn garments, plain and quick: photos for tests and notebooks, and whole drawn catalogues.

:mod:`examples.drawings` draws the demo's examples, with more care.
"""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COLOURS = {
    "Navy Blue": (34, 44, 88),
    "Red": (178, 34, 40),
    "Green": (46, 110, 66),
    "Black": (38, 38, 42),
    "Grey": (134, 136, 140),
    "Yellow": (226, 186, 52),
    "Brown": (112, 72, 44),
}

# Outlines in a 3:4 field of 75 × 100, drawn by hand.
TSHIRT = [
    (27, 14),
    (33, 18),
    (42, 18),
    (48, 14),
    (61, 20),
    (72, 40),
    (61, 46),
    (56, 38),
    (56, 88),
    (19, 88),
    (19, 38),
    (14, 46),
    (3, 40),
    (14, 20),
]
SHIRT = [
    (28, 12),
    (37, 17),
    (47, 12),
    (60, 18),
    (69, 66),
    (60, 68),
    (55, 40),
    (56, 90),
    (19, 90),
    (20, 40),
    (15, 68),
    (6, 66),
    (15, 18),
]
TROUSERS = [(22, 6), (53, 6), (56, 30), (58, 95), (45, 95), (38, 36), (30, 95), (17, 95), (19, 30)]
DRESS = [
    (29, 8),
    (33, 9),
    (36, 18),
    (40, 18),
    (43, 9),
    (47, 8),
    (51, 26),
    (48, 42),
    (62, 92),
    (13, 92),
    (27, 42),
    (24, 26),
]
SHOE = [(8, 46), (24, 44), (34, 52), (50, 58), (64, 61), (70, 67), (70, 72), (8, 72), (6, 60)]
BAG = [(12, 42), (63, 42), (68, 84), (7, 84)]

KINDS: dict[str, tuple[str, str, str, str, str]] = {
    # kind: gender, masterCategory, subCategory, articleType, season
    "tshirt": ("Men", "Apparel", "Topwear", "Tshirts", "Summer"),
    "shirt": ("Men", "Apparel", "Topwear", "Shirts", "Fall"),
    "trousers": ("Men", "Apparel", "Bottomwear", "Trousers", "Fall"),
    "dress": ("Women", "Apparel", "Dress", "Dresses", "Summer"),
    "shoe": ("Men", "Footwear", "Shoes", "Casual Shoes", "Winter"),
    "bag": ("Women", "Accessories", "Bags", "Handbags", "Winter"),
}
OUTLINES = dict(zip(KINDS, (TSHIRT, SHIRT, TROUSERS, DRESS, SHOE, BAG), strict=True))


def draw(
    kind: str,
    colour: str = "Navy Blue",
    size: tuple[int, int] = (400, 300),
    centre: tuple[float, float] = (0.5, 0.5),
    scale: float = 0.9,
    seed: int = 0,
) -> np.ndarray:
    """A garment on white, uint8 RGB (height, width, 3).

    Args:
        centre: of the garment, as (y, x) shares of the picture.
        scale: of the garment against the largest that fits.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    unit = 4 * scale * min(height / 100, width / 75)  # drawn at 4×, then reduced: smooth edges
    offset = np.array([4 * width * centre[1] - 37.5 * unit, 4 * height * centre[0] - 50 * unit])

    def place(points):
        return [tuple(np.array(p) * unit + offset) for p in points]

    rgb = np.array(COLOURS[colour])
    picture = Image.new("RGB", (4 * width, 4 * height), "white")
    pen = ImageDraw.Draw(picture)
    dark, light = tuple((rgb * 0.6).astype(int)), tuple((rgb * 0.5 + 127).astype(int))
    thin = max(1, int(unit * 0.5))
    if kind == "bag":
        pen.arc(
            place([(22, 12), (53, 70)])[0] + place([(22, 12), (53, 70)])[1],
            180,
            360,
            dark,
            max(2, int(unit * 2.2)),
        )
    outline = np.array(OUTLINES[kind], float) + rng.normal(0, 0.4, (len(OUTLINES[kind]), 2))
    pen.polygon(place(outline), fill=tuple(int(v) for v in rgb), outline=dark, width=thin)
    if kind == "shirt":
        pen.polygon(place([(28, 12), (37, 17), (33, 25)]), fill=light, outline=dark, width=thin)
        pen.polygon(place([(47, 12), (37, 17), (42, 25)]), fill=light, outline=dark, width=thin)
        pen.line(place([(37.5, 17), (37.5, 90)]), dark, thin)
        for y in range(28, 88, 10):
            x0, y0 = place([(38.6, y)])[0]
            pen.ellipse([x0, y0, x0 + unit * 1.4, y0 + unit * 1.4], fill="white")
    elif kind == "tshirt":
        pen.line(place([(27, 14), (33, 19.5), (42, 19.5), (48, 14)]), dark, thin * 2)
    elif kind == "trousers":
        pen.line(place([(21.6, 11), (53.6, 11)]), dark, thin)
        pen.line(place([(37.5, 11), (38, 36)]), dark, thin)
    elif kind == "shoe":
        pen.rectangle(
            place([(6, 71)])[0] + place([(71, 76)])[0], fill=(236, 236, 232), outline=dark
        )
        for x in range(30, 50, 5):
            pen.line(place([(x, 49 + (x - 30) * 0.5), (x + 4, 46 + (x - 30) * 0.5)]), "white", thin)
    elif kind == "bag":
        pen.line(place([(10.5, 54), (64.5, 54)]), dark, thin)
        pen.rectangle(place([(35, 52)])[0] + place([(40, 58)])[0], fill=(220, 190, 90))
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _shade(np.asarray(picture.filter(ImageFilter.GaussianBlur(0.4))), rng)


def save(kind: str, path: Path, colour: str = "Navy Blue") -> None:
    """Draw a garment into a file."""
    Image.fromarray(draw(kind, colour)).save(path)


def write_catalogue(folder: Path, per_kind: int = 4, size: tuple[int, int] = (80, 60)) -> Path:
    """A drawn catalogue as Kaggle unpacks it: styles.csv beside images/ID.jpg."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for k, (kind, (gender, master, sub, article, season)) in enumerate(KINDS.items()):
        for n in range(per_kind):
            colour = list(COLOURS)[(k + n) % len(COLOURS)]
            photo = draw(kind, colour, size, scale=0.75 + 0.02 * (n % 10), seed=100 * k + n)
            identity = str(1000 + 100 * k + n)
            Image.fromarray(photo).save(folder / "images" / f"{identity}.jpg", quality=92)
            title = f"Drawn {gender} {colour} {kind}"
            rows.append(
                [identity, gender, master, sub, article, colour, season, "2012", "Casual", title]
            )
    write_table(folder, rows)
    return folder


def write_class_folders(
    folder: Path, per_kind: int = 12, size: tuple[int, int] = (320, 240)
) -> Path:
    """Drawn garments in a folder each kind, on the sides train, validation and test (8 : 2 : 2)."""
    for kind in KINDS:
        for n in range(per_kind):
            side = ("validation", "test")[n % 2] if n % 6 < 2 else "train"
            place = folder / side / kind
            place.mkdir(parents=True, exist_ok=True)
            colour = list(COLOURS)[n % len(COLOURS)]
            photo = draw(kind, colour, size, scale=0.7 + 0.02 * (n % 10), seed=n)
            Image.fromarray(photo).save(place / f"{n}.jpg", quality=92)
    return folder


HEADER = [
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
]


def write_table(folder: Path, rows: list[list[str]]) -> None:
    with (folder / "styles.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])


def _shade(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Soft folds, so that cloth is not one flat colour; white stays white."""
    height, width = photo.shape[:2]
    folds = cv2.resize(
        rng.normal(1, 0.13, (7, 5)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )[..., None]
    cloth = (photo.min(2, keepdims=True) < 250).astype(np.float32)
    shaded = photo * (1 + (folds - 1) * cloth)
    return np.clip(shaded, 0, 255).round().astype(np.uint8)
