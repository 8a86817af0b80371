"""A catalogue without labels: every row comes back, with the library's answers or a reason."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from fashion_xai import batch_prediction, metrics
from fashion_xai.__main__ import main
from fashion_xai.batch_prediction import Threshold
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.schema import Table
from fashion_xai.models import bundle
from tests.field.shops import rows_of, shop
from tests.server import ROOT

BARE = Table(columns={})
SURE = {"articleType": Threshold(0.3, 0.5), "season": Threshold(2.0, 0.0)}


@pytest.fixture
def shop_of(drawn, tmp_path):
    """24 products, two of them without a photo that can be read, and no labels."""
    _, rows = rows_of(drawn)
    data = shop(drawn, tmp_path / "shop", ["id", "name"], [[r[0], r[-1]] for r in rows])
    (data / "images" / "1001.jpg").unlink()
    (data / "images" / "1103.jpg").write_bytes(b"no photo")
    return data


def test_every_row_has_the_librarys_answer_or_a_reason(shop_of, small, tmp_path):
    catalogue = Catalogue(shop_of, table=BARE)
    out = tmp_path / "attributes.parquet"
    counts = batch_prediction.run(small, catalogue, out, SURE)
    table = pq.read_table(out).to_pylist()
    assert counts["products"] == len(table) == 24 and counts["problems"] == 2
    rows = {row["id"]: row for row in table}
    assert rows["1001"]["problem"] == "no photo images/1001.jpg" and rows["1001"]["gender"] is None
    assert "not a photo" in rows["1103"]["problem"] and rows["1103"]["review"]
    good = [p for p in catalogue.products if p.id != "1103"]
    for product, answer in zip(
        good, small.predict([catalogue.photo(p) for p in good]), strict=True
    ):
        row = rows[product.id]
        assert row["row"] == product.row and row["problem"] is None
        for head, p in answer.items():
            assert row[head] == p.label
            assert row[f"{head}_probability"] == pytest.approx(p.probability, abs=1e-5)
            assert row[f"{head}_top3"] == [label for label, _ in p.top(3)]
            shares = [share for _, share in p.top(3)]
            np.testing.assert_allclose(row[f"{head}_top3_probabilities"], shares, atol=1e-5)
            below = head in SURE and p.probability < SURE[head].probability
            assert row[f"{head}_review"] == below
        assert row["season_review"] and row["review"]  # a threshold that nothing reaches
    assert not out.with_name(out.name + batch_prediction.PARTS).exists()


def test_the_review_queue_lists_the_least_probable_first(shop_of, small, tmp_path):
    out = tmp_path / "a.parquet"
    batch_prediction.run(small, Catalogue(shop_of, table=BARE), out, SURE)
    with (tmp_path / "a.parquet.review.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines[:2]] == ["1103", "1001"] and lines[0]["why"]
    shares = [float(line["probability"]) for line in lines if line["probability"]]
    assert shares == sorted(shares)
    rows = {row["id"]: row for row in pq.read_table(out).to_pylist()}
    wanted = {(i, h) for i, r in rows.items() for h in SURE if r[f"{h}_review"]}
    assert {(x["id"], x["attribute"]) for x in lines if x["attribute"]} == wanted
    assert all(x["label"] == rows[x["id"]][x["attribute"]] for x in lines if x["attribute"])


def test_a_killed_run_goes_on_and_has_each_product_once(drawn, small_bundle, tmp_path, capsys):
    _, rows = rows_of(drawn)
    many = [[f"{r[0]}-{n:02}", r[0]] for n in range(60) for r in rows]
    data = shop(drawn, tmp_path / "shop", ["id", "where"], many)
    figures = {
        "heads": {"gender": {"precision": [{"precision": 0.95, "threshold": 0.4, "coverage": 0.5}]}}
    }
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    bundle.update_card(folder, metrics={"validation": figures})
    out = tmp_path / "attributes.parquet"
    arguments = ["predict", "--bundle", str(folder), "--data", str(data), "--photo-column", "where",
                 "--out", str(out), "-q"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "fashion_xai", *arguments], cwd=ROOT)
    parts = out.with_name(out.name + batch_prediction.PARTS)
    while not [*parts.glob("0*.parquet")]:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {p: p.stat().st_mtime_ns for p in parts.glob("0*.parquet")}
    assert main(arguments) == 0 and before
    said = capsys.readouterr().out
    assert "1,440 rows, of which" in said and "starts anew" not in said
    ids = pq.read_table(out, columns=["id"])["id"].to_pylist()
    assert sorted(ids) == sorted(row[0] for row in many)
    assert main([*arguments, "--precision", "0.5"]) == 1
    assert "it knows 0.95" in capsys.readouterr().err


def test_wrong_use_is_answered_in_a_sentence(shop_of, small_bundle, capsys):
    for words, said in (
        ([], "expected photos, or --data"),
        (["--data", str(shop_of)], "--data needs --out"),
        (["a.jpg", "--data", str(shop_of)], "expected photos, or --data"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["predict", *words, "--bundle", str(small_bundle)])
        assert stopped.value.code == 2 and said in capsys.readouterr().err
    assert (
        main(["predict", "--data", str(shop_of), "--out", "x", "--bundle", str(small_bundle)]) == 1
    )
    assert "evaluate --split validation --write-card" in capsys.readouterr().err


def test_a_threshold_by_hand():
    confidence = np.array([0.9, 0.8, 0.8, 0.7, 0.5])
    right = np.array([True, True, False, True, False])
    # From .9: 1 of 1. From .8: 2 of 3. From .7: 3 of 4. From .5: 3 of 5.
    assert metrics.at_precision(confidence, right, 1.0) == (0.9, 0.2)
    assert metrics.at_precision(confidence, right, 0.75) == (0.7, 0.8)
    assert metrics.at_precision(confidence, right, 0.6) == (0.5, 1.0)
    assert metrics.at_precision(confidence, ~right, 0.9) == (2.0, 0.0)
