"""The grid pointing game: by hand, and on drawn garments whose place is known."""

import numpy as np
import pytest

from examples import garments
from fashion_xai.maps import methods
from fashion_xai.trust.pointing_game import CHANCE, compose, play

DRAWN = {"Tshirts": "tshirt", "Trousers": "trousers", "Handbags": "bag", "Casual Shoes": "shoe"}


@pytest.fixture(scope="module")
def labelled():
    return [
        (label, garments.draw(kind, colour, (160, 120), seed=seed))
        for seed, colour in enumerate(("Red", "Green", "Black"))
        for label, kind in DRAWN.items()
    ]


def test_a_picture_of_four_by_hand():
    greys = [np.full((40, 30, 3), 10 * (i + 1), np.uint8) for i in range(4)]
    picture = compose(greys, (80, 60))
    assert picture[:40, :30].max() == 10 and picture[:40, 30:].min() == 20
    assert picture[40:, :30].max() == 30 and picture[40:, 30:].min() == 40


def test_a_map_that_knows_no_label_gets_what_chance_gets(shipped, labelled):
    """Its four quarters' shares sum to 1, whatever they are."""
    (figure,) = play(shipped, labelled, "articleType", ["eigencam"], 3).values()
    assert figure["mean"] == pytest.approx(CHANCE, abs=1e-3)


def test_the_evidence_for_a_drawn_garment_lies_on_it(shipped, labelled):
    found = play(shipped, labelled, "articleType", ["gradcam", methods.DEFAULT], 12)
    assert found[methods.DEFAULT]["low"] > 2 * CHANCE
    assert play(shipped, labelled, "articleType", [methods.DEFAULT], 12) == {
        methods.DEFAULT: found[methods.DEFAULT]
    }


def test_fewer_than_four_known_labels_make_no_grid(shipped, labelled):
    unknown = [("Spacesuits", photo) for _, photo in labelled]
    assert play(shipped, labelled[:3] + unknown, "articleType", ["gradcam"], 2) == {}
