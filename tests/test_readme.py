"""The README's snippets do what it says."""

import contextlib
import io
import re

import httpx
import pytest

from fashion_xai.data import accepted
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippet(heading: str, language: str) -> str:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]


def run(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    return out.getvalue()


def test_the_library_snippet_prints_what_stands_below_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    printed = snippet("From Python", "text").splitlines()
    found = run(snippet("From Python", "python")).splitlines()
    assert found[:2] == printed[:2]
    assert float(found[2]) == pytest.approx(float(printed[2]), abs=1e-3)


def test_the_table_of_what_is_read_is_the_codes():
    between = README.split(accepted.BEGIN)[1].split(accepted.END)[0]
    assert between.strip() == accepted.markdown(), "python -m fashion_xai.data.accepted prints it"


def test_the_snippet_for_ones_own_model_runs_as_it_stands():
    assert run(snippet("Your own Keras model", "python")) == "(16, 12) True\n"


def test_the_api_snippets_work(url, monkeypatch):
    monkeypatch.chdir(ROOT)
    code = snippet("Over the demo's API", "python").replace("http://127.0.0.1:7860", url)
    *_, label, rows, files = run(code).splitlines()  # before them: "Loaded as API"
    assert label and rows == "16" and files == "['green-tshirt.png']"
    curl = snippet("Over the demo's API", "sh")
    photo, address = re.search(r"@(\S+) \"http://127.0.0.1:7860(\S+)\"", curl).groups()
    reply = httpx.post(url + address, content=(ROOT / photo).read_bytes())
    assert set(reply.json()["maps"]) == {"gender", "masterCategory", "subCategory", "articleType",
                                         "baseColour", "season"}  # fmt: skip
