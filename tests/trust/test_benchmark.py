"""The trust card: rows that survive a kill, paired advantages by hand, summaries in words."""

import json
import shutil

import numpy as np
import pytest

from examples import garments
from fashion_xai.__main__ import main
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.maps import methods
from fashion_xai.models.bundle import TRUST
from fashion_xai.trust import benchmark
from fashion_xai.trust import card as trust_card

FEW = [
    "--photos",
    "3",
    "--sanity",
    "0",
    "--grids",
    "2",
    "--agreement",
    "5",
    "--further",
    "2",
    "--attribute",
    "season",
]


@pytest.fixture(scope="module")
def made(drawn, small_bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("trust")
    args = ["trust", "--bundle", str(small_bundle), "--data", str(drawn), "--out", str(out)]
    assert main([*args, *FEW]) == 0
    return out


def test_the_card_holds_every_map_beside_every_control(made):
    card = json.loads((made / TRUST).read_text(encoding="utf-8"))
    assert (card["split"], card["photos"], card["rejected"]) == ("test", 3, [])
    assert card["heads"]["photos"] == 5 and len(card["heads"]["overlap"]) == 15
    assert card["grid"] == {"grids": 2, "chance": 0.25, "heads": {"season": {}}}  # 3 seasons drawn
    assert "sanity" not in card
    for arrangement in trust_card.ARRANGEMENTS:
        (head,) = card["figures"][arrangement]
        assert head == "season"
        maps = card["figures"][arrangement][head]["maps"]
        assert set(maps) == {*methods.CLOSED, *trust_card.CONTROLS}
        for figures in maps.values():
            assert {"deletion", "insertion", "road", "mufidelity"} <= set(figures)
            assert all(f["low"] <= f["mean"] <= f["high"] for f in figures.values())


def test_the_card_travels_in_the_bundle_until_the_model_changes(
    made, drawn, small_bundle, tmp_path
):
    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    assert FashionClassifier.load(folder).bundle.trust == {}
    args = ["trust", "--bundle", str(folder), "--data", str(drawn), "--out", str(made)]
    assert main([*args, *FEW, "--write-bundle"]) == 0
    loaded = FashionClassifier.load(folder).bundle
    assert trust_card.summary(loaded.trust, "season", "layercam").startswith("Faithful? ")
    other = json.loads((folder / TRUST).read_text(encoding="utf-8")) | {"model": "0" * 64}
    (folder / TRUST).write_text(json.dumps(other), encoding="utf-8")
    assert FashionClassifier.load(folder).bundle.trust == {}


def test_a_killed_run_goes_on_and_ends_with_the_same_card(made, drawn, small_bundle, tmp_path):
    lines = (made / benchmark.ROWS).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 2 * 3
    # Killed in the middle of the fourth row.
    (tmp_path / benchmark.ROWS).write_text(
        "\n".join(lines[:4]) + "\n" + lines[4][:40], encoding="utf-8"
    )
    plan = benchmark.Plan(
        list(methods.CLOSED), ["season"], photos=3, grids=2, agreement=5, further=2
    )
    classifier = FashionClassifier.load(small_bundle)
    card = benchmark.make_card(classifier, Catalogue(drawn), plan, tmp_path)
    assert (tmp_path / benchmark.ROWS).read_text(encoding="utf-8").splitlines() == lines
    assert card == json.loads((made / TRUST).read_text(encoding="utf-8"))


def test_fewer_photos_are_the_first_of_the_same_choice(made, drawn, small_bundle, tmp_path):
    shutil.copy(made / benchmark.ROWS, tmp_path)
    plan = benchmark.Plan(list(methods.CLOSED), ["season"], photos=2)
    classifier = FashionClassifier.load(small_bundle)
    card = benchmark.make_card(classifier, Catalogue(drawn), plan, tmp_path)
    assert card["photos"] == 2
    rows = [
        json.loads(x) for x in (made / benchmark.ROWS).read_text(encoding="utf-8").splitlines()[1:5]
    ]
    expected = benchmark.summarise(rows)["placed"]["season"]["maps"]["gradcam"]["road"]["mean"]
    found = card["figures"]["placed"]["season"]["maps"]["gradcam"]["road"]["mean"]
    assert found == pytest.approx(expected, abs=1e-4)


def test_rows_of_other_settings_are_refused(made, drawn, small_bundle, capsys):
    args = ["trust", "--bundle", str(small_bundle), "--data", str(drawn), "--out", str(made)]
    assert main([*args, "--attribute", "gender"]) == 1
    assert "Give another --out" in capsys.readouterr().err
    assert main([*args, "--attribute", "colour"]) == 2
    assert "expected one of gender" in capsys.readouterr().err
    assert main([*args, "--split", "train"]) == 1  # all its products are test products
    assert "no product of the bundle's train split" in capsys.readouterr().err


def test_heads_measured_one_by_one_make_one_card():
    def card(head, photos, method="gradcam", **other):
        figures = {a: {head: {"photos": photos}} for a in trust_card.ARRANGEMENTS}
        sanity = {"photos": photos, "maps": {method: {head: [photos]}}}
        grid = {"grids": 2, "heads": {head: photos}}
        base = {"model": "m", "split": "test", "figures": figures, "sanity": sanity, "grid": grid}
        return {**base, "rejected": [f"id {photos}"], **other}

    both = benchmark.merged(card("season", 4), card("gender", 9))
    assert [trust_card.photos(both, h) for h in ("season", "gender", "colour")] == [4, 9, 0]
    assert both["sanity"]["maps"] == {"gradcam": {"season": [4], "gender": [9]}}
    assert both["grid"]["heads"] == {"season": 4, "gender": 9}
    assert both["rejected"] == ["id 4", "id 9"]
    again = benchmark.merged(both, card("season", 5, "layercam"))
    assert trust_card.photos(again, "season") == 5
    assert set(again["sanity"]["maps"]) == {"gradcam", "layercam"}
    # One arrangement measured anew leaves the other as it was.
    placed = card("season", 8)
    del placed["figures"]["centred"]
    figures = benchmark.merged(both, placed)["figures"]
    assert [figures[a]["season"]["photos"] for a in trust_card.ARRANGEMENTS] == [4, 8]
    assert figures["centred"]["gender"] == figures["placed"]["gender"] == {"photos": 9}
    # Another catalogue's figures stand beside them, and are merged among themselves.
    named = {**both, "catalogue": "a.zip"}
    beside = benchmark.merged(named, card("gender", 3, catalogue="b.zip"))
    assert trust_card.photos(beside, "gender") == 9
    beside = benchmark.merged(beside, card("season", 2, catalogue="b.zip"))
    assert [trust_card.photos(beside["also"]["b.zip"], h) for h in ("gender", "season")] == [3, 2]
    beside = benchmark.merged(beside, card("season", 7, catalogue="a.zip"))
    assert trust_card.photos(beside, "season") == 7 and "b.zip" in beside["also"]
    for old in ({}, card("gender", 9, model="n"), card("gender", 9, split="train")):
        assert benchmark.merged(old, card("season", 4)) == card("season", 4)


def rows_where(gradcam, control, arrangement="placed"):
    """Five photos on which Grad-CAM and all controls have these figures, a little noise added."""
    rng = np.random.default_rng(0)

    def figures(base):
        return {m: v + rng.normal(0, 0.01) for m, v in base.items()}

    return [
        {
            "id": str(i),
            "arrangement": arrangement,
            "figures": {
                "season": {
                    "gradcam": figures(gradcam),
                    **{c: figures(control) for c in trust_card.CONTROLS},
                }
            },
        }
        for i in range(5)
    ]


GOOD = {"deletion": 0.1, "insertion": 0.8, "road": 0.5, "mufidelity": 0.6}
BAD = {"deletion": 0.3, "insertion": 0.5, "road": 0.1, "mufidelity": 0.2}


def test_advantages_by_hand():
    """Less deletion and more of the rest is better; both count as positive."""
    summary = benchmark.summarise(rows_where(GOOD, BAD))["placed"]["season"]
    against = summary["advantages"]["gradcam"]["centre"]
    expected = {"deletion": 0.2, "insertion": 0.3, "road": 0.4, "mufidelity": 0.4}
    for measure, value in expected.items():
        assert against[measure]["mean"] == pytest.approx(value, abs=0.03)
        assert against[measure]["low"] > 0
    assert summary["maps"]["gradcam"]["road"]["mean"] == pytest.approx(0.5, abs=0.03)


def test_another_catalogues_photos_are_graded_as_they_are():
    other = {"photos": 5, "split": "test", "figures": benchmark.summarise(
        rows_where(GOOD, BAD, "centred"))}  # fmt: skip
    card = {"also": {"phone.zip": other}}
    (sentence,) = trust_card.elsewhere(card, "season", "gradcam")
    assert sentence == ("On 5 photos of phone.zip (test split), as they are: Good, beat 5 of 5.")
    assert trust_card.elsewhere(card, "gender", "gradcam") == []
    assert trust_card.summary(other, "season", "gradcam").startswith(
        "Faithful? Product in the centre: better than every map"
    )
    assert trust_card.grade(other, "season", "gradcam") is None  # nothing was placed


@pytest.mark.parametrize(
    "own, rival, words",
    [
        (GOOD, BAD, "better than every map"),
        (BAD, GOOD, "worse than random cells or a blob in the centre or plain contours or"),
    ],
)
def test_summaries(own, rival, words):
    rows = rows_where(own, rival) + rows_where(GOOD, BAD, "centred")
    card = {"photos": 5, "figures": benchmark.summarise(rows)}
    text = trust_card.summary(card, "season", "gradcam")
    assert text.startswith("Faithful? Product placed anywhere: ") and words in text.split(";")[0]
    assert text.endswith("in the centre: better than every map that knows nothing of the answer.")
    assert trust_card.summary(card, "season", "occlusion") == ""
    assert trust_card.summary({}, "season", "gradcam") == ""
    assert "| *centre* |" in trust_card.markdown(card)
    assert trust_card.badge(card, "season", "occlusion") == ""
    n = 5 if own is GOOD else 0
    word, middle = ("Good", "yes") if own is GOOD else ("Weak", "no")
    assert trust_card.grade(card, "season", "gradcam") == (word, n, middle)
    assert trust_card.badge(card, "season", "gradcam") == (
        f"How reliable is this map? {word}: it beat {n} of 5 simple tests"
    )


def test_the_grid_and_the_places_in_words():
    figure = {"mean": 0.71, "low": 0.66, "high": 0.76}
    place = {"photos": 4, "area": 0.3, "heads": {"gender": figure, "season": figure}}
    card = {
        "photos": 5,
        "figures": {},
        "grid": {"grids": 12, "chance": 0.25, "heads": {"season": {}, "gender": {"cam": figure}}},
        "heads": {"photos": 5, "overlap": {"gender season": 0.5}, "places": {"face": place}},
    }
    text = trust_card.markdown(card)
    assert "| gender | 0.710 (0.660–0.760) |" in text and "| season | – |" in text
    assert "on the face (4 photos have one; it covers 0.300 of them)" in text
    assert "| gender | – | 0.50 |" in text


def test_one_measure_without_a_clear_advantage_is_no_better():
    rows = rows_where(GOOD, BAD) + rows_where(GOOD, BAD, "centred")
    for i, row in enumerate(rows[:5]):
        row["figures"]["season"]["centre"]["deletion"] = 0.1 + (0.1 if i % 2 else -0.1)
    card = {"photos": 5, "figures": benchmark.summarise(rows)}
    text = trust_card.summary(card, "season", "gradcam")
    assert text.startswith(
        "Faithful? Product placed anywhere: no better than a blob in the centre;"
    )


def test_placed_products_are_whole_and_somewhere():
    photo = garments.draw("bag", "Red", (80, 60), seed=1)
    assert benchmark.arrange(photo, "centred", (256, 192), np.random.default_rng(0)) is photo
    places = set()
    for seed in range(8):
        placed = benchmark.arrange(photo, "placed", (256, 192), np.random.default_rng(seed))
        assert placed.shape == (256, 192, 3) and placed.dtype == np.uint8
        red = (placed[..., 0] > 120) & (placed[..., 1] < 70) & (placed[..., 2] < 80)
        assert red.sum() > 500
        places.add(tuple(np.argwhere(red).mean(0).round()))
    assert len(places) == 8
