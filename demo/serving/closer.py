"""A careful map for one answer: parts of the photo are hidden one after the other, and the network
is asked again each time. It takes seconds, says how far it is, and ends when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from demo.serving.batcher import BULK, DynamicBatcher
from fashion_xai.maps import methods
from fashion_xai.models.outputs import Explanation, ForwardPass

METHOD = "occlusion-guided"
"""A pass a window: it asks about causes, where the quick maps tell where a score comes from; about
as faithful as the default (docs/methods.md)."""

AT_ONCE = 8
"""Changed photos that wait for the network together."""

SHOWN = 0.1
"""Seconds between two reports of how far it is."""


class Stopped(Exception):
    """Nobody waits for the map any more."""


class _Watched:
    """The batcher's network as a method of changed photos sees it; counts, and can be stopped.

    Visitors' photos go before the changed ones, see :class:`DynamicBatcher`.
    """

    def __init__(self, batcher: DynamicBatcher):
        self._batcher = batcher
        self.done = 0
        self.stop = threading.Event()

    def __getattr__(self, name: str) -> Any:  # kernels, biases and the rest of LinearHeads
        return getattr(self._batcher.classifier.network, name)

    def forward(self, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        passes: list[ForwardPass] = []
        for first in range(0, len(pixels), AT_ONCE):
            if self.stop.is_set():
                raise Stopped
            waiting = [
                self._batcher.submit(picture.round().clip(0, 255).astype(np.uint8), BULK)
                for picture in pixels[first : first + AT_ONCE]
            ]
            passes += [answer.result() for answer in waiting]
            self.done = len(passes)
        features = np.stack([p.features for p in passes])
        return features, {h: np.stack([p.logits[h] for p in passes]) for h in passes[0].logits}


def look(
    batcher: DynamicBatcher,
    forward_pass: ForwardPass,
    attribute: str,
    target: str | None = None,
    against: str | None = None,
) -> Iterator[float | Explanation]:
    """The share that is done, 0–1, again and again, and last the map.

    A caller that closes the iterator ends the work within :data:`AT_ONCE` passes.

    Args:
        forward_pass: of the photo as it is.
        attribute: whose map.
        target, against: as of :meth:`FashionClassifier.explain`.

    Raises:
        QueueFull: too many photos are waiting.
    """
    network = _Watched(batcher)
    total = methods.passes_of_hiding(forward_pass.features.shape[:2])

    def work() -> Explanation:
        found = batcher.classifier.explanations(
            forward_pass,
            [attribute],
            {} if target is None else {attribute: target},
            {} if against is None else {attribute: against},
            METHOD,
            network,
        )
        return found[attribute]

    with ThreadPoolExecutor(1, "closer") as beside:
        answer = beside.submit(work)
        try:
            while not answer.done():
                yield min(network.done / total, 1.0)
                try:
                    answer.exception(SHOWN)
                except TimeoutError:
                    continue
            yield answer.result()
        finally:
            network.stop.set()
