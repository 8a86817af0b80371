"""Going on from a bundle: what both know stays, the rest starts fresh."""

import keras
import numpy as np

from fashion_xai import bundle
from fashion_xai.labels import Vocabulary
from fashion_xai.model import build_model
from training.transfer import transfer


def test_the_same_labels_give_the_same_network(small_bundle):
    source = bundle.load(small_bundle)
    model = build_model(source.vocabulary.sizes, (96, 64))
    kept = transfer(source, model, source.vocabulary)
    assert kept == source.vocabulary.sizes
    photos = np.random.default_rng(0).uniform(0, 255, (2, 96, 64, 3)).astype(np.float32)
    for mine, theirs in zip(model.predict_on_batch(photos), source.model.predict_on_batch(photos)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_shared_labels_keep_their_weights_others_start_fresh(small_bundle):
    source = bundle.load(small_bundle)
    theirs = source.vocabulary.labels["articleType"]
    labels = {
        "articleType": sorted([*theirs[1:], "Ponchos"]),
        "material": ["Cotton", "Wool"],
    }
    vocabulary = Vocabulary.from_json(labels)
    keras.utils.set_random_seed(1)
    model = build_model(vocabulary.sizes, (96, 64))
    fresh = {name: model.get_layer(name).get_weights()[0] for name in labels}
    assert transfer(source, model, vocabulary) == {"articleType": len(theirs) - 1, "material": 0}
    kernel = model.get_layer("articleType").get_weights()[0]
    old = source.model.get_layer("articleType").get_weights()[0]
    for label in theirs[1:]:
        mine = vocabulary.index("articleType", label)
        np.testing.assert_array_equal(kernel[:, mine], old[:, theirs.index(label)])
    new = vocabulary.index("articleType", "Ponchos")
    np.testing.assert_array_equal(kernel[:, new], fresh["articleType"][:, new])
    np.testing.assert_array_equal(model.get_layer("material").get_weights()[0], fresh["material"])
