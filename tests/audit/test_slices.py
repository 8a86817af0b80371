"""Slices: a planted weakness is found, noise is not, and intervals are Wilson's."""

import numpy as np
import pandas as pd
import pytest

from fashion_xai.audit.slices import error_slices


def table(rate_of_red: float, n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colour = np.where(rng.random(n) < 0.2, "Red", "Blue")
    wrong = rng.random(n) < np.where(colour == "Red", rate_of_red, 0.1)
    return pd.DataFrame(
        {
            "sharpness": rng.random(n),
            "grey": rng.random(n) < 0.1,
            "baseColour_true": colour,
            "season_true": rng.choice(["Summer", "Fall"], n),
            "articleType_true": "Tops",
            "articleType_predicted": np.where(wrong, "Shirts", "Tops"),
        }
    )


HEADS = ("articleType", "baseColour", "season")


def test_a_planted_weakness_comes_first_and_alone():
    found = error_slices(table(0.5), "articleType", HEADS)
    assert found.loc[0, ["trait", "value"]].tolist() == ["baseColour", "Red"]
    assert found["significant"].tolist() == [True] + [False] * (len(found) - 1)
    worst = found.iloc[0]
    assert worst["low"] < worst["errors"] / worst["products"] == worst["rate"] < worst["high"]
    assert worst["rest"] == pytest.approx(0.1, abs=0.05)


def test_noise_is_not_called_significant():
    assert not error_slices(table(0.1, seed=1), "articleType", HEADS)["significant"].any()


def test_an_interval_by_hand():
    """Wilson 1927: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)."""
    found = error_slices(table(0.5), "articleType", HEADS).iloc[0]
    n, p, z = found["products"], found["rate"], 1.959964
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)]
    assert [found["low"], found["high"]] == pytest.approx(expected, abs=1e-6)


def test_small_slices_are_not_judged():
    few = table(0.5)
    few.loc[:4, "baseColour_true"] = "Mauve"
    assert "Mauve" not in set(error_slices(few, "articleType", HEADS)["value"])
    assert error_slices(few[:0], "articleType", HEADS).empty
