"""Faces: a drawn one is found in the upper part of a photo, and nowhere else."""

import numpy as np
import pytest
from skimage import data, transform

from examples import garments
from fashion_xai.data.masks import face


@pytest.fixture(scope="module")
def head():
    """The face of scikit-image's astronaut, 50 pixels high."""
    return (transform.resize(data.astronaut()[60:200, 160:290], (56, 52)) * 255).astype(np.uint8)


def on_white(head, top):
    photo = garments.draw("tshirt", size=(256, 192), scale=0.5, centre=(0.6, 0.5))
    photo[top : top + head.shape[0], 70 : 70 + head.shape[1]] = head
    return photo


def test_a_face_is_found_where_it_is(head):
    found = face(on_white(head, 12))
    rows, columns = np.nonzero(found)
    assert 12 <= rows.mean() <= 12 + 56 and 70 <= columns.mean() <= 70 + 52
    assert found.sum() > 0.2 * 56 * 52


def test_a_face_printed_on_a_shirt_and_a_garment_alone_are_none(head):
    assert face(on_white(head, 150)) is None
    assert face(garments.draw("shirt", size=(256, 192))) is None
