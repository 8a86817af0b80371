"""The error gallery: which photos of a confusion to look at, and what to lay over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fashion_xai.audit.results import Audit
from fashion_xai.data import images
from fashion_xai.viz import overlay

ORDERS = {
    "confident": "most confident first: where the model is surest of the wrong label",
    "margin": "closest calls first: where the two labels get nearly the same",
    "typical": "most typical first: nearest to the middle of this confusion",
}
"""How the photos of a confusion can be ordered, in words."""

WHAT = {
    "true_map": "what speaks for {true}",
    "map": "what speaks for {predicted}",
    "difference": "orange: {true} rather than {predicted}; purple: the reverse",
}
"""Map → what it shows, in words."""

EMPTY = 246
"""Grey level in place of a photo that is not at hand."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One product of a confusion.

    Args:
        id, title: of the product; the title is '' where the audit holds none.
        true, predicted: the two labels.
        probability, true_probability: what each of them gets, 0–1.
        gap: the true label's logit less the predicted one's; None where the prediction is right.
    """

    id: str
    title: str
    true: str
    predicted: str
    probability: float
    true_probability: float
    gap: float | None


def tile(audit: Audit, head: str, identity: str) -> Tile:
    """What the audit knows of a product's answer by one head."""

    def get(column: str):
        return audit.value(identity, f"{head}_{column}")

    return Tile(
        id=identity,
        title=audit.value(identity, "title") or "",
        true=get("true") or "",
        predicted=get("predicted"),
        probability=float(get("probability")),
        true_probability=float(get("true_probability") or 0),
        gap=get("gap"),
    )


def choose(
    audit: Audit,
    head: str,
    true: str,
    predicted: str,
    order: str = "confident",
    limit: int | None = None,
    rows: np.ndarray | None = None,
) -> list[str]:
    """The ids of a confusion's products.

    Args:
        true, predicted: labels; the same label twice gives what is classified right.
        order: a key of :data:`ORDERS`.
        limit: at most so many.
        rows: bool (n,), only among these rows of the audit's table.

    Raises:
        ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"Expected one of {tuple(ORDERS)}. Received: {order!r}")
    table = audit.table
    mask = (table[f"{head}_true"] == true) & (table[f"{head}_predicted"] == predicted)
    places = np.flatnonzero(mask.to_numpy() & (True if rows is None else rows))
    if not len(places):
        return []
    if order == "typical":
        points = audit.embeddings[places]
        keys = np.linalg.norm(points - points.mean(0), axis=1)
    else:
        own = table[f"{head}_probability"].to_numpy()[places]
        theirs = table[f"{head}_true_probability"].to_numpy()[places]
        keys = -own if order == "confident" else np.abs(own - theirs)
    return [str(x) for x in table["id"].to_numpy()[places[np.argsort(keys, kind="stable")]][:limit]]


def neighbours(audit: Audit, head: str, identity: str, label: str, limit: int = 3) -> list[str]:
    """Correctly classified products of a label that look most like this one to the network."""
    table = audit.table
    mask = (table[f"{head}_true"] == label) & (table[f"{head}_predicted"] == label)
    places = np.flatnonzero((mask & (table["id"] != identity)).to_numpy())
    points = audit.embeddings
    apart = np.linalg.norm(points[places] - points[audit.row[identity]], axis=1)
    return [
        str(x) for x in table["id"].to_numpy()[places[np.argsort(apart, kind="stable")]][:limit]
    ]


def picture(
    audit: Audit, head: str, identity: str, kind: str, height: int | None = None
) -> np.ndarray | None:
    """A map over the product's photo, or over an empty field where the photo is not at hand.

    The two labels' maps share one scale, so that they can be compared; the difference has its
    own, orange for the true label and purple for the predicted one.

    Args:
        kind: see :meth:`Audit.map`.
        height: of the picture in pixels; None for the photo's own, 256 at least.

    Returns:
        uint8 RGB; None where there is no such map.
    """
    heatmap = audit.map(identity, head, kind)
    if heatmap is None:
        return None
    peaks = [audit.map(identity, head, k) for k in ("map", "true_map")]
    shared = max(max(float(m.max()), 0.0) for m in peaks if m is not None)
    return draw(
        audit.photo(identity),
        heatmap,
        tuple(audit.summary["input_size"]),
        None if kind == "difference" else shared,
        kind == "difference",
        height,
    )


def draw(
    photo: np.ndarray | None,
    heatmap: np.ndarray,
    size: tuple[int, int],
    peak: float | None = None,
    signed: bool = False,
    height: int | None = None,
) -> np.ndarray:
    """A raw map over a photo, or over an empty field in the shape of the network's input."""
    if photo is None:
        photo = np.full((*size, 3), EMPTY, np.uint8)
    box = images.letterbox(photo, size)[1]
    large = resized(photo, height or max(photo.shape[0], size[0]))
    return overlay.blend(large, heatmap, box, size, peak=peak, signed=signed)


def resized(photo: np.ndarray, height: int) -> np.ndarray:
    """The photo at another height, uint8 RGB."""
    width = max(1, round(photo.shape[1] * height / photo.shape[0]))
    return images.letterbox(photo, (height, width))[0]
