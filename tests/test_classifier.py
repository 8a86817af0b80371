import threading

import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai import ATTRIBUTES, FashionClassifier, ImageError
from fashion_xai.data.images import prepare
from fashion_xai.data.labels import CATEGORY_PATH


@pytest.fixture(scope="module")
def photos():
    return [
        garments.draw(kind, "Green", (80 + 40 * i, 90)) for i, kind in enumerate(garments.KINDS)
    ]


def test_predictions_are_the_softmax_of_the_networks_logits(small, photos):
    answers = small.predict(photos)
    pixels = np.stack([prepare(photo, small.size) for photo in photos])
    outputs = small.bundle.model.predict_on_batch(pixels)
    for i, answer in enumerate(answers):
        assert tuple(answer) == ATTRIBUTES
        for p, logits in zip(answer.values(), outputs, strict=True):
            exact = np.exp(logits[i].astype(np.float64))
            np.testing.assert_allclose(p.logits, logits[i], atol=1e-4)
            np.testing.assert_allclose(p.probabilities, exact / exact.sum(), atol=1e-5)
            labels = small.vocabulary.labels[p.attribute]
            assert (p.label, p.raw_label) == (labels[p.index], labels[p.probabilities.argmax()])
            assert p.probability == p.probabilities[p.index]
            assert small.top(p, 3)[0] == (p.label, p.probability)
        path = tuple(answer[a].label for a in CATEGORY_PATH)
        assert path in small.taxonomy


def test_batches_of_any_size_give_the_same(small_bundle, photos):
    one = FashionClassifier.load(small_bundle)
    one.batch_size = 4  # six photos: a full batch and a partial one
    for a, b in zip(one.predict(photos), [one.predict([p])[0] for p in photos], strict=True):
        for attribute in ATTRIBUTES:
            np.testing.assert_allclose(a[attribute].logits, b[attribute].logits, atol=1e-4)
    assert one.predict([]) == []


def test_a_single_photo_or_a_list(small, photos, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(photos[0]).save(path)
    single = small.explain(path)
    (listed,) = small.explain([path])
    assert tuple(single) == tuple(listed) == ATTRIBUTES
    np.testing.assert_array_equal(single["season"].heatmap, listed["season"].heatmap)
    assert len(small.predict(np.stack([photos[0], photos[0]]))) == 2  # an array of photos


def test_explanations_carry_the_prediction_of_the_same_pass(small, photos):
    (prediction,) = small.predict(photos[:1])
    for attribute, e in small.explain(photos[0], "gradcam").items():
        assert e.target == e.prediction.label == prediction[attribute].label
        np.testing.assert_allclose(e.prediction.logits, prediction[attribute].logits, atol=1e-5)
        assert (e.method, e.layer, e.against) == ("gradcam", "top_activation", None)
        assert e.heatmap.shape == (3, 2) and e.heatmap.dtype == np.float32
        total = e.evidence_for + e.evidence_against
        assert total == pytest.approx(e.heatmap.sum(), abs=1e-5)


def test_other_targets_and_heads(small, photos):
    (e,) = small.explain(
        photos[0], attributes=["articleType"], targets={"articleType": "Dresses"}
    ).values()
    assert e.target == "Dresses"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attributes": ["colour"]}, KeyError, "Unknown attribute.*colour"),
        ({"targets": {"season": "Wintr"}}, KeyError, "'Winter'.*Received: 'Wintr'"),
        ({"against": {"season": "Spring"}}, KeyError, "Received: 'Spring'"),
        ({"targets": {"sesaon": "Winter"}}, KeyError, "Unknown attribute.*sesaon"),
        ({"method": "magic"}, ValueError, "gradcam.*magic"),
    ],
)
def test_wrong_names_are_refused(small, photos, options, error, message):
    with pytest.raises(error, match=message):
        small.explain(photos[0], **options)


def test_a_bad_photo_is_named(small, photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    with pytest.raises(ImageError, match=r"Photo 2 of 2 .*bad\.jpg.*not a photo"):
        small.predict([photos[0], tmp_path / "bad.jpg"])


def test_records_are_read_only(small, photos):
    e = small.explain(photos[0])["gender"]
    with pytest.raises(ValueError, match="read-only"):
        e.heatmap[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        e.prediction.logits[0] = 1
    with pytest.raises(AttributeError):
        e.target = "x"


def test_threads_share_one_classifier(small, photos):
    expected = small.predict(photos)
    wrong = []

    def work(i):
        for _ in range(5):
            (answer,) = small.predict([photos[i]])
            for a in ATTRIBUTES:
                if not np.allclose(answer[a].logits, expected[i][a].logits, atol=1e-4):
                    wrong.append((i, a))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_ships_recognises_drawn_garments(shipped):
    """Drawings are not photos, but a model that sees shape and colour gets the plain ones."""
    drawn = {"tshirt": "Topwear", "trousers": "Bottomwear", "dress": "Dress", "bag": "Bags"}
    answers = shipped.predict([garments.draw(kind, "Red", seed=7) for kind in drawn])
    right = [a["subCategory"].label == sub for a, sub in zip(answers, drawn.values(), strict=True)]
    assert sum(right) >= 3
