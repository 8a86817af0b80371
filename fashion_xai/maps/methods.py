"""Every way to make a map, under one contract: the registry.

On linear heads over globally averaged features several famous methods coincide. They are offered
under one name, so that aliases never count as agreement.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fashion_xai.maps import cams, gradients, shapley
from fashion_xai.maps.guided_filter import along_edges
from fashion_xai.maps.occlusion import occlusion
from fashion_xai.models.linear_heads import LinearHeads
from fashion_xai.models.outputs import ForwardPass

Targets = Mapping[str, np.ndarray]
"""Head → coefficients (labels,): the score that is explained is ``logits @ coefficients``."""

Maps = dict[str, np.ndarray]
"""Head → raw float32 (h, w); any h and w."""

Compute = Callable[[LinearHeads, ForwardPass, Targets], Maps]
"""One photo's maps."""


@dataclass(frozen=True)
class Method:
    """One way to make a map.

    Args:
        name: as in ``explain(method=…)``.
        title: as in papers.
        unit: of a cell.
        cost: on top of the forward pass that predicts.
        source: the paper.
        not_for: when not to use it.
        compute: see :data:`Compute`.
        about_the_label: False where the map is the same for every label.
        signed: whether negative cells mean something.
        aliases: methods that give the same map on these heads, up to a factor.
        extra: of the package, that has to be installed for it; with the Keras model of the bundle.
    """

    name: str
    title: str
    unit: str
    cost: str
    source: str
    not_for: str
    compute: Compute
    about_the_label: bool = True
    signed: bool = False
    aliases: tuple[str, ...] = ()
    extra: str | None = None

    @property
    def available(self) -> bool:
        """Whether all it needs is installed."""
        needed = EXTRAS.get(self.extra or "", ())
        return all(importlib.util.find_spec(name) is not None for name in needed)

    @property
    def remedy(self) -> str:
        """How to get what it needs, where that is not there."""
        return f'method {self.name!r} needs: pip install "fashion-xai[{self.extra}]"'


EXTRAS = {"keras": ("tensorflow", "keras", "tf_keras_vis"), "shap": ("shap",)}
"""Extra → the packages that a method imports."""

MOST_WINDOWS = 64
"""That occlusion hides, a pass each: those of a dilated network's cells would hide too little."""


def _closed(form: Callable[[np.ndarray, np.ndarray], Iterable[np.ndarray]]) -> Compute:
    """Maps of features (h, w, channels) and weights (heads, channels) alone."""

    def compute(network: LinearHeads, forward_pass: ForwardPass, targets: Targets) -> Maps:
        weights = np.stack([network.kernels[head] @ c for head, c in targets.items()])
        return dict(zip(targets, form(forward_pass.features, weights), strict=True))

    return compute


def _odds(
    network: LinearHeads, forward_pass: ForwardPass, targets: Targets
) -> dict[str, np.ndarray]:
    odds = {h: cams.against_rivals(c, forward_pass.logits[h]) for h, c in targets.items()}
    return _closed(cams.grad_cam)(network, forward_pass, odds)


def _along_edges(coarse: Compute) -> Compute:
    """A method's maps, brought to a finer grid along the photo's edges."""

    def compute(network: LinearHeads, forward_pass: ForwardPass, targets: Targets) -> Maps:
        maps = coarse(network, forward_pass, targets)
        finer = along_edges(np.stack(list(maps.values())), forward_pass.pixels)
        return dict(zip(maps, finer, strict=True))

    return compute


def _at_layer(form: Callable[..., np.ndarray], times: int = 1) -> Compute:
    """A map through tf-keras-vis at the layer with ``times`` as many cells a side."""

    def compute(network: LinearHeads, forward_pass: ForwardPass, targets: Targets) -> Maps:
        keras = network.in_keras
        layer = (
            keras.layer if times == 1 else keras.finer_layer(times, forward_pass.pixels.shape[:2])
        )
        return {
            head: form(keras.model, layer, keras.output(head), forward_pass.pixels, coefficients)
            for head, coefficients in targets.items()
        }

    return compute


def _at_pixels(form: Callable[..., np.ndarray]) -> Compute:
    def compute(network: LinearHeads, forward_pass: ForwardPass, targets: Targets) -> Maps:
        keras = network.in_keras
        return {
            head: form(keras.model, keras.output(head), forward_pass.pixels, coefficients)
            for head, coefficients in targets.items()
        }

    return compute


