"""Confusions by hand."""

import numpy as np
import pytest

from fashion_xai.audit import confusions
from fashion_xai.data.labels import Taxonomy

TAXONOMY = Taxonomy(
    frozenset(
        {
            ("Apparel", "Topwear", "Tshirts"),
            ("Apparel", "Topwear", "Tops"),
            ("Apparel", "Bottomwear", "Jeans"),
            ("Footwear", "Shoes", "Heels"),
            ("Footwear", "Shoes", "Flats"),
            ("Footwear", "Flip Flops", "Flats"),
        }
    )
)
TRUE = np.array(
    ["Tshirts", "Tshirts", "Tshirts", "Tops", "Tops", "Jeans", "Heels", "Flats"], object
)
SAID = np.array(["Tshirts", "Tops", "Tops", "Tshirts", "Tops", "Heels", "Heels", "Heels"], object)


def test_a_matrix_by_hand():
    labels = ["Tops", "Tshirts"]
    counts = confusions.matrix(TRUE, SAID, labels)
    assert counts.loc["Tshirts"].to_dict() == {"Tops": 2, "Tshirts": 1}
    rates = confusions.matrix(TRUE, SAID, ["Jeans", "Tops", "Tshirts"], rate=True)
    assert rates.loc["Tshirts", "Tops"] == pytest.approx(2 / 3)
    assert rates.loc["Jeans"].sum() == 0  # all its errors are outside these labels
    assert confusions.matrix(TRUE, SAID, diagonal=False).to_numpy().trace() == 0
    assert confusions.matrix(TRUE, SAID, []).empty


def test_pairs_join_both_directions_and_tell_the_startling_ones():
    found = confusions.pairs(TRUE, SAID, "articleType", TAXONOMY)
    assert found[["true", "predicted", "count", "reverse", "both", "kind"]].to_numpy().tolist() == [
        ["Tshirts", "Tops", 2, 1, 3, "expected"],
        ["Flats", "Heels", 1, 0, 1, "expected"],
        ["Jeans", "Heels", 1, 0, 1, "startling"],
    ]
    assert found["rate"].tolist() == pytest.approx([2 / 3, 1, 1])
    assert len(confusions.pairs(TRUE, SAID, "articleType", TAXONOMY, minimum=2)) == 1
    colours = confusions.pairs(np.array(["Red"]), np.array(["Blue"]), "baseColour", TAXONOMY)
    assert colours["kind"].tolist() == [""] and colours["distance"].isna().all()


@pytest.mark.parametrize(
    "head, one, other, expected",
    [
        ("articleType", "Tshirts", "Tops", 1),
        ("articleType", "Tshirts", "Jeans", 2),
        ("articleType", "Tshirts", "Heels", 3),
        ("articleType", "Flats", "Heels", 1),  # the nearest of its two parents
        ("articleType", "Tshirts", "Spacesuits", 3),
        ("subCategory", "Topwear", "Bottomwear", 1),
        ("subCategory", "Topwear", "Shoes", 2),
        ("masterCategory", "Apparel", "Footwear", 1),
        ("season", "Summer", "Winter", None),
    ],
)
def test_distances_by_hand(head, one, other, expected):
    assert confusions.distance(head, one, other, TAXONOMY) == expected


def test_types_roll_up_to_their_most_frequent_parent():
    up = confusions.rolled_up(np.array(["Flats", "Jeans", "Spacesuits"]), TAXONOMY, "subCategory")
    assert up.tolist() == ["Flip Flops", "Bottomwear", "Spacesuits"]
    up = confusions.rolled_up(np.array(["Flats", "Jeans"]), TAXONOMY, "masterCategory")
    assert up.tolist() == ["Footwear", "Apparel"]
