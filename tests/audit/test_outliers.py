"""Unusual photos: one that resembles no other comes first."""

import numpy as np

from fashion_xai import FashionClassifier
from fashion_xai.audit import engine, outliers
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue


def test_what_resembles_nothing_comes_first(drawn, small_bundle, tmp_path):
    engine.run(FashionClassifier.load(small_bundle), Catalogue(drawn), tmp_path)
    audit = Audit(tmp_path)
    points = audit.embeddings.copy()
    points[3] = -points.mean(0)  # the opposite direction
    audit.__dict__["embeddings"] = points
    ranked = outliers.rank(audit)
    assert ranked[0] == audit.table["id"][3]
    assert sorted(ranked) == sorted(audit.table["id"])
    apart = 1 - np.corrcoef(points)[[audit.row[i] for i in ranked]].mean(1)
    assert apart[:10].mean() > apart[-10:].mean()
