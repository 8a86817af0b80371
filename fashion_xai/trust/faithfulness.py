"""How faithful a map is: hide what it marks and see what the network loses.

All measures rank or hide parts of one photo and ask the network again. A map is judged beside
controls (:mod:`fashion_xai.trust.controls`) on the same photo: the numbers mean nothing alone. Each
changed photo is scored for every head at once, so that heads share what they can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from fashion_xai.data.images import WHITE, Box
from fashion_xai.maps.geometry import blurred, inside, stretch

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Of the photo's pixels, at which the deletion and insertion curves are measured: most densely
where they are steep, since a small product is gone with the first tenth of the photo."""

ROAD_SHARES = (0.1, 0.3)
"""Of the photo's pixels that ROAD removes."""

SUBSETS = 24
"""Random sets of cells that MuFidelity hides per photo."""

SUBSET_SHARE = 0.2
"""Of the cells in each of these sets."""

COARSE = (64, 48)
"""Missing pixels are imputed at this size: the sources have no more detail, and it is fast."""

BATCH = 4
"""Photos of a pass: on two cores a photo of four takes 24 ms, of 48 31; four fit the cache."""

Score = Callable[[np.ndarray], dict[str, np.ndarray]]
"""float32 photos (n, H, W, 3) → head → (n,): probability, or logit, of the explained label."""


@dataclass(frozen=True)
class Case:
    """One photo and the questions that were asked about it.

    Args:
        pixels: uint8 (H, W, 3), the padded input.
        box: where the photo lies in it.
        product: bool (H, W), the silhouette in the padded input, or None.
        probability: the calibrated probability of each head's explained label.
        logit: the same label's logit.
    """

    pixels: np.ndarray
    box: Box
    product: np.ndarray | None
    probability: Score
    logit: Score


def measure(
    case: Case, maps: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, dict[str, dict[str, float]]]:
    """Every measure of every map, for every head.

    - ``deletion``: the area under the probability while pixels turn white, the most important
      first (Petsiuk et al. 2018, arXiv:1806.07421, section 4.3). 0–1, lower is better.
    - ``insertion``: the same while they come back into a blurred photo. 0–1, higher is better.
    - ``road``: probability without the least important pixels less that without the most
      important ones, averaged over :data:`ROAD_SHARES`, the missing pixels imputed from their
      neighbours (Rong et al. 2022, arXiv:2202.00449, noisy linear imputation). −1–1, higher is
      better.
    - ``mufidelity``: the correlation over random sets of cells of the map's sum over a set with
      the logit lost when the set is blurred (Bhatt et al. 2020, arXiv:2005.00631, section 3.1).
      −1–1, higher is better.
    - ``pointing``: share of the positive evidence on the product (energy-based pointing game,
      Wang et al. 2020, arXiv:1910.01279, section 4.3). 0–1; only where a silhouette is known.

    Args:
        case: the photo.
        maps: name → raw map (h, w), any h and w.
        rng: for ties, imputation noise and random sets.

    Returns:
        Name → head → measure → figure.
    """
    photo = case.pixels.astype(np.float32)
    soft, white = blurred(photo), np.full_like(photo, WHITE)
    whole = inside(case.box, photo.shape[:2])
    pictures: list[np.ndarray] = [photo, _paint(photo, white, whole), _paint(photo, soft, whole)]
    for heatmap in maps.values():
        order = importance_order(heatmap, case.box, photo.shape[:2], rng)
        for share in SHARES:
            pictures.append(_paint(photo, white, order < share))
            pictures.append(_paint(photo, soft, whole & (order >= share)))
        for share in ROAD_SHARES:
            pictures.append(impute(photo, whole & (order >= 1 - share), rng))
            pictures.append(impute(photo, order < share, rng))
    scores = _in_batches(case.probability, pictures)
    fidelity = _mu_fidelity(case, maps, photo, soft, rng)
    answers: dict[str, dict[str, dict[str, float]]] = {}
    per_map = 2 * len(SHARES) + 2 * len(ROAD_SHARES)
    for place, (name, heatmap) in enumerate(maps.items()):
        first = 3 + place * per_map
        point = {} if case.product is None else {"pointing": pointing(heatmap, case.product)}
        answers[name] = {}
        for head, p in scores.items():
            curves = p[first : first + 2 * len(SHARES)]
            road = p[first + 2 * len(SHARES) : first + per_map]
            answers[name][head] = {
                "deletion": area([p[0], *curves[::2], p[1]]),
                "insertion": area([p[2], *curves[1::2], p[0]]),
                "road": float((road[::2] - road[1::2]).mean()),
                "mufidelity": fidelity[name][head],
                **point,
            }
    return answers


