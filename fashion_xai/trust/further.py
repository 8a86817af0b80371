"""What critics of heatmaps ask beyond deletion: do maps of two labels differ, does the marked part
tell a label from its neighbour, and how much of a score is made by the way of hiding?

Each measure is a plain function; :func:`check` runs them on photos.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fashion_xai.classifier import RUNNER_UP, FashionClassifier
from fashion_xai.data.images import WHITE
from fashion_xai.maps.geometry import blurred, inside, stretch
from fashion_xai.maps.methods import DEFAULT
from fashion_xai.metrics import mean_with_interval
from fashion_xai.models.outputs import Explanation, ForwardPass
from fashion_xai.trust import controls
from fashion_xai.trust.faithfulness import importance_order, impute

TOP = 0.05
"""Of the photo's pixels: what a map marks most."""

ARCC_SHARES = (0.2, 0.4, 0.6, 0.8)
"""Of the photo's pixels that ROAD removes in :func:`arcc`, as in pytorch-grad-cam 1.5."""

HIDDEN = 0.2
"""Of the photo's pixels that each way of hiding takes."""

OPERATORS = ("white", "blurred", "imputed")

RANDOM = "random"


def overlap(one: np.ndarray, other: np.ndarray, share: float = TOP) -> float:
    """Share of one map's most important pixels that are the other map's too: class sensitivity
    (CASE, Williamson et al. 2025, arXiv:2506.07327: the maps of the first and the second label).

    Args:
        one, other: each pixel's place in the order of importance, see
            :func:`fashion_xai.trust.faithfulness.importance_order`.
        share: of the photo's pixels; by chance this share of them is common.

    Returns:
        0–1; 1: the map says the same of both labels.
    """
    mine = one < share
    return float((mine & (other < share)).sum() / max(1, mine.sum()))


def relative_drop(before: tuple[float, float], after: tuple[float, float]) -> float:
    """What a label loses beyond what the most similar label loses while the marked part is hidden:
    the relative confidence drop of Finer-CAM (Zhang et al. 2025, arXiv:2501.11309), here as a
    difference of probabilities.

    Args:
        before, after: the probabilities of the label and of the most similar one.

    Returns:
        −1–1; positive where the marked part tells the one from the other.
    """
    return (before[0] - after[0]) - (before[1] - after[1])


def most_similar(kernel: np.ndarray, label: int) -> int:
    """The other label whose weights point most nearly the same way (Finer-CAM, section 3).

    Args:
        kernel: (channels, labels), two labels or more.
    """
    columns = kernel / np.maximum(np.linalg.norm(kernel, axis=0), 1e-12)
    cosines = columns.T @ columns[:, label]
    cosines[label] = -np.inf
    return int(cosines.argmax())


def arcc(road: float, heatmap: np.ndarray, again: np.ndarray) -> float:
    """The harmonic mean of ROAD, coherency and 1 − complexity (Domeniconi et al. 2026,
    arXiv:2605.14641; the latter two from Poppi et al. 2021, arXiv:2104.10252).

    Args:
        road: probability without the least important pixels less that without the most important
            ones, averaged over :data:`ARCC_SHARES`; below 0 counts as 0.
        heatmap: in 0–1; its mean is its complexity.
        again: the same method's map, in 0–1, of the photo times the heatmap. Coherency is how both
            correlate, (r + 1) / 2.

    Returns:
        0–1, higher is better; 0 where one of the three is 0.
    """
    flat = heatmap.std() < 1e-9 or again.std() < 1e-9
    correlation = 0.0 if flat else float(np.corrcoef(heatmap.ravel(), again.ravel())[0, 1])
    parts = [max(0.0, road), (correlation + 1) / 2, 1 - float(heatmap.mean())]
    return 3 / sum(1 / x for x in parts) if min(parts) > 0 else 0.0


