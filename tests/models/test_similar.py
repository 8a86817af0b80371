"""Similar products: neighbours against scikit-learn's, and what a bundle does with its file."""

import shutil

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from examples import garments
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.labels import MISSING
from fashion_xai.models import bundle
from fashion_xai.models.similar import ProductIndex, SimilarProduct, agreement


def some(n=40, channels=12, heads=6, seed=0):
    rng = np.random.default_rng(seed)
    pooled = rng.normal(size=(n, channels)).astype(np.float32)
    return pooled, [f"p{i}" for i in range(n)], rng.integers(0, 2, (n, heads))


def test_the_nearest_are_those_of_scikit_learn():
    pooled, ids, labels = some()
    index = ProductIndex.fit(pooled, ids, labels, size=12)  # all there is: a rotation
    asked = some(seed=1)[0][:5]
    places, cosines = index.nearest(asked, 7)
    mean = pooled.mean(0)
    nearest = NearestNeighbors(n_neighbors=7, metric="cosine").fit(pooled - mean)
    distances, expected = nearest.kneighbors(asked - mean)
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_allclose(cosines, 1 - distances, atol=2e-3)  # float16
    assert index.nearest(asked, 99)[0].shape == (5, 40)


def test_of_copies_of_a_photo_one_is_named():
    pooled, ids, labels = some()
    pooled[1] = pooled[0]
    index = ProductIndex.fit(pooled, ids, labels, size=12)
    places, cosines = index.nearest(pooled[:1], 5)
    assert len({0, 1} & {*places[0]}) == 1
    assert cosines[0, 0] > 0.999 > cosines[0, 1] and (np.diff(cosines[0]) <= 0).all()
    assert {0, 1} <= {*index.nearest(pooled[:1], 40)[0][0]}  # nothing is lost where all are asked


def test_fewer_numbers_keep_the_directions_of_most_variance():
    pooled, ids, labels = some()
    pooled[:, 3] *= 50
    index = ProductIndex.fit(pooled, ids, labels, size=1)
    assert np.abs(index.projection[:, 0]).argmax() == 3
    assert index.embeddings.shape == (40, 1)


def test_agreement_counts_labels_and_leaves_out_what_is_unknown():
    products = [
        SimilarProduct("1", 0.9, {"season": "Fall", "gender": None}),
        SimilarProduct("2", 0.8, {"season": "Fall", "gender": None}),
        SimilarProduct("3", 0.7, {"season": "Summer", "gender": "Men"}),
    ]
    found = agreement(products, {"season": "Fall", "gender": "Women"})
    assert found == {"season": (2, 3), "gender": (0, 1)}


def test_other_arrays_are_refused(tmp_path):
    pooled, ids, labels = some()
    with pytest.raises(ValueError, match="as many features, ids and labels"):
        ProductIndex.fit(pooled, ids[:-1], labels)
    file = tmp_path / "similar.npz"
    file.write_bytes(ProductIndex.fit(pooled, ids, labels).to_bytes())
    ProductIndex.load(file, 6)
    with pytest.raises(ValueError, match=r"labels: expected the shape \(40, 3\)"):
        ProductIndex.load(file, 3)
    np.savez(file, other=np.zeros(3))
    with pytest.raises(ValueError, match="expected the arrays"):
        ProductIndex.load(file, 6)


def test_a_bundle_names_products_like_a_photo(small_bundle, tmp_path):
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    classifier = FashionClassifier.load(folder)
    drawn = [garments.draw(kind, "Red") for kind in ("bag", "shirt", "dress")]
    passes = list(classifier.read(drawn))
    assert classifier.similar(passes[0]) == []
    labels = np.full((3, len(classifier.attributes)), MISSING)
    labels[:, 0] = [0, 1, 0]
    index = ProductIndex.fit(
        np.stack([p.pooled for p in passes]), ["bag", "shirt", "dress"], labels
    )
    bundle.replace_products(folder, index)
    again = FashionClassifier.load(folder)
    (first, *others) = again.similar(passes[1], k=2)
    assert first.id == "shirt" and first.similarity == pytest.approx(1, abs=2e-3)
    gender = classifier.vocabulary.labels[classifier.attributes[0]]
    assert first.labels[classifier.attributes[0]] == gender[1]
    assert first.labels[classifier.attributes[1]] is None and len(others) == 1
    (folder / bundle.SIMILAR).write_bytes(b"something else")
    with pytest.raises(bundle.BundleError, match="was changed"):
        FashionClassifier.load(folder)