def importance_order(
    heatmap: np.ndarray, box: Box, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Each pixel's place in the order of importance, as the share of the photo before it.

    Args:
        heatmap: raw (h, w); stretched over the padded input.
        shape: (H, W) of the padded input.
        rng: puts ties in random order.

    Returns:
        float (H, W): 0 for the most important pixel, towards 1 for the least; infinite outside
        the photo.
    """
    stretched = stretch(heatmap, shape)
    place = inside(box, shape)
    values = stretched[place]
    shuffled = rng.permutation(len(values))  # a stable sort then leaves ties in random order
    ranks = np.empty(len(values))
    ranks[shuffled[np.argsort(-values[shuffled], kind="stable")]] = np.arange(len(values))
    order = np.full(shape, np.inf)
    order[place] = ranks / len(values)
    return order


def area(curve: list[float]) -> float:
    """The area under a curve measured at 0, :data:`SHARES` and 1 (trapezoids)."""
    return float(np.trapezoid(curve, [0.0, *SHARES, 1.0]))


def pointing(heatmap: np.ndarray, product: np.ndarray) -> float:
    """Share of the positive evidence inside a mask (H, W); 0 where there is no evidence."""
    positive = np.maximum(stretch(heatmap, product.shape), 0)
    total = float(positive.sum())
    return float(positive[product].sum()) / total if total > 0 else 0.0


def impute(photo: np.ndarray, missing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noisy linear imputation (Rong et al. 2022, section 5): what is missing becomes the weighted
    mean of its neighbours, 1/6 for those beside it and 1/12 for the diagonal ones, plus noise.

    Solved at :data:`COARSE` resolution, where a cell is missing if half of it is.

    Args:
        photo: float32 (H, W, 3).
        missing: bool (H, W).
    """
    height, width = missing.shape
    small = cv2.resize(photo, COARSE[::-1], interpolation=cv2.INTER_AREA)
    holes = cv2.resize(missing.astype(np.float32), COARSE[::-1], interpolation=cv2.INTER_AREA)
    filled = small.copy()
    gone = holes >= 0.5
    if gone.all():
        filled[:] = small.mean((0, 1))
    elif gone.any():
        filled[gone] = _solve(small, gone)
    filled = filled + rng.normal(0, 2.5, filled.shape)  # 1 % of the range, as in the authors' code
    wide = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return _paint(photo, np.clip(wide, 0, WHITE).astype(np.float32), missing)


def _solve(small: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """The missing pixels' colours (m, 3)."""
    rows, columns = np.nonzero(gone)
    number = np.full(gone.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    own = np.zeros(len(rows))
    right = np.zeros((len(rows), 3))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for dy, dx in ((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x):
        weight = 1 / 12 if dy and dx else 1 / 6
        y, x = rows + dy, columns + dx
        there = (y >= 0) & (y < gone.shape[0]) & (x >= 0) & (x < gone.shape[1])
        own += np.where(there, weight, 0.0)
        me = np.flatnonzero(there)
        other = number[y[there], x[there]]
        known = other < 0
        right[me[known]] += weight * small[y[there][known], x[there][known]]
        unknown = ~known
        entries.append((me[unknown], other[unknown], np.full(unknown.sum(), -weight)))
    me, other, weights = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    n = np.arange(len(rows))
    matrix = sparse.csc_matrix(
        (np.r_[weights, own], (np.r_[me, n], np.r_[other, n])), shape=(len(rows), len(rows))
    )
    return np.asarray(spsolve(matrix, right)).reshape(-1, 3)


def _mu_fidelity(
    case: Case,
    maps: Mapping[str, np.ndarray],
    photo: np.ndarray,
    soft: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, dict[str, float]]:
    """Name → head → correlation; the hidden sets are the same for all maps and heads."""
    grid = (8, 6)
    sets = rng.random((SUBSETS, *grid)).reshape(SUBSETS, -1)
    hidden = sets.argsort(1).argsort(1).reshape(SUBSETS, *grid) < SUBSET_SHARE * grid[0] * grid[1]
    size = photo.shape[1::-1]
    pictures = [photo]
    for cells in hidden:
        mask = cv2.resize(cells.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        pictures.append(_paint(photo, soft, mask))
    scores = _in_batches(case.logit, pictures)
    lost = {head: s[0] - s[1:] for head, s in scores.items()}
    answers = {}
    for name, heatmap in maps.items():
        fitted = cv2.resize(
            stretch(heatmap, photo.shape[:2]), grid[::-1], interpolation=cv2.INTER_AREA
        )
        marked = (hidden * fitted).sum((1, 2))
        answers[name] = {head: _correlation(marked, x) for head, x in lost.items()}
    return answers


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _paint(photo: np.ndarray, other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], other, photo)


def _in_batches(score: Score, pictures: list[np.ndarray]) -> dict[str, np.ndarray]:
    parts = [
        score(np.stack(pictures[i : i + BATCH]).astype(np.float32))
        for i in range(0, len(pictures), BATCH)
    ]
    return {head: np.concatenate([p[head] for p in parts]) for head in parts[0]}
