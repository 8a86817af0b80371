import numpy as np
import pytest
from sklearn.preprocessing import LabelEncoder

from fashion_xai.data.labels import ATTRIBUTES, MISSING, Taxonomy, Vocabulary

ROWS = [
    {"gender": "Women", "baseColour": "Red"},
    {"gender": "Men", "baseColour": None},
    {"gender": "Women", "baseColour": "None"},  # a real label of that name
]
NAMES = ("gender", "baseColour")


def test_encodes_as_scikit_learn_does():
    labels = ["b", "Z", "ä", "a", "b", "A b"]
    ours = Vocabulary.fit(({"x": v} for v in labels), ["x"])
    theirs = LabelEncoder().fit(labels)
    assert list(ours.labels["x"]) == list(theirs.classes_)
    assert ours.encode("x", labels).tolist() == theirs.transform(labels).tolist()


def test_missing_is_no_class_but_a_label_named_none_is():
    vocabulary = Vocabulary.fit(ROWS, NAMES)
    assert vocabulary.labels["baseColour"] == ("None", "Red")
    assert vocabulary.encode("baseColour", ["Red", None, "None"]).tolist() == [1, MISSING, 0]
    assert vocabulary.decode("baseColour", [1, MISSING]) == ["Red", None]


def test_one_hot_leaves_missing_rows_empty():
    vocabulary = Vocabulary.fit(ROWS, NAMES)
    expected = np.array([[0, 1], [0, 0], [1, 0]], np.float32)
    np.testing.assert_array_equal(vocabulary.one_hot("baseColour", ["Red", None, "None"]), expected)


def test_unknown_names_offer_close_ones():
    vocabulary = Vocabulary.fit(ROWS, NAMES)
    with pytest.raises(KeyError, match=r"'Women'.*Received: 'Womem'"):
        vocabulary.index("gender", "Womem")
    with pytest.raises(KeyError, match="Unknown attribute"):
        vocabulary.index("colour", "Red")


def test_json_round_trip_and_its_check():
    vocabulary = Vocabulary.fit(ROWS, NAMES)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    with pytest.raises(ValueError, match="sorted"):
        Vocabulary.from_json({"gender": ["b", "a"]})


def test_an_attribute_without_any_label_is_refused():
    with pytest.raises(ValueError, match="baseColour"):
        Vocabulary.fit([{"gender": "Men", "baseColour": None}], NAMES)


def test_taxonomy_keeps_several_parents_and_skips_missing():
    rows = [
        {"masterCategory": "A", "subCategory": "B", "articleType": "x"},
        {"masterCategory": "A", "subCategory": "C", "articleType": "x"},
        {"masterCategory": "A", "subCategory": None, "articleType": "y"},
    ]
    taxonomy = Taxonomy.fit(rows)
    assert taxonomy.parents("x") == [("A", "B"), ("A", "C")]
    assert ("A", "B", "x") in taxonomy and not taxonomy.parents("y")
    assert Taxonomy.from_json(taxonomy.to_json()) == taxonomy


def test_the_order_of_the_attributes_is_fixed():
    assert ATTRIBUTES == (
        "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season",
    )  # fmt: skip
