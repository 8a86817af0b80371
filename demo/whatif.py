"""What if a part of the photo were hidden: six answers before and after; no gradio here."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import cv2
import numpy as np

from demo.handlers import Analysis, percent
from fashion_xai import FashionClassifier, methods, overlay
from fashion_xai.occlusion import blurred
from fashion_xai.records import Reading

SHARE = 0.2
"""Of the photo: what "hide what this head looked at" hides."""


def painted(editor: dict | None, shape: tuple[int, int]) -> np.ndarray | None:
    """What the visitor painted, bool ``shape``; None where nothing is.

    Args:
        editor: of Gradio's image editor: ``layers`` of uint8 RGBA (h, w, 4).
    """
    layers = [layer for layer in (editor or {}).get("layers") or [] if layer is not None]
    strokes = [layer[..., 3] > 0 for layer in layers if layer.ndim == 3 and layer.shape[2] == 4]
    if not any(s.any() for s in strokes):
        return None
    together = np.any(strokes, axis=0).astype(np.uint8)
    return cv2.resize(together, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def looked_at(classifier: FashionClassifier, analysis: Analysis, attribute: str) -> np.ndarray:
    """The fifth of the photo that speaks most for a head's answer, bool (height, width)."""
    e = classifier.explanations(analysis.reading, [attribute], method=methods.DEFAULT)[attribute]
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
    before: Reading,
    read: Callable[[np.ndarray], Reading],
    changed: np.ndarray,
) -> str:
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
        left = float(now.probabilities[was.index])
        other = f"now {escape(now.label)} {percent(now.probability)}"
        if now.label == was.label:
            other = ""
        rows.append(
            f'<tr data-attribute="{attribute}"><th scope="row">{attribute}</th>'
            f"<td>{escape(was.label)}</td><td>{percent(was.probability)} → {percent(left)}</td>"
            f"<td>{other}</td></tr>"
        )
    return (
        '<table class="whatif"><thead><tr><th scope="col">head</th><th scope="col">answer</th>'
        '<th scope="col">before → after</th><th scope="col"></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
