"""The shelf of similar products: photos of the catalogue that it was trained on, no others."""

import hashlib
import shutil

import numpy as np
import pytest

from demo.views.similar import SIDE, Shelf, agreeing, strip
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from fashion_xai.models.similar import ProductIndex, SimilarProduct


@pytest.fixture(scope="module")
def classifier(small_bundle, drawn, tmp_path_factory):
    """The small bundle with the drawn products to compare with."""
    folder = shutil.copytree(small_bundle, tmp_path_factory.mktemp("similar") / "bundle")
    made, catalogue = FashionClassifier.load(folder), Catalogue(drawn)
    passes = made.read([catalogue.photo(p) for p in catalogue.products])
    labels = [
        made.vocabulary.encode(a, [p.labels[a] for p in catalogue.products])
        for a in made.attributes
    ]
    ids = [p.id for p in catalogue.products]
    index = ProductIndex.fit(np.stack([p.pooled for p in passes]), ids, np.stack(labels, 1))
    bundle.replace_products(folder, index)
    write_split(folder / bundle.SPLIT, dict.fromkeys(ids, "train"), catalogue.products)
    sums = bundle.read_card(folder)["sha256"]
    sums[bundle.SPLIT] = hashlib.sha256((folder / bundle.SPLIT).read_bytes()).hexdigest()
    bundle.update_card(folder, sha256=sums)
    return FashionClassifier.load(folder)


def test_products_stand_there_with_their_photos(classifier, drawn):
    catalogue = Catalogue(drawn)
    product = catalogue.products[3]
    photo = catalogue.photo(product)
    (forward_pass,) = classifier.read([photo])
    near = classifier.similar(forward_pass)
    assert near[0].id == product.id and near[0].labels == product.labels
    shelf = Shelf(classifier, catalogue)
    small = shelf.photo(product.id)
    assert small is not None and max(small.shape) <= SIDE and small.dtype == np.uint8
    assert shelf.photo("../../etc/passwd") is None
    html = strip(near, shelf)
    assert html.count("<li>") == len(near) == html.count('src="data:image/jpeg')
    assert "plain" not in html
    bare = strip(near, Shelf(classifier))
    assert "plain" in bare and "<img" not in bare and bare.count("<li>") == len(near)


def test_another_catalogue_with_the_same_ids_lends_no_photo(classifier, drawn, tmp_path):
    other = shutil.copytree(drawn, tmp_path / "other")
    text = (other / "styles.csv").read_text(encoding="utf-8")
    for one, two in (("Men", "Nobody"), ("Women", "Men"), ("Nobody", "Women")):
        text = text.replace(f",{one},", f",{two},")
    (other / "styles.csv").write_text(text, encoding="utf-8")
    catalogue = Catalogue(other)
    assert Shelf(classifier, catalogue).photo(catalogue.products[3].id) is None


def test_labels_are_escaped_and_nothing_is_said_of_nothing(classifier):
    evil = SimilarProduct("1", 0.5, dict.fromkeys(classifier.attributes, "<script>"))
    assert "<script>" not in strip([evil], Shelf(classifier))
    assert strip([], Shelf(classifier)) == "" and agreeing([], {}) == {}
