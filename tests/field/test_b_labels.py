"""Labels never move silently: what cannot be read for sure is left out and named."""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import zipfile

import pytest

from fashion_xai.__main__ import main
from fashion_xai.audit import engine
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from fashion_xai.data.delimited import Columns, parse
from fashion_xai.data.schema import Table, read_words
from fashion_xai.data.split import read_split, split_of, write_split
from fashion_xai.engines.parts import Parts
from fashion_xai.models.bundle import read_card, update_card
from tests.field.shops import rows_of, shop, written
from tests.server import ROOT
from training import evaluate


@pytest.fixture
def table(drawn):
    return rows_of(drawn)


def text_of(header, rows):
    return "\n".join(",".join(row) for row in [header, *rows])


def with_title_at(header, rows, place, title=None):
    """The table with its title in another place, as it is written there."""
    titles = [title or r[-1] for r in rows]
    return (
        [*header[:place], header[-1], *header[place:-1]],
        [[*r[:place], t, *r[place:-1]] for r, t in zip(rows, titles, strict=True)],
    )


STRAY = '"15" laptop bag, black"'


@pytest.mark.parametrize("name", ["productDisplayName", "name"])
@pytest.mark.parametrize("last", ["season", "price"])
def test_a_stray_quote_in_a_title_that_is_not_last(drawn, table, tmp_path, name, last):
    header, rows = with_title_at(*table, 1)
    header[1] = name
    if last == "price":
        header, rows = [*header, "price"], [[*r, "12"] for r in rows]
    else:  # a label ends the row
        header, rows = header[:8], [r[:8] for r in rows]
    rows[3][1] = STRAY
    data = written(drawn, tmp_path / "shop", text_of(header, rows))
    catalogue = Catalogue(data)
    (left_out,) = catalogue.rejected
    assert left_out[:2] == (5, rows[3][0])
    assert "it cannot be told which cell the surplus belongs to" in left_out.reason
    usual = {p.id: p.labels for p in Catalogue(drawn).products if p.id != rows[3][0]}
    assert {p.id: p.labels for p in catalogue.products} == usual
    # Where the column with free text is named, it is the one.
    named = Catalogue(data, table=Table(title=name))
    assert not named.rejected and named.products[3].title == STRAY
    assert named.products[3].labels == Catalogue(drawn).products[3].labels


def test_a_surplus_elsewhere_is_not_taken_for_the_title(drawn, table, tmp_path):
    header, rows = table
    at = header.index("articleType")
    rows[2][at] = "Tshirts, long"
    data = written(drawn, tmp_path / "shop", text_of(header, rows))
    assert [r.row for r in Catalogue(data).rejected] == [4]
    rows[2][at], rows[2][-1] = "Tshirts", "A shirt, long, red"
    data = written(drawn, tmp_path / "other", text_of(header, rows))
    assert not Catalogue(data).rejected and Catalogue(data).products[2].title == rows[2][-1]


def test_a_last_column_of_ones_own_takes_commas(drawn, table, tmp_path):
    header, rows = table
    header[-1] = "blurb"
    rows[2][-1] = "soft, warm, red"
    data = written(drawn, tmp_path / "shop", text_of(header, rows))
    assert not Catalogue(data).rejected
    assert Catalogue(data).products[2].labels == Catalogue(drawn).products[2].labels


@pytest.mark.parametrize("place", [1, 9])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quoted_cells_with_line_breaks(drawn, table, tmp_path, place, end):
    title = f'"Shirt{end}soft, ""warm""{end}{end}red"'
    header, rows = with_title_at(table[0], table[1][:12], place, title)
    text = end.join(",".join(row) for row in [header, *rows]) + end
    catalogue = Catalogue(written(drawn, tmp_path / "shop", text))
    assert len(catalogue) == 12 and not catalogue.rejected
    assert catalogue.products[11].row == 2 + 11 * 4  # by lines of the file
    read = Catalogue(catalogue.source, table=Table(title="productDisplayName"))
    assert {p.title for p in read.products} == {'Shirt\nsoft, "warm"\n\nred'}
    usual = [p.labels for p in Catalogue(drawn).products[:12]]
    assert [p.labels for p in catalogue.products] == usual


