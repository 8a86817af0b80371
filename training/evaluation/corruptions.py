"""Photos made harder, to measure what a model withstands: plain functions on uint8 RGB.

The scenes behind replaced backgrounds are two photographs that scikit-learn brings along; no
training ever sees them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import cv2
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from fashion_xai.data.images import WHITE
from fashion_xai.data.masks import set_on, silhouette

SCENE_HEIGHT = 256
"""Photos are enlarged to this height before they are set on a scene, so that it stays sharp."""


@cache
def scenes() -> list[np.ndarray]:
    """Photographs to crop backgrounds from: a temple in a park, a flower before leaves."""
    return list(load_sample_images().images)


def scene(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The product on a random crop of a photograph; unchanged where no studio is found."""
    return before(photo, rng, scenes())


def before(
    photo: np.ndarray, rng: np.random.Generator, sources: Sequence[np.ndarray]
) -> np.ndarray:
    """The product on a random crop of one of ``sources``; unchanged where no studio is found."""
    product = silhouette(photo)
    if product is None:
        return photo
    height = max(SCENE_HEIGHT, photo.shape[0])
    width = round(photo.shape[1] * height / photo.shape[0])
    source = sources[int(rng.integers(len(sources)))]
    share = rng.uniform(0.5, 1.0)  # of the largest crop of this shape
    scale = share * min(source.shape[0] / height, source.shape[1] / width)
    h, w = int(height * scale), int(width * scale)
    top, left = (
        rng.integers(0, source.shape[0] - h + 1),
        rng.integers(0, source.shape[1] - w + 1),
    )
    crop = source[top : top + h, left : left + w]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    behind = cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=cv2.INTER_AREA)
    return set_on(photo, product, behind)


def blur(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: a Gaussian of 2 % of the height."""
    sigma = 0.02 * photo.shape[0]
    return cv2.GaussianBlur(photo, (0, 0), sigma)


def jpeg(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Compressed as JPEG with quality 15."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=15)
    return np.asarray(Image.open(buffer))


def rotation(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Held 20° askew, to either side; white moves in."""
    height, width = photo.shape[:2]
    angle = 20 * rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderValue=(WHITE,) * 3)


def darker(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """60 % of the light."""
    return (0.6 * photo).round().astype(np.uint8)


def brighter(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """140 % of the light, clipped."""
    return np.minimum(1.4 * photo, WHITE).round().astype(np.uint8)


def grey(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without colour; baseColour cannot be told from it."""
    return cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


CORRUPTIONS: Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    f.__name__: f for f in (scene, blur, jpeg, rotation, darker, brighter, grey)
}
"""Name → function (photo, random generator) → photo."""
