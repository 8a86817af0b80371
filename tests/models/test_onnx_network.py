"""ONNX Runtime gives what Keras gives, from one file, and refuses files that are something else."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from examples import garments
from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.images import letterbox
from fashion_xai.maps import cams
from fashion_xai.models import bundle, onnx_network
from fashion_xai.models.onnx_network import OnnxNetwork, UnsuitableGraph


def gap(one, other):
    return np.abs(one - other).max() / np.abs(one).max()


def test_features_logits_and_maps_are_those_of_keras(shipped):
    photos = [letterbox(garments.draw(kind, seed=9), shipped.size)[0] for kind in garments.KINDS]
    pixels = np.stack(photos).astype(np.float32)
    features, logits = shipped.network.forward(pixels)
    expected, scores = shipped.network.in_keras.forward(pixels)
    assert features.dtype == np.float32 and gap(expected, features) < 1e-5
    assert shipped.network.cells == features.shape[1:3] == shipped.network.in_keras.cells
    for head in shipped.attributes:
        assert gap(scores[head], logits[head]) < 1e-5
        assert (scores[head].argmax(1) == logits[head].argmax(1)).all()
        np.testing.assert_array_equal(
            shipped.network.kernels[head], shipped.network.in_keras.kernels[head]
        )
        column = shipped.network.kernels[head][:, 0]
        assert gap(cams.grad_cam(expected, column), cams.grad_cam(features, column)) < 1e-4


def test_no_label_differs_on_200_photos_of_the_real_catalogue(shipped, real_catalogue):
    catalogue = Catalogue(real_catalogue)
    largest = 0.0
    for start in range(0, 200, 20):
        chosen = catalogue.products[150 * start : 150 * (start + 20) : 150]
        photos = [letterbox(catalogue.photo(p), shipped.size) for p in chosen]
        pixels = np.stack([canvas for canvas, _ in photos]).astype(np.float32)
        features, scores = shipped.network.in_keras.forward(pixels)
        for i, ours in enumerate(shipped.read_fitted(photos)):
            theirs = replace(
                ours, features=features[i], logits={h: s[i] for h, s in scores.items()}
            )
            one, other = shipped.predictions(theirs), shipped.predictions(ours)
            assert [p.label for p in one.values()] == [p.label for p in other.values()]
            maps = [shipped.explanations(x, method="gradcam-odds") for x in (theirs, ours)]
            for head in shipped.attributes:
                largest = max(largest, gap(theirs.logits[head], ours.logits[head]))
                largest = max(largest, gap(*(m[head].heatmap for m in maps)))
    print(f"the largest difference is {largest:.1e} of its scale")
    assert largest < 1e-4


def test_the_network_in_use_is_named_and_can_be_chosen(small_bundle):
    one = FashionClassifier.load(small_bundle, providers=["CPUExecutionProvider"], threads=1)
    assert one.network.provider == "CPUExecutionProvider"
    with pytest.raises(ValueError, match=r"Expected providers of \[.*CPU.*'NoProvider'"):
        FashionClassifier.load(small_bundle, providers=["NoProvider"])


def changed(graph, change):
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    change(copy)
    return copy


def heavier(graph):
    """A kernel that is not the one in use."""
    (kernel,) = (t for t in graph.graph.initializer if t.name == "season/kernel")
    (node,) = (n for n in graph.graph.node if kernel.name in n.input)
    other = numpy_helper.from_array(2 * numpy_helper.to_array(kernel), "other")
    graph.graph.initializer.append(other)
    node.input[1] = "other"


def without_kernel(graph):
    (kernel,) = (t for t in graph.graph.initializer if t.name == "season/kernel")
    (node,) = (n for n in graph.graph.node if kernel.name in n.input)
    node.input[1] = kernel.name = "weights"


@pytest.mark.parametrize(
    "change, complaint",
    [
        (heavier, r"head 'season': expected its logits to be the features' mean times"),
        (without_kernel, r"Missing: \['season/kernel'\]"),
        (lambda g: g.graph.output.pop(0), r"the outputs 'features' and one per head"),
        (lambda g: setattr(g.graph.node[3], "op_type", "Nonsense"), "cannot read it"),
    ],
)
def test_another_graph_is_refused_with_the_reason(small, change, complaint):
    with pytest.raises(UnsuitableGraph, match=complaint):
        OnnxNetwork(changed(small.bundle.graph, change), lambda: None)


def test_weights_in_other_files_are_refused(small, tmp_path):
    """A bundle is one folder: a file that names another path could read anything."""
    file = tmp_path / "model.onnx"
    graph = changed(small.bundle.graph, lambda g: None)
    onnx.save(graph, file, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(UnsuitableGraph, match="all weights inside the file"):
        onnx_network.read(file)


def test_a_bundle_whose_graph_was_changed_is_refused(small_bundle, tmp_path):
    import shutil

    folder = shutil.copytree(small_bundle, tmp_path / "bundle")
    graph = onnx_network.read(folder / bundle.GRAPH)
    heavier(graph)
    bundle.replace_graph(folder, graph)
    with pytest.raises(bundle.BundleError, match=r"model\.onnx: head 'season'"):
        FashionClassifier.load(folder)
    (folder / bundle.GRAPH).write_bytes(b"")
    with pytest.raises(bundle.BundleError, match=r"model\.onnx was changed"):
        FashionClassifier.load(folder)
