"""The map of an audit: alike products near each other, a polygon by hand, made once."""

import json
import shutil

import numpy as np
import pytest

from fashion_xai.audit import embedding_map
from fashion_xai.audit.embedding_map import FILE, EmbeddingMap
from fashion_xai.audit.results import Audit


@pytest.fixture(scope="module")
def folder(drawn_audit, tmp_path_factory):
    return shutil.copytree(drawn_audit, tmp_path_factory.mktemp("mapped") / "audit")


def test_what_lies_inside_by_hand():
    rows = np.array([7, 3, 5, 9])
    points = np.float32([[0.3, 0.1], [0.5, 0.5], [0.9, 0.1], [0.3, 0.6]])
    made = EmbeddingMap(rows, points)
    triangle = [(0.0, 0.0), (0.6, 0.4), (0.4, 1.0)]
    assert made.inside(triangle).tolist() == [3, 9]
    assert made.inside(triangle[:2]).size == 0 and made.inside([]).size == 0


def test_alike_products_lie_together(folder):
    """Of a product's nearest on the plane, more are among its nearest embeddings than by chance."""
    audit = Audit(folder)
    made = embedding_map.lay_out(audit)
    assert made.rows.tolist() == list(range(len(audit.table)))
    assert made.points.min() == 0 and made.points.max() == 1
    near, alike = (
        np.argsort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 1:6]
        for x in (made.points, audit.embeddings)
    )
    shared = np.mean([len({*a} & {*b}) / 5 for a, b in zip(near, alike, strict=True)])
    assert shared > 2 * 5 / (len(audit.table) - 1)


def test_it_is_made_once_and_never_taken_from_another_audit(folder, monkeypatch):
    audit = Audit(folder)
    made = embedding_map.lay_out(audit)
    assert embedding_map.is_made(audit)
    monkeypatch.setattr(embedding_map, "_spread", None)  # nothing is computed again
    np.testing.assert_allclose(embedding_map.lay_out(audit).points, made.points, atol=1e-4)
    kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
    for other in (
        {**kept, "of": ["another"]},
        {**kept, "rows": [10**6, *kept["rows"][1:]]},
        {**kept, "x": kept["x"][1:]},
        {"of": kept["of"]},
    ):
        (folder / FILE).write_text(json.dumps(other), encoding="utf-8")
        assert not embedding_map.is_made(audit)
    (folder / FILE).write_text("{", encoding="utf-8")
    assert not embedding_map.is_made(audit)
    (folder / FILE).unlink()


def test_what_ships_has_its_map():
    assert embedding_map.is_made(Audit())
