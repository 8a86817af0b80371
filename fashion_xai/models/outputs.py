"""What the classifier answers: frozen records whose arrays are read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fashion_xai.data.images import Box


@dataclass(frozen=True, eq=False)
class Prediction:
    """One head's answer for one photo.

    Args:
        attribute: the head, such as ``"articleType"``.
        label: the answer. The category heads answer together, with the most probable path of
            the taxonomy; the others with their most probable label.
        index: its position in the vocabulary.
        probability: its calibrated probability, 0–1.
        probabilities: float32 (n_labels,), sums to 1.
        logits: float32 (n_labels,), before the temperature.
        raw_label: what the head says alone; differs from ``label`` where the heads disagreed.
        labels: the head's vocabulary, in the order of ``probabilities``.
        together: float (n_labels,), what a category head's answer was decided by, see
            :meth:`fashion_xai.models.decoding.Decoder.together`; None for the others.
    """

    attribute: str
    label: str
    index: int
    probability: float
    probabilities: np.ndarray
    logits: np.ndarray
    raw_label: str
    labels: tuple[str, ...]
    together: np.ndarray | None = None

    def __post_init__(self) -> None:
        _freeze(self.probabilities, self.logits)

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """The answer, then the most probable other labels, k in all, with their probabilities.

        >>> p = np.array([0.25, 0.75], np.float32)
        >>> Prediction("season", "Fall", 0, 0.25, p, np.log(p), "Summer", ("Fall", "Summer")).top()
        [('Fall', 0.25), ('Summer', 0.75)]
        """
        order = np.argsort(-self.probabilities, kind="stable")
        best = [self.index, *(i for i in order if i != self.index)][:k]
        return [(self.labels[i], float(self.probabilities[i])) for i in best]

    def to_json(self) -> dict[str, Any]:
        """``label``, ``probability``, and ``top3`` with both of the three best labels."""
        top = [{"label": label, "probability": p} for label, p in self.top(3)]
        return {"label": self.label, "probability": self.probability, "top3": top}


@dataclass(frozen=True, eq=False)
class Explanation:
    """One map: where in the photo the evidence for a label lies.

    Args:
        prediction: the head's prediction on the same photo, from the same forward pass.
        target: the label that is explained.
        against: the label it is compared with, or None.
        method: its name in ``methods.METHODS``, which states the map's unit.
        layer: the layer whose features are explained.
        unit: of a cell.
        heatmap: float32 (h, w), raw. For "gradcam" in logits per cell: its sum plus the head's
            bias is the target's logit (with ``against``: the difference of both). For
            "gradcam-odds" and "gradcam-odds-guided" less the rivals' mean logit, see
            ``cams.against_rivals``.
        box: where the photo lies inside the padded input, in pixels.
    """

    prediction: Prediction
    target: str
    against: str | None
    method: str
    layer: str
    unit: str
    heatmap: np.ndarray
    box: Box

    def __post_init__(self) -> None:
        _freeze(self.heatmap)

    @property
    def evidence_for(self) -> float:
        """Sum of the positive cells, ≥ 0, in the map's unit (Grad-CAM: logits)."""
        return float(self.heatmap[self.heatmap > 0].sum())

    @property
    def evidence_against(self) -> float:
        """Sum of the negative cells, ≤ 0, in the map's unit (Grad-CAM: logits)."""
        return float(self.heatmap[self.heatmap < 0].sum())

    def to_json(self, decimals: int | None = None) -> dict[str, Any]:
        """What is explained, in which unit, and the raw cells.

        Args:
            decimals: of the cells; None for all of float32.
        """
        cells = self.heatmap
        if decimals is not None:
            cells = np.round(cells.astype(np.float64), decimals)
        return {
            "attribute": self.prediction.attribute,
            "target": self.target,
            "against": self.against,
            "method": self.method,
            "layer": self.layer,
            "unit": f"{self.unit} per cell",
            "evidence_for": self.evidence_for,
            "evidence_against": self.evidence_against,
            "heatmap": cells.tolist(),
            "box": self.box._asdict(),
        }


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """What one forward pass leaves of one photo; every map starts from it.

    Args:
        pixels: uint8 (H, W, 3), the padded input.
        features: float32 (h, w, channels), the feature map that enters the pooling.
        logits: attribute → float32 (n_labels,).
        box: where the photo lies inside the padded input, in pixels.
    """

    pixels: np.ndarray
    features: np.ndarray
    logits: dict[str, np.ndarray]
    box: Box

    def __post_init__(self) -> None:
        _freeze(self.pixels, self.features, *self.logits.values())

    @property
    def pooled(self) -> np.ndarray:
        """float32 (channels,), what the heads are given: the mean over the cells."""
        return self.features.mean((0, 1))

    def alone(self) -> ForwardPass:
        """A copy that holds none of the batch it was read in: its arrays are views of the batch's,
        and one forward pass that is kept would keep all the others."""
        logits = {attribute: x.copy() for attribute, x in self.logits.items()}
        return ForwardPass(self.pixels, self.features.copy(), logits, self.box)


def _freeze(*arrays: np.ndarray) -> None:
    for array in arrays:
        array.flags.writeable = False
