"""Pictures that are no photo of one product: scenes, textures, and several products at once.

What abstention is measured on. The scenes are crops of two photographs that scikit-learn brings
along, the textures are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from training.evaluation.corruptions import scenes

SIZE = (256, 192)


def scene(rng: np.random.Generator, photos: Sequence[np.ndarray]) -> np.ndarray:
    """A crop of a photograph of a park or of a flower."""
    source = scenes()[rng.integers(len(scenes()))]
    scale = rng.uniform(0.3, 1.0) * min(source.shape[0] / SIZE[0], source.shape[1] / SIZE[1])
    h, w = int(SIZE[0] * scale), int(SIZE[1] * scale)
    top, left = rng.integers(0, source.shape[0] - h + 1), rng.integers(0, source.shape[1] - w + 1)
    crop = source[top : top + h, left : left + w]
    return cv2.resize(crop, SIZE[::-1], interpolation=cv2.INTER_LINEAR)


def texture(rng: np.random.Generator, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Clouds of noise of one grain, stripes, or a plain colour that fades."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / SIZE[0]
    first, second = rng.uniform(0, 255, (2, 3))
    kind = rng.integers(3)
    if kind == 0:
        cells = int(2 ** rng.uniform(1, 7))
        grid = rng.random((cells, cells)).astype(np.float32)
        mix = cv2.resize(grid, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    else:
        angle = rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        mix = along if kind == 1 else np.sin(along * rng.uniform(10, 200)) / 2 + 0.5
    mixed = first + np.clip(mix, 0, 1)[..., None] * (second - first)
    return mixed.round().astype(np.uint8)


def several(rng: np.random.Generator, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Four products beside each other, two by two, on white."""
    tiles = [
        cv2.resize(photos[i], (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA)
        for i in rng.choice(len(photos), 4, replace=len(photos) < 4)
    ]
    return np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])


OOD_SAMPLES: Mapping[str, Callable[[np.random.Generator, Sequence[np.ndarray]], np.ndarray]] = {
    f.__name__: f for f in (scene, texture, several)
}
"""Name → function (random generator, product photos) → a picture without a single product."""