def passes_of_hiding(cells: tuple[int, int]) -> int:
    """Passes through the network that a map by occlusion takes.

    Args:
        cells: height and width of the features.
    """
    height, width = _grid(cells)
    return height * width + 1


def _grid(cells: tuple[int, int]) -> tuple[int, int]:
    """Windows a side: the cells, halved until there are :data:`MOST_WINDOWS` at most."""
    height, width = cells
    while height * width > MOST_WINDOWS:
        height, width = -(-height // 2), -(-width // 2)
    return height, width


def _by_hiding(form: Callable[..., dict[str, np.ndarray]], times: int) -> Compute:
    """A map from passes on changed photos, with ``times`` as many cells a side as the features;
    those are halved first where there are more than :data:`MOST_WINDOWS` of them."""

    def compute(network: LinearHeads, forward_pass: ForwardPass, targets: Targets) -> Maps:
        def logits(pixels: np.ndarray) -> dict[str, np.ndarray]:
            return network.forward(pixels)[1]

        height, width = _grid(forward_pass.features.shape[:2])
        return form(logits, forward_pass.pixels, (times * height, times * width), targets)

    return compute


def _fine(
    network: LinearHeads, forward_pass: ForwardPass, targets: Targets
) -> dict[str, np.ndarray]:
    coarse = _closed(cams.grad_cam)(network, forward_pass, targets)
    finer = [_at_layer(gradients.layer_cam_at, t)(network, forward_pass, targets) for t in (2, 4)]
    return {head: gradients.fuse(coarse[head], *(f[head] for f in finer)) for head in targets}


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gradcam-odds",
            "Grad-CAM of the log-odds",
            unit="logits",
            cost="none",
            source="Selvaraju et al. 2017, arXiv:1610.02391, on log(p / (1 − p))",
            not_for="how high a score is: it says why this label rather than its rivals",
            compute=_odds,
            signed=True,
        ),
        Method(
            "gradcam-odds-guided",
            "Grad-CAM of the log-odds, along edges",
            unit="logits",
            cost="none",
            source="Selvaraju et al. 2017 on log(p / (1 − p)); He et al. 2013, guided filter",
            not_for="which pixels count: inside a cell of the network's map the photo decides",
            compute=_along_edges(_odds),
            signed=True,
        ),
        Method(
            "gradcam",
            "Grad-CAM",
            unit="logits",
            cost="none",
            source="Selvaraju et al. 2017, arXiv:1610.02391",
            not_for="why this label: what all labels' logits have in common shows too",
            compute=_closed(cams.grad_cam),
            signed=True,
            aliases=("hirescam", "xgradcam"),
        ),
        Method(
            "layercam",
            "LayerCAM",
            unit="logits, of the channels that speak for the label",
            cost="none",
            source="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            not_for="what speaks against a label: it is left out",
            compute=_closed(cams.layer_cam),
            aliases=("gradcam++",),
        ),
        Method(
            "eigencam",
            "Eigen-CAM",
            unit="features",
            cost="none",
            source="Muhammad & Yeasin 2020, arXiv:2008.00299",
            not_for="why this label: the map is the same for every label and head",
            compute=_closed(lambda features, weights: [cams.eigen_cam(features)] * len(weights)),
            about_the_label=False,
        ),
        Method(
            "occlusion",
            "Occlusion",
            unit="logits lost",
            cost="one pass per window, for all heads together",
            source="Zeiler & Fergus 2014, arXiv:1311.2901",
            not_for="evidence in two places: hiding one of them loses nothing",
            compute=_by_hiding(occlusion, 1),
            signed=True,
        ),
        Method(
            "occlusion-guided",
            "Occlusion, along edges",
            unit="logits lost",
            cost="one pass per window, for all heads together",
            source="Zeiler & Fergus 2014; He et al. 2013, guided filter",
            not_for="which pixels count: inside a window the photo decides",
            compute=_along_edges(_by_hiding(occlusion, 1)),
            signed=True,
        ),
        Method(
            "shap",
            "SHAP, partition explainer",
            unit="logits gained",
            cost=f"{shapley.EVALUATIONS} passes, for all heads together",
            source="Lundberg & Lee 2017, arXiv:1705.07874",
            not_for="haste; where the passes do not suffice, neighbouring cells share alike",
            compute=_by_hiding(shapley.partition_shap, shapley.CELLS),
            signed=True,
            extra="shap",
        ),
        Method(
            "scorecam",
            "Score-CAM",
            unit="features × probability",
            cost=f"{gradients.SCORE_CAM_CHANNELS + 1} passes per head",
            source="Wang et al. 2020, arXiv:1910.01279",
            not_for="studio photos: what it masks turns black, unlike anything in training",
            compute=_at_layer(gradients.score_cam),
            extra="keras",
        ),
        Method(
            "saliency",
            "Saliency",
            unit="logits per grey level",
            cost="2 passes per head",
            source="Simonyan et al. 2013, arXiv:1312.6034",
            not_for="for or against: it knows no sign, and it is noisy",
            compute=_at_pixels(gradients.saliency),
            extra="keras",
        ),
        Method(
            "smoothgrad",
            "SmoothGrad",
            unit="logits per grey level",
            cost=f"{2 * gradients.SMOOTH_SAMPLES} passes per head",
            source="Smilkov et al. 2017, arXiv:1706.03825",
            not_for="for or against: it knows no sign",
            compute=_at_pixels(gradients.smooth_grad),
            extra="keras",
        ),
        Method(
            "gradcam-2x",
            "Grad-CAM, 2 × finer",
            unit="features × gradient",
            cost="2 passes per head",
            source="Selvaraju et al. 2017, arXiv:1610.02391",
            not_for="sums: earlier layers are not linear in the logit",
            compute=_at_layer(gradients.grad_cam_at, 2),
            signed=True,
            extra="keras",
        ),
        Method(
            "layercam-2x",
            "LayerCAM, 2 × finer",
            unit="features × gradient",
            cost="2 passes per head",
            source="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            not_for="what speaks against a label: it is left out",
            compute=_at_layer(gradients.layer_cam_at, 2),
            extra="keras",
        ),
        Method(
            "gradcam-4x",
            "Grad-CAM, 4 × finer",
            unit="features × gradient",
            cost="2 passes per head",
            source="Selvaraju et al. 2017, arXiv:1610.02391",
            not_for="sums: earlier layers are not linear in the logit",
            compute=_at_layer(gradients.grad_cam_at, 4),
            signed=True,
            extra="keras",
        ),
        Method(
            "layercam-4x",
            "LayerCAM, 4 × finer",
            unit="features × gradient",
            cost="2 passes per head",
            source="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            not_for="what speaks against a label: it is left out",
            compute=_at_layer(gradients.layer_cam_at, 4),
            extra="keras",
        ),
        Method(
            "fine",
            "Fused fine map",
            unit="share of the strongest evidence",
            cost="4 passes per head",
            source="Grad-CAM and LayerCAM fused, after Jiang et al. 2021, section III-C",
            not_for="strength: each map is scaled to its own maximum",
            compute=_fine,
            extra="keras",
        ),
    )
}

CLOSED = ("gradcam-odds", "gradcam-odds-guided", "gradcam", "layercam", "eigencam")
"""Those that come from the forward pass alone."""

DEFAULT = "gradcam-odds-guided"
"""What is shown where nobody chooses; by faithfulness on validation photos (MODEL_CARD.md)."""

NAMES = {name: m for m in METHODS.values() for name in (m.name, *m.aliases)}
"""Every name, aliases included → its method."""

OLD_NAMES = {"guided": "gradcam-odds-guided", "guided-occlusion": "occlusion-guided"}
"""What some were called once: "guided" alone means Guided Backpropagation elsewhere."""


def find(name: str) -> Method:
    """The method of that name, an alias or an old name; the latter warns.

    Raises:
        ValueError: there is none; the message lists all.

    >>> find("hirescam").name  # the same map on these heads
    'gradcam'
    """
    if name in OLD_NAMES:
        warnings.warn(
            f"The method {name!r} is called {OLD_NAMES[name]!r} now.", FutureWarning, stacklevel=2
        )
        name = OLD_NAMES[name]
    if name not in NAMES:
        raise ValueError(f"Expected a method of {', '.join(NAMES)}. Received: {name!r}")
    return NAMES[name]
