"""What six predictions and six maps cost: ``make bench``.

The same drawn photos in one process, the contenders in turn, medians; ratios, not bare times,
travel from machine to machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

from fashion_xai import FashionClassifier
from fashion_xai.data.images import letterbox
from tests import garments


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of the fast contenders")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of those with gradients")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64], metavar="N")
    args = parser.parse_args()
    classifier = FashionClassifier.load()
    model = classifier.bundle.model
    both = keras.Model(model.inputs, [model.get_layer(classifier.layer).output, *model.outputs])
    tool = Gradcam(model, clone=False)
    height, width = classifier.size
    kinds = list(garments.KINDS)
    print(f"input {height}×{width}, {os.cpu_count()} cores, medians of {args.rounds} rounds")
    print(
        "| batch | forward pass | six predictions + six Grad-CAMs | with six LayerCAMs too "
        "| six maps as shown by default | GradientTape ×6 | tf-keras-vis ×6 | peak memory |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for batch in args.batches:
        photos = [
            letterbox(garments.draw(kinds[i % len(kinds)], seed=i), classifier.size)[0]
            for i in range(batch)
        ]
        pixels = np.stack(photos).astype(np.float32)
        indices = [[p.index for p in x.values()] for x in classifier.predict(photos)]

        def both_methods(photos=photos) -> None:
            for forward_pass in classifier.read(photos):
                classifier.explanations(forward_pass, method="gradcam")
                classifier.explanations(forward_pass, method="layercam")

        def tapes(pixels=pixels, indices=indices) -> None:
            for head in range(len(model.outputs)):
                with tf.GradientTape() as tape:
                    features, *logits = both(pixels)
                    tape.watch(features)
                    chosen = tf.gather(logits[head], [r[head] for r in indices], batch_dims=1)
                gradients = tape.gradient(chosen, features)
                tf.reduce_sum(features * tf.reduce_mean(gradients, (1, 2), keepdims=True), -1)

        def keras_vis(pixels=pixels, indices=indices) -> None:
            for head in range(len(model.outputs)):
                scores = [InactiveScore()] * len(model.outputs)
                scores[head] = CategoricalScore([row[head] for row in indices])
                tool(
                    scores, pixels, penultimate_layer=classifier.layer,
                    seek_penultimate_conv_layer=False, expand_cam=False, normalize_cam=False,
                )  # fmt: skip

        forward, *others = in_turn(
            args.rounds,
            lambda pixels=pixels: model.predict_on_batch(pixels),
            lambda photos=photos: classifier.explain(photos, "gradcam"),
            both_methods,
            lambda photos=photos: classifier.explain(photos),
        )
        others += in_turn(args.slow_rounds, tapes, keras_vis)
        cells = " | ".join(f"{1e3 * t:.1f} ms ({t / forward:.2f} ×)" for t in others)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {batch} | {1e3 * forward:.1f} ms | {cells} | {peak:.1f} GB |", flush=True)


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
