"""The examples convince: the bundle that ships is right about them, and surely so."""

import numpy as np
from PIL import Image

from demo.tabs.explain import DEMO
from examples import drawings

SURE = 0.8


def test_the_model_that_ships_is_right_about_the_drawn_examples(shipped):
    files = sorted((DEMO / "examples").glob("*.png"))
    assert {file.stem for file in files} == set(drawings.DRAWINGS) and len(files) == 10
    sure, wrong = 0, []
    for file, forward_pass in zip(files, shipped.read(files), strict=True):
        drawing, answer = drawings.DRAWINGS[file.stem], shipped.predictions(forward_pass)
        kind, colour = answer["articleType"], answer["baseColour"]
        if (kind.label, colour.label) != (drawing.article, drawing.base_colour):
            wrong.append((file.stem, kind.label, colour.label))
        sure += kind.probability >= SURE and colour.probability >= SURE
        assert shipped.is_one_product(forward_pass), file.stem
    assert not wrong and sure >= 8


def test_what_ships_is_what_the_code_draws():
    for name in drawings.DRAWINGS:
        shown = Image.open(DEMO / "examples" / f"{name}.png").convert("RGB")
        drawn = drawings.photo(name).astype(int)
        assert np.abs(np.asarray(shown, int) - drawn).mean() < 2, name  # 255 colours