def check(
    classifier: FashionClassifier,
    photos: Iterable[np.ndarray],
    names: Sequence[str],
    heads: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """All measures on some photos.

    Args:
        photos: uint8 RGB.
        names: closed-form methods.
        heads: whose answers are explained.
        seed: of the random map and of imputation noise.

    Returns:
        ``photos``, how many; ``maps``: head → map → measure → mean, low, high; ``operators``:
        head → way of hiding → map → the probability lost with the ``most`` and with the ``least``
        important fifth hidden. The random map's loss is the way of hiding's own part in a score
        (AIM, Hsieh et al. 2026, arXiv:2605.16905). Intervals: 95 %, bootstrap over photos.
    """
    rng = np.random.default_rng(seed)
    rows = [
        {head: _one(classifier, forward_pass, names, head, rng) for head in heads}
        for forward_pass in classifier.read(photos)
    ]
    found: dict[str, Any] = {"photos": len(rows), "maps": {}, "operators": {}}
    for head in heads:
        for kind in ("maps", "operators"):
            found[kind][head] = _means([row[head][kind] for row in rows])
    return found


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows' figures, each in its place as mean and interval."""
    first = rows[0]
    return {
        key: _means([row[key] for row in rows])
        if isinstance(first[key], Mapping)
        else mean_with_interval(np.array([row[key] for row in rows]))
        for key in first
    }


def _one(
    classifier: FashionClassifier,
    forward_pass: ForwardPass,
    names: Sequence[str],
    head: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    shape, box = forward_pass.pixels.shape[:2], forward_pass.box
    photo = forward_pass.pixels.astype(np.float32)
    whole = inside(box, shape)
    kernel = classifier.network.kernels[head]
    first = {n: classifier.explanations(forward_pass, [head], method=n)[head] for n in names}
    second = {
        n: classifier.explanations(forward_pass, [head], {head: RUNNER_UP}, method=n)[head]
        for n in names
    }
    index = first[names[0]].prediction.index
    alike = most_similar(kernel, index)
    orders = {n: importance_order(e.heatmap, box, shape, rng) for n, e in first.items()}
    orders[RANDOM] = importance_order(
        controls.random(forward_pass.features.shape[:2], rng), box, shape, rng
    )
    white, soft = np.full_like(photo, WHITE), blurred(photo)

    def hide(operator: str, mask: np.ndarray) -> np.ndarray:
        if operator == "imputed":
            return impute(photo, mask, rng)
        return np.where(mask[..., None], white if operator == "white" else soft, photo)

    pictures: dict[Any, np.ndarray] = {"before": photo}
    for name, order in orders.items():
        pictures[name, "top"] = hide("white", order < TOP)
        for operator in OPERATORS if name in (RANDOM, DEFAULT) else ():
            pictures[name, operator, "most"] = hide(operator, order < HIDDEN)
            pictures[name, operator, "least"] = hide(operator, whole & (order >= 1 - HIDDEN))
        if name == RANDOM:
            continue
        pictures[name, "masked"] = photo * _unit(stretch(first[name].heatmap, shape))[..., None]
        for share in ARCC_SHARES:
            pictures[name, "road", share] = impute(photo, order < share, rng)
            pictures[name, "road", -share] = impute(photo, whole & (order >= 1 - share), rng)
    passes = dict(zip(pictures, _read(classifier, list(pictures.values()), box), strict=True))
    logits = {head: np.stack([p.logits[head] for p in passes.values()])}
    shares = classifier.decoder.probabilities(logits)[head][:, [index, alike]]
    p = {key: (float(a), float(b)) for key, (a, b) in zip(passes, shares, strict=True)}

    maps = {}
    for name, order in orders.items():
        maps[name] = {"drop": relative_drop(p["before"], p[name, "top"])}
        if name == RANDOM:
            continue
        other = importance_order(second[name].heatmap, box, shape, rng)
        road = np.mean([p[name, "road", -s][0] - p[name, "road", s][0] for s in ARCC_SHARES])
        again = _again(classifier, passes[name, "masked"], first[name])
        maps[name] |= {
            "overlap": overlap(order, other),
            "arcc": arcc(float(road), _unit(first[name].heatmap), again),
        }
    operators = {
        operator: {
            name: {k: p["before"][0] - p[name, operator, k][0] for k in ("most", "least")}
            for name in (RANDOM, DEFAULT)
            if name in orders
        }
        for operator in OPERATORS
    }
    return {"maps": maps, "operators": operators}


def _read(classifier: FashionClassifier, pictures: Sequence[np.ndarray], box) -> list[ForwardPass]:
    fitted = [(x.clip(0, WHITE).astype(np.uint8), box) for x in pictures]
    size = classifier.batch_size
    return [
        forward_pass
        for i in range(0, len(fitted), size)
        for forward_pass in classifier.read_fitted(fitted[i : i + size])
    ]


def _again(classifier: FashionClassifier, masked: ForwardPass, e: Explanation) -> np.ndarray:
    """The same label's map of the photo times its map."""
    head = e.prediction.attribute
    found = classifier.explanations(masked, [head], {head: e.target}, method=e.method)
    return _unit(found[head].heatmap)


def _unit(heatmap: np.ndarray) -> np.ndarray:
    """The positive evidence in 0–1, its largest cell 1."""
    positive = np.maximum(heatmap, 0)
    return positive / max(float(positive.max()), 1e-12)
