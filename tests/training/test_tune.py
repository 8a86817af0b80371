"""A search that is killed resumes in the trial it was in."""

import csv
import json

import optuna
import pytest

from examples import garments
from fashion_xai.models import bundle
from training import config, tune


def command(tmp_path, trials: int) -> list[str]:
    return ["--trials", str(trials), "--data", str(tmp_path / "catalogue"),
            "--out", str(tmp_path / "tune"), "--cache", str(tmp_path / "cache"),
            "--weights", "none", "--split-by", "random", "--stages", "64x64:1:1e-3:block6d_add",
            "--batch-size", "16"]  # fmt: skip


def test_a_search_goes_on_in_the_trial_it_was_in(tmp_path, monkeypatch, capsys):
    garments.write_catalogue(tmp_path / "catalogue", per_kind=10)

    def killed(folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tune, "score", killed)  # a Ctrl-C after the trial's training
        assert tune.main(command(tmp_path, 1)) == 1
    (cut,) = (tmp_path / "tune").glob("trial-*")
    before = (cut / "checkpoint.npz").stat().st_mtime_ns
    capsys.readouterr()
    assert tune.main(command(tmp_path, 1)) == 0
    assert (cut / "checkpoint.npz").stat().st_mtime_ns == before  # nothing was trained twice
    assert list((tmp_path / "tune").glob("trial-*")) == [cut]
    with (tmp_path / "tune" / "results.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    heads = json.loads((cut / "bundle" / bundle.CARD).read_text(encoding="utf-8"))[
        "calibration"
    ].values()
    total = sum(h["after"]["accuracy"] + h["after"]["macro_f1"] for h in heads)
    assert float(row["score"]) == pytest.approx(total / 2 / len(heads))
    assert "| trial | score | rate_factor |" in capsys.readouterr().out


def test_trials_are_ranked_and_proposals_stay_in_the_space(tmp_path):
    base = config.parse(["--data", "x", "--out", str(tmp_path)])
    study = optuna.create_study(direction="maximize")
    for value in (0.2, 0.7, 0.5):
        trial = study.ask()
        settings = tune.suggest(trial, base)
        factor = trial.params["rate_factor"]
        assert 0.3 <= factor <= 3 and settings.stages[0].rate == base.stages[0].rate * factor
        assert settings.out.parent == tmp_path and settings.dropout == trial.params["dropout"]
        study.tell(trial, value)
    assert set(trial.params) == set(tune.SPACE)
    text = tune.write_table(study, tmp_path)
    assert [line.split(" | ")[1] for line in text.splitlines()[2:]] == [
        "0.7000",
        "0.5000",
        "0.2000",
    ]
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == [0.7, 0.5, 0.2]


def test_help_names_the_whole_space(capsys):
    with pytest.raises(SystemExit) as caught:
        tune.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in tune.SPACE)
