"""A photo that lies on its side is noticed; one that the network is sure of costs nothing more."""

from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from demo.views import cards, turned
from examples import drawings


@pytest.fixture(scope="module")
def upright(shipped):
    photo = drawings.photo("pink-dress")
    return cards.analyse(photo, next(shipped.read([photo])))


def lying(shipped, analysis, turns):
    """The photo turned clockwise by so many quarters."""
    photo = np.ascontiguousarray(np.rot90(analysis.photo, -turns))
    return cards.analyse(photo, next(shipped.read([photo])))


def done(forward_pass) -> Future:
    answer: Future = Future()
    answer.set_result(forward_pass)
    return answer


def test_a_sure_answer_asks_nobody(shipped, upright):
    assert turned.confidence(shipped, upright.forward_pass) > turned.SURE
    assert turned.better(shipped, upright, submit=None) == 0


def test_the_turn_that_makes_it_sure_is_offered(shipped, upright):
    """The answers are as by the network, but for the photo that lies: there nothing is known."""
    nothing = {a: x * 0 for a, x in upright.forward_pass.logits.items()}
    for turns, back in ((1, 270), (2, 180), (3, 90)):
        photo = lying(shipped, upright, turns)
        unsure = replace(photo, forward_pass=replace(photo.forward_pass, logits=nothing))
        seen = []

        def submit(turned_photo, seen=seen):
            seen.append(turned_photo)
            same = np.array_equal(turned_photo, upright.photo)
            found = next(shipped.read([turned_photo]))
            return done(found if same else replace(found, logits=nothing))

        assert turned.better(shipped, unsure, submit) == back and len(seen) == 3


def test_no_turn_that_helps_is_no_offer(shipped, upright):
    nothing = {a: x * 0 for a, x in upright.forward_pass.logits.items()}
    unsure = replace(upright.forward_pass, logits=nothing)
    doubted = replace(upright, forward_pass=unsure)
    assert turned.better(shipped, doubted, lambda _: done(unsure)) == 0


def test_the_three_turns_wait_together(shipped, upright):
    """Nobody asks for the first answer before all three photos wait."""
    nothing = {a: x * 0 for a, x in upright.forward_pass.logits.items()}
    unsure = replace(upright.forward_pass, logits=nothing)
    waiting = []

    class Answer(Future):
        def result(self, timeout=None):
            assert len(waiting) == 3
            return unsure

    def submit(photo):
        waiting.append(Answer())
        return waiting[-1]

    assert turned.better(shipped, replace(upright, forward_pass=unsure), submit) == 0
