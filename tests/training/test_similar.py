"""Similar products are made from the training side and judged on the validation side."""

import hashlib
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from training import similar


@pytest.fixture
def divided(drawn, small_bundle, tmp_path):
    """A bundle whose split puts every third drawn product on the validation side."""
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    products = Catalogue(drawn).products
    split = {p.id: "train" if i % 3 else "validation" for i, p in enumerate(products)}
    write_split(folder / bundle.SPLIT, split, products)
    sums = bundle.read_card(folder)["sha256"]
    sums[bundle.SPLIT] = hashlib.sha256((folder / bundle.SPLIT).read_bytes()).hexdigest()
    bundle.update_card(folder, sha256=sums)
    return folder, split


def test_training_products_are_kept_and_their_worth_is_told(divided, drawn, capsys):
    folder, split = divided
    assert similar.main(["--bundle", str(folder), "--data", str(drawn), "--size", "8", "-q"]) == 0
    loaded = bundle.load(folder)
    assert set(loaded.products.ids) == {i for i, side in split.items() if side == "train"}
    kept = loaded.card["similar"]
    asked = sum(side == "validation" for side in split.values())
    assert (kept["size"], kept["split"]) == (8, "validation")
    assert all(head["photos"] <= asked for head in kept["heads"].values())
    assert "Area under the ROC curve, validation split" in capsys.readouterr().out

    # One head's figures again, from the classifier's own answers.
    classifier = FashionClassifier.load(folder)
    catalogue = Catalogue(drawn)
    (head, figures) = next((h, x) for h, x in kept["heads"].items() if "agreement" in x)
    right, p, agree = [], [], []
    for product in catalogue.products:
        if split[product.id] != "validation" or product.labels[head] is None:
            continue
        (forward_pass,) = classifier.read([catalogue.photo(product)])
        answer = classifier.predictions(forward_pass)[head]
        near = [x.labels[head] for x in classifier.similar(forward_pass)]
        right.append(answer.label == product.labels[head])
        p.append(answer.probability)
        agree.append(near.count(answer.label) / max(1, sum(x is not None for x in near)))
    assert figures["right"] == pytest.approx(np.mean(right))
    assert figures["probability"] == pytest.approx(roc_auc_score(right, p), abs=0.01)
    assert figures["agreement"] == pytest.approx(roc_auc_score(right, agree), abs=0.02)


def test_a_catalogue_it_was_not_trained_on_is_refused(small_bundle, drawn, tmp_path, capsys):
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    assert similar.main(["--bundle", str(folder), "--data", str(tmp_path / "no")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert similar.main(["--bundle", str(folder), "--data", str(drawn)]) == 1  # test products only
    assert "error: " in capsys.readouterr().err
    assert not (folder / bundle.SIMILAR).exists()
