"""The grid pointing game: four products in one picture, and it is known where each one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import images
from fashion_xai.metrics import mean_with_interval
from fashion_xai.trust.faithfulness import pointing

SIDE = 2
"""Products a side of the grid."""

CHANCE = 1 / SIDE**2
"""What a map that is even all over gets."""


def play(
    classifier: FashionClassifier,
    labelled: Sequence[tuple[str, np.ndarray]],
    head: str,
    names: Sequence[str],
    grids: int,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """How much of a label's evidence lies on the product that has it (Böhle et al. 2021,
    arXiv:2104.00032, section 4.1: localisation metric).

    Four products of four different labels share a picture. Each label is explained in turn; its
    figure is the share of its positive evidence inside its own product's quarter.

    Args:
        labelled: (label of the head, uint8 RGB photo) pairs; labels the head does not know are
            passed over.
        head: whose maps.
        names: methods.
        grids: how many pictures.
        seed: of the choice.

    Returns:
        Method → ``mean``, ``low``, ``high`` (95 %, bootstrap over pictures) of the share, 0–1;
        empty where there are no four labels.
    """
    known = [(x, photo) for x, photo in labelled if x in classifier.vocabulary.labels[head]]
    shares: dict[str, list[float]] = {name: [] for name in names}
    for labels, picture in _grids(known, classifier.size, grids, seed):
        (forward_pass,) = classifier.read([picture])
        quarters = list(_quarters(classifier.size))
        for name in names:
            found = []
            for label, quarter in zip(labels, quarters, strict=True):
                e = classifier.explanations(forward_pass, [head], {head: label}, method=name)[head]
                place = np.zeros(classifier.size, bool)
                place[quarter] = True
                found.append(pointing(e.heatmap, place))
            shares[name].append(float(np.mean(found)))
    return {name: mean_with_interval(np.array(x)) for name, x in shares.items() if x}


def compose(photos: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Four photos in one picture, uint8 (H, W, 3), row by row, each letterboxed into a quarter."""
    picture = np.empty((*size, 3), np.uint8)
    for photo, quarter in zip(photos, _quarters(size), strict=True):
        picture[quarter] = images.letterbox(photo, (size[0] // SIDE, size[1] // SIDE))[0]
    return picture


def _quarters(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    tall, wide = size[0] // SIDE, size[1] // SIDE
    for i in range(SIDE):
        for j in range(SIDE):
            yield slice(i * tall, (i + 1) * tall), slice(j * wide, (j + 1) * wide)


def _grids(
    known: Sequence[tuple[str, Any]], size: tuple[int, int], grids: int, seed: int
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Random pictures of products with different labels, each with its labels."""
    by_label: dict[str, list[np.ndarray]] = {}
    for label, photo in known:
        by_label.setdefault(label, []).append(photo)
    if len(by_label) < SIDE**2:
        return
    rng = np.random.default_rng(seed)
    names = sorted(by_label)
    for _ in range(grids):
        labels = [names[i] for i in rng.choice(len(names), SIDE**2, replace=False)]
        photos = [by_label[x][rng.integers(len(by_label[x]))] for x in labels]
        yield labels, compose(photos, size)
