"""Tags survive restarts, are given once, and stay inert in a spreadsheet."""

import csv

import pytest

from fashion_xai.audit import tags


def test_given_and_taken(tmp_path):
    file = tmp_path / "new" / "tags.csv"
    assert tags.read(file) == {}
    assert tags.add(file, " dark photos ", ["1", "2"]) == 2
    assert tags.add(file, "dark photos", ["2", "3", "3"]) == 1
    assert tags.add(file, "retake", ["2"]) == 1
    assert tags.read(file) == {"dark photos": ["1", "2", "3"], "retake": ["2"]}
    assert tags.remove(file, "dark photos", ["3", "1", "9"]) == 2
    assert tags.remove(file, "retake", ["2"]) == 1
    assert tags.read(file) == {"dark photos": ["2"]}


@pytest.mark.parametrize("tag", ["", "  ", "x" * 61])
def test_no_tag(tag, tmp_path):
    with pytest.raises(ValueError, match="Expected a tag of 1 to 60"):
        tags.add(tmp_path / "tags.csv", tag, ["1"])
    assert not list(tmp_path.iterdir())


def test_formulas_are_inert(tmp_path):
    file = tmp_path / "tags.csv"
    tags.add(file, "=1+1", ["-2"])
    with file.open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines))[1] == ["'-2", "'=1+1"]
    assert tags.read(file) == {"=1+1": ["-2"]}


@pytest.mark.parametrize(
    "text, complaint",
    [("name\n", "expected the header id,tag"), ("id,tag\n1\n", "row 2: expected 2 cells")],
)
def test_another_file_is_not_written_over(text, complaint, tmp_path):
    file = tmp_path / "tags.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        tags.add(file, "dark", ["1"])
    assert file.read_text(encoding="utf-8") == text
