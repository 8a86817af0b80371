"""What others install: the Space and the wheel, in a new environment with what serving needs."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from demo import space
from examples import garments
from tests.conftest import ROOT
from tests.server import free_port, until_ready

PICTURES = {"screenshot.png", "gallery.png"}
"""Of the README."""
PIP = ("-m", "pip", "--disable-pip-version-check", "-q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The assembled Space."""
    out = tmp_path_factory.mktemp("space") / "space"
    assert space.main([str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def python(folder, tmp_path_factory):
    """The Python of an environment with the Space's own requirements and nothing else."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    found = venv / "bin" / "python"
    subprocess.run([found, *PIP, "install", "-r", folder / "requirements.txt"], check=True)
    return found


@pytest.fixture
def photo(tmp_path):
    file = tmp_path / "bag.png"
    garments.save("bag", file)
    return file


def test_serving_takes_at_most_1_2_gigabytes_and_no_tensorflow(python):
    files = [x for x in python.parents[1].rglob("*") if x.is_file() and not x.is_symlink()]
    assert sum(x.stat().st_size for x in files) < 1.2e9
    packages = {x.name for x in python.parents[1].glob("lib/*/site-packages/*")}
    assert "onnxruntime" in packages and not packages & {"tensorflow", "keras"}


def test_the_space_runs(folder, python, photo):
    with served([python, "demo/app.py"], folder) as client:
        answer = client.predict(handle_file(str(photo)), api_name="/predict")
        assert answer["masterCategory"]["label"] == "Accessories"


@contextmanager
def served(command, cwd):
    """A client of a demo that is started with no way to download anything."""
    port = free_port()
    offline = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1",
               "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9",
               "NO_PROXY": "127.0.0.1,localhost"}  # fmt: skip
    process = subprocess.Popen(
        command, cwd=cwd, env=offline, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until_ready(process)
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        yield Client(f"http://127.0.0.1:{port}", verbose=False)
    finally:
        process.kill()
        process.wait()


def test_the_wheel_explains_a_photo_and_serves_the_demo(python, photo, tmp_path):
    """It holds every wing, the templates, the bundle, and the programs beside the library."""
    source = tmp_path / "source"  # a build leaves folders behind, which the next one would read
    for name in ("fashion_xai", "demo", "training"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([python, *PIP, "wheel", "--no-deps", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([python, *PIP, "install", "--no-deps", wheel], check=True)
    where = [python, "-c", "import fashion_xai; print(fashion_xai.__path__[0])"]
    place = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True)
    library = Path(place.stdout.strip())
    assert files(library, {"apps"}) == files(ROOT / "fashion_xai")
    for name in ("demo", "training"):
        assert files(library / "apps" / name) == files(ROOT / name, {"README.md"})
    command = [python.parent / "fashion-xai", "explain", photo, "--out", tmp_path / "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "6 maps of 1 photos" in done.stdout
    assert (tmp_path / "out" / "bag.articleType.png").stat().st_size > 0
    with served([command[0], "demo"], tmp_path) as client:
        answer = client.predict(handle_file(str(photo)), api_name="/predict")
        assert answer["articleType"]["label"] == "Handbags"


def files(folder, without=frozenset()):
    """What a wheel has to bring of a folder."""
    found = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}
    return {p for p in found if p.suffix != ".pyc" and p.parts[0] not in without | PICTURES}
