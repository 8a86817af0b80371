"""Many products through one network, several passes at once: in order, none lost, none twice."""

import shutil

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.inference import ProductReader


def test_products_come_in_order_with_their_own_answers(small, drawn, tmp_path):
    folder = shutil.copytree(drawn, tmp_path / "catalogue")
    catalogue = Catalogue(folder)
    products = catalogue.products
    broken = products[6:9]  # a whole batch of three
    for product in broken:
        (folder / "images" / f"{product.id}.jpg").write_bytes(b"<html>")
    classifier = FashionClassifier(small.bundle, batch_size=3, threads=1)
    classifier.passes = 3  # whatever cores there are
    reader = ProductReader(classifier, catalogue, products)
    batches = list(reader)
    assert [len(batch) for batch in batches] == [3, 3, 0, 3, 3, 3, 3, 3]
    read = [x for batch in batches for x in batch]
    left = [p for p in products if p not in broken]
    assert [x.product.id for x in read] == [p.id for p in left]
    assert [r.id for r in reader.rejected] == [p.id for p in broken]
    for x in read:
        (alone,) = small.read([catalogue.photo(x.product)])
        np.testing.assert_allclose(
            x.forward_pass.logits["articleType"], alone.logits["articleType"], atol=1e-5
        )
