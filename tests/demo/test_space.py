"""The Space's folder; ``tests/test_fresh_environment.py`` starts it."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from demo import space
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("space") / "space"
    assert space.main([str(out)]) == 0
    return out


def test_it_holds_what_a_space_needs_and_nothing_private(folder):
    front = (folder / "README.md").read_text(encoding="utf-8").split("---")[1]
    app = re.search(r"app_file: (\S+)", front)[1]
    assert (folder / app).is_file() and (folder / "fashion_xai/assets/model/model.onnx").is_file()
    needs = (folder / "requirements.txt").read_text(encoding="utf-8")
    version = re.search(r"sdk_version: (\S+)", front)[1]
    assert f"gradio=={version}\n" in needs and "onnxruntime" in needs and "tensorflow" not in needs
    assert not (folder / "tests").exists() and not (folder / ".git").exists()
    assert not list(folder.rglob("*.pyc"))


def test_a_folder_with_something_in_it_is_left_alone(folder, capsys):
    before = sorted(folder.rglob("*"))
    assert space.main([str(folder)]) == 1
    assert "expected an empty or a new folder" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_the_pinned_gradio_is_within_the_tested_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    demo = map(Requirement, project["optional-dependencies"]["demo"])
    wanted = next(need for need in demo if need.name == "gradio")
    version = re.search(
        r"sdk_version: (\S+)", (ROOT / "demo/README.md").read_text(encoding="utf-8")
    )[1]
    assert version in wanted.specifier
