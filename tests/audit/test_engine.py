"""The audit's table against the library and scikit-learn; kills, bad rows, evil texts."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import confusion_matrix

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.__main__ import main
from fashion_xai.audit import confusions, engine, report
from fashion_xai.audit.results import Audit
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.images import letterbox
from fashion_xai.data.masks import silhouette
from fashion_xai.models.decoding import softmax
from tests.conftest import ROOT

EVIL = (
    "<script>alert(1)</script>",
    '=cmd|"/c calc"!A1',
    "\"quoted\" & 'single' 👗 €",
    "@SUM(1)" + "x" * 10_000,
)


@pytest.fixture(scope="module")
def audited(drawn, small_bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("audit")
    classifier = FashionClassifier.load(small_bundle)
    catalogue = Catalogue(drawn)
    engine.run(classifier, catalogue, out)
    return classifier, catalogue, Audit(out, catalogue)


def test_a_row_says_what_predict_says(audited):
    classifier, catalogue, opened = audited
    answers = classifier.predict([catalogue.photo(p) for p in catalogue.products])
    assert list(opened.table["id"]) == [p.id for p in catalogue.products]
    for product, answer in zip(catalogue.products, answers, strict=True):
        for head, p in answer.items():

            def get(column, i=product.id, h=head):
                return opened.value(i, f"{h}_{column}")

            assert get("predicted") == p.label and get("true") == product.labels[head]
            assert get("probability") == pytest.approx(p.probability, abs=1e-4)
            expected = classifier.top(p, 3)
            assert get("top3") == [label for label, _ in expected]
            assert get("top3_probabilities") == pytest.approx([q for _, q in expected], abs=1e-4)
            entropy = -(p.probabilities * np.log(p.probabilities)).sum()
            assert get("entropy") == pytest.approx(float(entropy), abs=1e-3)
            best = np.sort(p.probabilities)[::-1]
            assert get("margin") == pytest.approx(float(best[0] - best[1]), abs=1e-4)


def test_maps_are_those_of_explain_and_the_difference_sums_to_the_gap(audited):
    classifier, catalogue, opened = audited
    wrong = 0
    for product in catalogue.products[::5]:
        photo = catalogue.photo(product)
        own = classifier.explain(photo, engine.METHOD)
        for head, e in own.items():
            assert_close(opened.map(product.id, head), e.heatmap)
            assert opened.value(product.id, f"{head}_evidence") == pytest.approx(
                e.evidence_for, abs=1e-3
            )
            true, said = product.labels[head], e.prediction.label
            if true == said:
                assert opened.map(product.id, head, "difference") is None
                continue
            wrong += 1
            logits = dict(zip(classifier.vocabulary.labels[head], e.prediction.logits, strict=True))
            gap = opened.value(product.id, f"{head}_gap")
            assert gap == pytest.approx(logits[true] - logits[said], abs=1e-3)
            biases = dict(
                zip(classifier.vocabulary.labels[head], classifier.biases[head], strict=True)
            )
            found = opened.map(product.id, head, "difference")
            exact = classifier.explain(photo, "gradcam", [head], {head: true}, {head: said})[
                head
            ].heatmap
            assert_close(found, exact)
            rest = gap - biases[true] + biases[said]
            assert found.sum() == pytest.approx(rest, abs=1e-2)
            theirs = classifier.explain(
                photo, engine.METHOD, attributes=[head], targets={head: true}
            )[head]
            assert_close(opened.map(product.id, head, "true_map"), theirs.heatmap)
    assert wrong > 3


def assert_close(found, expected):
    """Within float16 of the map's own scale: random weights give small maps."""
    assert np.abs(expected).max() > 0
    step = 1e-6  # float16 and batches of other sizes, near zero
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max() + step


def test_counts_are_scikit_learns(audited):
    *_, opened = audited
    true, predicted = confusions.labelled_predictions(opened.table, "season")
    labels = sorted({*true, *predicted})
    found = confusions.matrix(true, predicted)
    np.testing.assert_array_equal(found, confusion_matrix(true, predicted, labels=labels))
    figures = opened.summary["heads"]["season"]
    assert (figures["labelled"], figures["right"]) == (24, int((true == predicted).sum()))


def test_quality_is_the_normalised_margin(audited):
    classifier, catalogue, opened = audited
    product = catalogue.products[3]
    (answer,) = classifier.predict(catalogue.photo(product))
    p, labels = answer["baseColour"].probabilities, classifier.vocabulary.labels["baseColour"]
    i = labels.index(product.labels["baseColour"])
    expected = (p[i] - np.delete(p, i).max() + 1) / 2
    assert opened.value(product.id, "baseColour_quality") == pytest.approx(expected, abs=2e-3)


