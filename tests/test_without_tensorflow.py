"""Serving needs no TensorFlow: in a process that cannot import it, all but gradients works."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from examples.garments import draw
from fashion_xai.models import bundle
from tests.server import ROOT, free_port, until_ready

BLOCKED = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        missing = ("tensorflow", "keras", "tf_keras_vis", "tf2onnx", "jax", "torch")
        found = name.split(".")[0] not in missing
        return self.finder.find_spec(name, path, target) if found else None

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
"""As if they were not installed."""


def run(code, *args, **options):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *map(str, args)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip


def command(*args, **options):
    code = "from fashion_xai.__main__ import main\nsys.exit(main())"
    return run(code, *args, **options)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    import cv2

    file = tmp_path_factory.mktemp("photo") / "bag.png"
    cv2.imwrite(str(file), draw("bag", seed=2)[..., ::-1])
    return file


def test_the_block_holds():
    assert "No module named 'keras'" in run("import keras").stderr


def test_predict_prints_the_answers_and_nothing_else(photo):
    done = command("predict", photo, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and json.loads(done.stdout)["articleType"][0]["label"]


def test_nothing_is_written_beside_the_answers(photo, tmp_path):
    """ONNX Runtime's telemetry would leave an id among the temporary files and in the cache."""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert command("predict", photo, env={**os.environ, **home}).returncode == 0
    assert not list(tmp_path.rglob("*"))


def test_help_loads_next_to_nothing():
    """What ``fashion-xai --help`` imports beyond Python: nothing."""
    code = (
        "from fashion_xai.__main__ import main\ntry: main(['--help'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = run(code)
    heavy = {"numpy", "onnxruntime", "cv2", "PIL", "pandas", "scipy", "matplotlib"}
    assert "predict" in done.stdout and not heavy & set(done.stderr.split())


METHODS = """
from fashion_xai import FashionClassifier, methods
classifier = FashionClassifier.load(sys.argv[2])
wanted = (*methods.CLOSED, "occlusion", "occlusion-guided", "shap")
for name in wanted:
    assert len(classifier.explain(sys.argv[1], name)) == 6
assert {n for n, m in methods.METHODS.items() if m.available} == set(wanted)
try:
    classifier.explain(sys.argv[1], "smoothgrad")
except ImportError as error:
    print(error)
"""


def test_every_method_but_gradients_makes_its_maps(photo, small_bundle):
    done = run(METHODS, photo, small_bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "method 'smoothgrad' needs: pip install \"fashion-xai[keras]\"\n"


def test_ones_own_model_needs_an_extra():
    done = run("import fashion_xai; fashion_xai.Network")
    assert done.stderr.splitlines()[-1] == (
        'ImportError: Keras models need: pip install "fashion-xai[keras]"'
    )


def test_audit_and_report(drawn, small_bundle, tmp_path):
    done = command("audit", "--data", drawn, "--bundle", small_bundle, "--out", tmp_path, "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "audit.html").stat().st_size > 10_000


def test_trust_and_the_sanity_check(drawn, small_bundle, tmp_path):
    done = command(
        "trust", "--data", drawn, "--bundle", small_bundle, "--out", tmp_path, "-q",
        "--photos", 2, "--sanity", 2, "--grids", 1, "--agreement", 2, "--method", "gradcam",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "trust.json").read_text(encoding="utf-8"))["sanity"]


def test_the_demo_starts_and_names_what_computes(tmp_path):
    script = tmp_path / "demo.py"  # a file: the decoding processes import it again
    start = "\nif __name__ == '__main__':\n    from demo.server import main\n    sys.exit(main())\n"
    script.write_text(f"{BLOCKED}\nsys.path.insert(0, {str(ROOT)!r})\n{start}", encoding="utf-8")
    port = free_port()
    with subprocess.Popen(
        [sys.executable, script, "--port", str(port)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        until_ready(process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as reply:
            assert json.load(reply)["provider"] == "CPUExecutionProvider"
        process.send_signal(signal.SIGINT)


def test_a_bundle_of_keras_alone_names_the_command(small_bundle, photo, tmp_path):
    folder = shutil.copytree(small_bundle, tmp_path / "older")
    sums = bundle.read_card(folder)["sha256"]
    bundle.update_card(folder, sha256={k: v for k, v in sums.items() if k != bundle.GRAPH})
    done = command("predict", photo, "--bundle", folder)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"python -m training.export {folder}" in done.stderr
