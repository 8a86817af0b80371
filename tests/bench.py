"""What reading a photo costs: ``make bench``.

First whole commands, then six predictions and six maps beside bare forward passes. The same drawn
photos in one process, the contenders in turn, medians; ratios, not bare times, travel from machine
to machine. What is in each figure:

- TensorFlow, ONNX: the bare forward pass on float32 pixels that are ready; features and logits.
- six answers + Grad-CAM, + default maps: ``FashionClassifier.explain`` on decoded photos: fitting
  them into the network's input, the ONNX pass, predictions, six maps. No decoding.
- GradientTape ×6, tf-keras-vis ×6: six Grad-CAMs through gradients, on pixels that are ready.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tests.server import ROOT, start

PHOTO = "demo/examples/pink-dress.png"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=30, help="of the fast contenders")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of those with gradients")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64], metavar="N")
    parser.add_argument(
        "--beside", type=Path, metavar="CLONE", help="another clone whose commands are timed too"
    )
    args = parser.parse_args()
    print("| command | seconds | peak memory |\n|---|---|---|")
    for root in (ROOT, args.beside):
        if root is not None:
            name = "" if root == ROOT else f", in {root.name}"
            commands(root.resolve(), name)
    print()
    photos(args)


def commands(root: Path, name: str) -> None:
    """Whole processes, median of three."""
    package = [sys.executable, "-m", "fashion_xai"]
    for title, command in {
        "fashion-xai --help": [*package, "--help"],
        "fashion-xai predict PHOTO": [*package, "predict", PHOTO],
    }.items():
        runs = [process(command, root) for _ in range(3)]
        seconds, peak = (median(x) for x in zip(*runs, strict=True))
        print(f"| `{title}`{name} | {seconds:.2f} | {peak:.0f} MB |", flush=True)
    spent = []
    for _ in range(3):
        before = time.perf_counter()
        server, _ = start(root=root)
        spent.append(time.perf_counter() - before)
        server.kill()
        server.wait()
    print(f"| demo, start to Ready{name} | {median(spent):.1f} | – |", flush=True)


def process(command: list[str], root: Path) -> tuple[float, float]:
    """Seconds and peak MB of a process, which must succeed."""
    before = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{command} failed in {root}")
    return time.perf_counter() - before, usage.ru_maxrss / 1e3


def photos(args: argparse.Namespace) -> None:
    # Not before: the peak memory of a child counts what its parent held when it started it.
    from examples import garments
    from fashion_xai import FashionClassifier
    from fashion_xai.data.images import letterbox

    classifier = FashionClassifier.load()
    height, width = classifier.size
    kinds = list(garments.KINDS)
    drawn = [
        letterbox(garments.draw(kinds[i % len(kinds)], seed=i), classifier.size)[0]
        for i in range(max(args.batches))
    ]
    print(f"input {height}×{width}, {os.cpu_count()} cores, medians of {args.rounds} rounds")
    print("Beside ONNX Runtime alone, in a process without TensorFlow, whose threads would spin:")
    print("| batch | ONNX | six answers + Grad-CAM | + default maps |\n|---|---|---|---|")
    for batch in args.batches:
        chosen, pixels = drawn[:batch], stacked(drawn[:batch])
        bare, *others = in_turn(
            args.rounds,
            lambda pixels=pixels: classifier.network.forward(pixels),
            lambda chosen=chosen: classifier.explain(chosen, "gradcam"),
            lambda chosen=chosen: classifier.explain(chosen),
        )
        cells = [f"{1e3 * t:.1f} ms ({t / bare:.2f} ×)" for t in others]
        print(f"| {batch} | {1e3 * bare:.1f} ms | {' | '.join(cells)} |", flush=True)
    print("\nBeside TensorFlow:")
    columns = "batch | TensorFlow | ONNX | six answers + default maps | GradientTape ×6"
    print(f"| {columns} | tf-keras-vis ×6 |\n" + "|---" * 6 + "|")
    for batch in args.batches:
        print(beside_tensorflow(classifier, drawn[:batch], args), flush=True)


def stacked(drawn: list) -> Any:
    import numpy as np

    return np.stack(drawn).astype(np.float32)


def beside_tensorflow(classifier, drawn: list, args: argparse.Namespace) -> str:
    """A line of the table."""
    import keras
    import tensorflow as tf
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

    model = classifier.bundle.model
    both = keras.Model(model.inputs, [model.get_layer(classifier.layer).output, *model.outputs])
    tool = Gradcam(model, clone=False)
    pixels = stacked(drawn)
    indices = [[p.index for p in x.values()] for x in classifier.predict(drawn)]

    def tapes() -> None:
        for head in range(len(model.outputs)):
            with tf.GradientTape() as tape:
                features, *logits = both(pixels)
                tape.watch(features)
                chosen = tf.gather(logits[head], [r[head] for r in indices], batch_dims=1)
            gradients = tape.gradient(chosen, features)
            tf.reduce_sum(features * tf.reduce_mean(gradients, (1, 2), keepdims=True), -1)

    def keras_vis() -> None:
        for head in range(len(model.outputs)):
            scores = [InactiveScore()] * len(model.outputs)
            scores[head] = CategoricalScore([row[head] for row in indices])
            tool(
                scores, pixels, penultimate_layer=classifier.layer,
                seek_penultimate_conv_layer=False, expand_cam=False, normalize_cam=False,
            )  # fmt: skip

    bare, *others = in_turn(
        args.rounds,
        lambda: both.predict_on_batch(pixels),
        lambda: classifier.network.forward(pixels),
        lambda: classifier.explain(drawn),
    )
    others += in_turn(args.slow_rounds, tapes, keras_vis)
    cells = [f"{1e3 * t:.1f} ms ({t / bare:.2f} ×)" for t in others]
    return f"| {len(drawn)} | {1e3 * bare:.1f} ms | {' | '.join(cells)} |"


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
