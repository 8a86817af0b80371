"""What if a part of the photo were hidden: six answers before and after; no gradio here."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import cv2
import numpy as np
from markupsafe import Markup

from demo.views import words
from demo.views.cards import Analysis
from demo.views.render import percent, render
from fashion_xai import FashionClassifier
from fashion_xai.maps import methods
from fashion_xai.maps.geometry import blurred
from fashion_xai.models.outputs import ForwardPass
from fashion_xai.viz import overlay

SHARE = 0.2
"""Of the photo: what "blur what decided this answer" hides."""

MASK = 128
"""Longest side of what is painted; it is enlarged to the photo's."""

MOST = 4 * MASK**2 // 24 + 16
"""Characters of a mask of that size."""


def painted(text: str | None, shape: tuple[int, int]) -> np.ndarray | None:
    """What the visitor painted, bool ``shape``; None where nothing is.

    Args:
        text: ``WIDTHxHEIGHT:BASE64`` as ``paint.js`` sends it: a bit per pixel, row by row, the
            first in the highest bit; '' for nothing.

    Raises:
        ValueError: another form.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3}):([A-Za-z0-9+/]*={0,2})", text[:MOST])
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    bits = base64.b64decode(match[3]) if match and len(match[3]) % 4 == 0 else b""
    if not 0 < max(width, height) <= MASK or len(bits) != -(-width * height // 8):
        raise ValueError("Expected strokes as the page sends them. Received something else.")
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=width * height)
    if not flat.any():
        return None
    strokes = flat.reshape(height, width)
    return cv2.resize(strokes, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def looked_at(classifier: FashionClassifier, analysis: Analysis, attribute: str) -> np.ndarray:
    """The fifth of the photo that speaks most for a head's answer, bool (height, width)."""
    e = classifier.explanations(analysis.forward_pass, [attribute], method=methods.DEFAULT)[
        attribute
    ]
    shape = analysis.photo.shape[:2]
    fitted = overlay.fit_to_photo(e.heatmap, e.box, classifier.size, shape)
    return fitted > np.quantile(fitted, 1 - SHARE)


def hide(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo with the masked part out of focus by a tenth of its height, as occlusion does."""
    soft = blurred(photo.astype(np.float32))
    edge = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)[..., None]
    return (photo * (1 - edge) + soft * edge).round().astype(np.uint8)


def compare(
    classifier: FashionClassifier,
    before: ForwardPass,
    read: Callable[[np.ndarray], ForwardPass],
    changed: np.ndarray,
) -> Markup:
    """The answers before and after as an HTML table.

    Args:
        before: the forward pass of the photo as it is.
        read: runs the network.
        changed: uint8 RGB.
    """  # fmt: skip
    old, new = classifier.predictions(before), classifier.predictions(read(changed))
    rows = []
    for attribute, was in old.items():
        now = new[attribute]
        other = "" if now.label == was.label else f"now {now.label} {percent(now.probability)}"
        rows.append(
            {
                "attribute": attribute,
                "title": words.title(attribute),
                "label": was.label,
                "before": percent(was.probability),
                "after": percent(float(now.probabilities[was.index])),
                "now": other,
            }
        )
    return render("whatif", rows=rows)
