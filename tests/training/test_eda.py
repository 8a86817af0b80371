"""Numbers by hand on a small catalogue, and the page."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.labels import ATTRIBUTES
from training import eda
from training.data import near_duplicates


def product(identity: str, master: str, sub: str, article: str, colour: str | None) -> Product:
    labels = {"gender": "Men", "masterCategory": master, "subCategory": sub,
              "articleType": article, "baseColour": colour, "season": "Fall"}  # fmt: skip
    return Product(identity, 2, labels)


PRODUCTS = [
    *(product(str(i), "Apparel", "Topwear", "Shirts", "Red") for i in range(60)),
    *(product(str(60 + i), "Apparel", "Topwear", "Tops", "Blue") for i in range(30)),
    product("90", "Apparel", "Dress", "Shirts", None),
]


def test_distributions_by_hand():
    d = eda.distribution(PRODUCTS, "baseColour")
    assert (d["labels"], d["missing"], d["rare"], d["imbalance"]) == (2, 1, 0, 2.0)
    assert list(d["counts"].items()) == [("Red", 60), ("Blue", 30)]
    p = np.array([2 / 3, 1 / 3])
    assert d["effective_labels"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_what_determines_what():
    table = eda.determines(PRODUCTS, ATTRIBUTES)
    assert table["articleType"]["baseColour"] == pytest.approx(1)  # Shirts red, Tops blue
    assert table["baseColour"]["articleType"] == pytest.approx(1)
    assert table["gender"]["articleType"] == pytest.approx(0)  # everything is Men
    # H(subCategory | articleType): of the 61 shirts one lies elsewhere, of the tops none.
    h_given = 61 / 91 * -(60 / 61 * np.log(60 / 61) + 1 / 61 * np.log(1 / 61))
    h = -(90 / 91 * np.log(90 / 91) + 1 / 91 * np.log(1 / 91))
    assert table["articleType"]["subCategory"] == pytest.approx(1 - h_given / h)


def test_odd_paths_name_the_usual_one():
    (odd,) = eda.odd_paths(PRODUCTS)
    assert odd["path"] == ["Apparel", "Dress", "Shirts"] and odd["ids"] == ["90"]
    assert odd["usual"] == ["Apparel", "Topwear", "Shirts"]
    assert odd["share"] == pytest.approx(1 / 61)


def test_conflicts_inside_groups():
    found = eda.conflicts(PRODUCTS, [[0, 1], [2, 70], [3, 90]], ATTRIBUTES)
    assert found["baseColour"]["groups"] == 2
    assert ["Blue", "Red", 1] in found["baseColour"]["pairs"]
    assert found["gender"]["groups"] == 0


def test_groups_come_largest_first():
    duplicates = near_duplicates.NearDuplicates(np.array([0, 1, 1, 2, 3, 3, 3]), 0, 0)
    assert eda.group_members(duplicates) == [[4, 5, 6], [1, 2]]


def test_the_page_of_a_drawn_catalogue(drawn, tmp_path, capsys):
    folder = shutil.copytree(drawn, tmp_path / "catalogue")
    shutil.copy(folder / "images" / "1000.jpg", folder / "images" / "1001.jpg")  # a near-duplicate
    with Image.open(folder / "images" / "1002.jpg") as picture:
        picture.convert("L").save(folder / "images" / "1002.jpg")
    args = ["--data", str(folder), "--out", str(tmp_path / "out"), "--cache", str(tmp_path)]
    assert eda.main(args) == 0
    numbers = json.loads((tmp_path / "out" / "eda.json").read_text(encoding="utf-8"))
    assert numbers["products"] == len(Catalogue(folder)) == 24
    assert numbers["photos"] == {
        "sizes": {"60×80": 24}, "modes": {"RGB": 23, "L": 1}, "formats": {"JPEG": 24},
    }  # fmt: skip
    assert numbers["near_duplicates"]["identical_photos"] == 2
    assert numbers["conflicts"]["baseColour"]["groups"] >= 1
    html = (tmp_path / "out" / "eda.html").read_text(encoding="utf-8")
    assert "http" not in html and html.count("data:image/png") == 7
    assert "1000: Tshirts, " in html and "1001: Tshirts, " in html
    assert eda.main(["--data", str(tmp_path / "absent")]) == 1
    assert "no such folder or zip" in capsys.readouterr().err
