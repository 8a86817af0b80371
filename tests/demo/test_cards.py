"""What the page shows, without a browser."""

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from demo.views import cards
from examples import garments
from fashion_xai import ATTRIBUTES, FashionClassifier, ImageError
from fashion_xai.data import images
from fashion_xai.data.labels import Vocabulary
from fashion_xai.maps import methods
from fashion_xai.trust import card as trust_card


@pytest.fixture
def path(tmp_path):
    Image.fromarray(garments.draw("dress", "Red", (900, 300))).save(tmp_path / "dress.png")
    return str(tmp_path / "dress.png")


def analyse(classifier, path):
    photo = images.load(path)
    return cards.analyse(photo, next(classifier.read([photo])))


def test_what_is_kept_holds_no_other_photo(small, path):
    first, second = small.read([path, path])
    assert first.features.base is not None and first.features.base is second.features.base
    kept = cards.analyse(images.load(path), first).forward_pass
    assert kept.features.base is None and all(x.base is None for x in kept.logits.values())
    np.testing.assert_array_equal(kept.features, first.features)


def card(classifier, analysis, attribute, target=None, method=methods.DEFAULT, against=None):
    maps = cards.explain(classifier, analysis, method, {attribute: target}, {attribute: against})
    return cards.card(classifier, maps[attribute])


def shown_map(html: str) -> dict:
    """What ``cards.js`` is given: cells, box, size."""
    return json.loads(unescape(re.search(r'data-map="([^"]+)"', html)[1]))


