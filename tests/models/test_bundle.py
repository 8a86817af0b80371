import hashlib
import json
import shutil

import numpy as np
import pytest

from fashion_xai.models import bundle
from fashion_xai.models.bundle import BundleError


@pytest.fixture
def copy(small_bundle, tmp_path):
    return shutil.copytree(small_bundle, tmp_path / "bundle")


def test_round_trip(small_bundle, tmp_path):
    one = bundle.load(small_bundle)
    bundle.save(
        tmp_path / "again", one.model, one.vocabulary, one.taxonomy, one.card,
        small_bundle / "split.csv",
    )  # fmt: skip
    other = bundle.load(tmp_path / "again")
    assert other.vocabulary == one.vocabulary and other.taxonomy == one.taxonomy
    assert other.size == one.size == (96, 64)
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == [
        "card.json", "labels.json", "model.keras", "split.csv",
    ]  # fmt: skip


def test_a_save_that_fails_leaves_the_old_bundle(copy):
    one = bundle.load(copy)
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    with pytest.raises(FileNotFoundError):
        bundle.save(copy, one.model, one.vocabulary, one.taxonomy, {}, copy / "absent.csv")
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before
    assert [p.name for p in copy.parent.iterdir()] == ["bundle"]


def test_the_card_can_be_added_to(copy):
    bundle.update_card(copy, metrics={"test": 1})
    assert bundle.load(copy).card["metrics"] == {"test": 1}


def test_a_changed_or_missing_file_is_noticed(copy):
    labels = copy / "labels.json"
    text = labels.read_text(encoding="utf-8")
    labels.write_text(text.replace("Tshirts", "T-shirts"), encoding="utf-8")
    with pytest.raises(BundleError, match=r"labels\.json was changed"):
        bundle.load(copy)
    labels.unlink()
    with pytest.raises(BundleError, match=r"no labels\.json"):
        bundle.load(copy)


def test_what_is_no_bundle_says_so(copy, tmp_path):
    with pytest.raises(BundleError, match=r"no card\.json"):
        bundle.load(tmp_path)
    card = json.loads((copy / "card.json").read_text(encoding="utf-8"))
    (copy / "card.json").write_text(json.dumps({**card, "format": 99}), encoding="utf-8")
    with pytest.raises(BundleError, match=r"expected format 1\. Received: 99"):
        bundle.load(copy)
    (copy / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleError, match="expected JSON"):
        bundle.load(copy)


def test_nothing_in_the_project_unpickles():
    from tests.conftest import ROOT

    for package in ("fashion_xai", "training", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "import pickle" not in text and "allow_pickle=True" not in text, path
            assert "safe_mode=False" not in text, path


def nested(depth):
    return '{"format": 1, "x": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "name, text, complaint",
    [
        ("card.json", nested(100_000), "nested too deeply"),
        ("card.json", "[]", "expected a JSON object. Received: list"),
        ("card.json", '{"format": 1}', "expected sha256 of model.keras and labels.json"),
        ("card.json", '{"format": 1, "sha256": []}', "expected sha256"),
        ("card.json", '{"format": 1, "sha256": {"../x": "", "model.keras": "", "labels.json": ""}}',
         "names files that no bundle has"),
        ("card.json", '{"format": 1, "sha256": {"model.keras": "", "labels.json": ""}}',
         r"expected input_size \[height, width\]. Received: None"),
        ("labels.json", "[]", "expected a JSON object. Received: list"),
        ("labels.json", "{}", "Expected labels by attribute"),
        ("labels.json", '{"attributes": {"gender": "Men"}, "taxonomy": 5}', "Expected"),
        ("labels.json", '{"attributes": {"gender": ["Men"]}, "taxonomy": [["a", "b"]]}', "triples"),
        ("model.keras", "no zip", "Keras cannot read this model"),
        ("model.onnx", "no graph", "expected an ONNX file"),
    ],
)  # fmt: skip
def test_tampered_files_are_refused_in_words(copy, name, text, complaint):
    (copy / name).write_text(text, encoding="utf-8")
    if name != "card.json":
        card = json.loads((copy / "card.json").read_text(encoding="utf-8"))
        card["sha256"][name] = hashlib.sha256(text.encode()).hexdigest()
        (copy / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BundleError, match=complaint):
        _ = bundle.load(copy).model  # Keras' own is read when it is asked for


def test_a_model_of_foreign_classes_is_refused_in_words(copy):
    import zipfile

    with zipfile.ZipFile(copy / "model.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["config.json"] = (
        b'{"module": "os", "class_name": "system", "config": {}, "registered_name": "os>system"}'
    )
    with zipfile.ZipFile(copy / "model.keras", "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    card = json.loads((copy / "card.json").read_text(encoding="utf-8"))
    card["sha256"]["model.keras"] = hashlib.sha256((copy / "model.keras").read_bytes()).hexdigest()
    (copy / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BundleError, match="Keras cannot read this model"):
        _ = bundle.load(copy).model
