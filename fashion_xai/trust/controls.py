"""Maps that know nothing of the answer: what every method has to beat.

Product photos make it hard: the product is in the centre, so a blob there is no mean rival.
"""

from __future__ import annotations

import cv2
import numpy as np

from fashion_xai.data.images import Box


def random(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise, one number a cell: (h, w)."""
    return rng.random(shape).astype(np.float32)


def centre(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """A Gaussian in the middle of the photo, its standard deviation a quarter of each side.

    Args:
        box: where the photo lies in the padded input.
        shape: (H, W) of the padded input.
    """
    y = (np.arange(shape[0]) + 0.5 - box.top) / box.height - 0.5
    x = (np.arange(shape[1]) + 0.5 - box.left) / box.width - 0.5
    blob = np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 0.25**2))
    return blob.astype(np.float32)


def edges(pixels: np.ndarray) -> np.ndarray:
    """Where the photo has contours: the length of Sobel's gradient, softened; (H, W)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return cv2.GaussianBlur(np.hypot(across, down), (0, 0), pixels.shape[0] / 64)


def softened(heatmap: np.ndarray, cells: int) -> np.ndarray:
    """A method's own map, blurred by one cell of the network's map: does its detail matter?

    Args:
        heatmap: (h, w), any h and w.
        cells: rows of the network's map; the blur's standard deviation is h / cells.
    """
    sigma = heatmap.shape[0] / cells
    return cv2.GaussianBlur(heatmap, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
