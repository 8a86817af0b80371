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

from demo.views import cards, words
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
    return cards.card(classifier, maps[attribute], answers(maps))


def answers(maps):
    return {a: e.prediction for a, e in maps.items()}


def shown_map(html: str) -> dict:
    """What ``cards.js`` is given: cells, box, size."""
    return json.loads(unescape(re.search(r'data-map="([^"]+)"', html)[1]))


def test_a_card_shows_the_prediction_and_the_map(small, path):
    analysis = analyse(small, path)
    assert analysis.photo.shape == (480, 160, 3)
    (expected,) = small.predict([path])
    for attribute in ATTRIBUTES:
        html = card(small, analysis, attribute)
        p = expected[attribute]
        best, *others = small.top(p, 3)
        share = p.probability if p.raw_label == p.label else p.together[p.index]
        assert f"<b>{best[0]}</b><span>{100 * share:.1f} %</span>" in html
        others = others if p.raw_label == p.label else []
        assert all(f"<span>{label}</span>" in html for label, _ in others)
        e = small.explain(path)[attribute]
        data = shown_map(html)
        np.testing.assert_allclose(data["cells"], e.heatmap, atol=1e-3)
        assert data["box"] == e.box._asdict() and tuple(data["size"]) == small.size
        assert f"<h3>{words.title(attribute)}</h3>" in html and attribute not in words.title(
            attribute
        )
        assert f"+{e.evidence_for:.1f} for" in html
        assert ('class="weak"' in html) == (e.evidence_for < words.WEAK)
    (photo,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', cards.shown_photo(analysis))
    assert Image.open(io.BytesIO(base64.b64decode(photo))).size == (160, 480)
    assert cards.shown_photo(None) == ""


def test_the_first_answer_has_the_largest_figure_and_why_is_said(small, path):
    """The joint decoding of the category heads may choose what its head finds less likely."""
    analysis = analyse(small, path)
    decided = overruled(small, analysis.forward_pass)
    maps = cards.explain(small, replace(analysis, forward_pass=decided))
    p = maps["articleType"].prediction
    assert p.raw_label != p.label
    html = str(cards.card(small, maps["articleType"], answers(maps)))
    share = f"{100 * p.probabilities.max():.1f} %"
    assert f"<b>{p.raw_label}</b> alone would score higher ({share}), but not together with" in html
    assert f"<b>{maps['masterCategory'].prediction.label}</b>" in html
    figures = [float(x) for x in re.findall(r"<span>([\d.]+) %</span>", html)]
    assert figures == sorted(figures, reverse=True) and len(figures) == 3
    assert f"<b>{p.label}</b><span>{100 * p.together[p.index]:.1f} %</span>" in html
    agreed = cards.explain(small, analysis)
    for e in agreed.values():
        if e.prediction.raw_label == e.prediction.label:
            assert "alone would score" not in str(cards.card(small, e, answers(agreed)))


def overruled(classifier, forward_pass):
    """A forward pass in which articleType alone says something that fits no other category."""
    logits = {a: x.copy() for a, x in forward_pass.logits.items()}
    triples = sorted(classifier.taxonomy.triples)
    master, sub, article = triples[0]
    other = next(t[2] for t in triples if t[0] != master)
    for a, label, size in (
        ("masterCategory", master, 8), ("subCategory", sub, 8), ("articleType", article, 3),
        ("articleType", other, 4),
    ):  # fmt: skip
        logits[a] = logits[a] * 0 if size != 4 else logits[a]
        logits[a][classifier.vocabulary.index(a, label)] = size
    return replace(forward_pass, logits=logits)


def test_another_label_gives_another_map_without_another_pass(small, path, monkeypatch):
    analysis = analyse(small, path)
    monkeypatch.setattr(small, "read", None)  # a forward pass would fail
    shown = {
        label: card(small, analysis, "articleType", label)
        for label in small.vocabulary.labels["articleType"]
    }
    heats = [str(shown_map(html)["cells"]) for html in shown.values()]
    assert len(set(heats)) == len(heats)
    assert all(f"What it is: {label}" in html for label, html in shown.items())


def test_each_method_has_its_map_and_says_what_is_known_of_it(small, path, monkeypatch):
    analysis = analyse(small, path)
    shown = {m: card(small, analysis, "season", None, m) for m in methods.CLOSED}
    assert len({str(shown_map(html)["cells"]) for html in shown.values()}) == len(shown)
    assert all("How reliable is this map? Not measured." in html for html in shown.values())
    assert [m for m, html in shown.items() if "It knows no answer" in html] == ["eigencam"]
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
    assert "<summary>How reliable is this map? Good: it beat 5 of 5 simple tests</summary>" in html
    assert "better than guessing the middle: <b>yes</b>" in html
    assert '<th scope="row">this map</th><td>0.75</td>' in html
    assert '<th scope="row">a blob in the centre</th><td>0.12</td>' in html
    assert "Not measured" in card(small, analysis, "season", None, "gradcam")


def test_no_positive_evidence_is_said(small, path):
    analysis = analyse(small, path)
    e = small.explanations(analysis.forward_pass)["gender"]
    weak = replace(e, heatmap=-np.abs(e.heatmap))
    maps = small.explanations(analysis.forward_pass)
    html = cards.card(small, weak, answers(maps))
    assert f"Nothing here supports {e.target}." in html
    assert 'class="weak"' in html and 'data-faint="1"' in html


def test_nothing_against_is_a_plain_zero(small, path):
    analysis = analyse(small, path)
    maps = small.explanations(analysis.forward_pass)
    only = replace(maps["gender"], heatmap=np.abs(maps["gender"].heatmap))
    html = cards.card(small, only, answers(maps))
    assert "for, −0.0 against, in logits" in html  # and not −-0.0


def test_rather_than_one_label_is_the_signed_difference(small, path):
    analysis = analyse(small, path)
    one, other = small.vocabulary.labels["season"][:2]
    html = card(small, analysis, "season", one, "gradcam", other)
    expected = small.explain(path, "gradcam", targets={"season": one}, against={"season": other})[
        "season"
    ]
    np.testing.assert_allclose(shown_map(html)["cells"], expected.heatmap, atol=1e-3)
    assert 'data-signed="1"' in html and f"{one} over {other}." in html
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
    answer = f"Season: {p.label}, {100 * p.probability:.1f} %"
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
    maps = cards.explain(doubtful, analysis)
    assert words.DOUBT in cards.headline(doubtful, analysis, maps)
    assert all('data-faint="1"' in html for html in cards.six(doubtful, analysis, maps))
    assert words.DOUBT in cards.result_page(doubtful, analysis, list(maps.values()))
    assert "message" not in cards.headline(small, analysis, cards.explain(small, analysis))
    assert cards.answer(doubtful, analysis.forward_pass)["one_product"] is False
    assert cards.answer(small, analysis.forward_pass)["one_product"] is None


def test_what_was_ignored_in_the_file_is_said(small, path):
    analysis = analyse(small, path)
    noted = replace(analysis, notes=("its colour profile is damaged and was ignored",))
    maps = cards.explain(small, analysis)
    says = str(cards.headline(small, noted, maps))
    assert "The photo: its colour profile is damaged and was ignored." in says
    assert says != str(cards.headline(small, analysis, maps))


def test_six_cards_cost_one_call_and_the_api_none_more(small, path, monkeypatch):
    """The category heads are decoded once and each map is made once, pictures included."""
    analysis, calls = analyse(small, path), Counter()
    for name in ("predictions", "explanations"):
        made = getattr(small, name)
        monkeypatch.setattr(
            small, name, lambda *a, made=made, name=name: calls.update([name]) or made(*a)
        )
    maps = cards.explain(small, analysis)
    shown = cards.six(small, analysis, maps)
    reply = cards.answer(small, analysis.forward_pass, maps)
    pictures = cards.overlays(small, analysis, maps)
    assert len(shown) == len(reply["maps"]) == len(pictures) == 6
    assert calls == {"predictions": 1, "explanations": 1}
