"""The demo's examples: ten products drawn by code, shaded like photos, some on a floor or a wall.

``python -m examples.drawings demo/examples`` draws them anew. No photo is among them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

SIZE = (480, 360)
"""(height, width) of an example."""

FINE = 3
"""Drawn so many times larger, for smooth edges."""

Points = list[tuple[float, float]]

Colour = tuple[int, int, int]

ROUND = 99.0
"""Corners as round as can be."""


class Picture:
    """A canvas in shares of the width (x: 0–75, y: 0–100), drawn in layers.

    Args:
        background: uint8 RGB (height, width, 3).
        seed: of folds and textures.
    """

    def __init__(self, background: np.ndarray, seed: int = 0):
        self.rgb = background.astype(np.float32)
        self.height, self.width = background.shape[:2]
        self.rng = np.random.default_rng(seed)
        self.unit = self.height / 100

    def mask(
        self, draw: Callable[[ImageDraw.ImageDraw, float], None], soft: float = 0
    ) -> np.ndarray:
        """float32 (height, width), 0–1, of what is drawn in white; blurred by ``soft`` units."""
        layer = Image.new("L", (self.width * FINE, self.height * FINE))
        draw(ImageDraw.Draw(layer), self.unit * FINE)
        small = layer.resize((self.width, self.height), Image.Resampling.LANCZOS)
        found = np.asarray(small, np.float32) / 255
        return cv2.GaussianBlur(found, (0, 0), soft * self.unit) if soft else found

    def area(self, points: Points, corner: float = ROUND) -> np.ndarray:
        """The mask of a closed outline with rounded corners."""
        outline = rounded(points, corner)
        return self.mask(lambda pen, u: pen.polygon([(x * u, y * u) for x, y in outline], 255))

    def line(
        self, points: Points, width: float, corner: float = ROUND, closed: bool = False
    ) -> np.ndarray:
        path = rounded(points, corner, closed)
        path = [*path, path[0]] if closed else path

        def draw(pen, u):
            pen.line([(x * u, y * u) for x, y in path], 255, max(1, round(width * u)), "curve")

        return self.mask(draw)

    def dashes(
        self, points: Points, width: float = 0.35, length: float = 1.1, corner: float = ROUND
    ) -> np.ndarray:
        """Stitches along a line."""
        path = np.array(rounded(points, corner, False))
        far = np.r_[0, np.cumsum(np.hypot(*np.diff(path, axis=0).T))]

        def draw(pen, u):
            for start in np.arange(0, far[-1], 2 * length):
                both = [[np.interp(s, far, path[:, k]) * u for k in (0, 1)]
                        for s in (start, min(start + length, far[-1]))]  # fmt: skip
                pen.line([tuple(p) for p in both], 255, max(1, round(width * u)))

        return self.mask(draw)

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> np.ndarray:
        return self.mask(
            lambda pen, u: pen.ellipse(
                [(x - rx) * u, (y - ry) * u, (x + rx) * u, (y + ry) * u], fill=255
            )
        )

    def lay(
        self, mask: np.ndarray, colour: tuple[int, int, int] | np.ndarray, alpha: float = 1
    ) -> None:
        """Paint a colour, or a texture (height, width, 3), where the mask is."""
        a = (mask * alpha)[..., None]
        self.rgb = self.rgb * (1 - a) + np.asarray(colour, np.float32) * a

    def shadow(
        self,
        mask: np.ndarray,
        dx: float = 1.0,
        dy: float = 1.5,
        soft: float = 1.6,
        alpha: float = 0.3,
    ) -> None:
        """What the product throws on what lies behind it."""
        moved = np.roll(mask, (round(dy * self.unit), round(dx * self.unit)), (0, 1))
        self.lay(cv2.GaussianBlur(moved, (0, 0), soft * self.unit), (20, 18, 16), alpha)

    def shade(
        self, mask: np.ndarray, folds: float = 0.1, round_: float = 0.25, grain: float = 0.015
    ) -> None:
        """Light on a body: darker towards its edges, folds, and the grain of a cloth."""
        inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        depth = np.clip(inside / (8 * self.unit), 0, 1)
        light = 1 - round_ * (1 - depth) ** 2
        coarse = self.rng.normal(0, 1, (9, 5)).astype(np.float32)
        wave = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        light = light * (1 + folds * wave) + self.rng.normal(0, grain, mask.shape)
        lit = self.rgb * light[..., None].astype(np.float32)
        self.rgb = self.rgb * (1 - mask[..., None]) + lit * mask[..., None]

    def done(self) -> np.ndarray:
        return np.clip(self.rgb, 0, 255).round().astype(np.uint8)


def rounded(points: Points, corner: float = ROUND, closed: bool = True) -> Points:
    """A line with its corners rounded: each is a quadratic curve between the two places ``corner``
    units before and after it, or half the way to its neighbours where they are nearer."""
    path = np.array(points, float)
    last = len(path) - 1
    found: list[np.ndarray] = []
    for n, here in enumerate(path):
        if not closed and n in (0, last):
            found.append(here[None])
            continue
        ends = []
        for other in (path[n - 1], path[(n + 1) % len(path)]):
            way = other - here
            far = np.hypot(*way)
            ends.append(here + way * min(corner / far, 0.5) if far else here)
        t = np.linspace(0, 1, 9)[:, None]
        found.append((1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * here + t**2 * ends[1])
    return [(float(x), float(y)) for x, y in np.concatenate(found)]


def mirrored(points: Points, axis: float = 37.5) -> Points:
    """A left half, and its mirror image to the right."""
    return [*points, *((2 * axis - x, y) for x, y in reversed(points))]


def white() -> np.ndarray:
    return np.full((*SIZE, 3), 253, np.uint8)


def boards(seed: int = 0) -> np.ndarray:
    """A floor of wooden boards."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    out = np.zeros((height, width, 3), np.float32)
    for n, top in enumerate(range(0, height, 80)):
        tone = np.array((176, 138, 98), np.float32) * rng.uniform(0.86, 1.06)
        grain = cv2.resize(rng.normal(0, 9, (80, 6)).astype(np.float32), (width, 80))
        board = tone + grain[..., None] + rng.normal(0, 2, (80, width, 1))
        out[top : top + 80] = board[: height - top]
        out[top : top + 2] *= 0.6
        joint = (n * 137 + 60) % width
        out[top : top + 80, joint : joint + 2] *= 0.65
    return np.clip(out, 0, 255).astype(np.uint8)


