"""What is counted a batch at a time is what is counted at once; a large audit is a folder of parts,
opened by what is worth a look."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import confusion_matrix

from fashion_xai.__main__ import main
from fashion_xai.audit import confusions, digest, engine, label_issues, results, slices, store
from fashion_xai.audit.results import SHIPPED, Audit
from fashion_xai.audit.store import Store
from fashion_xai.engines.work import NOTE, PROBLEM, ROW

ROWS = 600


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The first rows of the shipped audit as a run's parts, every seventh a rejected product."""
    out = tmp_path_factory.mktemp("large")
    folder = out / engine.PRODUCTS
    folder.mkdir()
    table = pq.read_table(SHIPPED / engine.PRODUCTS).slice(0, ROWS)
    for name in ("fingerprint", "embedding"):  # a picture that 25 products have, and one that two
        place, values = table.schema.get_field_index(name), table[name].to_pylist()
        values[100:125], values[200] = [values[100]] * 25, values[201]
        kind = table.schema.field(name)
        table = table.set_column(place, kind, pa.array(values, kind.type))
    for number, start in enumerate(range(0, ROWS, 64)):
        part = table.slice(start, 64)
        nulls = pa.nulls(len(part), pa.string())
        for name, values in ((ROW, pa.array(range(len(part)))), (PROBLEM, nulls), (NOTE, nulls)):
            part = part.append_column(name, values)
        left_out = pa.Table.from_pylist([{"id": f"x{number}", PROBLEM: "no photo"}], part.schema)
        joined = pa.concat_tables([part.slice(0, 10), left_out, part.slice(10)])
        pq.write_table(joined, folder / f"{number:06}.parquet", row_group_size=20)
    summary = json.loads((SHIPPED / engine.SUMMARY).read_text(encoding="utf-8"))
    summary |= {"audited": ROWS, engine.INPUTS: "some"}
    (out / engine.SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    return out, table.to_pandas()


def test_a_folder_of_parts_is_read_as_one_table(parts, monkeypatch):
    out, whole = parts
    monkeypatch.setattr(store, "BATCH", 50)
    opened = Store(out / engine.PRODUCTS)
    assert opened.count == ROWS
    batches = list(opened.batches(["id", "gender_true"]))
    assert max(map(len, batches)) <= 128 and [*pd.concat(batches)["id"]] == [*whole["id"]]
    assert [*pd.concat(batches).index] == list(range(ROWS))
    rows = np.array([0, 9, 10, 11, 63, 64, 301, ROWS - 1])
    taken = opened.take(rows)
    assert taken["id"].to_pylist() == whole["id"].iloc[rows].tolist()
    assert taken["articleType_map"][3].as_py() == list(whole["articleType_map"].iloc[11])


def test_counts_by_batches_are_those_of_the_whole(parts, monkeypatch):
    out, whole = parts
    monkeypatch.setattr(store, "BATCH", 50)
    monkeypatch.setattr(digest, "AT_ONCE", 7)  # photos that look alike in several portions
    opened = Audit(SHIPPED)
    heads, taxonomy = opened.heads, opened.taxonomy
    found = digest.digest(Store(out / engine.PRODUCTS), heads, taxonomy)
    for head in heads:
        counts = found.confusions[head]
        true, said = confusions.labelled_predictions(whole, head)
        labels = sorted({*true, *said})
        weights = counts["count"].to_numpy()
        both = counts["true"].to_numpy(), counts["predicted"].to_numpy()
        np.testing.assert_array_equal(
            confusions.matrix(*both, labels, weights=weights),
            confusion_matrix(true, said, labels=labels),
        )
        pd.testing.assert_frame_equal(
            confusions.pairs(*both, head, taxonomy, weights=weights),
            confusions.pairs(true, said, head, taxonomy),
        )
        assert confusions.worst_labels(*both, 9, weights) == confusions.worst_labels(true, said, 9)
        expected = slices.error_slices(whole, head, heads)
        order = ["trait", "value"]
        if whole[f"{head}_true"].notna().all():  # quarters are those of all products
            pd.testing.assert_frame_equal(
                found.slices[head].sort_values(order, ignore_index=True),
                expected.sort_values(order, ignore_index=True),
                check_dtype=False,
            )
        off = whole[f"{head}_off_product"][whole[f"{head}_true"].notna()]
        assert counts["off"].sum() == pytest.approx(off.sum(), rel=1e-5)
        assert counts["off_count"].sum() == off.notna().sum()
    ranked = label_issues.rank(whole, heads, taxonomy)
    pd.testing.assert_frame_equal(found.issues, ranked)
    assert ranked["attribute"].iloc[0] == label_issues.PICTURE
    assert "25 products share this picture" in ranked["reasons"].iloc[0]
    assert ranked["reasons"].str.contains("same photo").any()
    listed = ranked[ranked["attribute"] != label_issues.PICTURE]["attribute"].value_counts()
    assert {h: n for h, n in found.all_issues.items() if n} == listed.to_dict()


def test_the_products_kept_are_the_surest_of_the_most_frequent_confusions(parts, monkeypatch):
    out, whole = parts
    monkeypatch.setattr(store, "BATCH", 50)
    for name, most in (("PAIRS", 2), ("OF_A_PAIR", 3), ("OF_A_LABEL", 1), ("LOOKED_AT", 0)):
        monkeypatch.setattr(digest, name, most)
    monkeypatch.setattr(digest, "ISSUES", 5)
    opened = Audit(SHIPPED)
    found = digest.digest(Store(out / engine.PRODUCTS), ["articleType"], opened.taxonomy)
    wrong = whole[
        whole["articleType_true"].astype(str) != whole["articleType_predicted"].astype(str)
    ]
    groups = wrong.groupby(["articleType_true", "articleType_predicted"], observed=True)
    chosen = groups.size().sort_values(ascending=False, kind="stable").index[:2]
    expected, labels = set(), set()
    for pair in chosen:
        surest = groups.get_group(pair).sort_values("articleType_probability", ascending=False)
        expected |= {*surest.index[:3]}
        labels |= {*pair}
    kept = set(found.rows.tolist())
    assert expected <= kept and len(found.issues) >= 5
    others = whole.loc[sorted(kept - expected)]
    assert (others["articleType_true"].astype(str) == others["articleType_predicted"]).all()
    assert others["articleType_true"].astype(str).value_counts().max() == 1
    assert {*others["articleType_true"].astype(str)} <= labels


def test_a_large_audit_is_opened_by_what_is_kept_and_reported_whole(
    parts, small_bundle, tmp_path, monkeypatch
):
    from fashion_xai import FashionClassifier
    from fashion_xai.audit import report

    out, whole = parts
    out = shutil.copytree(out, tmp_path / "audit")
    monkeypatch.setattr(results, "WHOLE", 100)
    opened = Audit(out)
    assert not opened.whole and len(opened.table) < ROWS and (out / results.DIGEST).exists()
    again = Audit(out)
    pd.testing.assert_frame_equal(again.digest.issues, opened.digest.issues, check_dtype=False)
    np.testing.assert_array_equal(again.digest.rows, opened.digest.rows)
    identity = opened.table["id"].iloc[3]
    row = whole.set_index("id").loc[identity]
    np.testing.assert_allclose(
        opened.map(identity, "gender").ravel(), np.asarray(row["gender_map"], np.float32)
    )
    shipped = FashionClassifier.load()
    page = report.write(opened, out, shipped.bundle.card, {}).read_text(encoding="utf-8")
    true, said = confusions.labelled_predictions(whole, "articleType")
    first = confusions.pairs(true, said, "articleType", opened.taxonomy).iloc[0]
    assert f"{first['true']} taken for {first['predicted']} ({first['count']})" in page
    listed = pd.read_csv(out / "confusions.csv")
    listed = listed[listed["attribute"] == "articleType"]
    assert listed["count"].sum() + listed["reverse"].sum() == (true != said).sum()


def test_a_run_over_many_products_leaves_parts(drawn, small_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engine, "WHOLE", 10)
    monkeypatch.setattr(results, "WHOLE", 10)
    data = shutil.copytree(drawn, tmp_path / "data")
    (data / "images" / "1100.jpg").write_bytes(b"no photo")
    args = [
        "audit",
        "--data",
        str(data),
        "--bundle",
        str(small_bundle),
        "--out",
        str(tmp_path / "a"),
    ]
    assert main(args) == 0
    out = tmp_path / "a"
    assert (out / engine.PRODUCTS).is_dir() and not (out / engine.PARTS).exists()
    assert (out / "audit.html").exists() and "1 rows left out" in capsys.readouterr().out
    assert Audit(out).store.count == 23
    monkeypatch.setattr(engine, "WHOLE", 100)  # and over again, into one file
    assert main([*args, "--no-report"]) == 0 and (out / engine.PRODUCTS).is_file()
