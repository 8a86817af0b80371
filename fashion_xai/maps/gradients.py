"""Maps that need gradients or many passes, through tf-keras-vis: the only file importing it.

They work on any flat Keras model, also where the closed form does not hold, and only on
TensorFlow, which is loaded when the first of them is asked for. Costs are in passes through the
network per head; a gradient counts as two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import keras

SCORE_CAM_CHANNELS = 32
SMOOTH_SAMPLES = 16
SMOOTH_NOISE = 0.1
"""Standard deviation of SmoothGrad's noise, as a share of the photo's range of values."""


def score_cam(
    model: keras.Model,
    layer: str,
    output,
    pixels: np.ndarray,
    coefficients: np.ndarray,
    channels: int = SCORE_CAM_CHANNELS,
) -> np.ndarray:
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279, definition 3).

    ``map = ReLU(Σ_k w_k A_k)``: each channel A_k, stretched over the photo, lets only a part of
    it through, and weighs w_k, as much as the target's softmax gets from that part. Only the
    ``channels`` that vary most are tried ("Faster Score-CAM"), of 1,280. Cost: ``channels`` + 1
    passes. Not for studio photos: what is not let through turns black, and the network sees
    pictures unlike any it was trained on. Not for "a rather than b": its weights are probabilities.

    Args:
        model: flat, float32 photos (n, H, W, 3) → logits.
        layer: whose channels are used.
        output: the symbolic logits (None, labels) of a head.
        pixels: (H, W, 3) in 0–255.
        coefficients: (labels,); the score is ``logits @ coefficients``.

    Returns:
        float32 (h, w) ≥ 0, features weighted by probabilities.
    """
    from tf_keras_vis.scorecam import Scorecam

    most = min(channels, model.get_layer(layer).output.shape[-1])
    return _ask(Scorecam, model, layer, output, pixels, coefficients, max_N=most)


def grad_cam_at(
    model: keras.Model, layer: str, output, pixels: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Grad-CAM at any layer (Selvaraju et al. 2017, arXiv:1610.02391, eq. 1–2, without the ReLU).

    ``map[i, j] = Σ_k a_k A[i, j, k]`` with ``a_k`` the mean over the cells of ∂score / ∂A[., ., k].
    At the last layer it equals :func:`fashion_xai.maps.cams.grad_cam`. At earlier ones the averaged
    gradient blurs what a channel says in one place and in another: LayerCAM is made for
    them. Cost: 2 passes. Args as in :func:`score_cam`.

    Returns:
        float32 (h, w), features × gradient.
    """
    from tf_keras_vis.gradcam import Gradcam

    return _ask(Gradcam, model, layer, output, pixels, coefficients, activation_modifier=None)


def layer_cam_at(
    model: keras.Model, layer: str, output, pixels: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """LayerCAM at any layer (Jiang et al. 2021, equation 6): cells keep their own gradient.

    ``map[i, j] = ReLU(Σ_k ReLU(∂score / ∂A[i, j, k]) A[i, j, k])``. Finer than the last layer's
    map and noisier. Not for what speaks against: it is left out. Cost: 2 passes. Args as in
    :func:`score_cam`.

    Returns:
        float32 (h, w) ≥ 0, features × positive gradient.
    """
    from tf_keras_vis.layercam import Layercam

    return _ask(Layercam, model, layer, output, pixels, coefficients)


def saliency(
    model: keras.Model, output, pixels: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Vanilla saliency (Simonyan et al. 2013, arXiv:1312.6034, section 3.1).

    ``map = max over the colours of |∂score / ∂pixel|``: how much the score moves with a pixel,
    whatever the direction. Cost: 2 passes. Not for telling for from against, nor for a
    single look: it is noisy.

    Returns:
        float32 (H, W) ≥ 0, in logits per grey level.
    """
    return _saliency(model, output, pixels, coefficients, 0)


def smooth_grad(
    model: keras.Model, output, pixels: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825): saliency averaged over noisy copies.

    ``map = mean of saliency(pixels + noise)`` over 16 draws of normal noise, whose standard
    deviation is a tenth of the photo's range. Cost: 2 passes for each copy. The same photo gives
    the same map: the noise is seeded. Not for telling for from against: it knows no sign, as
    saliency. Returns as :func:`saliency`.
    """
    return _saliency(model, output, pixels, coefficients, SMOOTH_SAMPLES)


def fuse(coarse: np.ndarray, *finer: np.ndarray) -> np.ndarray:
    """A fine map from maps of several depths, in the size of the finest.

    The coarse map says where the evidence is, the finer ones where in a cell: the square root of
    the product of the coarse map, stretched, and the mean of the finer ones, each scaled to its
    maximum. (Jiang et al. 2021, section III-C, take the larger one of scaled maps; the fine
    maps' noise then shows everywhere.)

    Args:
        coarse: (h, w), any sign; what is negative counts as none.
        finer: (h', w') each.

    Returns:
        float32, the shape of the largest map, 0–1.
    """
    height, width = max(m.shape for m in finer)
    scaled = [_stretched(m, (height, width)) for m in (coarse, *finer)]
    return np.sqrt(scaled[0] * np.mean(scaled[1:], axis=0)).astype(np.float32)


def _stretched(heatmap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    positive = np.maximum(heatmap, 0).astype(np.float32)
    top = positive.max()
    scaled = positive / top if top > 0 else positive
    return cv2.resize(scaled, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _score(coefficients: np.ndarray) -> Callable:
    from keras import ops

    column = np.asarray(coefficients, np.float32)[:, None]
    return lambda logits: ops.matmul(logits, column)[:, 0]


def _ask(tool, model, layer, output, pixels, coefficients, **options) -> np.ndarray:
    """Run one of tf-keras-vis' CAMs on one head, raw and in its own size."""
    import keras

    one_head = keras.Model(model.inputs, output)
    cam = tool(one_head, clone=False)(
        _score(coefficients),
        pixels[None].astype(np.float32),
        penultimate_layer=layer,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
        **options,
    )
    return np.asarray(cam, np.float32)[0]


def _saliency(model, output, pixels, coefficients, samples: int) -> np.ndarray:
    import keras
    from tf_keras_vis.saliency import Saliency

    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        one_head = keras.Model(model.inputs, output)
        answer = Saliency(one_head, clone=False)(
            _score(coefficients),
            pixels[None].astype(np.float32),
            smooth_samples=samples,
            smooth_noise=SMOOTH_NOISE,
            normalize_map=False,
        )
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return np.asarray(answer, np.float32)[0]
