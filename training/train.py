"""Train a bundle: ``python -m training.train``, the same as ``fashion-xai train``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import keras

from training import command, config
from training.data.dataset import Dataset
from training.engine import devices
from training.engine.run import Run
from training.export import export


def main(argv: list[str] | None = None, prog: str = "python -m training.train") -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    settings = config.parse(argv, prog)
    resumes = "Stopped. The same command resumes after the last whole epoch."
    return command.run(lambda: run(settings), resumes)


def run(settings: config.Config) -> Path:
    """Train as set and return the bundle's folder."""
    settings.out.mkdir(parents=True, exist_ok=True)
    claim(settings)
    if settings.on_device and keras.backend.backend() != "jax":
        raise ValueError(
            "--on-device: expected KERAS_BACKEND=jax. Received: TensorFlow, whose input pipeline "
            "would copy each batch to the host and back."
        )
    names = devices.choose(settings.devices)
    if settings.batch_size % len(names):
        raise ValueError(f"--batch-size: expected a multiple of {len(names)} devices.")
    if len(names) > 1:
        print(f"Training on {len(names)} devices: {', '.join(names)}")
    with devices.data_parallel(names):
        use_xla = prepare_backend(settings.seed)
        data = Dataset.load(settings)
        training = Run(settings, data, use_xla)
        model = training.train()
    folder = export(settings, data, model, training.seconds, names)
    print(f"Bundle: {folder}\nA demo of it: fashion-xai demo --bundle {folder}")
    return folder


def claim(settings: config.Config) -> None:
    """A run's folder belongs to one configuration: another one would resume into nonsense.

    Stages may be added at the end: the run then continues with them.
    """
    file = settings.out / "config.json"
    mine = settings.learning()
    if file.exists():
        theirs = json.loads(file.read_text(encoding="utf-8"))
        different = [k for k in mine if mine[k] != theirs.get(k)]
        extended = mine["stages"][: len(theirs["stages"])] == theirs["stages"]
        if different and not (different == ["stages"] and extended):
            raise ValueError(
                f"{settings.out} holds a run with other settings ({', '.join(different)}). "
                "Give another --out, or the same settings to resume; stages may be added."
            )
    file.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")


def prepare_backend(seed: int) -> bool:
    """Seed everything; mixed precision on a GPU. Returns whether XLA compiles the step: on a CPU
    it would lose oneDNN's convolutions."""
    devices.keep_memory()
    keras.utils.set_random_seed(seed)
    use_gpu = bool(devices.gpus())
    if use_gpu:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    return use_gpu or keras.backend.backend() == "jax"


if __name__ == "__main__":
    sys.exit(main())
