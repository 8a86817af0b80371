"""Nothing degenerate ends a run: single labels, dead links, one picture for thousands.

A label whose last occurrence is corrected away: ``tests/training/test_corrections.py``.
"""

import csv
import os
import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from fashion_xai.__main__ import main
from fashion_xai.audit import engine, label_issues, report
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.labels import Taxonomy
from fashion_xai.data.split import SPLITS
from tests.field.shops import rows_of, shop
from training import eda, evaluate
from training.data import near_duplicates, packing


@pytest.fixture
def table(drawn):
    return rows_of(drawn)


def audit(bundle, data, out):
    """The exit code of an audit with its report."""
    return main(["audit", "--bundle", str(bundle), "--data", str(data), "--out", str(out), "-q"])


def test_one_labelled_product_in_a_head(drawn, table, small_bundle, tmp_path):
    header, rows = table
    at = header.index("season")
    rows = [[*r[:at], r[at] if n == 5 else "", *r[at + 1 :]] for n, r in enumerate(rows)]
    data = shop(drawn, tmp_path / "shop", header, rows)
    assert audit(small_bundle, data, tmp_path / "audit") == 0
    assert Audit(tmp_path / "audit").summary["heads"]["season"]["labelled"] == 1
    assert evaluate.main(["--bundle", str(small_bundle), "--data", str(data), "-q"]) == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hardly_a_product_in_all(drawn, table, small_bundle, tmp_path, count):
    data = shop(drawn, tmp_path / "shop", table[0], table[1][:count])
    assert audit(small_bundle, data, tmp_path / "audit") == 0
    page = (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8")
    assert f"{count} products" in page
    assert evaluate.main(["--bundle", str(small_bundle), "--data", str(data), "-q"]) == 0
    assert eda.main(["--data", str(data), "--out", str(tmp_path / "eda"), "-q",
                     "--cache", str(tmp_path / "cache")]) == 0  # fmt: skip


def test_photos_that_are_no_files(drawn, table, small_bundle, tmp_path):
    """A link to nothing, a folder named as a photo, a photo that nobody may read."""
    data = shop(drawn, tmp_path / "shop", *table)
    images = data / "images"
    for name in ("1000", "1001", "1002"):
        (images / f"{name}.jpg").unlink()
    (images / "1000.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (images / "1001.jpg").mkdir()
    (images / "1001.jpg" / "inside.txt").write_text("x", encoding="utf-8")
    os.mkfifo(images / "1002.jpg")  # nothing to read, for ever
    out = tmp_path / "audit"
    assert audit(small_bundle, data, out) == 0
    with (out / "rejected.csv").open(encoding="utf-8", newline="") as file:
        rejected = {r["id"]: r["reason"] for r in csv.DictReader(file)}
    assert set(rejected) == {"1000", "1001", "1002"}
    assert "images/1000.jpg cannot be read (No such file" in rejected["1000"]
    assert rejected["1001"] == "no photo images/1001.jpg"
    assert rejected["1002"] == "images/1002.jpg is no file."
    assert len(Audit(out).table) == 21
    (pack,) = packing.pack(Catalogue(data), [(64, 64)], tmp_path / "cache")
    assert len(pack.products) == 21


def test_one_picture_for_thousands_is_one_finding(drawn, table, small, tmp_path):
    header, rows = table
    placeholder = [[f"p{n}", *rows[n % 24][1:]] for n in range(60)]
    data = shop(drawn, tmp_path / "shop", header, [*rows, *placeholder])
    for row in placeholder:
        shutil.copyfile(data / "images" / "1000.jpg", data / "images" / f"{row[0]}.jpg")
    engine.run(small, Catalogue(data), tmp_path / "audit")
    found = Audit(tmp_path / "audit").label_issues
    (shared,) = found[found["attribute"] == label_issues.PICTURE].to_dict("records")
    assert shared["reasons"].startswith("61 products share this picture; they have ")
    assert "6 labels of articleType" in shared["reasons"]
    assert found["attribute"].iloc[0] == label_issues.PICTURE
    assert not found["id"].iloc[1:].str.startswith("p").any()
    page = tmp_path / "audit" / "audit.html"
    report.write(Audit(tmp_path / "audit", Catalogue(data)), tmp_path / "audit", {}, {})
    assert "61 products share this picture" in page.read_text(encoding="utf-8")
    assert "nan" not in (tmp_path / "audit" / "label_issues.csv").read_text(encoding="utf-8")


def a_table(count, seed=0):
    """An audit's columns, of products with the same picture but for noise of re-encoding."""
    rng = np.random.default_rng(seed)
    points = np.ones((count, 96), np.float32) + rng.normal(0, 1e-3, (count, 96))
    labels = rng.choice(["Red", "Blue", "Green"], count)
    return pd.DataFrame(
        {
            "id": [str(n) for n in range(count)],
            "fingerprint": [7] * count,
            "embedding": list(points.astype(np.float32)),
            "baseColour_true": labels,
            "baseColour_predicted": ["Red"] * count,
            "baseColour_probability": [0.5] * count,
            "baseColour_true_probability": [0.2] * count,
            "baseColour_quality": [0.4] * count,
        }
    )


def test_the_cost_of_a_shared_picture_grows_with_its_products():
    """Memory per product, which a quadratic algorithm multiplies by the number of products."""
    peaks = {}
    for count in (500, 4000):
        table = a_table(count)
        tracemalloc.start()
        found = label_issues.rank(table, ["baseColour"], Taxonomy(frozenset()))
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) == 1 and found["reasons"][0].startswith(f"{count:,} products share")
    assert peaks[4000] < 10 * peaks[500]  # 64 times where it is quadratic


def test_near_duplicates_of_a_placeholder_are_one_group():
    thumbs = np.repeat(np.random.default_rng(1).integers(0, 255, (1, 80, 60, 3), np.uint8), 2000, 0)
    found = near_duplicates.find_near_duplicates(thumbs)
    assert found.sizes.tolist() == [2000] and found.identical == 2000 and not found.confirmed


def products(count, per_type):
    return [
        Product(f"{n:04}", n + 2, {"articleType": f"T{n // per_type}", "gender": "Men"})
        for n in range(count)
    ]


def alone(count):
    return near_duplicates.NearDuplicates(np.arange(count), 0, 0)


def test_few_products_of_each_type_are_split_all_the_same():
    few = products(265, 3)
    split = near_duplicates.split_by_near_duplicates(few, alone(265))
    counts = {side: list(split.values()).count(side) for side in SPLITS}
    assert len(split) == 265 and counts == {"train": 212, "validation": 27, "test": 26}
    trained = {p.labels["articleType"] for p in few if split[p.id] == "train"}
    assert len(trained) == 89  # every type is trained on
    groups = near_duplicates.NearDuplicates(np.arange(265) // 3, 0, 0)  # all of a type alike
    lonely = near_duplicates.split_by_near_duplicates(few, groups)
    assert set(lonely.values()) == {"train"}  # and the run says --split-by random


def test_a_split_of_larger_types_is_what_it_was():
    many = products(400, 40)
    split = near_duplicates.split_by_near_duplicates(many, alone(400))
    for n in range(10):
        sides = [split[p.id] for p in many if p.labels["articleType"] == f"T{n}"]
        assert [sides.count(s) for s in SPLITS] == [32, 4, 4]
