"""The Space's folder, started in a fresh virtual environment as it would be on the Hub."""

import os
import re
import socket
import subprocess
import sys
import tomllib

import pytest
from gradio_client import Client, handle_file
from packaging.requirements import Requirement

from demo import space
from tests import garments
from tests.conftest import ROOT
from tests.server import free_port, until_ready


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("space") / "space"
    assert space.main([str(out)]) == 0
    return out


def test_it_holds_what_a_space_needs_and_nothing_private(folder):
    front = (folder / "README.md").read_text().split("---")[1]
    app = re.search(r"app_file: (\S+)", front)[1]
    assert (folder / app).is_file() and (folder / "fashion_xai/assets/model/model.onnx").is_file()
    needs = (folder / "requirements.txt").read_text()
    version = re.search(r"sdk_version: (\S+)", front)[1]
    assert f"gradio=={version}\n" in needs and "onnxruntime" in needs and "tensorflow" not in needs
    assert not (folder / "tests").exists() and not (folder / ".git").exists()
    assert not list(folder.rglob("*.pyc"))


def test_a_folder_with_something_in_it_is_left_alone(folder, capsys):
    before = sorted(folder.rglob("*"))
    assert space.main([str(folder)]) == 1
    assert "expected an empty or a new folder" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_it_runs_in_a_fresh_environment(folder, tmp_path):
    """Nothing but its own requirements, and no proxy to download anything through."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [python, "-m", "pip", "install", *quiet, "-r", folder / "requirements.txt"], check=True
    )
    port = free_port()
    offline = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1",
               "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9",
               "NO_PROXY": "127.0.0.1,localhost"}  # fmt: skip
    process = subprocess.Popen(
        [python, "demo/app.py"], cwd=folder, env=offline, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until_ready(process)
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        photo = tmp_path / "bag.png"
        garments.save("bag", photo)
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        answer = client.predict(handle_file(str(photo)), api_name="/predict")
        assert answer["masterCategory"]["label"] == "Accessories"
    finally:
        process.kill()
        process.wait()


def test_the_pinned_gradio_is_within_the_tested_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    demo = map(Requirement, project["optional-dependencies"]["demo"])
    wanted = next(need for need in demo if need.name == "gradio")
    version = re.search(r"sdk_version: (\S+)", (ROOT / "demo/README.md").read_text())[1]
    assert version in wanted.specifier
