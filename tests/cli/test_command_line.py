"""The command line, as a person uses it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.__main__ import main
from fashion_xai.maps import methods
from tests.conftest import ROOT


@pytest.fixture
def photos(tmp_path):
    names = []
    for kind in ("shirt", "bag"):
        path = tmp_path / f"{kind}.png"
        Image.fromarray(garments.draw(kind, size=(120, 200))).save(path)
        names.append(str(path))
    return names


def test_predict_json_equals_the_library(photos, small_bundle, capsys):
    assert main(["predict", *photos, "--json", "--bundle", str(small_bundle)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = FashionClassifier.load(small_bundle).predict(photos)
    assert [row["image"] for row in rows] == photos
    for row, answer in zip(rows, expected, strict=True):
        for attribute, p in answer.items():
            assert row[attribute][0]["label"] == p.label
            assert row[attribute][0]["probability"] == pytest.approx(p.probability, abs=1e-4)


def test_a_bad_photo_is_named_and_the_others_are_done(photos, small_bundle, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo", encoding="utf-8")
    args = ["predict", photos[0], str(bad), photos[1], "--bundle", str(small_bundle)]
    assert main(args) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and out.startswith(photos[0])
    assert "bad.jpg: This file is not a photo" in err and "Traceback" not in err


def test_explain_writes_pictures_and_raw_maps(photos, small_bundle, tmp_path, capsys):
    out = tmp_path / "out"
    again = tmp_path / "elsewhere" / "shirt.png"  # the same name: must not overwrite
    again.parent.mkdir()
    again.write_bytes((tmp_path / "shirt.png").read_bytes())
    args = ["explain", *photos, str(again), "--out", str(out), "--bundle", str(small_bundle)]
    assert main(args) == 0
    rows = json.loads((out / "explanations.json").read_text(encoding="utf-8"))
    assert len(rows) == 18 == len({row["picture"] for row in rows})
    for row in rows:
        assert Image.open(out / row["picture"]).size == (200, 120)
    expected = FashionClassifier.load(small_bundle).explain(photos[1])["season"]
    (row,) = [r for r in rows if r["image"] == photos[1] and r["attribute"] == "season"]
    np.testing.assert_allclose(row["heatmap"], expected.heatmap, atol=1e-4)


def test_a_sheet_shows_all_heads_and_one_scale_is_one(photos, small_bundle, tmp_path):
    common = ["explain", photos[0], "--bundle", str(small_bundle), "--signed", "--out"]
    assert main([*common, str(tmp_path / "own")]) == 0
    assert main([*common, str(tmp_path / "one"), "--one-scale", "--method", "layercam"]) == 0
    (sheet,) = (tmp_path / "own").glob("*.sheet.png")
    picture = np.asarray(Image.open(sheet).convert("L"))
    assert picture.shape[0] > 600 and picture.std() > 10
    rows = json.loads((tmp_path / "one" / "explanations.json").read_text(encoding="utf-8"))
    assert {row["method"] for row in rows} == {"layercam"}
    assert rows[0]["unit"].startswith("logits, of the channels")
    strongest = max(rows, key=lambda row: np.abs(row["heatmap"]).max())
    weakest = min(rows, key=lambda row: np.abs(row["heatmap"]).max())
    photo = np.asarray(Image.open(photos[0]).convert("RGB"), float)
    change = [
        np.abs(np.asarray(Image.open(tmp_path / "one" / row["picture"]), float) - photo).mean()
        for row in (strongest, weakest)
    ]
    assert change[0] > change[1]


def test_fine_maps_are_four_times_finer(photos, small_bundle, tmp_path):
    common = ["explain", photos[0], "--bundle", str(small_bundle), "--attribute", "season"]
    assert main([*common, "--fine", "--out", str(tmp_path / "o")]) == 0
    (row,) = json.loads((tmp_path / "o" / "explanations.json").read_text(encoding="utf-8"))
    assert row["method"] == "fine"
    assert np.shape(row["heatmap"]) == (4 * 96 // 32, 4 * 64 // 32)


def test_a_gallery_shows_every_head_by_every_method(photos, small_bundle, tmp_path):
    out = tmp_path / "o"
    args = ["explain", photos[0], "--gallery", "--bundle", str(small_bundle), "--out", str(out)]
    assert main([*args, "--attribute", "season"]) == 0
    (file,) = out.glob("*.gallery.png")
    picture = np.asarray(Image.open(file).convert("L"))
    # A row of maps, as many columns as methods: photos are set apart by white.
    columns = (picture.min(0) < 250).astype(int)
    assert (np.diff(columns) == 1).sum() >= len(methods.METHODS)
    assert {
        row["method"] for row in json.loads((out / "explanations.json").read_text(encoding="utf-8"))
    } == {methods.DEFAULT}


def test_predict_says_where_it_is_not_sure(photos, small_bundle, doubtful_bundle, capsys):
    assert main(["predict", photos[0], "--bundle", str(doubtful_bundle)]) == 0
    assert capsys.readouterr().out.endswith(" · not sure this is one product\n")
    assert main(["predict", photos[0], "--bundle", str(small_bundle)]) == 0
    assert "not sure" not in capsys.readouterr().out
    assert main(["predict", photos[0], "--json", "--bundle", str(doubtful_bundle)]) == 0
    assert json.loads(capsys.readouterr().out)["one_product"] is False


def test_explain_against_picks_the_head_that_knows_the_label(photos, small_bundle, tmp_path):
    common = ["explain", photos[0], "--out", str(tmp_path / "o"), "--bundle", str(small_bundle)]
    assert main([*common, "--against", "Winter"]) == 0
    (row,) = json.loads((tmp_path / "o" / "explanations.json").read_text(encoding="utf-8"))
    assert (row["attribute"], row["against"]) == ("season", "Winter")


def test_an_unknown_label_or_bundle_is_an_error_in_words(photos, small_bundle, tmp_path, capsys):
    common = ["explain", photos[0], "--out", str(tmp_path / "o")]
    assert main([*common, "--bundle", str(small_bundle), "--against", "Wintr"]) == 2
    err = capsys.readouterr().err
    assert "'Wintr' is no label of any head. Did you mean 'Winter'" in err
    assert main([*common, "--bundle", str(tmp_path)]) == 1
    assert "no card.json" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--help"], ["predict", "--help"], ["explain", "--help"]])
def test_help_teaches(args):
    done = subprocess.run(
        [sys.executable, "-m", "fashion_xai", *args], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "usage: fashion-xai" in done.stdout