def test_a_card_shows_the_prediction_and_the_map(small, path):
    analysis = analyse(small, path)
    assert analysis.photo.shape == (480, 160, 3)
    (expected,) = small.predict([path])
    for attribute in ATTRIBUTES:
        html = card(small, analysis, attribute)
        best, *others = small.top(expected[attribute], 3)
        assert f"<b>{best[0]}</b><span>{100 * best[1]:.1f} %</span>" in html
        assert all(f"<span>{label}</span>" in html for label, _ in others)
        e = small.explain(path)[attribute]
        data = shown_map(html)
        np.testing.assert_allclose(data["cells"], e.heatmap, atol=1e-3)
        assert data["box"] == e.box._asdict() and tuple(data["size"]) == small.size
        if e.evidence_for > 0:
            assert f"+{e.evidence_for:.1f} for" in html
    (photo,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', cards.shown_photo(analysis))
    assert Image.open(io.BytesIO(base64.b64decode(photo))).size == (160, 480)
    assert cards.shown_photo(None) == ""


def test_a_first_answer_below_the_second_is_explained(small, path):
    """The joint decoding of the category heads may choose what its head finds less likely."""
    analysis = analyse(small, path)
    e = cards.explain(small, analysis)["articleType"]
    p = e.prediction
    order = np.argsort(-p.probabilities)
    first, second = (p.labels[i] for i in order[:2])
    decided = replace(p, label=second, index=int(order[1]), raw_label=first)
    html = str(cards.card(small, replace(e, prediction=decided)))
    share = f"{100 * p.probabilities.max():.1f} %"
    assert f"<b>{first}</b> alone would score higher ({share})" in html
    assert f"<b>{second}</b> is likelier" in html
    agreed = replace(p, label=first, index=int(order[0]), raw_label=first)
    assert "alone would score" not in str(cards.card(small, replace(e, prediction=agreed)))


def test_another_label_gives_another_map_without_another_pass(small, path, monkeypatch):
    analysis = analyse(small, path)
    monkeypatch.setattr(small, "read", None)  # a forward pass would fail
    shown = {
        label: card(small, analysis, "articleType", label)
        for label in small.vocabulary.labels["articleType"]
    }
    heats = [str(shown_map(html)["cells"]) for html in shown.values()]
    assert len(set(heats)) == len(heats)
    assert all(f"articleType: {label}" in html for label, html in shown.items())


def test_each_method_has_its_map_and_says_what_is_known_of_it(small, path, monkeypatch):
    analysis = analyse(small, path)
    shown = {m: card(small, analysis, "season", None, m) for m in methods.CLOSED}
    assert len({str(shown_map(html)["cells"]) for html in shown.values()}) == len(shown)
    assert all("Not measured how faithful this map is." in html for html in shown.values())
    better = {m: {"mean": 1.0, "low": 0.5, "high": 1.5} for m in trust_card.JUDGED}
    head = {
        "photos": 7,
        "advantages": {"layercam": dict.fromkeys(trust_card.CONTROLS, better)},
        "maps": {n: {m: {"mean": 0.125} for m in trust_card.JUDGED} for n in trust_card.CONTROLS}
        | {"layercam": {m: {"mean": 0.75} for m in trust_card.JUDGED}},
    }
    figures = {a: {"season": head} for a in trust_card.ARRANGEMENTS}
    measured = {"photos": 7, "split": "test", "figures": figures}
    monkeypatch.setattr(small, "bundle", replace(small.bundle, trust=measured))
    html = card(small, analysis, "season", None, "layercam")
    assert "placed anywhere: better than every map" in html and "7 photos" in html
    assert "<summary>trust: beats 5 of 5 controls placed, 5 of 5 centred</summary>" in html
    assert '<th scope="row">this map</th><td>0.75</td>' in html
    assert '<th scope="row">a blob in the centre</th><td>0.12</td>' in html
    assert "Not measured" in card(small, analysis, "season", None, "gradcam")


def test_no_positive_evidence_is_said(small, path):
    analysis = analyse(small, path)
    e = small.explanations(analysis.forward_pass)["gender"]
    weak = replace(e, heatmap=-np.abs(e.heatmap))
    assert f"No positive evidence for <b>{e.target}</b> anywhere" in cards.card(small, weak)


def test_rather_than_one_label_is_the_signed_difference(small, path):
    analysis = analyse(small, path)
    one, other = small.vocabulary.labels["season"][:2]
    html = card(small, analysis, "season", one, "gradcam", other)
    expected = small.explain(path, "gradcam", targets={"season": one}, against={"season": other})[
        "season"
    ]
    np.testing.assert_allclose(shown_map(html)["cells"], expected.heatmap, atol=1e-3)
    assert 'data-signed="1"' in html and f"<b>{one}</b> rather than <b>{other}</b>" in html
    assert "data-signed" not in card(small, analysis, "season", one, "gradcam")


def test_what_is_saved_is_what_is_shown(small, path):
    analysis = analyse(small, path)
    maps = cards.explain(small, analysis, "layercam")
    png, text = cards.sheet_and_json(small, analysis, maps)
    assert Image.open(io.BytesIO(png)).format == "PNG"
    found = json.loads(text)
    assert list(found["maps"]) == list(ATTRIBUTES)
    np.testing.assert_allclose(
        found["maps"]["gender"]["heatmap"], maps["gender"].heatmap, atol=1e-4
    )
    page = cards.result_page(small, analysis, list(maps.values()))
    assert page.count("<figure>") == 6 and "http" not in page
    # A map of another label does not lend that label the answer's probability.
    p = maps["season"].prediction
    (other, _), *_ = p.top(2)[1:]
    shown = cards.explain(small, analysis, "layercam", {"season": other})
    page = cards.result_page(small, analysis, list(shown.values()))
    answer = f"season: {p.label}, {100 * p.probability:.1f} %"
    assert f"{answer}; the map is of {other}<" in page


def test_choices_are_all_labels_best_first(small, path):
    options = cards.choices(cards.explain(small, analyse(small, path)))
    (expected,) = small.predict([path])
    for attribute, pairs in options.items():
        assert sorted(label for _, label in pairs) == list(small.vocabulary.labels[attribute])
        assert pairs[0][1] == expected[attribute].label


def test_labels_are_shown_inert(small, path):
    """A catalogue's labels are data: markup in them must not run in the page."""
    evil = "<img src=x onerror=alert(1)>"
    analysis = analyse(small, path)
    labels = dict(small.vocabulary.labels)
    labels["gender"] = (evil, *labels["gender"][1:])
    strange = FashionClassifier(type(small.bundle)(
        Vocabulary(labels), small.taxonomy, small.bundle.card, small.bundle.folder,
        graph=small.bundle.graph,
    ))  # fmt: skip
    html = card(strange, analysis, "gender", evil)
    assert evil not in html and "&lt;img src=x" in html
    assert "<script>" not in cards.message("<script>")


def test_unusable_files_give_a_sentence(small, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>")
    with pytest.raises(ImageError, match="not a photo"):
        images.load(str(tmp_path / "a.jpg"))


def test_doubt_is_a_sentence_and_part_of_the_answer(small, doubtful_bundle, path):
    doubtful = FashionClassifier.load(doubtful_bundle)
    analysis = analyse(doubtful, path)
    assert "Not sure this is one product" in cards.doubt(doubtful, analysis)
    assert cards.doubt(small, analysis) == ""
    assert cards.answer(doubtful, analysis.forward_pass)["one_product"] is False
    assert cards.answer(small, analysis.forward_pass)["one_product"] is None


def test_what_was_ignored_in_the_file_is_said(small, path):
    analysis = analyse(small, path)
    noted = replace(analysis, notes=("its colour profile is damaged and was ignored",))
    says = str(cards.doubt(small, noted))
    assert "The photo: its colour profile is damaged and was ignored." in says
    assert says != str(cards.doubt(small, analysis))


def test_six_cards_cost_one_call_and_the_api_none_more(small, path, monkeypatch):
    """The category heads are decoded once and each map is made once, pictures included."""
    analysis, calls = analyse(small, path), Counter()
    for name in ("predictions", "explanations"):
        made = getattr(small, name)
        monkeypatch.setattr(
            small, name, lambda *a, made=made, name=name: calls.update([name]) or made(*a)
        )
    maps = cards.explain(small, analysis)
    shown = [cards.card(small, e) for e in maps.values()]
    reply = cards.answer(small, analysis.forward_pass, maps)
    pictures = cards.overlays(small, analysis, maps)
    assert len(shown) == len(reply["maps"]) == len(pictures) == 6
    assert calls == {"predictions": 1, "explanations": 1}