def wall(seed: int = 0) -> np.ndarray:
    """A plastered wall, lit from one side."""
    rng = np.random.default_rng(seed)
    light = np.linspace(1.03, 0.9, SIZE[1])[None, :, None]
    rough = cv2.GaussianBlur(rng.normal(0, 12, SIZE).astype(np.float32), (0, 0), 2)[..., None]
    return np.clip(np.array((214, 208, 198)) * light + rough, 0, 255).astype(np.uint8)


def tshirt(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 1)
    half = [(30, 15), (22, 18), (9, 31), (16, 41), (22, 36), (21.5, 60), (21, 87)]
    body = p.area(mirrored(half), 4)
    p.shadow(body, alpha=0.15)
    p.lay(body, colour)
    neck = p.area([(30, 14), (33, 19), (37.5, 20.5), (42, 19), (45, 14), (37.5, 15)])
    p.lay(neck, tuple(int(0.5 * c) for c in colour))
    p.shade(body, 0.09)
    p.lay(
        p.line([(29.5, 15), (32.5, 20.4), (37.5, 22), (42.5, 20.4), (45.5, 15)], 0.5),
        (0, 0, 0),
        0.35,
    )
    p.lay(p.dashes([(21.5, 85), (53.5, 85)], 0.25), (0, 0, 0), 0.3)
    for x0, x1 in (((10.6, 29.8), (17, 39.2)), ((64.4, 29.8), (58, 39.2))):
        p.lay(p.dashes([x0, x1], 0.25), (0, 0, 0), 0.3)
    return p.done()


def handbag(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 2)
    strap = p.line([(24, 48), (25, 22), (37.5, 13), (50, 22), (51, 48)], 2.2)
    body = p.area([(13, 45), (62, 45), (67, 84), (60, 87), (15, 87), (8, 84)])
    p.shadow(body + strap, alpha=0.2)
    p.lay(strap, tuple(int(0.8 * c) + 8 for c in colour))
    p.lay(body, colour)
    p.shade(body, 0.12, 0.35)
    flap = p.line([(6, 55), (37.5, 62), (69, 55)], 0.7) * body
    p.lay(flap, (0, 0, 0), 0.55)
    p.lay(p.dashes([(6, 53), (37.5, 60), (69, 53)], 0.3) * body, (130, 126, 120), 0.7)
    p.lay(p.area([(34.5, 56), (40.5, 56), (40.5, 64), (34.5, 64)], 2), (206, 176, 92))
    for x in (24, 51):
        p.lay(p.ellipse(x, 48, 1.8, 1.8), (206, 176, 92))
    return p.done()


