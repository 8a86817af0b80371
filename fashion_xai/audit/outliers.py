"""Products whose photos are unlike all others of the audit: another picture by mistake, a
placeholder, a size chart, several products."""

from __future__ import annotations

import numpy as np

from fashion_xai.audit.results import Audit

NEIGHBOURS = 10


def rank(audit: Audit) -> list[str]:
    """All ids, the most unusual first.

    By the mean cosine distance to the :data:`NEIGHBOURS` nearest embeddings, as cleanlab's
    ``OutOfDistribution`` scores it (Kuan & Mueller 2022, arXiv:2207.03061). Nobody is called an
    outlier: the list is to be looked at from its top until it gets boring.
    """
    from cleanlab.outlier import OutOfDistribution  # loads scikit-learn: when it is asked for

    points = audit.embeddings
    if len(points) <= 2:
        return [str(x) for x in audit.table["id"]]
    scorer = OutOfDistribution({"k": min(NEIGHBOURS, len(points) - 1)})
    scores = scorer.fit_score(features=points, verbose=False)
    return [str(x) for x in audit.table["id"].to_numpy()[np.argsort(scores, kind="stable")]]
