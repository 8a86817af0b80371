"""A photo that lies on its side: is the network much surer of it turned? No gradio here.

With the bundle of run h, of 344 photos taken at home, on the validation split (people never seen in
training), what it is was right in 86.3 % as they were taken, and in 63.1, 31.7 and 63.1 % turned by
90, 180 and 270 degrees. A turn was offered for 4.4, 55, 59 and 52 % of them, for the turned ones in
85 to 88 % back to how they were taken; with it 76.5, 68.0 and 75.0 % are right (one-off script, by
which both constants were chosen). On the test split, looked at once: 571 photos, 84.6 % as they
were taken; 67.4, 27.3 and 65.5 % turned, 77.4, 65.8 and 76.0 % with the offer, which 3.9 % of the
upright get.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from demo.views.cards import Analysis
from fashion_xai import FashionClassifier
from fashion_xai.models.outputs import ForwardPass

SURE = 0.6
"""Probability of the answer from which nobody asks."""

GAIN = 0.3
"""By which the answer to the turned photo has to be surer to be offered."""


def better(
    classifier: FashionClassifier,
    analysis: Analysis,
    submit: Callable[[np.ndarray], Future[ForwardPass]],
) -> int:
    """Degrees clockwise by which a photo should perhaps be turned: 90, 180 or 270; 0 where the
    network is sure of it as it is, or no turn makes it so.

    Args:
        submit: lets a photo wait for the network: three at once, so that they share its passes,
            and none where the answer is sure.
    """
    upright = confidence(classifier, analysis.forward_pass)
    if upright >= SURE:
        return 0
    waiting = {
        degrees: submit(np.ascontiguousarray(np.rot90(analysis.photo, -n)))
        for n, degrees in enumerate((90, 180, 270), start=1)
    }
    turns = {degrees: confidence(classifier, x.result()) for degrees, x in waiting.items()}
    best = max(turns, key=turns.__getitem__)
    return best if turns[best] >= max(SURE, upright + GAIN) else 0


def confidence(classifier: FashionClassifier, forward_pass: ForwardPass) -> float:
    """Probability of what it is, 0–1; 0 where the photo hardly looks like one product."""
    if classifier.is_one_product(forward_pass) is False:
        return 0.0
    answers = classifier.predictions(forward_pass)
    head = "articleType" if "articleType" in answers else next(iter(answers))
    return answers[head].probability
