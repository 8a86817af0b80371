"""The notebooks of ``examples/``: each runs from its first cell to its last."""

import os
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.fixture
def kernel(monkeypatch):
    """Of this Python, which also finds ``fashion-xai`` first."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path, kernel, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=400,
        kernel_name="python3",
        resources={"metadata": {"path": ROOT / "examples"}},
    ).execute()
    nbformat.write(notebook, tmp_path / path.name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    printed = "".join(o.get("text", "") for cell in cells for o in cell.outputs)
    assert not [w for w in ("error:", "usage:", "Traceback") if w in printed], printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_opens_in_colab_and_installs_what_it_needs(path):
    first, setup = nbformat.read(path, as_version=4).cells[:2]
    assert (
        f"colab.research.google.com/github/fashion-xai/fashion_xai/blob/main/examples/{path.name}"
        in first.source
    )
    assert "%pip install" in setup.source and "git clone" in setup.source
