"""Old names are still read, each with one warning."""

import json
import shutil

import pytest

from fashion_xai.audit import annotations
from fashion_xai.audit.engine import read_summary
from fashion_xai.audit.results import SHIPPED
from fashion_xai.cli.audit import RENAMED
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.maps import methods
from training import config, evaluate


def test_old_flags_warn_once_and_mean_todays(capsys):
    given = ["audit", "--side", "test", "--split=mine.csv", "--side=train", "--split", "all"]
    now = [
        "audit",
        "--split",
        "test",
        "--split-file",
        "mine.csv",
        "--split=train",
        "--split",
        "all",
    ]
    assert in_todays_words(given, RENAMED) == now
    assert capsys.readouterr().err.splitlines() == [
        "warning: --side is called --split now",
        "warning: --split is called --split-file now",
    ]
    assert in_todays_words(now[2:], RENAMED) == now[2:]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("old", "by", "file"),
    [("twins", "near-duplicates", None), ("random", "random", None), ("s.csv", None, "s.csv")],
)
def test_the_trainings_split_of_old(old, by, file, capsys):
    settings = config.parse(["--data", "x", "--out", "y", "--split", old])
    assert settings.split_by == (by or "near-duplicates")
    assert (settings.split_file and str(settings.split_file)) == file
    assert "--split is called" in capsys.readouterr().err


def test_stress_is_corruptions_now():
    args = evaluate.parse(["--data", "x", "--stress", "scene", "blur"])
    assert args.corruptions == ["scene", "blur"]


def test_old_methods_are_found_with_a_warning():
    with pytest.warns(FutureWarning, match="called 'gradcam-odds-guided' now"):
        assert methods.find("guided") is methods.METHODS["gradcam-odds-guided"]
    assert set(methods.OLD_NAMES.values()) <= set(methods.METHODS)


def test_annotations_with_the_old_header_are_read(tmp_path):
    file = tmp_path / "verdicts.csv"
    file.write_text(
        "id,attribute,label,suggested,verdict,at\n1,season,Summer,Fall,label wrong,\n",
        encoding="utf-8",
    )
    assert annotations.corrections(file) == {"1": {"season": "Fall"}}
    annotations.add(file, annotations.Annotation("2", "season", "a", "b", "ambiguous"))
    assert file.read_text(encoding="utf-8").startswith(
        "id,attribute,label,suggested,annotation,at\n"
    )
    assert len(annotations.read(file)) == 2


def test_an_audit_that_names_its_side_is_read(tmp_path):
    summary = json.loads((SHIPPED / "audit.json").read_text(encoding="utf-8"))
    summary["side"] = summary.pop("split", summary.get("side"))
    (tmp_path / "audit.json").write_text(json.dumps(summary), encoding="utf-8")
    assert read_summary(tmp_path)["split"] == summary["side"]


def test_a_bundle_with_the_old_name_of_its_ood_score(shipped, tmp_path):
    from fashion_xai.models import bundle

    folder = shutil.copytree(bundle.SHIPPED, tmp_path / "old")
    card = json.loads((folder / bundle.CARD).read_text(encoding="utf-8"))
    (name,) = {bundle.OOD, bundle.OLD_OOD} & set(card["sha256"])
    (folder / name).rename(folder / bundle.OLD_OOD)
    card["sha256"][bundle.OLD_OOD] = card["sha256"].pop(name)
    (folder / bundle.CARD).write_text(json.dumps(card), encoding="utf-8")
    assert bundle.load(folder).ood_score.bias == shipped.ood_score.bias