def test_a_killed_audit_goes_on_to_the_same_file(drawn, small_bundle, tmp_path):
    def start(out):
        args = ["audit", "--data", drawn, "--bundle", small_bundle, "--out", out, "--no-report"]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.small_chunks", *map(str, args)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    assert start(tmp_path / "whole").wait() == 0
    killed = start(tmp_path / "killed")
    parts = tmp_path / "killed" / engine.PARTS
    while not list(parts.glob("0*.parquet")):
        assert killed.poll() is None
        time.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / engine.SUMMARY).exists()
    assert 1 <= len(list(parts.glob("0*.parquet"))) <= 3
    again = start(tmp_path / "killed")
    assert again.wait() == 0
    whole, resumed = (tmp_path / x / engine.PRODUCTS for x in ("whole", "killed"))
    assert whole.read_bytes() == resumed.read_bytes()
    assert pq.read_table(whole).num_rows == 24 and not parts.exists()


def test_an_unfinished_audit_of_something_else_is_not_gone_on_with(
    drawn, small_bundle, tmp_path, capsys
):
    parts = tmp_path / engine.PARTS
    parts.mkdir()
    (parts / "settings.json").write_text(json.dumps({"model": "another"}), encoding="utf-8")
    args = ["audit", "--data", str(drawn), "--bundle", str(small_bundle), "--out", str(tmp_path)]
    assert main(args) == 1
    assert "another model or other products" in capsys.readouterr().err
    assert main([*args, "--split", "train"]) == 1  # all its products are test products
    assert "no product of the train split" in capsys.readouterr().err


@pytest.fixture(scope="module")
def nasty(tmp_path_factory, small_bundle):
    """A catalogue with evil titles and labels, a row too short, a missing and a damaged photo."""
    folder = garments.write_catalogue(tmp_path_factory.mktemp("nasty") / "catalogue")
    table = pd.read_csv(folder / "styles.csv", dtype=str)
    table.loc[: len(EVIL) - 1, "productDisplayName"] = EVIL
    table.loc[0, "baseColour"] = "<img src=x onerror=alert(2)>"
    table.loc[1, "season"] = "=1+1"
    table.loc[2, "season"] = None
    table.to_csv(folder / "styles.csv", index=False)
    with (folder / "styles.csv").open("a", encoding="utf-8") as file:
        file.write("9999,Men\n")
    (folder / "images" / "1003.jpg").unlink()
    (folder / "images" / "1100.jpg").write_bytes(b"\xff\xd8 no photo")
    out = tmp_path_factory.mktemp("nasty-audit")
    args = ["audit", "--data", str(folder), "--bundle", str(small_bundle), "--out", str(out)]
    assert main(args) == 0
    return out


def test_one_head_can_be_reported_alone(drawn, small_bundle, tmp_path, capsys):
    args = ["audit", "--data", str(drawn), "--bundle", str(small_bundle), "--out", str(tmp_path)]
    assert main([*args, "--attribute", "season"]) == 0
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert ">season</h2>" in page and ">gender</h2>" not in page
    assert set(pd.read_csv(tmp_path / "slices.csv")["attribute"]) == {"season"}
    listed = pd.read_csv(tmp_path / "label_issues.csv")
    seasons = min(report.LABEL_ISSUES, int((listed["attribute"] == "season").sum()))
    assert seasons and page.count('<img class="thumbnail"') == seasons  # a photo beside each
    assert f"season: the first {seasons} of" in page and 'href="#season"' in page
    assert main([*args, "--attribute", "colour"]) == 2
    assert "expected one of gender" in capsys.readouterr().err


def test_the_first_lines_say_what_to_do(tmp_path, shipped):
    """Of the audit that ships; the figures by pandas alone."""
    opened = Audit()
    page = report.write(opened, tmp_path, shipped.bundle.card, {}, ["articleType"])
    lines = re.sub(
        r"<[^>]+>", " ", page.read_text(encoding="utf-8").split("What to do about it")[1]
    )
    lines = html.unescape(" ".join(lines.split("How to read")[0].split()))
    table = opened.table[["articleType_true", "articleType_predicted"]].astype(str)
    wrong = table[table["articleType_true"] != table["articleType_predicted"]]
    pairs = wrong.apply(lambda row: " / ".join(sorted(row)), axis=1).value_counts()
    share = 1 - len(wrong) / len(table)
    assert f"articleType: {share:.1%} of its labels are the answer's." in lines
    assert f"{pairs.head(3).sum() / len(wrong):.0%} of its {len(wrong):,} errors are" in lines
    for count in pairs.head(3):
        assert f"({count})" in lines
    assert "Begin with the labels:" in lines and "It errs most where" in lines
    assert lines.index("Begin with") < lines.index("An error is where")
    assert "were trained on" not in lines  # it is the test split


