"""Backgrounds to train before: pieces of photographs, dead leaves, and rooms, made once a run.

The photographs are those that scikit-image brings along; the ones of scikit-learn, which the
corruption tests and the trust card use, are never among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

SIZE = (192, 144)
"""(height, width) of a background; it is enlarged or reduced to the photo's."""

LEAVES = 250
"""Shapes in a picture of dead leaves."""


def bank(count: int, seed: int, grown: np.ndarray | None = None) -> np.ndarray:
    """``count`` backgrounds, uint8 (count, *SIZE, 3): pieces of photographs, dead leaves, rooms and
    fading colours, each with a light of its own, some out of focus.

    Args:
        grown: uint8 (m, *SIZE, 3), as :func:`floors` makes them; with them every second background
            is one of theirs.
    """
    rng = np.random.default_rng(seed)
    kinds = [*[piece] * 4, *[leaves] * 2, room, fading]
    made = np.empty((count, *SIZE, 3), np.uint8)
    for i, picture in enumerate(made):
        if grown is not None and i % 2:
            picture[:] = grown[i // 2 % len(grown)]
            continue
        drawn: np.ndarray = kinds[i % len(kinds)](rng).astype(np.float32)
        if rng.random() < 0.4:
            drawn = cv2.GaussianBlur(drawn, (0, 0), rng.uniform(0.5, 4))
        contrast, light = rng.uniform(0.5, 1.1), rng.uniform(-50, 50)
        tint = rng.uniform(0.85, 1.15, 3)
        picture[:] = ((drawn - 128) * contrast + 128 + light).clip(0, 255) * tint.clip(0, 1)
    return made


@cache
def photographs() -> list[np.ndarray]:
    """Photographs of a person, a cat, a cup, a rocket, a garage, and of grass, brick and gravel."""
    from skimage import data  # only training before backgrounds needs it

    grey = [data.brick(), data.grass(), data.gravel()]
    colour = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    return [*colour, data.stereo_motorcycle()[0], *(np.dstack([x] * 3) for x in grey)]


def piece(rng: np.random.Generator) -> np.ndarray:
    """A random crop of a photograph, mirrored or turned, in colours of its own where it is grey."""
    source = photographs()[rng.integers(len(photographs()))]
    scale = rng.uniform(0.25, 1.0) * min(source.shape[0] / SIZE[0], source.shape[1] / SIZE[1])
    h, w = int(SIZE[0] * scale), int(SIZE[1] * scale)
    top, left = (
        rng.integers(0, source.shape[0] - h + 1),
        rng.integers(0, source.shape[1] - w + 1),
    )
    crop = np.ascontiguousarray(source[top : top + h, left : left + w][:, :: rng.choice([-1, 1])])
    drawn = cv2.resize(crop, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    if (crop.min(-1) == crop.max(-1)).all():
        drawn *= rng.uniform(0.5, 1.2, 3)
    return drawn.clip(0, 255)


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Shapes of all sizes over each other: the statistics of natural scenes (Lee, Mumford and
    Huang 2001, doi:10.1023/A:1011109015675; Baradad et al. 2021, arXiv:2106.05963)."""
    colours = rng.uniform(0, 255, (6, 3))
    colours += rng.uniform(0, 1) * (colours.mean(1, keepdims=True) - colours)
    drawn = np.empty((*SIZE, 3), np.float32)
    drawn[:] = colours[0]
    # Radii r with density r⁻³ between the least and the largest.
    least, most = rng.uniform(1.5, 6), 60
    quantile = rng.random(LEAVES)
    radii = (least**-2 + quantile * (most**-2 - least**-2)) ** -0.5
    long = rng.uniform(1, 4)  # leaves and stones are longish alike in one picture
    for radius in radii:
        colour = colours[rng.integers(len(colours))] + rng.normal(0, 12, 3)
        centre = (float(rng.uniform(0, SIZE[1])), float(rng.uniform(0, SIZE[0])))
        sides = (float(2 * radius * long**0.5), float(2 * radius / long**0.5))
        box = (centre, sides, float(rng.uniform(0, 180)))
        if rng.random() < 0.5:
            cv2.ellipse(drawn, box, colour.tolist(), -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints(box).round().astype(np.int32)
            cv2.fillConvexPoly(drawn, corners, colour.tolist(), cv2.LINE_AA)
    return (drawn + clouds(rng)).clip(0, 255)


def room(rng: np.random.Generator) -> np.ndarray:
    """A wall and a floor or a table, plain, striped or tiled, with uneven light."""
    wall, floor = surface(rng), surface(rng)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / SIZE[0]
    below = y > rng.uniform(0.4, 1.1) + rng.uniform(-0.3, 0.3) * x
    drawn = np.where(below[..., None], floor, wall)
    return (drawn + clouds(rng)).clip(0, 255)


def fading(rng: np.random.Generator) -> np.ndarray:
    """One colour that turns into another across the picture, under clouds."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / SIZE[0] - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    first = rng.uniform(0, 255, 3)
    first += rng.uniform(0, 1) * (first.mean() - first)  # rooms are paler than random colours
    share = np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.5, 0, 1)[..., None]
    return (first + share * rng.uniform(-90, 90, 3) + clouds(rng)).clip(0, 255)


def surface(rng: np.random.Generator) -> np.ndarray:
    """One colour with joints of another in one direction, in both, or in none."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    colour = rng.uniform(40, 255, 3)
    colour += rng.uniform(0, 1) * (colour.mean() - colour)
    joint = colour + rng.uniform(-80, 80)
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 50)
    wide = rng.uniform(0.03, 0.5)
    along = (x * np.cos(angle) + y * np.sin(angle)) / period % 1 < wide
    across = (y * np.cos(angle) - x * np.sin(angle)) / (period * rng.uniform(0.5, 3)) % 1 < wide
    lines = [np.zeros_like(along), along, along | across][rng.integers(3)]
    return np.where(lines[..., None], joint, colour).astype(np.float32)


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Grey noise whose amplitude falls with the frequency, float32 (*SIZE, 1) about 0."""
    steep = rng.uniform(0.7, 2.0)
    fy, fx = np.fft.fftfreq(SIZE[0])[:, None], np.fft.rfftfreq(SIZE[1])[None]
    amplitude = np.maximum(np.hypot(fy, fx), 1 / SIZE[0]) ** -steep
    waves = amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape))
    field = np.fft.irfft2(waves, SIZE)
    field *= rng.uniform(2, 30) / field.std()
    return (field - field.mean()).astype(np.float32)[..., None]


