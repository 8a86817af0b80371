"""From a trained model to a bundle on disk: the graph that ships, calibrated, with its card.

``python -m training.export BUNDLE`` gives an older bundle the ``model.onnx`` of ONNX Runtime.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import keras

from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model, cam_layer, set_weights
from training import calibrate, command, config
from training.data.dataset import Dataset
from training.engine.onnx_graph import to_onnx
from training.engine.transfer import toward


def export(
    settings: config.Config,
    data: Dataset,
    model: keras.Model,
    seconds: float,
    devices: Sequence[str],
) -> Path:
    """Calibrate the model and write ``out/bundle`` with its ONNX graph; returns that folder.

    Args:
        model: as the run left it.
        seconds: that it trained.
        devices: that it was trained on.

    Raises:
        onnx_graph.DifferentAnswers: ONNX Runtime does not answer as Keras does.
    """
    folder = settings.out / "bundle"
    made = bundle.Bundle(
        data.vocabulary,
        data.taxonomy,
        describe(settings, data, seconds, devices),
        folder,
        changed=final(settings, data, model),
    )
    others = [other.labelled for other in data.others]
    calibrated = calibrate.calibrate(made, data.first, others)
    split_files = [other.split_file for other in data.others]
    graph = to_onnx(calibrated.model) if settings.onnx else None
    if settings.onnx and graph is None:
        print(f"{bundle.GRAPH}: {without(folder)}")
    bundle.save(
        folder,
        calibrated.model,
        calibrated.vocabulary,
        calibrated.taxonomy,
        calibrated.card,
        settings.out / bundle.SPLIT,
        split_files,
        calibrated.ood_score,
        graph,
    )
    return folder


def without(folder: Path) -> str:
    """What to do where a graph cannot be converted."""
    return (
        "TensorFlow and tf2onnx convert the network and are not both installed here. Where they "
        f"are, run: python -m training.export {folder}"
    )


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.export",
        description="Convert a bundle's network to ONNX, hold it to Keras on photos, and keep it "
        "in the bundle as model.onnx: ONNX Runtime reads it without TensorFlow, and faster. "
        "training.train and training.calibrate do this at their end.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    args = parser.parse_args(argv)

    def work() -> None:
        graph = to_onnx(bundle.load(args.bundle).model)
        if graph is None:
            raise OSError(without(args.bundle))
        bundle.replace_graph(args.bundle, graph)
        print(f"{args.bundle / bundle.GRAPH}: {len(graph.SerializeToString()) / 1e6:.1f} MB")

    return command.run(work, "Stopped; the bundle is as it was.")


def final(settings: config.Config, data: Dataset, model: keras.Model) -> keras.Model:
    """The weights in a float32 graph of the last stage's size: that is what ships."""
    keras.mixed_precision.set_global_policy("float32")
    made = build_model(
        data.vocabulary.sizes,
        settings.stages[-1].size,
        "none",
        settings.dropout,
        settings.attention,
        output_stride=settings.output_stride,
    )
    set_weights(made, model.get_weights())
    if settings.init and settings.toward_init:
        toward(bundle.load(settings.init), made, data.vocabulary, settings.toward_init)
    return made


def describe(
    settings: config.Config, data: Dataset, seconds: float, devices: Sequence[str]
) -> dict[str, Any]:
    """The card without metrics, which ``training.evaluate`` adds."""
    card: dict[str, Any] = {
        "cam_layer": cam_layer(settings.attention),
        "input_size": list(settings.stages[-1].size),
        "output_stride": settings.output_stride,
        "table": data.first.catalogue.table.to_json(),
        "split": {"kind": kind_of_split(settings), **data.first.counts()},
        "configuration": settings.learning(),
        "training": {
            "minutes": round(seconds / 60, 1),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "hardware": f"{os.cpu_count()} CPU cores ({platform.machine()})"
            + "".join(f", {name}" for name in devices if not name.startswith("cpu")),
        },
        "metrics": {},
    }
    if data.others:
        card["also"] = [other.describe() for other in data.others]
    if settings.init:
        parent = bundle.read_card(settings.init)
        card["continued_from"] = {
            key: parent[key]
            for key in ("configuration", "training", "continued_from")
            if key in parent
        }
    return card


def kind_of_split(settings: config.Config) -> str:
    """How the split was made; of a bundle's split.csv, what that bundle's card says."""
    folder = settings.split_file.parent if settings.split_file else None
    if folder is None or not (folder / bundle.CARD).is_file():
        return settings.learning()["split_by"]
    return bundle.read_card(folder)["split"]["kind"]


if __name__ == "__main__":
    sys.exit(main())