def watch(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 3)
    strap = p.area(
        [
            (30.5, 4),
            (44.5, 4),
            (46.5, 34),
            (46.5, 66),
            (44.5, 97),
            (30.5, 97),
            (28.5, 66),
            (28.5, 34),
        ],
        2,
    )
    p.shadow(strap, alpha=0.2)
    p.lay(strap, colour)
    p.shade(strap, 0.05, 0.3)
    p.lay(
        p.dashes([(31.7, 6), (29.8, 34)], 0.25) + p.dashes([(43.3, 6), (45.2, 34)], 0.25),
        (120, 120, 120),
        0.6,
    )
    p.lay(
        p.dashes([(29.8, 66), (31.7, 95)], 0.25) + p.dashes([(45.2, 66), (43.3, 95)], 0.25),
        (120, 120, 120),
        0.6,
    )
    for y in (76, 81, 86, 91):
        p.lay(p.ellipse(37.5, y, 0.9, 0.7), (5, 5, 5))
    p.lay(p.area([(56, 48), (59, 48), (59, 52), (56, 52)], 0.5), (150, 150, 154))
    case = p.ellipse(37.5, 50, 19.5, 19.5)
    p.shadow(case, alpha=0.3)
    p.lay(case, (176, 178, 184))
    p.shade(case, 0.02, 0.45)
    p.lay(p.ellipse(37.5, 50, 16.6, 16.6), (60, 60, 64))
    p.lay(p.ellipse(37.5, 50, 15.8, 15.8), (20, 20, 24))
    for hour in range(12):
        a = hour * np.pi / 6
        s, c = np.sin(a), np.cos(a)
        p.lay(
            p.line(
                [(37.5 + 12.6 * s, 50 - 12.6 * c), (37.5 + 14.6 * s, 50 - 14.6 * c)],
                0.9 if hour % 3 == 0 else 0.5,
            ),
            (230, 230, 230),
        )
    for a, far, width in ((-1.05, 8.5, 0.9), (0.95, 12, 0.6)):
        p.lay(
            p.line([(37.5, 50), (37.5 + far * np.sin(a), 50 - far * np.cos(a))], width),
            (236, 236, 236),
        )
    p.lay(p.line([(37.5, 53), (37.5, 38)], 0.25), (200, 40, 40))
    p.lay(p.ellipse(37.5, 50, 1, 1), (200, 200, 200))
    return p.done()


def sunglasses(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 4)
    left = [(6, 44), (14, 41), (30, 42), (34, 46), (32, 56), (25, 61), (14, 60), (8, 55)]
    right = [(75 - x, y) for x, y in left]
    arms = p.line([(6, 45), (3, 43), (10, 36), (20, 34)], 1.4) + p.line(
        [(69, 45), (72, 43), (65, 36), (55, 34)], 1.4
    )
    frame = np.maximum(p.area(left), p.area(right))
    frame = np.maximum(frame, p.line([(32, 46), (37.5, 44), (43, 46)], 1.8))
    p.shadow(frame, 0.6, 2.4, 1.4, 0.25)
    p.lay(np.clip(arms, 0, 1), tuple(c + 30 for c in colour))
    p.lay(frame, colour)
    for side in (left, right):
        c = np.mean(side, 0)
        lens = p.area([tuple(c + 0.84 * (np.array(q) - c)) for q in side], 2)
        fade = np.linspace(0.55, 1.7, p.height)[:, None, None] * np.array((34, 34, 34))
        p.lay(lens, np.broadcast_to(fade, p.rgb.shape))
        glint = p.area([(c[0] - 8, 45), (c[0] - 4, 44), (c[0] - 8, 54), (c[0] - 10, 52)], 2) * lens
        p.lay(glint, (255, 255, 255), 0.25)
    return p.done()


