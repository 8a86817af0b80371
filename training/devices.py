"""The accelerators that training runs on: none, one, or several with the data spread over them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


def gpus() -> list[str]:
    """Names of the GPUs. (Asked for "gpu" by name, JAX raises where there is none.)"""
    return [name for name in keras.distribution.list_devices() if name.startswith("gpu")]


def choose(wanted: int | None) -> list[str]:
    """The devices to train on: all GPUs, or the CPU where there is none.

    Args:
        wanted: how many of them; None for all GPUs. More than one CPU device exists only where
            it was simulated (``XLA_FLAGS=--xla_force_host_platform_device_count=N`` on JAX).

    Raises:
        ValueError: there are fewer.
    """
    found = gpus() or keras.distribution.list_devices()
    if wanted is None:
        return gpus() or found[:1]
    if wanted > len(found):
        raise ValueError(f"--devices {wanted}: expected that many. Received: {', '.join(found)}")
    return found[:wanted]


@contextlib.contextmanager
def data_parallel(names: list[str]) -> Iterator[None]:
    """Inside, models are built on all of ``names`` and every batch is split among them.

    ``keras.distribution.DataParallel`` on JAX, ``tf.distribute.MirroredStrategy`` on TensorFlow
    (Keras' own distribution is not for use there). One device needs neither.
    """
    if len(names) < 2:
        yield
    elif keras.backend.backend() == "jax":
        with keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope():
            yield
    else:
        import tensorflow as tf  # the only place that needs it by name

        with tf.distribute.MirroredStrategy([f"/{name}" for name in names]).scope():
            yield
