"""The maps that come from the forward pass alone: one registry, one contract.

On linear heads over globally averaged features several famous methods coincide. They are offered
under one name, so that twins never count as agreement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fashion_xai import cams


@dataclass(frozen=True)
class Method:
    """One way to make a map.

    Args:
        name: as in ``explain(method=…)``.
        title: as in papers.
        unit: of a cell.
        about_the_label: False where the map is the same for every label.
        twins: methods that give the same map on these heads, up to a factor.
        source: the paper.
        compute: features (h, w, channels) and weights (channels,) → raw float32 (h, w).
    """

    name: str
    title: str
    unit: str
    about_the_label: bool
    twins: tuple[str, ...]
    source: str
    compute: Callable[[np.ndarray, np.ndarray], np.ndarray]


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="gradcam",
            title="Grad-CAM",
            unit="logits",
            about_the_label=True,
            twins=("hirescam", "xgradcam"),
            source="Selvaraju et al. 2017, arXiv:1610.02391",
            compute=cams.grad_cam,
        ),
        Method(
            name="layercam",
            title="LayerCAM",
            unit="logits, of the channels that speak for the label",
            about_the_label=True,
            twins=("gradcam++",),
            source="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            compute=cams.layer_cam,
        ),
        Method(
            name="eigencam",
            title="Eigen-CAM",
            unit="features",
            about_the_label=False,
            twins=(),
            source="Muhammad & Yeasin 2020, arXiv:2008.00299",
            compute=lambda features, weights: cams.eigen_cam(features),
        ),
    )
}

NAMES = {name: m for m in METHODS.values() for name in (m.name, *m.twins)}
"""Every accepted name, twins included → its method."""


def find(name: str) -> Method:
    """The method of that name or of its twin.

    Raises:
        ValueError: there is none; the message lists all.
    """
    if name not in NAMES:
        raise ValueError(f"Expected a method of {', '.join(NAMES)}. Received: {name!r}")
    return NAMES[name]
