"""The careful map on demand: the library's own, with its progress, and ended when nobody waits."""

import time

import numpy as np
import pytest

from demo.serving import closer
from demo.serving.batcher import DynamicBatcher
from examples import garments
from fashion_xai.maps import methods
from fashion_xai.models.outputs import Explanation


@pytest.fixture
def batcher(small):
    made = DynamicBatcher(small)
    yield made
    made.close()


@pytest.fixture
def forward_pass(small):
    (found,) = small.read([garments.draw("bag", "Red")])
    return found


def test_it_is_the_librarys_map_and_says_how_far_it_is(batcher, small, forward_pass):
    *shares, found = closer.look(batcher, forward_pass, "season")
    assert isinstance(found, Explanation)
    assert shares == sorted(shares) and all(0 <= x <= 1 for x in shares)
    expected = small.explanations(forward_pass, ["season"], method=closer.METHOD)["season"]
    assert (found.target, found.method) == (expected.target, "occlusion-guided")
    # Pixels travel as whole numbers here, as photos do.
    np.testing.assert_allclose(found.heatmap, expected.heatmap, atol=0.02)


def test_another_label_and_a_rival_are_asked_about(batcher, small, forward_pass):
    first, second = small.vocabulary.labels["season"][:2]
    *_, found = closer.look(batcher, forward_pass, "season", first, second)
    assert (found.target, found.against) == (first, second)


def test_the_passes_are_as_many_as_is_said(small, forward_pass):
    asked = []

    class Counting:
        def __getattr__(self, name):
            return getattr(small.network, name)

        def forward(self, pixels):
            asked.append(len(pixels))
            return small.network.forward(pixels)

    small.explanations(forward_pass, ["season"], method=closer.METHOD, network=Counting())
    assert sum(asked) == methods.passes_of_hiding(forward_pass.features.shape[:2])


def test_it_ends_when_nobody_waits(batcher, forward_pass, monkeypatch):
    read, seen = batcher.classifier.read_fitted, []

    def slowly(fitted):
        seen.extend(fitted)
        time.sleep(0.05)
        return read(fitted)

    monkeypatch.setattr(batcher.classifier, "read_fitted", slowly)
    monkeypatch.setattr(closer, "AT_ONCE", 1)
    steps = closer.look(batcher, forward_pass, "season")
    next(steps)
    steps.close()
    before = len(seen)
    time.sleep(0.3)
    assert len(seen) == before < methods.passes_of_hiding(forward_pass.features.shape[:2])
