import keras
import numpy as np
import pytest

from fashion_xai.models.efficientnet import (
    DROPOUT_LAYER,
    POOLING_LAYER,
    build_model,
    cam_layer,
    set_weights,
)

SIZES = {"season": 4, "gender": 5, "articleType": 9}  # not in alphabetical order


@pytest.fixture(scope="module")
def model():
    return build_model(SIZES, (64, 96))


def test_the_heads_keep_their_order_and_give_logits(model):
    assert model.output_names == list(SIZES)
    assert [shape[-1] for shape in model.output_shape] == [4, 5, 9]
    assert all(model.get_layer(name).activation is keras.activations.linear for name in SIZES)


def test_the_graph_is_flat_and_pools_the_cam_layer(model):
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.get_layer(POOLING_LAYER).input is model.get_layer(cam_layer()).output
    assert model.get_layer(DROPOUT_LAYER).input is model.get_layer(POOLING_LAYER).output
    assert model.get_layer(cam_layer()).output.shape == (None, 2, 3, 1280)


def test_an_output_stride_of_16_reads_what_32_reads_on_every_second_cell(model):
    """The à-trous trick keeps each unit's sight. Only squeeze-and-excitation sees all cells, also
    the new ones: with its gates held open both networks agree to rounding."""
    plain = build_model(SIZES, (64, 96))
    set_weights(plain, model.get_weights())
    for layer in plain.layers:
        if layer.name.endswith("se_expand"):
            kernel, bias = layer.get_weights()
            layer.set_weights([0 * kernel, 0 * bias + 20])  # sigmoid(20) = 1 − 2e-9
    finer = build_model(SIZES, (64, 96), output_stride=16)
    set_weights(finer, plain.get_weights())
    photos = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    one, other = (
        keras.Model(m.inputs, m.get_layer(cam_layer()).output).predict_on_batch(photos)
        for m in (plain, finer)
    )
    assert other.shape == (2, 4, 6, 1280)
    np.testing.assert_allclose(other[:, ::2, ::2], one, atol=1e-4 * np.abs(one).max())
    assert np.abs(other[:, 1::2, 1::2] - one).max() > 0.01 * np.abs(one).max()  # new cells


def test_an_output_stride_that_is_not_offered():
    with pytest.raises(ValueError, match=r"one of \(32, 16\). Received: output_stride=8"):
        build_model(SIZES, (64, 64), output_stride=8)


def test_squeeze_excite_is_there(model):
    assert any("se_reduce" in layer.name for layer in model.layers)


def test_one_graph_for_any_size_equals_the_one_of_a_fixed_size(model):
    free = build_model(SIZES, (None, None))
    free.set_weights(model.get_weights())
    photos = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    for one, other in zip(free.predict_on_batch(photos), model.predict_on_batch(photos)):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starting weights with a normalisation of their own, and the backbone that holds them."""
    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None)
    norm = normalisation(backbone)
    norm.adapt_mean.assign([0.5, 0.4, 0.3])
    norm.adapt_variance.assign([0.25, 0.16, 0.09])
    norm.finalize_state()
    path = tmp_path_factory.mktemp("weights") / "start.weights.h5"
    backbone.save_weights(path)
    return backbone, str(path)


def normalisation(model):
    (layer,) = (x for x in model.layers if isinstance(x, keras.layers.Normalization))
    return layer


def test_weights_from_a_file(start):
    backbone, path = start
    loaded = build_model(SIZES, (64, 64), path)
    photos = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    features = keras.Model(loaded.inputs, loaded.get_layer(cam_layer()).output)
    expected = backbone.predict_on_batch(photos)
    np.testing.assert_allclose(features.predict_on_batch(photos), expected, atol=1e-4)


def test_moving_weights_to_another_graph_moves_the_normalisation(start):
    """As a resumed run and the final bundle do. Keras' own set_weights alone does not."""
    one, other = build_model(SIZES, (64, 64), start[1]), build_model(SIZES, (64, 64))
    set_weights(other, one.get_weights())
    np.testing.assert_allclose(normalisation(other).mean, normalisation(one).mean)
    np.testing.assert_allclose(np.ravel(normalisation(other).variance), [0.25, 0.16, 0.09])
    photos = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    for a, b in zip(one.predict_on_batch(photos), other.predict_on_batch(photos), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_cannot_be_built_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"multiples of 32.*\(100, 96\)"):
        build_model(SIZES, (100, 96))
    with pytest.raises(FileNotFoundError, match="absent"):
        build_model(SIZES, (64, 64), str(tmp_path / "absent.weights.h5"))
    (tmp_path / "bad.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="expected weights of EfficientNetB0"):
        build_model(SIZES, (64, 64), str(tmp_path / "bad.weights.h5"))
