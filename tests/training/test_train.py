"""Training end to end on drawn garments: learning, a kill and its resume, both backends."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.models import bundle
from tests.conftest import ROOT
from training import config, evaluate, train
from training.engine import checkpoint

# Only the last blocks are trained where what is learnt does not matter: that traces faster.
STAGES = "64x64:1:1e-3:block6d_add,96x64:5:1e-3:block6d_add"


def command(data: Path, out: Path, stages: str) -> list[str]:
    return [
        *("--data", str(data), "--out", str(out), "--cache", str(out.parent / "cache")),
        *("--weights", "none", "--split-by", "random", "--batch-size", "8", "--patience", "20"),
        *("--stages", stages, "--no-onnx"),
    ]


def epochs_in(log: Path) -> list[int]:
    with log.open(encoding="utf-8") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    return garments.write_catalogue(tmp_path_factory.mktemp("train") / "catalogue", per_kind=10)


@pytest.fixture(scope="module")
def resumed(catalogue, tmp_path_factory) -> Path:
    """A run killed by SIGKILL in its second stage, and ended by the same command."""
    out = tmp_path_factory.mktemp("run") / "run"
    args = command(catalogue, out, STAGES)
    process = subprocess.Popen(
        [sys.executable, "-m", "training.train", *args], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    deadline = time.time() + 600
    while time.time() < deadline and process.poll() is None:
        if (out / "log-1.csv").exists() and len(epochs_in(out / "log-1.csv")) >= 1:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    state, _ = checkpoint.read(out / "checkpoint.npz")
    assert state["stage"] == 1 and 1 <= state["epoch"] < 5, "killed too late to test a resume"
    assert not (out / "bundle").exists()
    (out / "before.json").write_text(json.dumps(state), encoding="utf-8")
    assert train.main(args) == 0
    return out


def test_a_killed_run_ends_with_the_same_epochs(resumed):
    before = json.loads((resumed / "before.json").read_text(encoding="utf-8"))
    state, groups = checkpoint.read(resumed / "checkpoint.npz")
    assert state["seconds"] > before["seconds"] > 0  # the time of both starts
    assert state["epoch"] == 5 and state["epoch"] > before["epoch"]
    assert epochs_in(resumed / "log-0.csv") == [0]
    logged = epochs_in(resumed / "log-1.csv")
    assert sorted(set(logged)) == [0, 1, 2, 3, 4] and len(logged) <= 6  # at most one epoch twice
    assert all(np.isfinite(array).all() for array in groups["model"])


def test_the_bundle_of_a_run_is_whole(resumed, catalogue, capsys):
    loaded = bundle.load(resumed / "bundle")
    assert loaded.size == (96, 64)
    assert loaded.model.input_shape == (None, 96, 64, 3)
    assert loaded.vocabulary.sizes["articleType"] == 6
    assert loaded.card["configuration"]["stages"] == STAGES.replace("1e-3", "0.001").split(",")
    assert {v.dtype for v in loaded.model.trainable_weights} == {"float32"}
    out = resumed / "figures.json"
    args = ["--bundle", str(resumed / "bundle"), "--data", str(catalogue), "--split", "validation",
            "--json", str(out), "--write-card"]  # fmt: skip
    assert evaluate.main(args) == 0
    printed = capsys.readouterr().out
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures == bundle.read_card(resumed / "bundle")["metrics"]["validation"]
    accuracy = figures["heads"]["articleType"]["accuracy"]
    assert f"| articleType | {100 * accuracy:.1f} (" in printed and "6 products" in printed


def test_evaluation_equals_predictions_one_by_one(resumed, catalogue, tmp_path):
    out = tmp_path / "figures.json"
    args = ["--bundle", str(resumed / "bundle"), "--data", str(catalogue), "--split", "all",
            "--json", str(out)]  # fmt: skip
    assert evaluate.main(args) == 0
    products = Catalogue(catalogue).products
    predictions = FashionClassifier.load(resumed / "bundle").predict(
        [catalogue / "images" / f"{p.id}.jpg" for p in products]
    )
    right = [x["season"].label == p.labels["season"] for x, p in zip(predictions, products)]
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["heads"]["season"]["accuracy"] == pytest.approx(np.mean(right))
    assert figures["products"] == len(products) == 60


def test_other_settings_in_the_same_folder_are_refused(resumed, catalogue, capsys):
    args = command(catalogue, resumed, "64x64:2:1e-3")
    assert train.main([*args, "--seed", "5"]) == 1
    assert "other settings (stages, seed)" in capsys.readouterr().err


def test_a_finished_run_can_be_given_more_stages(resumed, catalogue):
    old, _ = checkpoint.read(resumed / "checkpoint.npz")
    assert train.main(command(catalogue, resumed, STAGES + ",96x64:1:1e-4:block6d_add")) == 0
    state, _ = checkpoint.read(resumed / "checkpoint.npz")
    assert (old["stage"], state["stage"]) == (1, 2)
    assert epochs_in(resumed / "log-2.csv") == [0] and len(epochs_in(resumed / "log-0.csv")) == 1


def test_it_learns_to_tell_drawn_garments(catalogue, tmp_path):
    args = command(catalogue, tmp_path / "run", "64x64:12:2e-3")
    assert train.main([*args, "--augment", "light", "--backgrounds", "0"]) == 0
    with (tmp_path / "run" / "log-0.csv").open(encoding="utf-8") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.8 * losses[0]  # guessing evenly stays above 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [("128x96", "expected HxW"), ("100x96:1:1e-3", "multiples of 32"), ("64x64:0:1", "one epoch"),
     ("64x64:1:1e-3-", "learning rate")],
)  # fmt: skip
def test_stages_say_what_is_wrong(text, message, capsys):
    with pytest.raises(SystemExit) as caught:
        config.parse(["--data", "x", "--out", "y", "--stages", text])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_unknown_settings_and_absent_data_are_refused(capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        config.parse(["--data", "x", "--out", "y", "--learning-rte", "3"])
    assert caught.value.code == 2
    assert train.main(["--data", str(tmp_path / "absent"), "--out", str(tmp_path / "run")]) == 1
    assert "no such folder or zip" in capsys.readouterr().err


def test_stages_round_trip():
    text = "128x96:3:0.0012,256x192:1:0.0004:block2b_add"
    assert ",".join(str(stage) for stage in config.parse_stages(text)) == text


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path):
    path = tmp_path / "checkpoint.npz"
    arrays = [np.arange(3.0), np.ones((2, 2))]
    checkpoint.write(path, {"epoch": 1}, model=arrays, best=arrays[:1])
    (tmp_path / "checkpoint.part").write_bytes(b"cut off")  # what a kill while writing leaves
    state, groups = checkpoint.read(path)
    assert state == {"epoch": 1} and len(groups["model"]) == 2 and len(groups["best"]) == 1
    np.testing.assert_array_equal(groups["model"][1], arrays[1])


def test_a_catalogue_of_ones_own_trains_without_a_code_change(tmp_path, capsys):
    """Another table name, other columns, two heads of which one is new, missing labels."""
    folder = garments.write_catalogue(tmp_path / "kaggle", per_kind=4)
    with (folder / "styles.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "type", "material", "name"])
        for i, row in enumerate(rows):
            material = ["Cotton", "Wool", ""][i % 3]
            writer.writerow([row["id"], row["articleType"], material, "a, b"])
    (folder / "styles.csv").unlink()
    flags = ["--columns", "articleType=type,material", "--table", "products.csv",
             "--id-column", "sku", "--title-column", "name"]  # fmt: skip
    args = [*command(folder, tmp_path / "run", "64x64:1:1e-3:block6d_add"), *flags]
    args.remove("--no-onnx")
    assert train.main(args) == 0
    loaded = bundle.load(tmp_path / "run" / "bundle")
    assert loaded.vocabulary.sizes == {"articleType": 6, "material": 2}
    assert loaded.graph is not None
    (answer,) = FashionClassifier(loaded).predict([garments.draw("bag")])
    assert list(answer) == ["articleType", "material"]
    # The card remembers the columns: no flags are needed again.
    bundle_flags = ["--bundle", str(tmp_path / "run" / "bundle"), "--data", str(folder)]
    assert evaluate.main([*bundle_flags, "--split", "all"]) == 0
    assert "| material |" in capsys.readouterr().out
    # A head without a column is unlabelled; the others are measured.
    assert evaluate.main([*bundle_flags, "--split", "all", "--columns", "articleType=type"]) == 0
    said = capsys.readouterr().out
    assert "No column for material, which stay unlabelled" in said and "| material | – |" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [("type of thing", "letters, digits"), ("gender,gender=x", "named twice"), ("", "letters")],
)
def test_columns_say_what_is_wrong(text, message, capsys):
    with pytest.raises(SystemExit) as caught:
        config.parse(["--data", "x", "--out", "y", "--columns", text])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
