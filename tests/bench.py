"""What six predictions and six maps cost: ``make bench``.

The same drawn photos in one process, the contenders in turn, medians; ratios, not bare times,
travel from machine to machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

from fashion_xai import FashionClassifier
from fashion_xai.images import letterbox
from tests import garments


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of the fast contenders")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of tf-keras-vis")
    args = parser.parse_args()
    classifier = FashionClassifier.load()
    model = classifier.bundle.model
    tool = Gradcam(model, clone=False)
    height, width = classifier.size
    kinds = list(garments.KINDS)
    print(f"input {height}×{width}, {os.cpu_count()} cores, medians of {args.rounds} rounds")
    print("| batch | forward pass | six predictions + six maps | ratio | tf-keras-vis ×6 | ratio |")
    print("|---|---|---|---|---|---|")
    for batch in (1, 16):
        photos = [
            letterbox(garments.draw(kinds[i % len(kinds)], seed=i), classifier.size)[0]
            for i in range(batch)
        ]
        pixels = np.stack(photos).astype(np.float32)
        indices = [[p.index for p in x.values()] for x in classifier.predict(photos)]

        def keras_vis(pixels=pixels, indices=indices) -> None:
            for head in range(len(model.outputs)):
                scores = [InactiveScore()] * len(model.outputs)
                scores[head] = CategoricalScore([row[head] for row in indices])
                tool(
                    scores, pixels, penultimate_layer=classifier.layer,
                    seek_penultimate_conv_layer=False, expand_cam=False, normalize_cam=False,
                )  # fmt: skip

        fast = in_turn(
            args.rounds,
            lambda pixels=pixels: model.predict_on_batch(pixels),
            lambda photos=photos: classifier.explain(photos),
        )
        slow = in_turn(args.slow_rounds, keras_vis)
        forward, ours, theirs = *fast, *slow
        print(
            f"| {batch} | {1e3 * forward:.1f} ms | {1e3 * ours:.1f} ms | {ours / forward:.2f} "
            f"| {1e3 * theirs:.0f} ms | {theirs / ours:.0f} |",
            flush=True,
        )


def in_turn(rounds: int, *contenders: Callable[[], object]) -> list[float]:
    """Median seconds of each; in turn, so that a busy moment hits them alike."""
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender()  # traced and warm
    for _ in range(rounds):
        for taken, contender in zip(times, contenders, strict=True):
            start = time.perf_counter()
            contender()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in times]


if __name__ == "__main__":
    main()
