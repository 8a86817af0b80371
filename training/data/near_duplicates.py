"""Split a catalogue 80/10/10 so that no photo has a near-duplicate on another side.

Near-duplicates are photos whose pixels are identical or nearly so. A perceptual hash proposes
pairs, the distance of their pixels on the product confirms them. Only confirmed pairs are linked,
so that photos which merely look alike (same hash, other product) never chain groups together.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from fashion_xai.data.catalogue import Product
from fashion_xai.data.split import SPLITS
from fashion_xai.progress import ProgressBar

KINDS = ("near-duplicates", "random")
SHARES = (0.8, 0.1, 0.1)
THUMBNAIL = (80, 60)
"""Height and width at which photos are compared: the size of the catalogue's small photos."""
MAX_HASH_BITS = 6
"""Hamming distance (of 64 bits) up to which the perceptual hash proposes a pair."""
MAX_PIXEL_DISTANCE = 8.0
"""Grey levels, mean over the product's pixels, up to which a proposed pair is confirmed.
Chosen by eye on contact sheets: up to 8 the pairs are the same article, re-shot or re-encoded;
from 10 on they are the same article in another colour."""
BACKGROUND = 235
"""Pixels lighter than this in all channels of both photos are studio background."""


@dataclass(frozen=True)
class NearDuplicates:
    """Groups of identical and near-identical photos.

    Args:
        group: int (n,), the group of each photo; most groups hold one photo.
        identical: number of photos that have a pixel-identical near-duplicate.
        confirmed: number of near-identical pairs that were linked.
    """

    group: np.ndarray
    identical: int
    confirmed: int

    @property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.group)

    def summary(self) -> str:
        several = self.sizes[self.sizes > 1]
        largest = int(self.sizes.max())
        return (
            f"{len(several)} groups of near-duplicates with {several.sum()} photos "
            f"({self.identical} pixel-identical; {self.confirmed} near-identical pairs); "
            f"largest group: {largest} photos"
        )


def find_near_duplicates(thumbs: np.ndarray) -> NearDuplicates:
    """Group photos that are identical or nearly so.

    Args:
        thumbs: uint8 (n, h, w, 3).
    """
    digests = [hashlib.sha256(t.tobytes()).digest() for t in thumbs]
    first: dict[bytes, int] = {}
    exact = np.array([first.setdefault(d, i) for i, d in enumerate(digests)])
    counts = Counter(digests)
    unique = np.unique(exact)
    pairs = _propose(thumbs, unique)
    proposed = ProgressBar(pairs, desc="comparing look-alikes", unit="pair", leave=False)
    near = pairs[[_distance(thumbs[a], thumbs[b]) <= MAX_PIXEL_DISTANCE for a, b in proposed]]
    links = np.concatenate([near, np.stack([np.arange(len(thumbs)), exact], 1)])
    graph = coo_matrix((np.ones(len(links)), links.T), shape=(len(thumbs),) * 2)
    _, group = connected_components(graph, directed=False)
    return NearDuplicates(group, sum(n for n in counts.values() if n > 1), len(near))


def with_groups(duplicates: NearDuplicates, products: Sequence[Product]) -> NearDuplicates:
    """Near-duplicates and the products' own groups joined: what shares either is together.

    Args:
        duplicates: of the products' photos.
        products: those without a group are joined by their near-duplicates alone.
    """
    first: dict[str, int] = {}
    own = [first.setdefault(p.group, i) if p.group else i for i, p in enumerate(products)]
    _, place = np.unique(duplicates.group, return_index=True)
    n = np.arange(len(own))
    links = np.stack([np.r_[own, place[duplicates.group]], np.r_[n, n]])
    graph = coo_matrix((np.ones(2 * len(n)), links), shape=(len(n),) * 2)
    return replace(duplicates, group=connected_components(graph, directed=False)[1])


def split_by_near_duplicates(
    products: Sequence[Product], duplicates: NearDuplicates, seed: int = 0
) -> dict[str, str]:
    """Id → split: groups of near-duplicates stay together, each articleType is spread 80/10/10.

    Within an articleType the groups are ordered by a hash of their smallest id (the same on
    every machine, unlike a shuffled list) and each goes to the split that lacks most products,
    training first. So a class with a single group is trained on, never tested. Where all classes
    are so small that nothing is left to validate or to test on, they are spread together: the
    first group of each is trained on, the others fill all three splits.
    """
    members: dict[int, list[Product]] = defaultdict(list)
    for product, number in zip(products, duplicates.group, strict=True):
        members[int(number)].append(product)
    classes: dict[str, list[list[Product]]] = defaultdict(list)
    for together in members.values():
        kinds = Counter(_kind(product) for product in together)
        classes[min(kinds, key=lambda kind: (-kinds[kind], kind))].append(together)
    ordered = [
        sorted(groups, key=lambda g: _order(min(p.id for p in g), seed))
        for groups in classes.values()
    ]
    split: dict[str, str] = {}
    for groups in ordered:
        split |= _fill(groups, np.array(SHARES) * sum(map(len, groups)))
    if set(split.values()) == set(SPLITS):
        return split
    first = [groups[0] for groups in ordered]
    lacking = np.array(SHARES) * len(products)
    lacking[0] -= sum(map(len, first))
    others = [group for groups in ordered for group in groups[1:]]
    return {p.id: SPLITS[0] for group in first for p in group} | _fill(others, lacking)


def _fill(groups: Iterable[Sequence[Product]], lacking: np.ndarray) -> dict[str, str]:
    """Id → split: each group goes to the split that lacks most products, training first."""
    split: dict[str, str] = {}
    for group in groups:
        side = int(lacking.argmax())
        lacking[side] -= len(group)
        split.update({product.id: SPLITS[side] for product in group})
    return split


def _kind(product: Product) -> str:
    """What is spread evenly: the articleType, or those that it may be."""
    return product.labels.get("articleType") or "|".join(product.one_of.get("articleType", ()))


def split_at_random(products: Sequence[Product], seed: int = 0) -> dict[str, str]:
    """Id → split, ignoring near-duplicates and classes: the leaky split of published figures."""
    ids = sorted((product.id for product in products), key=lambda i: _order(i, seed))
    ends = (np.cumsum(SHARES) * len(ids)).round().astype(int)
    return {i: SPLITS[int(np.searchsorted(ends, n, side="right"))] for n, i in enumerate(ids)}


def _propose(
    thumbs: np.ndarray,
    candidates: np.ndarray,
    hash_of: Callable[[Image.Image], imagehash.ImageHash] = imagehash.phash,
    block: int = 512,
) -> np.ndarray:
    """Pairs (m, 2) of candidates whose perceptual hashes differ in at most MAX_HASH_BITS."""
    bits = np.stack([hash_of(Image.fromarray(thumbs[i])).hash.ravel() for i in candidates])
    codes = np.packbits(bits, axis=1).view(np.uint64).ravel()
    found = [np.empty((0, 2), int)]
    for start in range(0, len(codes), block):
        differing = np.bitwise_count(codes[start : start + block, None] ^ codes[None, start:])
        a, b = np.nonzero(differing <= MAX_HASH_BITS)
        found.append(np.stack([a, b], 1)[a < b] + start)
    return candidates[np.concatenate(found)]


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in grey levels over the pixels that show a product in either."""
    product = np.minimum(one.min(2), other.min(2)) < BACKGROUND
    if not product.any():
        return 0.0
    # int16: uint8 would wrap around
    return float(np.abs(one[product].astype(np.int16) - other[product]).mean())


def _order(identity: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{identity}".encode()).digest()
