"""An audit in the neighbours' formats, read back by their own libraries where these install from
PyPI, else by their schema."""

import json

import cleanlab.rank
import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools.coco import COCO

from fashion_xai import FashionClassifier
from fashion_xai.__main__ import main
from fashion_xai.audit import engine, exports
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue

HEAD = "articleType"


@pytest.fixture(scope="module")
def opened(drawn, small_bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "audit"
    catalogue = Catalogue(drawn)
    classifier = FashionClassifier.load(small_bundle)
    engine.run(classifier, catalogue, out)
    return Audit(out, catalogue), classifier, catalogue


def test_cleanlab_scores_are_cleanlabs_own(opened, tmp_path):
    audit, classifier, catalogue = opened
    exports.cleanlab(audit, tmp_path)
    found = pd.read_csv(tmp_path / f"cleanlab-{HEAD}.csv", dtype={"id": str}).set_index("id")
    answers = classifier.predict([catalogue.photo(p) for p in catalogue.products])
    labels = classifier.vocabulary.labels[HEAD]
    given = np.array([labels.index(p.labels[HEAD]) for p in catalogue.products])
    p = np.stack([a[HEAD].probabilities for a in answers]).astype(float)
    scores = cleanlab.rank.get_label_quality_scores(
        given, p / p.sum(1, keepdims=True), method="normalized_margin"
    )
    ids = [p.id for p in catalogue.products]
    np.testing.assert_allclose(found.loc[ids, "label_score"], scores, atol=1e-3)
    assert list(found.loc[ids, "given_label"]) == [labels[i] for i in given]
    assert list(found.loc[ids, "predicted_label"]) == [a[HEAD].label for a in answers]
    listed = audit.label_issues[audit.label_issues["attribute"] == HEAD]["id"]
    assert {*found.index[found["is_label_issue"]]} == {*listed} and len(listed)


def test_coco_is_read_by_pycocotools(opened, tmp_path):
    audit, *_ = opened
    labels, answers = exports.coco(audit, tmp_path)
    truth = COCO(str(labels))
    results = truth.loadRes(str(answers))
    names = {c["id"]: (c["supercategory"], c["name"]) for c in truth.loadCats(truth.getCatIds())}
    assert len(truth.getImgIds()) == 24
    for image in truth.loadImgs(truth.getImgIds()):
        row = audit.table.set_index("id").loc[image["file_name"]]
        assert (image["width"], image["height"]) == (row["width"], row["height"])
        for source, kind in ((truth, "true"), (results, "predicted")):
            found = source.loadAnns(source.getAnnIds(image["id"]))
            said = dict(names[a["category_id"]] for a in found)
            assert said == {h: row[f"{h}_{kind}"] for h in audit.heads}
            assert all(a["bbox"] == [0, 0, row["width"], row["height"]] for a in found)


def test_datasets_reads_class_labels(opened, tmp_path):
    audit, *_ = opened
    (file,) = exports.datasets(audit, tmp_path)
    found = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
    assert isinstance(found.features[f"{HEAD}_true"], datasets.ClassLabel)
    for row, (_, expected) in zip(found, audit.table.iterrows(), strict=True):
        assert row["id"] == expected["id"] and row["title"] == expected["title"]
        for head in audit.heads:
            for kind in ("true", "predicted"):
                name = f"{head}_{kind}"
                assert found.features[name].int2str(row[name]) == expected[name]
            share = expected[f"{head}_probability"]
            assert row[f"{head}_probability"] == pytest.approx(share, abs=1e-6)


def test_fiftyone_has_photos_labels_issues_and_heatmaps(opened, tmp_path):
    audit, *_ = opened
    exports.fiftyone(audit, tmp_path)
    metadata = json.loads((tmp_path / "metadata.json").read_text(encoding="utf-8"))
    samples = json.loads((tmp_path / "samples.json").read_text(encoding="utf-8"))["samples"]
    declared = {f["name"]: f for f in metadata["sample_fields"]}
    assert len(samples) == 24 and metadata["media_type"] == "image"
    issues = audit.label_issues.groupby("id")["attribute"].agg(set)
    for sample in samples:
        identity = sample["product"]
        assert {*sample} - {"_id", "_media_type"} <= {*declared}
        assert len(sample["_id"]["$oid"]) == 24 and int(sample["_id"]["$oid"], 16)
        size = Image.open(tmp_path / sample["filepath"]).size
        assert size == (audit.value(identity, "width"), audit.value(identity, "height"))
        assert {*sample["tags"]} == {f"issue:{a}" for a in issues.get(identity, set())}
        for head in audit.heads:
            assert sample[head]["label"] == audit.value(identity, f"{head}_true")
            said = sample[f"{head}_predicted"]
            assert said["label"] == audit.value(identity, f"{head}_predicted")
            assert said["confidence"] == pytest.approx(audit.value(identity, f"{head}_probability"))
            for kind in ("map", "difference"):
                field, heatmap = sample[f"{head}_{kind}"], audit.map(identity, head, kind)
                kind_of = declared[f"{head}_{kind}"]["embedded_doc_type"]
                assert kind_of == "fiftyone.core.labels.Heatmap"
                if heatmap is None:
                    assert field is None
                    continue
                grey = np.asarray(Image.open(tmp_path / field["map_path"]), float)
                peak = np.abs(heatmap).max()
                assert field["_cls"] == "Heatmap" and field["range"] == [0, 255]
                np.testing.assert_allclose((grey - 127.5) / 127.5 * peak, heatmap, atol=peak / 200)


def test_the_command_writes_each_format_into_a_folder(opened, drawn, tmp_path, capsys):
    audit, classifier, _ = opened
    command = ["export", str(audit.folder), "--bundle", str(classifier.bundle.folder),
               "--out", str(tmp_path), "--to"]  # fmt: skip
    assert main([*command, "cleanlab", "coco", "datasets"]) == 0
    assert (tmp_path / "datasets" / "predictions.parquet").exists()
    assert main([*command, "fiftyone"]) == 1
    assert "give --data" in capsys.readouterr().err
    assert main([*command, "fiftyone", "--data", str(drawn)]) == 0
    assert "24 samples; 0 products have no photo here" in capsys.readouterr().out
    assert main([command[0], str(tmp_path), *command[2:], "coco"]) == 1
    assert "no finished audit" in capsys.readouterr().err
