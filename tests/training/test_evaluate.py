"""The evaluation, held to scikit-learn and to its own page."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.models import bundle
from training import evaluate


@pytest.fixture(scope="module")
def measured(small_bundle, drawn, tmp_path_factory):
    """All products of the drawn catalogue, stress and larger photos included."""
    out = tmp_path_factory.mktemp("evaluation")
    folder = shutil.copytree(small_bundle, out / "bundle")
    (out / "larger").mkdir()
    for i, kind in enumerate(garments.KINDS):
        photo = Image.fromarray(garments.draw(kind, size=(224, 168)))
        photo.save(out / "larger" / f"{1000 + 100 * i}.jpg")
    args = ["--bundle", str(folder), "--data", str(drawn), "--images", str(out / "larger"),
            "--corruptions", "--out", str(out / "page"), "--json", str(out / "figures.json"),
            "--write-card"]  # fmt: skip
    assert evaluate.main(args) == 0
    return out


def test_figures_equal_those_of_single_predictions(measured, drawn):
    figures = json.loads((measured / "figures.json").read_text(encoding="utf-8"))
    assert figures == bundle.read_card(measured / "bundle")["metrics"]["test"]
    products = Catalogue(drawn).products
    paths = [drawn / "images" / f"{p.id}.jpg" for p in products]
    predictions = FashionClassifier.load(measured / "bundle").predict(paths)
    right = np.ones(len(products), bool)
    for attribute, head in figures["heads"].items():
        truth = [p.labels[attribute] for p in products]
        answers = [x[attribute].label for x in predictions]
        hits = np.array(truth) == np.array(answers)
        right &= hits
        assert head["accuracy"] == pytest.approx(hits.mean())
        assert head["macro_f1"] == pytest.approx(f1_score(truth, answers, average="macro"))
        low, high = head["accuracy_interval"]
        assert low <= head["accuracy"] <= high
        raw = np.mean(np.array(truth) == [x[attribute].raw_label for x in predictions])
        assert head["raw"]["accuracy"] == pytest.approx(raw)
    assert figures["all_right"] == pytest.approx(right.mean())
    # Six article types only: choosing among the 45 most frequent is choosing among all.
    few = figures["articleType_45"]
    assert (few["classes"], few["products"]) == (6, 24)


def test_stress_and_larger_photos_are_measured(measured):
    figures = json.loads((measured / "figures.json").read_text(encoding="utf-8"))
    assert set(figures["corruptions"]) == set(evaluate.CORRUPTIONS)
    assert figures["larger"]["products"] == 6
    low, high = figures["larger"]["loss_interval"]["season"]
    lost = figures["larger"]["small"]["season"] - figures["larger"]["larger"]["season"]
    assert low <= lost <= high


def test_the_page_shows_every_head_and_needs_no_network(measured):
    page = measured / "page"
    html = (page / "evaluation.html").read_text(encoding="utf-8")
    figures = json.loads((page / "figures.json").read_text(encoding="utf-8"))
    for attribute, head in figures["heads"].items():
        assert f"<h2>{attribute}</h2>" in html
        assert f'<td class="n">{100 * head["accuracy"]:.1f}</td>' in html
        assert (page / f"reliability-{attribute}.png").stat().st_size > 1000
    assert "http" not in html.replace("http-equiv", "")
    details = figures["details"]["articleType"]
    supports = sum(c["support"] for c in details["per_class"].values())
    wrong = sum(c["count"] for c in details["confusions"])
    assert supports == 24
    assert wrong == round(24 * (1 - figures["heads"]["articleType"]["accuracy"]))


def test_an_empty_side_is_an_error_in_words(small_bundle, drawn, capsys):
    args = ["--bundle", str(small_bundle), "--data", str(drawn), "--split", "validation"]
    assert evaluate.main(args) == 1
    assert "no product of the bundle's validation split" in capsys.readouterr().err