def flip_flops(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 5)
    sole = [
        (20, 12),
        (29, 10),
        (34, 20),
        (34, 36),
        (31, 56),
        (33, 76),
        (31, 90),
        (22, 93),
        (14, 88),
        (13, 74),
        (15, 54),
        (11, 34),
        (13, 20),
    ]
    for outline in (sole, [(75 - x, y) for x, y in sole]):
        mirror = outline is not sole
        base = p.area(outline)
        p.shadow(base, alpha=0.25)
        p.lay(base, tuple(int(0.7 * c) for c in colour))
        c = np.mean(outline, 0)
        top = p.area([tuple(c + 0.93 * (np.array(q) - c)) for q in outline], 2)
        p.lay(top, colour)
        p.shade(top, 0.04, 0.25)
        for x in (13.2, 33.2):
            ends = [(24, 25), (20 if x < 20 else 29, 33), (x, 48)]
            ends = [(75 - a, b) for a, b in ends] if mirror else ends
            p.shadow(p.line(ends, 2.2), 0.4, 0.8, 0.8, 0.35)
            p.lay(p.line(ends, 2.2), (22, 24, 40))
        spot = 51 if mirror else 24
        p.lay(p.ellipse(spot, 25, 1.4, 1.4), (22, 24, 40))
    return p.done()


def tie(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 6)
    light = tuple(min(255, c + 60) for c in colour)
    loop = np.clip(p.line([(31, 11), (28, 6), (37.5, 4), (47, 6), (44, 11)], 3), 0, 1)
    blade = p.area([(34, 21), (41, 21), (48, 84), (37.5, 97), (27, 84)], 0.5)
    knot = p.area([(30, 9), (45, 9), (41.5, 19), (39, 22.5), (36, 22.5), (33.5, 19)], 1.5)
    p.shadow(np.maximum(np.maximum(blade, knot), loop), alpha=0.25)
    p.lay(loop, tuple(int(0.8 * c) for c in colour))
    p.lay(blade, colour)
    for y in range(14, 115, 14):
        p.lay(p.line([(20, y), (58, y - 17)], 3) * blade, light)
    p.shade(blade, 0.06, 0.35, 0.03)
    p.shadow(knot, 0, 1, 1, 0.4)
    p.lay(knot, colour)
    p.lay(p.line([(28, 18), (48, 8)], 3) * knot, light)
    p.shade(knot, 0.06, 0.4, 0.03)
    return p.done()


def backpack(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 7)
    handle = p.line([(31, 12), (32, 4), (43, 4), (44, 12)], 1.8)
    straps = p.line([(19, 30), (9, 52), (12, 80), (18, 88)], 3.4)
    straps = straps + p.line([(56, 30), (66, 52), (63, 80), (57, 88)], 3.4)
    nets = p.area([(13, 62), (18, 60), (18, 88), (14, 86)], 2)
    nets = nets + p.area([(62, 62), (57, 60), (57, 88), (61, 86)], 2)
    body = p.area(mirrored([(24, 9), (17, 22), (15, 50), (16, 92)]), 9)
    p.shadow(body, alpha=0.25)
    p.lay(np.clip(handle + straps, 0, 1), (18, 18, 20))
    p.lay(np.clip(nets, 0, 1), (40, 40, 42))
    p.lay(body, colour)
    p.shade(body, 0.08, 0.35)
    for top, height in ((30, 22), (56, 33)):
        pocket = p.area([(20, top), (55, top), (56, top + height), (19, top + height)], 5)
        p.shadow(pocket, 0.3, 0.8, 0.8, 0.35)
        p.lay(pocket, tuple(int(1.12 * c) + 4 for c in colour))
        p.shade(pocket, 0.06, 0.3)
        p.lay(p.line([(21, top + 4), (54, top + 4)], 0.9), (20, 20, 22))
        p.lay(p.line([(52, top + 4), (52.5, top + 9)], 1), (170, 170, 174))
    p.lay(p.line([(18, 26), (22, 17), (37.5, 14), (53, 17), (57, 26)], 0.8), (20, 20, 22))
    p.lay(p.area([(32, 66), (43, 66), (43, 71), (32, 71)], 1), (220, 220, 216))
    return p.done()


