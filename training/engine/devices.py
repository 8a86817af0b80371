"""The accelerators that training runs on: none, one, or several with the data spread over them."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import keras

MALLOPT = {"M_ARENA_MAX": (-8, 1), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, -1),
           "M_TOP_PAD": (-2, 64 << 20)}  # fmt: skip
"""Option of glibc's mallopt(3) → (its number in malloc.h, value): one heap that only grows."""


def keep_memory() -> None:
    """Tell glibc to keep what is freed instead of giving it back to the system at once.

    A step on a CPU frees and takes gigabytes; half of its time went into new pages (5.9 s a step
    of 64 photos at 256×192 against 3.3 s). Elsewhere than on glibc nothing is done.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        return
    for option, value in MALLOPT.values():
        mallopt(option, value)


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
