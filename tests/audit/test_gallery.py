"""The gallery: orders and neighbours by hand on a small audit, pictures with and without photos."""

import numpy as np
import pytest

from fashion_xai.audit import confusions, gallery
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue

HEAD = "season"


@pytest.fixture(scope="module")
def opened(drawn_audit, drawn):
    return Audit(drawn_audit, Catalogue(drawn))


@pytest.fixture(scope="module")
def pair(opened):
    true, predicted = confusions.labelled_predictions(opened.table, HEAD)
    return confusions.pairs(true, predicted, HEAD, opened.taxonomy).iloc[0]


def test_orders_by_hand(opened, pair):
    table = opened.table.set_index("id")
    chosen = table[
        (table[f"{HEAD}_true"] == pair["true"]) & (table[f"{HEAD}_predicted"] == pair["predicted"])
    ]
    confident = gallery.choose(opened, HEAD, pair["true"], pair["predicted"], "confident")
    assert len(confident) == pair["count"] == len(chosen)
    assert (chosen.loc[confident, f"{HEAD}_probability"].diff().dropna() <= 0).all()
    close = gallery.choose(opened, HEAD, pair["true"], pair["predicted"], "margin")
    calls = chosen[f"{HEAD}_probability"] - chosen[f"{HEAD}_true_probability"]
    assert (calls.loc[close].abs().diff().dropna() >= 0).all()
    typical = gallery.choose(opened, HEAD, pair["true"], pair["predicted"], "typical")
    points = opened.embeddings[[opened.row[i] for i in chosen.index]]
    apart = np.linalg.norm(points - points.mean(0), axis=1)
    assert typical[0] == chosen.index[apart.argmin()]
    assert gallery.choose(opened, HEAD, pair["true"], pair["predicted"], limit=1) == confident[:1]
    nobody = np.zeros(len(opened.table), bool)
    assert gallery.choose(opened, HEAD, pair["true"], pair["predicted"], rows=nobody) == []
    with pytest.raises(ValueError, match="Expected one of"):
        gallery.choose(opened, HEAD, "a", "b", "random")


def test_neighbours_are_right_and_near(opened, pair):
    (identity, *_) = gallery.choose(opened, HEAD, pair["true"], pair["predicted"])
    near = gallery.neighbours(opened, HEAD, identity, pair["predicted"], 2)
    right = opened.table[
        (opened.table[f"{HEAD}_true"] == pair["predicted"])
        & (opened.table[f"{HEAD}_predicted"] == pair["predicted"])
    ]
    assert set(near) <= set(right["id"])
    me = opened.embeddings[opened.row[identity]]
    apart = {i: np.linalg.norm(opened.embeddings[opened.row[i]] - me) for i in right["id"]}
    assert near == sorted(apart, key=apart.get)[:2]


def test_pictures_with_and_without_photos(opened, pair):
    (identity, *_) = gallery.choose(opened, HEAD, pair["true"], pair["predicted"])
    bare = Audit(opened.folder)
    assert opened.has_photos and not bare.has_photos and bare.photo(identity) is None
    for kind in gallery.WHAT:
        picture = gallery.picture(opened, HEAD, identity, kind, 160)
        assert picture.shape == (160, 120, 3)
        empty = gallery.picture(bare, HEAD, identity, kind, 160)
        assert empty.shape[0] == 160 and not np.array_equal(picture[:, :100], empty[:, :100])
        map_ = bare.map(identity, HEAD, kind)
        assert (empty.std() > 0) == bool((map_ > 0).any() or kind == "difference")
    (right, *_) = gallery.choose(opened, HEAD, pair["predicted"], pair["predicted"]) or [None]
    if right:
        assert gallery.picture(opened, HEAD, right, "difference") is None


def test_the_mean_map_by_hand(opened, pair):
    ids = gallery.choose(opened, HEAD, pair["true"], pair["predicted"])
    maps = [opened.map(i, HEAD, "difference") for i in ids]
    np.testing.assert_allclose(opened.mean_map(ids, HEAD, "difference"), sum(maps) / len(maps))
    assert opened.mean_map([], HEAD, "map") is None
