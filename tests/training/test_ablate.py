"""Variants are trained once, measured, and set side by side."""

import dataclasses
import json
from pathlib import Path

import pytest

from examples import garments
from fashion_xai.data.schema import Table
from training import ablate, config


def test_two_variants_are_measured_and_not_trained_again(tmp_path, capsys):
    data = garments.write_catalogue(tmp_path / "catalogue", per_kind=10)
    args = ["--data", str(data), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"),
            "--weights", "none", "--split-by", "random", "--stages", "64x64:1:1e-3:block6d_add",
            "--batch-size", "16", "--no-onnx", "--only", "base"]  # fmt: skip
    assert ablate.main(args) == 0
    first = json.loads((tmp_path / "out" / "ablation.json").read_text(encoding="utf-8"))
    plain, scene = (first["base"][photos]["heads"] for photos in ("plain", "scene"))
    assert set(plain) == set(scene)
    checkpoint = tmp_path / "out" / "base" / "checkpoint.npz"
    stamp = checkpoint.stat().st_mtime_ns
    assert ablate.main(args) == 0
    assert checkpoint.stat().st_mtime_ns == stamp
    line = capsys.readouterr().out.splitlines()[-1]
    accuracy = plain["gender"]["accuracy"]
    assert line.startswith(f"| base | {100 * accuracy:.1f} / ")


def test_every_variant_changes_known_settings_only():
    base = config.parse(["--data", "x", "--out", "y", "--images", "z", "--teacher", "t"])
    words = {"Pants": {"articleType": ["Jeans", "Trousers"], "masterCategory": ["Apparel"]}}
    other = config.Also(Path("o"), 0.4, Table(label="label", words=words))
    base = dataclasses.replace(base, also=(other,))
    changed = [ablate.change(base, name) for name in ablate.VARIANTS]
    assert len({str(dataclasses.replace(s, out=base.out)) for s in changed}) == len(changed)
    assert [s.teacher for s in changed if s.teacher] == [base.teacher]
    (single,) = ablate.change(base, ablate.SINGLE).also
    assert single.table.words == {"Pants": {"masterCategory": ["Apparel"]}}


@pytest.mark.parametrize(
    ("variant", "complaint"),
    [
        ("magic", "invalid choice"),
        (ablate.TEACHER, "--teacher as well"),
        (ablate.SINGLE, "--also as well"),
    ],
)
def test_variants_that_cannot_be_are_refused(variant, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        ablate.main(["--data", "x", "--out", "y", "--only", variant])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
