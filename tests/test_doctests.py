"""The examples in public docstrings print what they say."""

import doctest
from importlib import import_module

import pytest

from tests.conftest import ROOT

MODULES = (
    "fashion_xai.classifier",
    "fashion_xai.data.catalogue",
    "fashion_xai.data.images",
    "fashion_xai.data.labels",
    "fashion_xai.maps.cams",
    "fashion_xai.maps.methods",
    "fashion_xai.models.outputs",
    "fashion_xai.network",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0
