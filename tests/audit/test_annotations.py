"""Annotations survive restarts, replace each other, and stay inert in a spreadsheet."""

import csv
import multiprocessing

import pytest

from fashion_xai.audit import annotations
from fashion_xai.audit.annotations import Annotation


def test_a_annotation_is_on_disk_and_the_last_one_counts(tmp_path):
    file = tmp_path / "new" / "annotations.csv"
    assert annotations.read(file) == {}
    annotations.add(file, Annotation("1", "season", "Summer", "Fall", "ambiguous"))
    annotations.add(file, Annotation("2", "season", "Summer", "Fall", "model wrong"))
    kept = annotations.add(file, Annotation("1", "season", "Summer", "Fall", "label wrong"))
    assert list(annotations.read(file)) == [("2", "season"), ("1", "season")]
    assert annotations.read(file)["1", "season"] == kept and kept.at.endswith("+00:00")
    assert annotations.corrections(file) == {"1": {"season": "Fall"}}


def test_formulas_are_inert_in_the_file_and_whole_when_read(tmp_path):
    file = tmp_path / "annotations.csv"
    evil = Annotation("=1", "season", '=cmd|"/c calc"!A1', "-Fall", "label wrong")
    kept = annotations.add(file, evil)
    with file.open(newline="", encoding="utf-8") as lines:
        cells = list(csv.reader(lines))[1]
    assert not any(cell.startswith(("=", "-")) for cell in cells)
    assert annotations.read(file) == {("=1", "season"): kept}


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("id,label\n", "expected the header id,attribute"),
        ("id,attribute,label,suggested,annotation,at\n1,season,a,b,maybe,\n", "row 2: expected 6"),
        ("id,attribute,label,suggested,annotation,at\n1,season\n", "row 2: expected 6 cells"),
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(tmp_path, text, complaint):
    file = tmp_path / "annotations.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        annotations.add(file, Annotation("1", "season", "Summer", "Fall", "ambiguous"))
    assert file.read_text(encoding="utf-8") == text


def test_unknown_annotations_and_missing_files_are_errors(tmp_path):
    with pytest.raises(ValueError, match="Received: 'maybe'"):
        annotations.add(tmp_path / "v.csv", Annotation("1", "season", "Summer", "Fall", "maybe"))
    with pytest.raises(FileNotFoundError, match="Expected annotations of an audit"):
        annotations.corrections(tmp_path / "none.csv")


def add_ten(file, worker):
    for i in range(10):
        annotations.add(file, Annotation(f"{worker}-{i}", "season", "Summer", "Fall", "ambiguous"))


def test_what_eight_processes_keep_in_one_file_is_all_there(tmp_path):
    file = tmp_path / "annotations.csv"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=add_ten, args=(file, i)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(annotations.read(file)) == 80


def test_a_cell_longer_than_a_csv_reader_takes_is_said(tmp_path):
    file = tmp_path / "annotations.csv"
    file.write_text(
        ",".join(annotations.HEADER) + "\n1,season,a,b," + "x" * 140_000 + ",\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"after row 1: expected a CSV .*field limit"):
        annotations.read(file)
