"""Two audits compared: figures by hand, and from the command line too."""

import csv
import shutil
from math import comb

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_xai.__main__ import main
from fashion_xai.audit import comparison
from fashion_xai.audit.results import Audit

HEAD = "season"


@pytest.fixture(scope="module")
def before(drawn_audit):
    return drawn_audit


@pytest.fixture(scope="module")
def changed(before, tmp_path_factory):
    """The same audit; three products answered right that were wrong, one the other way round, one
    wrong in another way, and one with another label."""
    out = tmp_path_factory.mktemp("after") / "audit"
    shutil.copytree(before, out)
    table = pq.read_table(out / "products.parquet")
    true, said = (table[f"{HEAD}_{x}"].to_pylist() for x in ("true", "predicted"))
    wrong = [i for i, (t, p) in enumerate(zip(true, said, strict=True)) if t != p]
    right = [i for i in range(len(true)) if i not in wrong]
    seasons = sorted({*true, *said})
    for i in wrong[:3]:
        said[i] = true[i]
    said[right[0]] = next(x for x in seasons if x != true[right[0]])
    said[wrong[3]] = next(x for x in seasons if x not in (true[wrong[3]], said[wrong[3]]))
    true[wrong[4]] = next(x for x in seasons if x != true[wrong[4]])
    for name, values in ((f"{HEAD}_true", true), (f"{HEAD}_predicted", said)):
        place = table.column_names.index(name)
        column = pa.array(values, pa.string()).dictionary_encode()
        table = table.set_column(place, name, column)
    pq.write_table(table, out / "products.parquet")
    return out, wrong, right


def test_by_hand(before, changed):
    after, wrong, right = changed
    found = comparison.compare(Audit(before), Audit(after))
    x = found[HEAD]
    n = len(wrong) + len(right)
    assert (x.products, x.relabelled) == (n - 1, 1)
    assert (x.mended, x.broken) == (3, 1)
    assert x.after - x.before == pytest.approx(2 / (n - 1))
    assert x.low <= x.after - x.before <= x.high
    # McNemar's exact test: twice the tail of a fair coin thrown four times.
    assert x.p == pytest.approx(2 * sum(comb(4, k) for k in (0, 1)) / 2**4)
    assert x.verdict.startswith("no difference")
    assert sorted(x.changes["change"]) == ["broken", *["mended"] * 3, "wrong in another way"]
    same = found["gender"]
    assert (same.mended, same.broken, same.p, len(same.changes)) == (0, 0, 1.0, 0)


def test_from_the_command_line(before, changed, drawn, tmp_path, capsys):
    after, *_ = changed
    args = ["compare", str(before), str(after), "--data", str(drawn), "--out", str(tmp_path)]
    assert main(args) == 0
    assert f"{HEAD}: " in (said := capsys.readouterr().out) and "3 mended, 1 broken" in said
    with (tmp_path / "changes.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == comparison.CHANGES and len(rows) == 5
    report = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "Mended: 3 of 3" in report and report.count("data:image") == 4
    for identity, head, label, was, now, change in rows:
        said = {"mended": f"before: {was}", "broken": f"now: {now}"}.get(change)
        if head == HEAD and said:
            assert f"{identity} · {label}; {said}</figcaption>" in report


def test_nothing_in_common_is_an_error_in_words(before, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(before, other)
    table = pq.read_table(other / "products.parquet")
    ids = pa.array([f"x{i}" for i in range(len(table))])
    renamed = table.set_column(table.column_names.index("id"), "id", ids)
    pq.write_table(renamed, other / "products.parquet")
    assert main(["compare", str(before), str(other), "--out", str(tmp_path / "out")]) == 1
    assert "0 products in common" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "audit.json").write_text("{}", encoding="utf-8")
    assert main(["compare", str(before), str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
