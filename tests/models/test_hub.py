"""Bundles on the Hub: pushed to and loaded from a server here that answers as it does."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from huggingface_hub import ModelCard

from fashion_xai import FashionClassifier
from fashion_xai.models import bundle, hub
from fashion_xai.models.bundle import BundleError
from tests.conftest import ROOT
from tests.models import hub_server

SAY = """
import sys
from fashion_xai import FashionClassifier
from fashion_xai.models.bundle import BundleError
try:
    classifier = FashionClassifier.load(sys.argv[1])
    print(classifier.bundle.card["sha256"]["model.onnx"], classifier.bundle.folder)
except BundleError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def served():
    with hub_server.serving() as (address, server):
        yield address, server


@pytest.fixture
def run(served, tmp_path):
    """A Python program with this Hub and a cache of its own; what it prints."""
    address, _ = served

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
        own = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"),
               "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
        environment = {**os.environ, **own, **more}
        return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, text=True,
                              capture_output=True, timeout=120)  # fmt: skip

    return run


@pytest.fixture(scope="module")
def shared(served, small_bundle):
    """The small bundle as files of the Hub."""
    _, server = served
    folder = small_bundle.parent / "shared"
    hub.save(small_bundle, folder, "me/small")
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    server.repos["me/small"] = {"main": dict(files), "v1": dict(files)}
    return server.repos["me/small"]


def test_a_bundle_is_loaded_by_its_address_and_kept(run, served, shared, small_bundle):
    _, server = served
    expected = bundle.read_card(small_bundle)["sha256"]["model.onnx"]
    first = run("-c", SAY, "hf://me/small")
    assert first.stdout.split()[0] == expected, first.stdout + first.stderr
    count = len(server.asked)
    offline = run("-c", SAY, "hf://me/small", HF_HUB_OFFLINE="1")
    assert offline.stdout == first.stdout and len(server.asked) == count
    assert run("-c", SAY, "hf://me/small@v1").stdout.split()[0] == expected


def test_only_files_that_nothing_executes_are_taken(run, served, shared, tmp_path):
    shared["main"] |= {"model.pkl": b"x", "setup.py": b"x", "pytorch_model.bin": b"x"}
    found = run("-c", SAY, "hf://me/small").stdout.split()[1]
    names = {f.name for f in os.scandir(found)}
    assert "model.onnx" in names and not names & {"model.pkl", "setup.py", "pytorch_model.bin"}
    for name in ("model.pkl", "setup.py", "pytorch_model.bin"):
        del shared["main"][name]


def test_what_came_is_held_to_the_cards_hashes(run, shared):
    shared["broken"] = {**shared["main"], "labels.json": b"{}"}
    assert "was changed: its sha256 is not that of card.json" in run(
        "-c", SAY, "hf://me/small@broken"
    ).stdout  # fmt: skip


@pytest.mark.parametrize(
    "address, said",
    [
        ("hf://me/none", "hf://me/none: the Hub has no such repository, or it is private"),
        ("hf://me/small@v9", "hf://me/small@v9: the Hub has no such revision of me/small"),
        ("hf://small", "Expected a repository of the Hub, such as hf://owner/name"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(run, shared, address, said):
    assert said in run("-c", SAY, address).stdout


def test_without_a_network_one_sentence(run):
    for more in ({"HF_ENDPOINT": "http://127.0.0.1:1"}, {"HF_HUB_OFFLINE": "1"}):
        found = run("-c", SAY, "hf://me/other", **more)
        assert "hf://me/other: the Hub is not reached" in found.stdout, found.stderr[-500:]
        assert len(found.stdout.splitlines()) == 1


def test_a_pushed_bundle_is_what_is_loaded(run, served, small_bundle):
    _, server = served
    command = ["-m", "fashion_xai", "push", str(small_bundle), "me/new"]
    refused = run(*command)
    assert refused.returncode == 1 and "hf://me/new" in refused.stderr
    assert "Traceback" not in refused.stderr
    pushed = run(*command, HF_TOKEN=hub_server.TOKEN)
    assert pushed.returncode == 0, pushed.stderr
    assert 'FashionClassifier.load("hf://me/new") loads it.' in pushed.stdout
    expected = bundle.read_card(small_bundle)["sha256"]
    assert {*server.repos["me/new"]["main"]} >= {*expected, "card.json", "README.md"}
    assert run("-c", SAY, "hf://me/new").stdout.split()[0] == expected["model.onnx"]
    again = run(*command, "--branch", "next", HF_TOKEN=hub_server.TOKEN)
    assert again.returncode == 0 and "next" in server.repos["me/new"], again.stderr


def test_the_mixins_names_work_on_folders(small_bundle, tmp_path):
    classifier = FashionClassifier.from_pretrained(small_bundle, threads=1)
    classifier.save_pretrained(tmp_path / "saved")
    again = FashionClassifier.from_pretrained(tmp_path / "saved")
    assert again.bundle.card == classifier.bundle.card
    with pytest.raises(BundleError, match=r"card\.json"):
        FashionClassifier.from_pretrained(tmp_path)


def test_the_model_card_has_every_metric(tmp_path):
    """Read back by the Hub's own library, against the bundle's card."""
    hub.save(bundle.SHIPPED, tmp_path, "me/fashion")
    found = ModelCard.load(tmp_path / "README.md")
    assert found.data.license == "apache-2.0" and found.data.library_name == "fashion-xai"
    results = {(r.dataset_split, r.metric_name): r.metric_value for r in found.data.eval_results}
    metrics = bundle.read_card(bundle.SHIPPED)["metrics"]
    count = 0
    for split, measured in metrics.items():
        for head, figures in measured["heads"].items():
            for name, value in figures.items():
                if isinstance(value, float):
                    count += 1
                    assert results[split, f"{head} {name}"] == pytest.approx(value, abs=1e-5)
    assert count == len(results) > 80
    assert 'FashionClassifier.load("hf://me/fashion")' in found.text


def test_code_of_ones_own_is_not_shared(small_bundle, tmp_path):
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    file = folder / bundle.MODEL
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"].append({"class_name": "Lambda", "module": "keras.layers"})
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    bundle.update_card(folder, sha256={**bundle.read_card(folder)["sha256"],
                                       bundle.MODEL: bundle._sha256(file)})  # fmt: skip
    with pytest.raises(BundleError, match=r"expected Keras' own layers.*Lambda"):
        hub.save(folder, tmp_path / "out", "me/x")
