import numpy as np
import pytest

from fashion_xai.data.labels import CATEGORY_PATH, Taxonomy, Vocabulary
from fashion_xai.models.decoding import Decoder

VOCABULARY = Vocabulary(
    {
        "masterCategory": ("Apparel", "Footwear"),
        "subCategory": ("Shoes", "Topwear"),
        "articleType": ("Heels", "Shirts", "Tops"),
        "season": ("Fall", "Winter"),
    }
)
TAXONOMY = Taxonomy(
    frozenset(
        {
            ("Apparel", "Topwear", "Shirts"),
            ("Apparel", "Topwear", "Tops"),
            ("Footwear", "Shoes", "Heels"),
        }
    )
)


def test_the_most_probable_path_by_hand():
    """Heels is likeliest alone (.45), yet Apparel·Topwear·Tops wins: .9·.8·.35 over .1·.2·.45."""
    decoder = Decoder(VOCABULARY, TAXONOMY)
    probabilities = {
        "masterCategory": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "subCategory": np.array([[0.2, 0.8], [0.9, 0.1]]),
        "articleType": np.array([[0.45, 0.2, 0.35], [0.3, 0.4, 0.3]]),
        "season": np.array([[0.4, 0.6], [0.7, 0.3]]),
    }
    labels = {
        a: VOCABULARY.decode(a, indices) for a, indices in decoder.labels(probabilities).items()
    }
    assert labels == {
        "masterCategory": ["Apparel", "Footwear"],
        "subCategory": ["Topwear", "Shoes"],
        "articleType": ["Tops", "Heels"],  # the second: .8·.9·.3 over .2·.1·.4
        "season": ["Winter", "Fall"],
    }


def test_what_a_path_was_chosen_by_has_the_answer_first():
    """By hand: paths Aax, Bby and Bbx; products .6·.5·.1 = .03, .4·.5·.9 = .18, .4·.5·.1 = .02. Of
    a label with two paths the better one counts."""
    vocabulary = Vocabulary(dict(zip(CATEGORY_PATH, (("A", "B"), ("a", "b"), ("x", "y")))))
    decoder = Decoder(vocabulary, Taxonomy(frozenset(map(tuple, ("Aax", "Bby", "Bbx")))))
    given = dict(zip(CATEGORY_PATH, np.array([[[0.6, 0.4]], [[0.5, 0.5]], [[0.1, 0.9]]])))
    found = decoder.together(given)
    for head in CATEGORY_PATH:
        np.testing.assert_allclose(found[head], [[0.03 / 0.23, 0.18 / 0.23]])
        assert found[head].argmax() == decoder.labels(given)[head]
    assert Decoder(vocabulary, Taxonomy(frozenset())).together(given) == {}


def test_every_answer_is_a_path_of_the_taxonomy_even_for_hopeless_probabilities():
    rng = np.random.default_rng(1)
    decoder = Decoder(VOCABULARY, TAXONOMY)
    logits = {a: rng.normal(0, 40, (300, n)) for a, n in VOCABULARY.sizes.items()}
    probabilities = decoder.probabilities(logits)
    labels = {
        a: VOCABULARY.decode(a, indices) for a, indices in decoder.labels(probabilities).items()
    }
    triples = set(zip(labels["masterCategory"], labels["subCategory"], labels["articleType"]))
    assert triples <= TAXONOMY.triples and len(triples) == 3


def test_without_the_three_heads_each_answers_alone():
    vocabulary = Vocabulary({"articleType": ("Heels", "Tops"), "season": ("Fall", "Winter")})
    decoder = Decoder(vocabulary, TAXONOMY, {"season": 4.0})
    logits = {"articleType": np.array([[1.0, 0.0]]), "season": np.array([[0.0, 8.0]])}
    probabilities = decoder.probabilities(logits)
    assert probabilities["season"][0, 1] == pytest.approx(1 / (1 + np.exp(-2)))
    assert {a: int(i[0]) for a, i in decoder.labels(probabilities).items()} == {
        "articleType": 0,
        "season": 1,
    }
