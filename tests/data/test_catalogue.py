"""Each trap of the dataset, on drawn catalogues; the real one where it is there."""

import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from examples import garments
from fashion_xai.data.catalogue import Catalogue, CatalogueError, summarise
from fashion_xai.data.images import ImageError

ROW = ["1000", "Men", "Apparel", "Topwear", "Tshirts", "Red", "Summer", "2012", "Casual", "Shirt"]
HEADER = ",".join(garments.HEADER)


@pytest.fixture
def folder(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "catalogue")


def with_rows(folder, *lines):
    (folder / "styles.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return folder


def test_reads_a_folder_and_the_same_from_a_zip(drawn, tmp_path):
    packed = tmp_path / "archive.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(drawn.rglob("*.*")):
            file.write(path, f"fashion/{path.relative_to(drawn)}")
            file.write(path, f"fashion/second-copy/{path.relative_to(drawn)}")  # as Kaggle's has
    one, other = Catalogue(drawn), Catalogue(packed)
    assert len(one) == 24 and one.products == other.products and not one.rejected
    assert one.products[0].labels["articleType"] == "Tshirts"
    np.testing.assert_array_equal(one.photo(one.products[5]), other.photo(other.products[5]))


def test_a_title_keeps_its_commas_and_quotes(folder):
    start = "1000,Men,Apparel,Topwear,Tshirts,Red,Summer,2012,Casual,"
    for written, read in [
        ("Perfume, After Shave Balm, Gel", "Perfume, After Shave Balm, Gel"),
        ('"Quoted, properly"', "Quoted, properly"),
        ('"Half" quoted', '"Half" quoted'),
        ('15" bag, black', '15" bag, black'),
        ("Line\u2028separator", "Line\u2028separator"),
    ]:
        (product,) = Catalogue(with_rows(folder, start + written)).products
        assert product.title == read
        assert product.labels["season"] == "Summer"


def test_empty_and_na_are_missing_but_none_is_a_label(folder):
    row = [*ROW]
    row[5:7] = ["NA", ""]
    other = ["1001", *ROW[1:5], "None", *ROW[6:]]
    first, second = Catalogue(with_rows(folder, ",".join(row), ",".join(other))).products
    assert first.labels["baseColour"] is None and first.labels["season"] is None
    assert second.labels["baseColour"] == "None"


def test_rows_without_photo_and_short_rows_are_counted_and_named(folder):
    lines = [",".join(ROW), ",".join(["77", *ROW[1:]]), "1001,Men,Apparel", "," + ",".join(ROW[1:])]
    catalogue = Catalogue(with_rows(folder, *lines))
    assert [p.id for p in catalogue.products] == ["1000"]
    assert {(r.row, r.id) for r in catalogue.rejected} == {(3, "77"), (4, "1001"), (5, "")}
    summary = summarise(catalogue.rejected)
    assert summary.startswith("3 rows left out") and "expected 10 columns, received 3" in summary


def test_a_cell_longer_than_a_csv_reader_takes_is_left_out_and_named(folder):
    lines = [",".join(ROW), ",".join(["1001", *ROW[1:-1], "x" * 140_000])]
    catalogue = Catalogue(with_rows(folder, *lines))
    assert [p.id for p in catalogue.products] == ["1000"]
    (left_out,) = catalogue.rejected
    assert left_out[:2] == (3, "1001") and left_out.reason == "a cell of over 131,072 characters"


def test_a_photo_that_does_not_decode_says_so(folder):
    (folder / "images" / "1000.jpg").write_bytes(b"<html>not found</html>")
    catalogue = Catalogue(folder)
    with pytest.raises(ImageError, match="not a photo"):
        catalogue.photo(catalogue.products[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER + "\n", "has no row"),
        (HEADER.replace("season,", "") + "\n1,2", "row 1: no column season"),
        ("\n".join([HEADER, ",".join(ROW), ",".join(ROW)]), "row 3: id 1000 is in row 2"),
        ("\n".join([HEADER, ",".join(["9", *ROW[1:]])]), "none of the 1 rows has a photo"),
    ],
)
def test_a_broken_table_is_refused_by_name_and_row(folder, text, message):
    (folder / "styles.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=message) as caught:
        Catalogue(folder)
    assert str(folder) in str(caught.value)


def test_no_table_no_folder_no_zip(folder, tmp_path):
    with pytest.raises(CatalogueError, match="no such folder"):
        Catalogue(tmp_path / "absent")
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    with pytest.raises(CatalogueError, match="zip"):
        Catalogue(tmp_path / "a.zip")
    (folder / "styles.csv").unlink()
    with pytest.raises(CatalogueError, match=r"no styles\.csv"):
        Catalogue(folder)


def test_larger_photos_replace_the_small_ones_they_match(drawn, tmp_path):
    larger = tmp_path / "larger"
    larger.mkdir()
    Image.fromarray(garments.draw("shirt", size=(224, 168))).save(larger / "1000.jpg")
    Image.fromarray(garments.draw("shirt", size=(224, 168))).save(larger / "5.jpg")  # unknown id
    catalogue = Catalogue(drawn, larger)
    assert catalogue.replaced == {"1000"}
    assert catalogue.photo(catalogue.products[0]).shape == (224, 168, 3)
    assert catalogue.photo(catalogue.products[1]).shape == (80, 60, 3)
    (larger / "1000.jpg").unlink()
    with pytest.raises(CatalogueError, match="no photo of any product"):
        Catalogue(drawn, larger)


def test_the_real_catalogue_whole(real_catalogue):
    catalogue = Catalogue(real_catalogue)
    assert len(catalogue) + len(catalogue.rejected) == 39_943
    assert [r.id for r in catalogue.rejected] == ["39410", "39401", "39425", "12347"]
    assert all("no photo" in r.reason for r in catalogue.rejected)
    missing = {
        a: sum(p.labels[a] is None for p in catalogue.products) for a in ("baseColour", "season")
    }
    assert missing == {"baseColour": 13, "season": 19}
    # Counted in the file itself: 16 of its lines hold more than nine commas.
    titles = [p.title for p in catalogue.products if "," in p.title]
    assert len(titles) == 16
    assert "Boss Men Perfume, After Shave Balm and Shower Gel Set" in titles
