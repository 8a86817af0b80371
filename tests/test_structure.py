"""The architecture's rules: imports run one way, and each file holds to its name."""

import ast
import re
import tomllib

import pytest

from tests.conftest import ROOT

PACKAGES = ("fashion_xai", "training", "demo")
FORBIDDEN = {
    "fashion_xai": {"training", "demo", "tests", "gradio"},
    "training": {"demo", "tests", "gradio"},
    "demo": {"training", "tests"},
}
GRADIO = (
    "demo/server.py",
    "demo/serving/queue_guard.py",
    "demo/serving/uploads.py",
    *(f"demo/tabs/{name}.py" for name in ("audit", "batch", "explain", "inputs", "lists")),
)
"""The views are plain functions: they know nothing of Gradio."""
ALLOWED_ONLY_IN = {
    "gradio": GRADIO,
    "tf_keras_vis": ("fashion_xai/maps/gradients.py",),
    "shap": ("fashion_xai/maps/shapley.py",),
    "onnxruntime": ("fashion_xai/models/onnx_network.py",),  # which switches its telemetry off
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path):
    place = path.relative_to(ROOT).as_posix()
    names = imported(path)
    assert not names & FORBIDDEN[place.split("/")[0]]
    for name, only in ALLOWED_ONLY_IN.items():
        assert name not in names or place in only
    if place == "fashion_xai/maps/cams.py":
        assert names <= {"__future__", "numpy"}


def test_the_library_and_the_training_do_not_need_tensorflow_by_name():
    """Keras' layers, ops and numpy only: so that training also runs on JAX."""
    for path in FILES:
        if path.name != "devices.py":  # MirroredStrategy has no other name
            assert "tensorflow" not in imported(path), path


WINGS = (
    "metrics",
    "progress",
    "data",
    "models",
    "network",
    "maps",
    "viz",
    "classifier",
    "inference",
    "engines",
    "batch_prediction",
    "trust",
    "audit",
    "cli",
)
"""The library from the ground up: each imports from itself and from those before it only."""


@pytest.mark.parametrize("path", sorted((ROOT / "fashion_xai").rglob("*.py")), ids=str)
def test_no_arrow_points_upward_between_the_wings(path):
    wing = path.relative_to(ROOT / "fashion_xai").parts[0].removesuffix(".py")
    if wing in ("__init__", "__main__", "_version"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fashion_xai"):
            _, _, inside = node.module.partition(".")
            for name in [inside.split(".")[0]] if inside else [alias.name for alias in node.names]:
                assert WINGS.index(name) <= WINGS.index(wing), f"{path}:{node.lineno}"


def test_every_range_ends_and_serving_needs_no_tensorflow():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(x for extra in extras.values() for x in extra)]
    assert all("<" in text for text in lines if not text.startswith("fashion-xai"))
    serving = [*project["dependencies"], *extras["demo"]]
    names = {re.match(r"[A-Za-z0-9_-]+", text)[0] for text in serving}
    assert not names & {"tensorflow", "tensorflow-cpu", "keras", "tf-keras-vis", "tf2onnx"}


def test_a_gpu_needs_the_same_ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    usual = {*extras["train"], *extras["keras"]}
    for line in extras["gpu"]:
        if not line.startswith(("tensorflow", "jax")):
            assert line in usual


def test_no_photo_is_in_the_repository():
    pictures = [
        p.relative_to(ROOT)
        for package in (*PACKAGES, "tests")
        for p in (ROOT / package).rglob("*")
        if p.suffix.lower() in (".jpg", ".jpeg", ".webp")
    ]
    assert not pictures  # drawn examples and screenshots are PNGs