def floors(photos: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """A background grown from the corners of each photo, uint8 (n, *SIZE, 3).

    People lay a garment into the middle, so that the corners show the floor, the bed or the wall.
    """
    rng = np.random.default_rng(seed)
    return np.stack([quilted(photo, rng) for photo in photos])


def quilted(photo: np.ndarray, rng: np.random.Generator, tries: int = 24) -> np.ndarray:
    """A larger piece of what a photo's corners show, uint8 (*SIZE, 3).

    Blocks from the corners are laid over each other, each the best of some in its overlap with
    those before (image quilting: Efros & Freeman 2001, doi:10.1145/383259.383296; the overlap is
    feathered and not cut).

    Args:
        photo: uint8 (H, W, 3).
        tries: blocks to choose from.
    """
    block, overlap = 48, 16
    scale = max(320 / max(photo.shape[:2]), (block + 1) / (0.3 * min(photo.shape[:2])))
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    source = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    ramp = np.minimum(1, (np.arange(block) + 0.5) / overlap)
    drawn = np.zeros((*SIZE, 3), np.float32)
    for top in range(0, SIZE[0] - overlap, block - overlap):
        for left in range(0, SIZE[1] - overlap, block - overlap):
            old = drawn[top : top + block, left : left + block]
            height, width = old.shape[:2]
            weight = np.ones((height, width), np.float32)
            if top:
                weight *= ramp[:height, None]
            if left:
                weight *= ramp[None, :width]
            shared = (1 - weight)[..., None]
            found = [_corner(source, block, rng)[:height, :width] for _ in range(tries)]
            costs = [float((shared * (new - old) ** 2).sum()) for new in found]
            best = found[int(np.argmin(costs))]
            drawn[top : top + block, left : left + block] = old + weight[..., None] * (best - old)
    return drawn.round().astype(np.uint8)


def _corner(source: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """A random block within the corners of a photo: 30 % of each side."""
    place = []
    for side in source.shape[:2]:
        free = round(0.3 * side) - block
        offset = int(rng.integers(0, free + 1))
        place.append(offset if rng.random() < 0.5 else side - block - offset)
    top, left = place
    return source[top : top + block, left : left + block]
