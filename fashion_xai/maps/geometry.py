"""Maps and photos brought to each other's places and sizes."""

from __future__ import annotations

import cv2
import numpy as np

from fashion_xai.data.images import Box


def stretch(heatmap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map over the padded input (H, W), bilinear."""
    return cv2.resize(
        np.asarray(heatmap, np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
    )


def inside(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """bool (H, W), True where the photo lies."""
    place = np.zeros(shape, bool)
    place[box.top : box.top + box.height, box.left : box.left + box.width] = True
    return place


def blurred(photo: np.ndarray) -> np.ndarray:
    """The photo out of focus by a tenth of its height: colours stay, shapes go."""
    hidden = cv2.GaussianBlur(photo, (0, 0), photo.shape[0] / 10, borderType=cv2.BORDER_REPLICATE)
    return hidden.reshape(photo.shape)  # OpenCV drops the axis of a single channel
