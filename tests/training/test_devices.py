"""Other backends and several devices: JAX alone, and two simulated devices on both backends."""

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples import garments
from fashion_xai.models import bundle
from tests.conftest import ROOT
from training import train
from training.engine import devices

needs_jax = pytest.mark.skipif(
    not importlib.util.find_spec("jax"), reason="needs jax: pip install -e .[dev]"
)
TWO_CPUS = """
import sys, tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import train
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    return garments.write_catalogue(tmp_path_factory.mktemp("devices") / "catalogue", per_kind=10)


def run(program, catalogue: Path, out: Path, number: int, *flags: str, **env: str) -> float:
    """Train the last block for one epoch in a process of its own; returns its training loss.

    The last block alone: what is shared between devices is the same, and compiles in half the time.
    """
    args = ["--data", str(catalogue), "--out", str(out), "--cache", str(out.parent / "cache"),
            "--weights", "none", "--split-by", "random", "--batch-size", "16",
            "--stages", "64x64:1:1e-3:block6d_add", "--devices", str(number), "--no-onnx",
            *flags]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *program, *args], cwd=ROOT, env={**os.environ, **env},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (f"Training on {number} devices" in done.stdout) == (number > 1)
    with (out / "log-0.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return float(row["loss"])


@needs_jax
def test_jax_trains_the_same_on_one_device_and_on_two_that_hold_the_photos(catalogue, tmp_path):
    program = ["-m", "training.train"]
    # Two devices; and code that is compiled fast, for it hardly runs.
    xla = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    env = {"KERAS_BACKEND": "jax", "XLA_FLAGS": xla}
    one = run(program, catalogue, tmp_path / "one", 1, **env)
    two = run(program, catalogue, tmp_path / "two", 2, "--on-device", **env)
    assert two == pytest.approx(one, rel=1e-2)
    loaded = bundle.load(tmp_path / "two" / "bundle")  # written by JAX, read by TensorFlow
    assert loaded.card["training"]["backend"] == "jax"


def test_tensorflow_trains_on_two_devices(catalogue, tmp_path):
    assert run(["-c", TWO_CPUS], catalogue, tmp_path / "run", 2) > 0
    assert bundle.load(tmp_path / "run" / "bundle").vocabulary.sizes["articleType"] == 6


def test_tensorflow_does_not_keep_the_photos_on_the_device(catalogue, tmp_path, capsys):
    args = ["--data", str(catalogue), "--out", str(tmp_path / "run"), "--on-device"]
    assert train.main(args) == 1
    assert "--on-device: expected KERAS_BACKEND=jax" in capsys.readouterr().err


def test_more_devices_than_there_are_is_an_error_in_words():
    with pytest.raises(ValueError, match=r"--devices 9: expected that many\. Received: "):
        devices.choose(9)
    assert len(devices.choose(None)) >= 1
