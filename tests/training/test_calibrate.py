"""Recovering what was planted, and the bundle that a fit leaves."""

import json
import shutil

import numpy as np
import pytest

from examples import garments
from fashion_xai import FashionClassifier, metrics
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from fashion_xai.models.decoding import softmax
from fashion_xai.models.ood import OODScore
from training import calibrate
from training.engine.losses import log_prior
from training.evaluation.ood import OOD_SAMPLES
from training.evaluation.predictions import Seen

RNG = np.random.default_rng(0)


def labelled(n: int, k: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits too sure by ``temperature``, and truths drawn from the honest probabilities."""
    honest = RNG.normal(0, 2, (n, k))
    truth = (softmax(honest).cumsum(1) > RNG.random((n, 1))).argmax(1)
    return truth, honest * temperature


def test_a_planted_temperature_is_found():
    truth, logits = labelled(20_000, 6, 2.5)
    assert calibrate.fit_temperature(truth, logits) == pytest.approx(2.5, rel=0.03)
    truth[::2] = -1  # missing labels do not count
    assert calibrate.fit_temperature(truth, logits) == pytest.approx(2.5, rel=0.05)


def test_a_planted_shift_of_the_prior_is_taken_back():
    """A net that leans too far towards frequent labels loses the rare ones; the fit finds them."""
    prior = log_prior(np.repeat(np.arange(4), [900, 80, 15, 5]), 4)
    truth = RNG.integers(0, 4, 4000)
    fair = 3 * np.eye(4)[truth] + RNG.normal(0, 1, (4000, 4))
    leaning = fair + 0.5 * prior
    fit = calibrate.fit_head(truth, leaning, prior)
    assert fit["strength"] == pytest.approx(0.5, abs=0.15)
    assert fit["after"]["macro_f1"] > fit["before"]["macro_f1"]
    assert calibrate.choose_strengths(truth, fair, prior)[0] == pytest.approx(0, abs=0.1)


def test_rare_labels_have_a_strength_of_their_own():
    """What was planted is taken back: too much for the one of two frequent labels that is rarer,
    too little for a rare one. One strength for all cannot."""
    prior = np.log([0.8, 0.19999, 0.00001])
    truth = np.repeat([0, 1, 2], [800, 200, 50])
    fair = 3 * np.eye(3)[truth] + RNG.normal(0, 1, (len(truth), 3))
    leaning = fair + calibrate.adjustment(prior, 0.5, -0.8)  # for the second, not the third
    strength, rare = calibrate.choose_strengths(truth, leaning, prior)
    assert strength <= -0.2 and rare >= 0.5
    both = leaning + calibrate.adjustment(prior, strength, rare)
    alike = [leaning - s * prior for s in calibrate.STRENGTHS]
    f1 = [metrics.macro_f1(truth, x.argmax(1)) for x in (both, *alike)]
    assert f1[0] > max(f1[1:])
    fit = calibrate.fit_head(truth, leaning, prior)
    assert (fit["strength"], fit["rare_strength"]) == (strength, rare)
    np.testing.assert_allclose(np.ptp(fit["offset"] - (both - leaning), axis=1), 0, atol=1e-9)
    assert fit["after"]["macro_f1"] == pytest.approx(f1[0])


def test_two_equal_strengths_are_the_plain_adjustment():
    """−s · log p (Menon et al. 2021, equation 9), and by hand where they differ."""
    prior = np.log([0.5, 0.493, 0.006, 0.001])
    ours = calibrate.adjustment(prior, 0.3, 0.3)
    np.testing.assert_allclose(ours, -0.3 * prior)
    knee = np.log(calibrate.RARE)
    np.testing.assert_allclose(
        calibrate.adjustment(prior, -0.2, 0.6),
        [0.2 * prior[0], 0.2 * prior[1], 0.2 * knee - 0.6 * (prior[2] - knee),
         0.2 * knee - 0.6 * (prior[3] - knee)],
    )  # fmt: skip


def test_a_head_without_rare_labels_has_one_strength():
    truth = RNG.integers(0, 2, 500)
    logits = RNG.normal(0, 1, (500, 2))
    assert calibrate.choose_strengths(truth, logits, np.log([0.6, 0.4]))[1] == 0


def test_macro_f1_may_cost_a_tenth_of_a_point_of_accuracy_and_no_more():
    """Of 1,000 products 10 are rarer; at a strength of 0.5 and more they are found, for a price."""
    prior = np.log([0.99, 0.01])
    truth = np.repeat([0, 1], [990, 10])
    gap = np.full(1000, 9.0)  # of the frequent label's logit over the rare one's
    gap[990:] = 0.48 * (prior[0] - prior[1])
    for price, strength in ((1, 0.5), (2, 0.0)):
        dear = gap.copy()
        dear[: 10 + price] = gap[-1]  # 10 + price are taken for rare: accuracy falls by `price`
        logits = np.stack([dear, np.zeros(1000)], 1)
        assert calibrate.choose_strengths(truth, logits, prior) == (strength, 0.0)


def test_ece_by_hand():
    """Two bins: three answers at .8, two right; one at .3, wrong: (3·|.8−2/3| + 1·.3) / 4."""
    confidence = np.array([0.8, 0.8, 0.8, 0.3])
    right = np.array([True, True, False, False])
    assert metrics.ece(confidence, right, bins=2) == pytest.approx((0.4 + 0.3) / 4)
    assert metrics.ece(np.array([1.0]), np.array([True])) == 0


def test_a_perfectly_calibrated_model_has_the_ece_at_best():
    truth, logits = labelled(3000, 5, 1.0)
    confidence, right = metrics.confidences(truth, softmax(logits))
    best = metrics.ece_at_best(confidence)
    assert 0 < best < 0.03 and abs(metrics.ece(confidence, right) - best) < 0.012


def test_confidences_follow_the_answers_given():
    p = np.array([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    confidence, right = metrics.confidences(np.array([0, 1, -1]), p, np.array([0, 0, 0]))
    np.testing.assert_allclose(confidence, [0.2, 0.6])
    assert right.tolist() == [True, False]


def test_the_ood_score_and_its_threshold_by_hand():
    logits = {"a": np.array([[3.0, 0.0], [0.0, 0.0]]), "b": np.array([[5.0, 5.0], [9.0, 1.0]])}
    expected = np.log(np.exp([1.5, 0]) + np.exp([-1.5, 0])) + np.log(
        np.exp([0, 4]) + np.exp([0, -4])
    )
    np.testing.assert_allclose(OODScore.plain("ab").score(np.zeros((2, 3)), logits), expected)
    weighted = OODScore(np.array([1.0, 0, 2]), {"b": 0.0, "a": 0.0}, 0.5)
    np.testing.assert_allclose(
        weighted.score(np.array([[1.0, 9, 3], [0, 0, 0]]), logits), [7.5, 0.5]
    )
    own = RNG.normal(6, 1, 1000)
    fit = calibrate.choose_threshold({"products": own}, {"far": own[:50] - 9, "same": own})
    assert (own >= fit["threshold"]).mean() == pytest.approx(0.98, abs=0.003)
    assert fit["products"]["products"] == pytest.approx(0.02, abs=0.003)
    assert fit["ood_samples"]["same"]["auroc"] == pytest.approx(0.5)
    assert fit["ood_samples"]["far"] == {"auroc": 1, "doubted": 1, "pictures": 50}
    # Another catalogue's products score lower: 94 % of them are kept, and more of the first.
    fit = calibrate.choose_threshold({"products": own, "phone": own - 3}, {"far": own - 9})
    assert fit["products"]["phone"] == pytest.approx(0.06, abs=0.003)
    assert fit["products"]["products"] == 0


def test_the_score_is_fitted_where_energy_alone_cannot_tell():
    """Products and OOD samples with equal energies differ in one pooled channel."""

    def seen(channel, n=300):
        pooled = RNG.normal(0, 1, (n, 5))
        pooled[:, 2] += channel
        return Seen({"a": RNG.normal(0, 1, (n, 4))}, pooled, [], [])

    products, ood_samples = seen(4), seen(0)
    score = calibrate.fit_score(products, ood_samples)
    assert score.pooled.argmax() == 2
    inside, outside = (score.score(x.pooled, x.logits) for x in (products, ood_samples))
    assert ((inside > 0).mean() + (outside < 0).mean()) / 2 > 0.95
    again = OODScore.from_json(json.loads(json.dumps(score.to_json())), "a", 5)
    np.testing.assert_allclose(again.score(products.pooled, products.logits), inside, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [{"pooled": [1, 2]}, {"pooled": ["x"] * 5}, {"energies": {"b": 1}}, {"energies": [1]},
     {"bias": float("nan")}, {"pooled": {}}],
)  # fmt: skip
def test_weights_of_another_form_are_refused(change):
    good = {"pooled": [0.0] * 5, "energies": {"a": 1.0}, "bias": 0.0}
    OODScore.from_json(good, "a", 5)
    with pytest.raises(ValueError, match="expected"):
        OODScore.from_json({**good, **change}, "a", 5)


@pytest.mark.parametrize("name", OOD_SAMPLES)
def test_strangers_are_pictures_and_repeat(name):
    photos = [garments.draw(kind, size=(80, 60)) for kind in garments.KINDS]
    one, other = (OOD_SAMPLES[name](np.random.default_rng(3), photos) for _ in range(2))
    assert one.shape == (256, 192, 3) and one.dtype == np.uint8 and one.std() > 1
    np.testing.assert_array_equal(one, other)


@pytest.fixture
def split_bundle(small_bundle, tmp_path):
    data = garments.write_catalogue(tmp_path / "catalogue", per_kind=8)
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    sides = ["train", "validation"]
    split = {p.id: sides[i % 2] for i, p in enumerate(Catalogue(data).products)}
    write_split(tmp_path / "split.csv", split)
    loaded = bundle.load(folder)
    bundle.save(folder, loaded.model, loaded.vocabulary, loaded.taxonomy, loaded.card,
                tmp_path / "split.csv")  # fmt: skip
    return folder, data


def test_the_bundle_carries_the_fit_and_its_maps_stay_exact(split_bundle, capsys):
    folder, data = split_bundle
    before = FashionClassifier.load(folder)
    assert calibrate.main(["--bundle", str(folder), "--data", str(data)]) == 0
    assert "| articleType |" in capsys.readouterr().out
    after = FashionClassifier.load(folder)
    card = after.bundle.card
    assert set(card["temperatures"]) == set(after.attributes)
    (forward_pass,) = after.read([garments.draw("bag")])
    ood_score = after.ood_score
    score = ood_score.score(
        forward_pass.pooled, {a: x[None] for a, x in forward_pass.logits.items()}
    )[0]
    assert ood_score.pooled.shape == (1280,)
    assert after.is_one_product(forward_pass) == (score >= card["abstention"]["threshold"])
    assert before.is_one_product(forward_pass) is None
    photo = garments.draw("bag")
    (p,) = after.predict([photo])
    for attribute, e in after.explain(photo, "gradcam").items():
        shift = after.biases[attribute] - before.biases[attribute]
        (old,) = before.predict([photo])
        np.testing.assert_allclose(p[attribute].logits, old[attribute].logits + shift, atol=1e-4)
        expected = softmax(p[attribute].logits, card["temperatures"][attribute])
        np.testing.assert_allclose(p[attribute].probabilities, expected, rtol=1e-4)
        target = after.vocabulary.index(attribute, e.target)
        total = e.heatmap.sum() + after.biases[attribute][target]
        assert total == pytest.approx(p[attribute].logits[target], abs=1e-3)


@pytest.mark.parametrize("legacy", [False, True])
def test_the_card_of_a_bundle_calibrated_again_says_what_all_its_fits_added(small_bundle, legacy):
    """Its strengths are the sums over the fits; where the first was made before rare labels had
    one of their own, its only one counts for both."""
    loaded = bundle.load(small_bundle)
    bias = loaded.model.get_layer("articleType").bias
    prior = np.log([0.6, 0.3, 0.092, 0.004, 0.003, 0.001])  # the last three are rare
    untouched = np.array(bias)
    first = {"strength": 0.3} if legacy else {"strength": 0.3, "rare_strength": -0.4}
    bias.assign_add(calibrate.adjustment(prior, 0.3, first.get("rare_strength", 0.3)))
    loaded.card["calibration"] = {"articleType": first}
    offset = calibrate.adjustment(prior, 0.2, 0.7)
    again = {"strength": 0.2, "rare_strength": 0.7, "offset": offset, "temperature": 1.0}
    fits = {"articleType": {**again, "before": {}, "after": {}}}
    made = calibrate._with(loaded, fits, OODScore.plain(["articleType"]), {"threshold": 0}, {})
    says = made.card["calibration"]["articleType"]
    assert says["strength"] == pytest.approx(0.5)
    assert says["rare_strength"] == pytest.approx(1.0 if legacy else 0.3)
    expected = calibrate.adjustment(prior, says["strength"], says["rare_strength"])
    added = np.array(made.model.get_layer("articleType").bias) - untouched
    np.testing.assert_allclose(added, expected, atol=1e-5)


def test_without_validation_products_nothing_is_written(small_bundle, drawn, capsys):
    before = (small_bundle / "card.json").read_bytes()
    assert calibrate.main(["--bundle", str(small_bundle), "--data", str(drawn)]) == 1
    assert "no product of the bundle's train split" in capsys.readouterr().err
    assert (small_bundle / "card.json").read_bytes() == before


def test_a_head_without_labels_in_validation_is_left_as_it_is(split_bundle, capsys):
    folder, data = split_bundle
    table = (
        (data / "styles.csv")
        .read_text(encoding="utf-8")
        .replace("Winter", "")
        .replace("Summer", "")
    )
    (data / "styles.csv").write_text(table.replace(",Fall,", ",,"), encoding="utf-8")
    before = FashionClassifier.load(folder)
    assert calibrate.main(["--bundle", str(folder), "--data", str(data)]) == 0
    assert "no validation product has a label: season" in capsys.readouterr().out
    after = FashionClassifier.load(folder)
    np.testing.assert_array_equal(after.biases["season"], before.biases["season"])
    assert "season" not in after.bundle.card["temperatures"]
