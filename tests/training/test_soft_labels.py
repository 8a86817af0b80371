"""A teacher's opinion: mixed by hand, matched by label, kept for a resume."""

import keras
import numpy as np
import pytest

from fashion_xai import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.labels import MISSING, Vocabulary
from training.data import packing
from training.data.soft_labels import Teacher, ask
from training.engine.losses import MaskedAccuracy, MaskedCrossentropy


def test_label_and_opinion_are_mixed_by_the_weight():
    soft_labels = [np.array([[0.2, 0.8], [0.5, 0.5], [0, 0]], np.float16)]
    labels = np.array([[0], [MISSING], [1]], np.int32)
    (target,) = Teacher(0.25, soft_labels).targets(np.array([0, 1, 2]), labels)
    # .75 · (1, 0) + .25 · (.2, .8); no label: nothing; no opinion: the label alone.
    np.testing.assert_allclose(target, [[0.8, 0.2], [0, 0], [0, 1]], atol=1e-3)


def test_a_mixed_target_costs_what_keras_says():
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [1.0, 1.0, 1.0]], np.float32)
    target = np.array([[0.7, 0.2, 0.1], [0.0, 0.4, 0.6], [0, 0, 0]], np.float32)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(theirs(target[:2], logits[:2]))  # the last has no label and weighs nothing
    assert float(MaskedCrossentropy(0.1)(target, logits)) == pytest.approx(expected, rel=1e-5)
    metric = MaskedAccuracy()
    metric.update_state(target, logits)
    assert float(metric.result()) == 1


def test_a_weight_of_zero_is_training_on_labels_alone():
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    labels = np.array([[0], [2], [MISSING], [1]], np.int32)
    (target,) = Teacher(0.0, [np.full((4, 3), 1 / 3, np.float16)]).targets(np.arange(4), labels)
    loss = MaskedCrossentropy(0.05, offset=np.array([0.1, 0, -0.1]), weights=np.array([1, 2, 3.0]))
    assert float(loss(target, logits)) == pytest.approx(float(loss(labels[:, 0], logits)))


@pytest.fixture(scope="module")
def asked(drawn, small_bundle, tmp_path_factory):
    catalogue = Catalogue(drawn)
    folder = tmp_path_factory.mktemp("teacher")
    (pack,) = packing.pack(catalogue, [(96, 64)], folder)
    labels = (p.labels for p in catalogue.products)
    known = Vocabulary.fit(labels)
    # A catalogue with one gender more, and other articleTypes in another order.
    more = {**known.labels, "gender": ("Aliens", *known.labels["gender"])}
    vocabulary = Vocabulary(more)
    rows = np.array([2, 5])
    file = folder / "teacher.npz"
    teacher = ask(small_bundle, [(pack.pixels, rows)], vocabulary, 0.5, file)
    return pack, vocabulary, rows, file, teacher


def test_opinions_are_the_bundles_probabilities_under_the_right_labels(asked, small_bundle, drawn):
    pack, _, rows, _, teacher = asked
    classifier = FashionClassifier.load(small_bundle)
    catalogue = Catalogue(drawn)
    for row in rows:
        (answer,) = classifier.predict([catalogue.photo(pack.products[row])])
        gender, article = teacher.soft_labels[0][row], teacher.soft_labels[3][row]
        assert gender[0] == 0
        # decode() may move the category heads' answers, never their probabilities
        np.testing.assert_allclose(gender[1:], answer["gender"].probabilities, atol=2e-3)
        np.testing.assert_allclose(article, answer["articleType"].probabilities, atol=2e-3)
    others = np.setdiff1d(np.arange(len(pack.products)), rows)
    assert not teacher.soft_labels[3][others].any()


def test_a_resumed_run_hears_the_same_without_asking_again(asked, small_bundle):
    pack, vocabulary, rows, file, teacher = asked
    written = file.stat().st_mtime_ns
    again = ask(small_bundle, [(np.zeros_like(pack.pixels), rows)], vocabulary, 0.5, file)
    assert file.stat().st_mtime_ns == written
    for a, b in zip(teacher.soft_labels, again.soft_labels, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_products_of_other_catalogues_are_judged_too(asked, small_bundle, tmp_path):
    pack, vocabulary, rows, _, teacher = asked
    two = [(pack.pixels, rows), (pack.pixels[::-1], np.array([0]))]
    both = ask(small_bundle, two, vocabulary, 0.5, tmp_path / "teacher.npz")
    (last,) = ask(
        small_bundle, [(pack.pixels, np.array([len(pack.pixels) - 1]))], vocabulary, 0.5,
        tmp_path / "last.npz",
    ).soft_labels[3][-1:]  # fmt: skip
    n = len(pack.pixels)
    for a, b in zip(teacher.soft_labels, both.soft_labels, strict=True):
        np.testing.assert_array_equal(a, b[:n])
        assert len(b) == 2 * n and not b[n + 1 :].any()
    np.testing.assert_allclose(both.soft_labels[3][n], last, atol=2e-3)


def test_batches_carry_distributions(asked):
    pack, _, rows, _, teacher = asked
    labels = np.zeros((len(pack.products), 6), np.int32)
    photos = packing.Photos(pack.pixels)
    batch, targets = packing.Batches(photos, rows, labels, 4, teacher=teacher)[0]
    assert len(batch) == 4 and len(targets) == 6
    for target, soft_labels in zip(targets, teacher.soft_labels, strict=True):
        assert target.shape == (4, soft_labels.shape[1])
        np.testing.assert_allclose(target[:2].sum(1), 1, atol=1e-5)
        assert not target[2:].any()  # filled up: weighs nothing