def test_a_stray_quote_swallows_no_rows(drawn, table, tmp_path):
    header, rows = table
    rows[2][-1] = '"Bag'  # opens a cell that nothing closes …
    rows[4][-1] = 'Screen 15"'  # … but for this
    catalogue = Catalogue(written(drawn, tmp_path / "shop", text_of(header, rows)))
    assert len(catalogue) == 24 and not catalogue.rejected
    assert [p.title for p in catalogue.products[2:5:2]] == ['"Bag', 'Screen 15"']
    rows[4][-1] = "Screen"
    rows[6][-1] = "1\\" + '" of steel'
    catalogue = Catalogue(written(drawn, tmp_path / "other", text_of(header, rows)))
    assert len(catalogue) == 24


@pytest.mark.parametrize(
    "text, labels, rejected",
    [  # found by make fuzz
        # Two stray quotes, which are a valid cell of two lines together.
        ('colour,kind,title,id,price\nNavy Blue,Red,",1000,\nRed,Red,",1001,',
         {"1000": "Navy Blue", "1001": "Red"}, 0),
        ('colour,kind,title,id,price\nBlue,Red,",1000,\nRed,Red,,",1001,', {"1000": "Blue"}, 1),
        # A cell of two lines, in a row whose second line has as many cells as the header.
        ('title,colour,kind,id,price\n"\nsecond line",Red,Red,1000,', {"1000": "Red"}, 0),
        ('kind,colour,title,id,price\nNavy Blue,Red,"\nsecond line",1000,', {"1000": "Red"}, 0),
        # A comma too many before the labels, and a last column that is no text.
        ("colour,kind,title,id,price\nRed,Red,,1000,\nRed,Red,,,1001,", {"1000": "Red"}, 1),
        ("id,kind,title,colour,price\n1000,Red,,Red,\n1001,Red,,,Blue,", {"1000": "Red"}, 1),
    ],
)  # fmt: skip
def test_what_the_fuzz_job_found(text, labels, rejected):
    found = parse(text.encode(), Columns(("id", "colour", "kind"), ("colour", "kind")))
    assert {cells["id"]: cells["colour"] for _, cells in found.cells} == labels
    assert len(found.rejected) == rejected


def test_backslashes_before_quotes(drawn, table, tmp_path):
    header, rows = with_title_at(*table, 1, '"15\\" bag, black"')
    catalogue = Catalogue(written(drawn, tmp_path / "shop", text_of(header, rows)))
    assert not catalogue.rejected and catalogue.products[0].title == '15" bag, black'
    assert catalogue.products[0].labels == Catalogue(drawn).products[0].labels


def run_and_kill(arguments, until):
    """Start an audit and kill it as soon as a part is there."""
    process = subprocess.Popen([sys.executable, "-m", "fashion_xai", "audit", *arguments], cwd=ROOT)
    while not until():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_resumed_audit_sees_mended_labels(drawn, table, small_bundle, tmp_path, capsys):
    header, rows = table
    at = header.index("baseColour")
    many = [[f"{r[0]}{n:03}", *r[1:at], "Red", *r[at + 1 :]] for n in range(60) for r in rows]
    data = shop(drawn, tmp_path / "shop", [*header, "where"], [[*r, r[0][:4]] for r in many])
    out = tmp_path / "audit"
    arguments = ["--bundle", str(small_bundle), "--data", str(data), "--photo-column", "where",
                 "--out", str(out), "--no-report", "-q"]  # fmt: skip
    run_and_kill(arguments, lambda: [*(out / "parts").glob("*.parquet")])
    for row in many[:100]:
        row[at] = "Green"
    shop(drawn, data, [*header, "where"], [[*r, r[0][:4]] for r in many])
    capsys.readouterr()
    assert main(["audit", *arguments]) == 0
    assert "it starts anew" in capsys.readouterr().out
    found = Audit(out).table["baseColour_true"].astype(str)
    assert (found == "Green").sum() == 100 and (found == "Red").sum() == len(many) - 100
    assert "it starts anew" not in capsys.readouterr().out


def test_a_resumed_audit_sees_changed_photos_and_goes_on_where_nothing_changed(
    drawn, table, small, tmp_path, capsys
):
    header, rows = table
    data = shop(drawn, tmp_path / "shop", header, rows)
    settings = engine.run(small, Catalogue(data), tmp_path / "audit")
    kept = {k: settings[k] for k in engine.SETTINGS}
    Parts(tmp_path / "audit" / "parts", kept, engine.FATAL)
    mark = tmp_path / "audit" / "parts" / "000000.parquet"
    mark.write_bytes(b"")
    Parts(tmp_path / "audit" / "parts", kept, engine.FATAL)
    assert mark.exists() and "anew" not in capsys.readouterr().out
    shutil.copyfile(data / "images" / "1001.jpg", data / "images" / "1000.jpg")
    catalogue = Catalogue(data)
    changed = {**kept, engine.INPUTS: engine.fingerprint(catalogue, catalogue.products, {})}
    Parts(tmp_path / "audit" / "parts", changed, engine.FATAL)
    assert not mark.exists() and "it starts anew" in capsys.readouterr().out


