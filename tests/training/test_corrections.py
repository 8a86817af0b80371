"""Annotations in training: labels change, test products do not, a run knows what it learnt from."""

import pytest

from fashion_xai.audit import annotations
from fashion_xai.audit.annotations import Annotation
from fashion_xai.data.catalogue import Product
from training import config, train
from training.data.corrections import correct

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
