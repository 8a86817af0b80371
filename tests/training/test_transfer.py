"""Going on from a bundle: what both know stays, the rest starts fresh."""

import keras
import numpy as np

from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.labels import Vocabulary
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model
from training import train
from training.engine.transfer import toward, transfer


def test_weights_move_back_in_a_straight_line(small_bundle):
    source = bundle.load(small_bundle)
    labels = {a: [*labels, "Ponchos"] if a == "articleType" else [*labels]
              for a, labels in source.vocabulary.labels.items()}  # fmt: skip
    vocabulary = Vocabulary(labels)
    model = build_model(vocabulary.sizes, (96, 64))
    before = model.get_layer("articleType").get_weights()[0]
    stem = model.get_layer("stem_conv").get_weights()[0]
    toward(source, model, vocabulary, 0.25)
    after = model.get_layer("articleType").get_weights()[0]
    theirs = source.model.get_layer("articleType").get_weights()[0]
    np.testing.assert_allclose(after[:, :-1], 0.75 * before[:, :-1] + 0.25 * theirs, atol=1e-6)
    np.testing.assert_array_equal(after[:, -1], before[:, -1])  # a label the bundle does not know
    expected = 0.75 * stem + 0.25 * source.model.get_layer("stem_conv").get_weights()[0]
    np.testing.assert_allclose(model.get_layer("stem_conv").get_weights()[0], expected, atol=1e-6)


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


def test_training_goes_on_from_a_bundle_and_says_so_in_the_card(small_bundle, drawn, tmp_path):
    split = {p.id: ("validation" if i % 6 == 0 else "train")
             for i, p in enumerate(Catalogue(drawn).products)}  # fmt: skip
    write_split(tmp_path / "split.csv", split)
    args = ["--data", str(drawn), "--out", str(tmp_path / "run"), "--cache", str(tmp_path),
            "--init", str(small_bundle), "--split-file", str(tmp_path / "split.csv"),
            "--stages", "64x64:1:1e-9:block6d_add", "--weight-decay", "0", "--batch-size", "8",
            "--augment", "none", "--backgrounds", "0", "--measure-step", "--no-onnx",
            "--teacher", str(small_bundle)]  # fmt: skip
    assert train.main(args) == 0
    card = bundle.read_card(tmp_path / "run" / "bundle")
    parent = bundle.read_card(small_bundle)
    assert card["configuration"]["init"] == parent["sha256"][bundle.MODEL]
    assert card["configuration"]["teacher"] == parent["sha256"][bundle.MODEL]
    assert (tmp_path / "run" / "teacher.npz").exists()
    assert card["configuration"]["weights"] is None
    assert "continued_from" in card and card["split"]["kind"] == "file"
    mine, theirs = (bundle.load(f).model for f in (tmp_path / "run" / "bundle", small_bundle))
    kernel, start = (m.get_layer("articleType").get_weights()[0] for m in (mine, theirs))
    np.testing.assert_allclose(kernel, start, atol=1e-5)  # the rate was next to nothing
    assert train.main([*args, "--init", str(tmp_path / "absent")]) == 1
