"""The docs site: built strictly, so that no link is broken; public names are in its reference."""

import os
import re
import subprocess
import sys

import pytest

import fashion_xai
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", ".ci/mkdocs.yml", "-d", str(out)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def test_every_class_of_the_front_doors_is_in_the_reference(site):
    pages = [p.read_text(encoding="utf-8") for p in (site / "reference").rglob("index.html")]
    known = set(re.findall(r'id="(fashion_xai[\w.]+)"', "".join(pages)))
    names = {name.rpartition(".")[2] for name in known}
    assert not {n for n in fashion_xai.__all__ if n not in names | {"ATTRIBUTES", "RUNNER_UP",
                "__version__"}}  # fmt: skip
    for name in ("FashionClassifier.explain", "maps.cams.grad_cam", "audit.engine.run"):
        assert f"fashion_xai.{name}" in known


def test_what_llms_txt_names_is_there(site):
    links = re.findall(r"\]\((\S+?)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert not [link for link in links if not (site / link / "index.html").is_file()]


def test_a_page_asks_nobody_else_for_anything(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]+src="([^"]+)"', text)
        fetched += re.findall(r'<link[^>]+rel="(?:stylesheet|icon)"[^>]+href="([^"]+)"', text)
        assert not [x for x in fetched if x.startswith(("http:", "https:", "//"))], page


def test_the_pictures_are_drawn(site):
    for name in ("dress.png", "maps.png"):
        assert (site / "pictures" / name).stat().st_size > 10_000