def test_what_is_left_out_is_listed_with_its_reason(nasty):
    rejected = pd.read_csv(nasty / engine.REJECTED, dtype=str).set_index("id")["reason"]
    assert set(rejected.index) == {"9999", "1003", "1100"}
    assert "no photo" in rejected["1003"] and "not a photo" in rejected["1100"]
    summary = json.loads((nasty / engine.SUMMARY).read_text(encoding="utf-8"))
    assert (summary["audited"], summary["rejected"]) == (22, 3)
    assert summary["heads"]["season"]["labelled"] == 21  # one has none


def test_evil_texts_are_inert(nasty):
    page = (nasty / "audit.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower() and "<img src=x" not in page
    assert "http://" not in page and "https://" not in page
    assert len(max(page.split("<p>"), key=lambda x: x.count("xxxx"))) < 5_000
    for file in nasty.glob("*.csv"):
        for line in pd.read_csv(file, dtype=str, keep_default_na=False).to_numpy().ravel():
            assert not line.startswith(("=", "@", "+")), (file, line)
    listed = pd.read_csv(nasty / "label_issues.csv", dtype=str)
    known = listed[listed["label"] == "<img src=x onerror=alert(2)>"]
    assert known["reasons"].str.contains("does not know").all() and len(known) == 1


def test_only_a_finished_audit_can_be_opened(tmp_path, nasty):
    with pytest.raises(ValueError, match="no finished audit"):
        Audit(tmp_path)
    (tmp_path / engine.SUMMARY).write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(ValueError, match="Received: 99"):
        Audit(tmp_path)
    (tmp_path / engine.SUMMARY).write_bytes((nasty / engine.SUMMARY).read_bytes())
    with pytest.raises(ValueError, match="no products"):
        Audit(tmp_path)


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda t: t.drop_columns(["id"]), "no column id"),
        (lambda t: t.drop_columns(["season_predicted"]), "no column season_predicted"),
    ],
)
def test_a_table_without_its_columns_is_refused_in_words(audited, tmp_path, change, complaint):
    copy = shutil.copytree(audited[2].folder, tmp_path / "audit")
    pq.write_table(change(pq.read_table(copy / engine.PRODUCTS)), copy / engine.PRODUCTS)
    with pytest.raises(ValueError, match=complaint):
        Audit(copy)


def test_a_summary_that_lacks_something_or_a_broken_table_is_refused_in_words(audited, tmp_path):
    copy = shutil.copytree(audited[2].folder, tmp_path / "audit")
    (copy / engine.PRODUCTS).write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="no readable audit"):
        Audit(copy)
    summary = json.loads((copy / engine.SUMMARY).read_text(encoding="utf-8"))
    del summary["labels"]
    (copy / engine.SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    with pytest.raises(ValueError, match="expected labels too"):
        Audit(copy)
    (copy / engine.SUMMARY).write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match="nested too deeply"):
        Audit(copy)


def test_two_audits_do_not_write_into_one_folder(audited, tmp_path):
    classifier, catalogue, _ = audited
    with files.lock(tmp_path / engine.SUMMARY), pytest.raises(ValueError, match="is in use"):
        engine.run(classifier, catalogue, tmp_path)
    assert engine.run(classifier, catalogue, tmp_path)["audited"] == len(catalogue.products)


def test_entropy_of_an_even_head_by_hand():
    """Four equal logits: ln 4 nats, no margin."""
    even = softmax(np.zeros((1, 4), np.float32))
    assert -(even * np.log(even)).sum() == pytest.approx(np.log(4))


def test_the_share_off_the_product_by_hand(audited):
    classifier, catalogue, opened = audited
    height, width = classifier.size
    measured = 0
    for product in catalogue.products[::6]:
        canvas, _ = letterbox(catalogue.photo(product), classifier.size)
        mask = silhouette(canvas)
        found = opened.value(product.id, "season_off_product")
        heatmap = opened.map(product.id, "season").astype(np.float32)
        positive = np.maximum(cv2.resize(heatmap, (width, height)), 0)
        if mask is None or positive.sum() == 0:
            continue
        measured += 1
        expected = positive[~mask].sum() / positive.sum()
        assert found == pytest.approx(float(expected), abs=0.01)
    assert measured > 1
