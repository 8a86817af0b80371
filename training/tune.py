"""Search the settings of training: ``python -m training.tune --data … --out DIR --trials N``.

Optuna's TPE sampler (Bergstra et al. 2011) proposes, ``training.train`` runs, the validation split
judges. The study lives in OUT/study.log, each trial in OUT/trial-…; the same command resumes after
a kill, inside the trial that was running.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from fashion_xai.data import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from fashion_xai.models import bundle
from training import command, config, train

SPACE = {
    "rate_factor": "0.3–3, logarithmic; multiplies the rate of every stage",
    "weight_decay": "0.001–0.1, logarithmic",
    "smoothing": "0–0.15; label smoothing",
    "dropout": "0–0.5; before the heads",
    "backgrounds": "0–0.6; share of replaced backgrounds",
    "logit_adjustment": "0–1; strength of the adjustment in the loss",
    "class_balance": "0, 0.9, 0.99 or 0.999; effective-number weights",
    "ema": "0 (off), 0.99 or 0.998; momentum of the averaged weights",
}
"""What is searched, and where."""


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tune",
        description=__doc__,
        epilog="Searched: "
        + "; ".join(f"{name} ({where})" for name, where in SPACE.items())
        + ". All other flags are those of training.train (--help there); a small --limit and short "
        "--stages keep a trial affordable.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=20, help="how many in all (default: 20)")
    args, rest = parser.parse_known_args(argv)
    base = config.parse(rest)
    resumes = "Stopped. The same command resumes in the same trial."
    return command.run(lambda: run(base, args.trials), resumes)


def run(base: config.Config, trials: int) -> optuna.Study:
    """Search until ``trials`` trials are complete; write and print the table after each."""
    base.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="tune",
        direction="maximize",
        load_if_exists=True,
        storage=JournalStorage(JournalFileBackend(str(base.out / "study.log"))),
    )
    # Seeded by the trials there are: a search that resumes does not propose the same ones again.
    study.sampler = optuna.samplers.TPESampler(seed=base.seed + len(study.trials))
    for cut_off in study.get_trials(states=(TrialState.RUNNING,)):  # by a kill
        study.enqueue_trial(cut_off.params)
        study.tell(cut_off.number, state=TrialState.FAIL)

    def complete() -> int:
        return len(study.get_trials(states=(TrialState.COMPLETE,)))

    while complete() < trials:
        trial = study.ask()
        settings = suggest(trial, base)
        print(f"Trial {complete() + 1} of {trials}: {json.dumps(trial.params)}")
        study.tell(trial, score(train.run(settings)))
        write_table(study, base.out)
    print(write_table(study, base.out))
    return study


def suggest(trial: optuna.Trial, base: config.Config) -> config.Config:
    """The settings of one trial; its folder is named after them, so that it resumes."""
    factor = trial.suggest_float("rate_factor", 0.3, 3, log=True)
    chosen: dict[str, Any] = {
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        "smoothing": trial.suggest_float("smoothing", 0, 0.15),
        "dropout": trial.suggest_float("dropout", 0, 0.5),
        "backgrounds": trial.suggest_float("backgrounds", 0, 0.6),
        "logit_adjustment": trial.suggest_float("logit_adjustment", 0, 1),
        "class_balance": trial.suggest_categorical("class_balance", [0.0, 0.9, 0.99, 0.999]),
        "ema": trial.suggest_categorical("ema", [0.0, 0.99, 0.998]),
    }
    stages = tuple(dataclasses.replace(s, rate=s.rate * factor) for s in base.stages)
    name = hashlib.sha256(json.dumps(trial.params, sort_keys=True).encode()).hexdigest()[:10]
    out = base.out / f"trial-{name}"
    return dataclasses.replace(base, stages=stages, out=out, onnx=False, **chosen)


def score(folder: Path) -> float:
    """Mean over the heads of accuracy and macro-F1 on the validation split, calibrated; 0–1."""
    heads = bundle.read_card(folder)["calibration"].values()
    return float(np.mean([(h["after"]["accuracy"] + h["after"]["macro_f1"]) / 2 for h in heads]))


def write_table(study: optuna.Study, out: Path) -> str:
    """All complete trials as results.csv, best first; returns them as a Markdown table."""
    done = sorted(study.get_trials(states=(TrialState.COMPLETE,)), key=lambda t: -(t.value or 0))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "score", *SPACE])
    writer.writerows([t.number, t.value, *(t.params[n] for n in SPACE)] for t in done)
    files.write(out / "results.csv", buffer.getvalue())
    lines = [f"| trial | score | {' | '.join(SPACE)} |", "|" + "---|" * (len(SPACE) + 2)]
    lines += [
        f"| {t.number} | {t.value:.4f} | " + " | ".join(_short(t.params[n]) for n in SPACE) + " |"
        for t in done
    ]
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