def cap(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 9)
    crown = p.area([(12, 58), (14, 40), (24, 28), (38, 25), (52, 30), (59, 44), (60, 58), (38, 62)])
    peak = p.area([(10, 57), (30, 60), (44, 62), (40, 68), (20, 74), (4, 71), (3, 66)])
    p.shadow(np.maximum(crown, peak), alpha=0.25)
    p.lay(crown, colour)
    p.shade(crown, 0.07, 0.4)
    for path in ([(37, 25), (27, 40), (25, 59)], [(37, 25), (47, 40), (49, 60)]):
        p.lay(p.line(path, 0.3), (0, 0, 0), 0.6)
        p.lay(p.dashes([(x + 0.9, y) for x, y in path], 0.2), (120, 120, 124), 0.6)
    p.lay(peak, tuple(int(0.85 * c) for c in colour))
    p.shade(peak, 0.04, 0.35)
    for d in (0, 2.2, 4.4):
        p.lay(
            p.dashes([(6, 66 + d * 0.6), (22, 68 + d * 0.8), (40, 63 + d * 0.4)], 0.2),
            (110, 110, 114),
            0.6,
        )
    p.lay(p.ellipse(37, 25, 1.6, 1.1), colour)
    return p.done()


def wallet(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 10)
    body = p.area([(8, 32), (67, 32), (67, 74), (8, 74)], 2)
    p.shadow(body, alpha=0.3)
    p.lay(body, colour)
    p.shade(body, 0.06, 0.3, 0.03)
    p.lay(
        p.dashes([(10, 34), (65, 34), (65, 72), (10, 72), (10, 34)], 0.3, corner=2),
        (120, 116, 112),
        0.8,
    )
    p.lay(p.line([(8, 33.4), (67, 33.4)], 0.5), (0, 0, 0), 0.6)
    p.lay(p.area([(52, 62), (61, 62), (61, 68), (52, 68)], 2), (10, 10, 10))
    return p.done()


def dress(colour: Colour, background: np.ndarray) -> np.ndarray:
    p = Picture(background, 11)
    half = [(29, 8), (27, 8.5), (26, 22), (28.5, 30), (29, 40), (22, 66), (17, 90)]
    body = p.area(mirrored(half))
    body = np.clip(body - p.area([(29.6, 6), (32, 16), (37.5, 19), (43, 16), (45.4, 6)]), 0, 1)
    p.shadow(body, alpha=0.15)
    p.lay(body, colour)
    p.shade(body, 0.16, 0.3)
    p.lay(p.line([(28.8, 41), (37.5, 42), (46.2, 41)], 0.8), (0, 0, 0), 0.5)
    for x0, x1 in ((33, 28), (36, 35), (40, 42), (43, 49)):
        p.lay(
            p.mask(
                lambda pen, u, a=x0, b=x1: pen.line(
                    [(a * u, 44 * u), (b * u, 89 * u)], 255, round(0.8 * u)
                ),
                0.7,
            ),
            (0, 0, 0),
            0.35,
        )
    return p.done()


class Drawing(NamedTuple):
    """An example: how it is drawn, and what a person would call it in the catalogue's words."""

    draw: Callable[[Colour, np.ndarray], np.ndarray]
    colour: Colour
    background: Callable[[], np.ndarray]
    article: str
    base_colour: str


DRAWINGS = {
    "green-tshirt": Drawing(tshirt, (40, 110, 60), boards, "Tshirts", "Green"),
    "red-handbag": Drawing(handbag, (170, 30, 36), white, "Handbags", "Red"),
    "black-watch": Drawing(watch, (24, 24, 26), white, "Watches", "Black"),
    "pink-dress": Drawing(dress, (230, 120, 150), wall, "Dresses", "Pink"),
    "blue-flip-flops": Drawing(flip_flops, (30, 60, 150), wall, "Flip Flops", "Blue"),
    "black-cap": Drawing(cap, (22, 22, 22), boards, "Caps", "Black"),
    "red-backpack": Drawing(backpack, (170, 30, 36), white, "Backpacks", "Red"),
    "blue-tie": Drawing(tie, (28, 52, 120), white, "Ties", "Blue"),
    "black-sunglasses": Drawing(sunglasses, (12, 12, 12), white, "Sunglasses", "Black"),
    "black-wallet": Drawing(wallet, (26, 25, 25), boards, "Wallets", "Black"),
}
"""File → its drawing."""


def photo(name: str) -> np.ndarray:
    """An example, uint8 RGB :data:`SIZE`."""
    drawing = DRAWINGS[name]
    return drawing.draw(drawing.colour, drawing.background())


def main(folder: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name in DRAWINGS:
        picture = Image.fromarray(photo(name))
        picture.quantize(255, dither=Image.Dither.NONE).save(out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