def test_a_split_belongs_to_a_catalogue_and_not_to_ids(
    drawn, table, small_bundle, tmp_path, capsys
):
    products = Catalogue(drawn).products
    split = {p.id: ("train", "validation", "test")[n % 3] for n, p in enumerate(products)}
    file = tmp_path / "split.csv"
    write_split(file, split, products)
    assert read_split(file) == split and split_of(file, products) == (split, "")
    header, rows = table
    other = shop(
        drawn,
        tmp_path / "other",
        header,
        [[r[0], *s[1:]] for r, s in zip(rows, rows[7:] + rows[:7], strict=True)],
    )
    none, why = split_of(file, Catalogue(other).products)
    assert none == {} and "the split of another catalogue: of 24 products with the same id" in why
    # The same one with fewer columns, some rows, and a label mended, is the same.
    five = Table(columns={a: a for a in ("gender", "articleType")})
    some = Catalogue(drawn, table=five).products[5:]
    some[0].labels["gender"] = "Unisex"
    assert split_of(file, some) == (split, "")
    # Every command honours it.
    bundle = shutil.copytree(small_bundle, tmp_path / "bundle")
    shutil.copyfile(file, bundle / "split.csv")
    sums = read_card(bundle)["sha256"]
    sums["split.csv"] = hashlib.sha256(file.read_bytes()).hexdigest()
    update_card(bundle, sha256=sums)
    out = tmp_path / "audit"
    common = ["--bundle", str(bundle), "--data", str(other), "-q"]
    assert main(["audit", *common, "--out", str(out), "--no-report"]) == 0
    assert "split of another catalogue" in capsys.readouterr().out
    assert Audit(out).table["split"].isna().all()
    assert main(["audit", *common, "--out", str(out), "--split", "test"]) == 1
    assert "no product of the test split" in capsys.readouterr().err
    assert evaluate.main(common) == 1
    assert "--split all measures every product" in capsys.readouterr().err


def test_two_tables_are_not_chosen_between(drawn, table, tmp_path):
    header, rows = table
    for side, part in (("train", rows[:8]), ("test", rows[8:12])):
        shop(drawn, tmp_path / side, header, part)
    with pytest.raises(
        CatalogueError, match=r"several tables: test/styles\.csv, train/styles\.csv"
    ):
        Catalogue(tmp_path)
    assert len(Catalogue(tmp_path, table=Table(file="train/styles.csv"))) == 8
    assert len(Catalogue(tmp_path, table=Table(file="./test/styles.csv"))) == 4
    with pytest.raises(
        CatalogueError, match=r"no shop\.csv. Tables that are there: test/styles\.csv"
    ):
        Catalogue(tmp_path, table=Table(file="shop.csv"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("packed", [False, True])
def test_composed_and_decomposed_letters_are_one(drawn, table, tmp_path, form, packed):
    header, rows = table
    at = header.index("baseColour")
    colour = [unicodedata.normalize(f, "Crème") for f in ("NFC", "NFD")]
    rows = [[f"é{r[0]}", *r[1:at], colour[n % 2], *r[at + 1 :]] for n, r in enumerate(rows)]
    folder = tmp_path / "shop"
    (folder / "images").mkdir(parents=True)
    for row in rows:
        name = unicodedata.normalize(form, f"{row[0]}.jpg")
        shutil.copyfile(drawn / "images" / f"{row[0][1:]}.jpg", folder / "images" / name)
    with (folder / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    if packed:
        with zipfile.ZipFile(tmp_path / "shop.zip", "w") as file:
            for path in folder.rglob("*.*"):
                file.write(path, path.relative_to(folder).as_posix())
        folder = tmp_path / "shop.zip"
    catalogue = Catalogue(folder)
    assert len(catalogue) == 24 and not catalogue.rejected
    assert {p.labels["baseColour"] for p in catalogue.products} == {"Crème"}
    assert catalogue.products[0].id == unicodedata.normalize("NFC", "é1000")
    map_file = tmp_path / "map.json"
    map_file.write_text(f'{{"{colour[1]}": {{"baseColour": ["Beige"]}}}}', encoding="utf-8")
    mapped = Catalogue(folder, table=Table(words=read_words([map_file])))
    assert {p.labels["baseColour"] for p in mapped.products} == {"Beige"}
