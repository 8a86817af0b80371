"""Unusual photos: one that resembles no other comes first."""

import numpy as np

from fashion_xai.audit import outliers
from fashion_xai.audit.results import Audit


def test_what_resembles_nothing_comes_first(drawn_audit):
    audit = Audit(drawn_audit)
    points = audit.embeddings.copy()
    points[3] = -points.mean(0)  # the opposite direction
    audit.__dict__["embeddings"] = points
    ranked = outliers.rank(audit)
    assert ranked[0] == audit.table["id"][3]
    assert sorted(ranked) == sorted(audit.table["id"])
    apart = 1 - np.corrcoef(points)[[audit.row[i] for i in ranked]].mean(1)
    assert apart[:10].mean() > apart[-10:].mean()
