"""Continue from a bundle: its backbone, and of its heads the labels that both sides know."""

from __future__ import annotations

import keras
import numpy as np

from fashion_xai.data.labels import Vocabulary
from fashion_xai.models.attention import LAYER as ATTENTION
from fashion_xai.models.bundle import Bundle
from fashion_xai.models.efficientnet import set_weights


def transfer(source: Bundle, model: keras.Model, vocabulary: Vocabulary) -> dict[str, int]:
    """Copy weights into a fresh model; labels the bundle does not know keep their fresh ones.

    Args:
        source: the bundle to continue from.
        model: as ``build_model`` made it for ``vocabulary``.
        vocabulary: the labels of the new catalogue.

    Returns:
        Attribute → number of labels that kept their weights; 0 for a new attribute.
    """
    heads = set(vocabulary.attributes) | set(source.vocabulary.attributes)
    # By position: layers that Keras names itself (rescaling_1) count on from model to model.
    for old, layer in zip(_body(source.model, heads), _body(model, heads), strict=True):
        layer.set_weights(old.get_weights())
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # set_weights leaves the old constants in use
    theirs = {layer.name: layer for layer in source.model.layers}
    for layer in model.layers:
        if layer.name.startswith(ATTENTION) and layer.name in theirs:
            layer.set_weights(theirs[layer.name].get_weights())
    return {a: _transfer_head(source, model, vocabulary, a) for a in vocabulary.attributes}


def toward(source: Bundle, model: keras.Model, vocabulary: Vocabulary, share: float) -> None:
    """Move a trained model's weights back towards the bundle it continued from: what it learnt anew
    stays for the most part, and what it forgot meanwhile comes back (WiSE-FT: Wortsman et al.
    2022, arXiv:2109.01903). Labels that the bundle does not know keep their weights.

    Args:
        share: of the bundle's weights, 0–1.
    """
    trained = model.get_weights()
    transfer(source, model, vocabulary)
    pairs = zip(trained, model.get_weights(), strict=True)
    set_weights(model, [(1 - share) * mine + share * old for mine, old in pairs])


def _body(model: keras.Model, heads: set[str]) -> list[keras.layers.Layer]:
    """The backbone's layers that have weights."""
    return [
        layer
        for layer in model.layers
        if layer.weights and layer.name not in heads and not layer.name.startswith(ATTENTION)
    ]


def _transfer_head(
    source: Bundle, model: keras.Model, vocabulary: Vocabulary, attribute: str
) -> int:
    if attribute not in source.vocabulary.attributes:
        return 0
    theirs = {label: i for i, label in enumerate(source.vocabulary.labels[attribute])}
    pairs = [
        (theirs[label], i)
        for i, label in enumerate(vocabulary.labels[attribute])
        if label in theirs
    ]
    if not pairs:
        return 0
    old, new = np.array(pairs).T
    layer = model.get_layer(attribute)
    kernel, bias = (np.array(w) for w in layer.get_weights())
    old_kernel, old_bias = source.model.get_layer(attribute).get_weights()
    kernel[:, new], bias[new] = old_kernel[:, old], old_bias[old]
    layer.set_weights([kernel, bias])
    return len(pairs)
