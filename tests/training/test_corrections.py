"""Annotations in training: labels change, test products do not, a run knows what it learnt from."""

import shutil

import pytest

from fashion_xai.audit import annotations
from fashion_xai.audit.annotations import Annotation
from fashion_xai.data.catalogue import Product
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model
from training import calibrate, config, train
from training.data.corrections import correct
from training.data.dataset import Dataset
from training.export import export

PRODUCTS = [Product(str(i), i, {"season": "Summer", "gender": "Men"}) for i in range(3)]
SPLIT = {"0": "train", "1": "validation", "2": "test"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "annotations.csv"
    annotations.add(path, Annotation("0", "season", "Summer", "Fall", "label wrong"))
    annotations.add(path, Annotation("1", "season", "Summer", "Fall", "model wrong"))
    annotations.add(path, Annotation("2", "gender", "Men", "Boys", "ambiguous"))
    return path


def test_only_labels_called_wrong_change(file):
    corrected, changed = correct(PRODUCTS, file, SPLIT)
    assert changed == 1 and corrected[1:] == PRODUCTS[1:]
    assert corrected[0].labels == {"season": "Fall", "gender": "Men"}
    assert PRODUCTS[0].labels["season"] == "Summer"


def test_test_products_and_unknown_ones_are_refused_by_name(file):
    annotations.add(file, Annotation("2", "gender", "Men", "Boys", "label wrong"))
    with pytest.raises(ValueError, match=r"no product of the test split.* Received: 2"):
        correct(PRODUCTS, file, SPLIT)
    with pytest.raises(ValueError, match="Received: 2 gender"):
        correct(PRODUCTS[:2], file, {})


def test_a_run_with_other_corrections_is_another_run(file, drawn, tmp_path, capsys):
    args = ["--data", str(drawn), "--out", str(tmp_path / "run"), "--corrections", str(file)]
    train.claim(train_settings := config.parse(args[:4] + _made(tmp_path)))
    assert train_settings.learning()["corrections"] is None
    with pytest.raises(ValueError, match="other settings \\(corrections\\)"):
        train.claim(config.parse([*args, *_made(tmp_path)]))
    assert train.main([*args, *_made(tmp_path), "--out", str(tmp_path / "other")]) == 1
    assert "Received: 0 season" in capsys.readouterr().err


def _made(tmp_path):
    (tmp_path / "run").mkdir(exist_ok=True)
    return ["--cache", str(tmp_path / "cache"), "--weights", "none", "--split-by", "random"]


def test_a_label_that_is_corrected_away_is_gone_to_the_end(drawn, tmp_path):
    """In validation and calibration too; the bundle does not know it any more."""
    data = shutil.copytree(drawn, tmp_path / "data")
    header, *lines = (data / "styles.csv").read_text(encoding="utf-8").splitlines()
    place = header.split(",").index("articleType")
    ids = [line.split(",")[0] for line in lines]
    odd = {ids[0]: "train", ids[1]: "validation"}
    split = {i: odd.get(i, "validation" if n % 4 == 3 else "train") for n, i in enumerate(ids)}
    rows = [line.split(",") for line in lines]
    right = {}
    for row in rows:
        if row[0] in odd:
            right[row[0]], row[place] = row[place], "Oddity"
    table = "\n".join([header, *(",".join(row) for row in rows)])
    (data / "styles.csv").write_text(table + "\n", encoding="utf-8")
    write_split(tmp_path / "split.csv", split)
    for i, label in right.items():
        wrong = Annotation(i, "articleType", "Oddity", label, "label wrong")
        annotations.add(tmp_path / "annotations.csv", wrong)
    settings = config.parse([
        *("--data", str(data), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")),
        *("--weights", "none", "--split-file", str(tmp_path / "split.csv"), "--no-onnx"),
        *("--corrections", str(tmp_path / "annotations.csv"), "--stages", "64x64:1:1e-3"),
    ])  # fmt: skip
    settings.out.mkdir()
    dataset = Dataset.load(settings)
    assert "Oddity" not in dataset.vocabulary.labels["articleType"]
    found = {p.id: p.labels["articleType"] for p in dataset.first.validation}
    assert found[ids[1]] == right[ids[1]]
    model = build_model(dataset.vocabulary.sizes, (None, None), "none")
    folder = export(settings, dataset, model, 0.0, ["cpu:0"])
    made = bundle.load(folder)
    assert "Oddity" not in made.vocabulary.labels["articleType"]
    assert made.card["calibration"]["articleType"]["after"]["accuracy"] >= 0
    # Calibrated anew, with the corrections and without, it does not stumble over the label either.
    again = ["--bundle", str(folder), "--data", str(data)]
    assert calibrate.main(again) == 0
    assert calibrate.main([*again, "--corrections", str(settings.corrections)]) == 0
