"""Label issues: flipped ones come first, and every reason is in words."""

import csv

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.audit.label_issues import label_quality, rank
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model, cam_layer, set_weights

PER_KIND, FLIPPED = 40, 0.03


@pytest.fixture(scope="module")
def flipped(tmp_path_factory, shipped):
    """A drawn catalogue with 3 % of its articleTypes flipped, audited by a model that knows drawn
    garments: the shipped features under heads fitted to the true labels of half of them."""
    folder = garments.write_catalogue(tmp_path_factory.mktemp("flips") / "data", PER_KIND)
    catalogue = Catalogue(folder)
    products = catalogue.products
    vocabulary = Vocabulary.fit(p.labels for p in products)
    forward_passes = shipped.read([catalogue.photo(p) for p in products])
    pooled = np.stack([r.features.mean((0, 1)) for r in forward_passes])
    model = build_model(vocabulary.sizes, shipped.size)
    backbone = [w for layer in shipped.bundle.model.layers if layer.name not in shipped.attributes
                for w in layer.get_weights()]  # fmt: skip
    heads = []
    for head, labels in vocabulary.labels.items():
        truth = vocabulary.encode(head, [p.labels[head] for p in products])
        fitted = LogisticRegression(C=1.0, max_iter=300).fit(pooled[::2], truth[::2])
        kernel, bias = fitted.coef_.T, fitted.intercept_
        if len(labels) == 2:
            kernel, bias = np.hstack([-kernel, kernel]) / 2, np.r_[-bias, bias] / 2
        heads += [kernel, bias]
    set_weights(model, [*backbone, *heads])
    out = tmp_path_factory.mktemp("flips-out")
    card = {"cam_layer": cam_layer(), "input_size": list(shipped.size), "metrics": {}}
    (out / "split.csv").write_text("id,split\n", encoding="utf-8")
    taxonomy = Taxonomy.fit(p.labels for p in products)
    bundle.save(out / "bundle", model, vocabulary, taxonomy, card, out / "split.csv")

    rng = np.random.default_rng(0)
    chosen = rng.choice(len(products), round(FLIPPED * len(products)), replace=False)
    with (folder / "styles.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    place = header.index("articleType")
    for i in chosen:
        others = [x for x in vocabulary.labels["articleType"] if x != rows[i][place]]
        rows[i][place] = str(rng.choice(others))
    garments.write_table(folder, rows)
    classifier = FashionClassifier.load(out / "bundle")
    engine.run(classifier, Catalogue(folder), out / "audit")
    keras.backend.clear_session()
    return Audit(out / "audit"), {rows[i][0] for i in chosen}


def test_most_flipped_labels_are_in_the_first_twentieth(flipped):
    opened, ids = flipped
    listed = opened.label_issues[opened.label_issues["attribute"] == "articleType"]
    first = set(listed["id"][: round(0.05 * len(opened.table))])
    assert len(ids) == round(FLIPPED * 6 * PER_KIND)
    assert len(first & ids) >= 0.6 * len(ids)


def test_the_reasons_name_what_speaks_against_the_label(flipped):
    opened, ids = flipped
    listed = opened.label_issues.set_index(["id", "attribute"])
    found = [listed.loc[(i, "articleType")] for i in ids if (i, "articleType") in listed.index]
    assert all(row["label"] != row["suggested"] for row in found)
    assert any("the network says" in row["reasons"] for row in found)
    assert any("nowhere else do" in row["reasons"] for row in found)
    assert (listed["score"].diff().dropna() <= 0).all()


def test_quality_by_hand():
    """(p of the label − best other p + 1) / 2; what cannot be judged is NaN."""
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [1, 0, 0]])
    found = label_quality(("a", "b", "c"), ["a", "c", None, "unknown"], p)
    np.testing.assert_allclose(found[:2], [(0.7 - 0.2 + 1) / 2, (0.3 - 0.6 + 1) / 2], atol=1e-6)
    assert np.isnan(found[2:]).all()


def test_near_duplicates_with_other_labels_are_named():
    """Two near-duplicates that disagree, one with their hash that looks different, one alone."""
    embedding = [np.array(x, float) for x in ([1, 0], [1, 0.01], [0, 5], [3, 3])]
    table = pd.DataFrame(
        {
            "id": list("wxyz"),
            "fingerprint": [7, 7, 7, 8],
            "embedding": embedding,
            "season_true": ["Summer", "Fall", "Winter", "Summer"],
            "season_predicted": ["Summer", "Summer", "Winter", "Summer"],
            "season_probability": [0.9, 0.8, 0.9, 0.9],
            "season_true_probability": [0.9, 0.15, 0.9, 0.9],
            "season_quality": [0.9, 0.2, 0.9, 0.9],
        }
    )
    ranked = rank(table, ["season"], Taxonomy(frozenset()))
    assert ranked["id"].tolist() == ["x", "w"]
    assert ranked["reasons"][0] == (
        "the network says Summer (80%), Fall gets 15.0%; "
        "the same photo is labelled Summer elsewhere"
    )
    assert ranked["score"].tolist() == pytest.approx([0.8 + 0.3, 0.3])
