"""A table is described once, in whatever form it comes, and every command honours it."""

import argparse
import io
import json
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo import server
from demo.views import audit as view
from fashion_xai.__main__ import main
from fashion_xai.audit import engine
from fashion_xai.audit.results import Audit
from fashion_xai.cli import schema as flags
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from fashion_xai.data.schema import Table
from tests.field.shops import rows_of, shop, written
from training import calibrate, config, eda, evaluate


@pytest.fixture
def table(drawn):
    return rows_of(drawn)


def same_as(drawn, catalogue):
    """Whether a catalogue has the drawn one's labels and photos."""
    usual = Catalogue(drawn)
    assert [p.labels for p in catalogue.products] == [p.labels for p in usual.products]
    for mine, its in zip(catalogue.products, usual.products, strict=True):
        assert catalogue.read(mine) == usual.read(its)
    return True


FIVE = "gender,masterCategory,subCategory,baseColour,season"


def test_heads_without_a_column_are_unlabelled(drawn, table, small_bundle, tmp_path, capsys):
    header, rows = table
    at = header.index("articleType")
    data = shop(drawn, tmp_path / "shop", [*header[:at], *header[at + 1 :]],
                [[*r[:at], *r[at + 1 :]] for r in rows])  # fmt: skip
    arguments = ["--bundle", str(small_bundle), "--data", str(data), "--columns", FIVE, "-q"]
    assert main(["audit", *arguments, "--out", str(tmp_path / "audit")]) == 0
    said = capsys.readouterr().out
    assert "No column for articleType, which stay unlabelled" in said
    assert "articleType: – (no product has a label)" in said
    opened = Audit(tmp_path / "audit")
    assert opened.summary["heads"]["articleType"] == {"labelled": 0, "right": 0}
    assert opened.summary["heads"]["gender"]["labelled"] == 24
    assert opened.table["articleType_true"].isna().all()
    page = (tmp_path / "audit" / "audit.html").read_text(encoding="utf-8")
    assert "articleType" in page and ">nan<" not in page
    # Without flags the sentence says how to go on.
    with pytest.raises(CatalogueError, match=rf"no column articleType.*--columns {FIVE}$"):
        Catalogue(data)
    assert (
        main(["audit", *arguments, "--attribute", "articleType", "--out", str(tmp_path / "b")]) == 0
    )
    assert "–" in (tmp_path / "b" / "audit.html").read_text(encoding="utf-8")


def test_evaluate_measures_the_heads_that_have_labels(drawn, table, small_bundle, tmp_path, capsys):
    header, rows = table
    at = header.index("season")
    data = shop(drawn, tmp_path / "shop", header, [[*r[:at], "", *r[at + 1 :]] for r in rows])
    assert evaluate.main(["--bundle", str(small_bundle), "--data", str(data), "-q"]) == 0
    (season,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("| season"))
    assert set(season.replace(" ", "").split("|")[2:-1]) == {"–"}


def test_the_demo_takes_the_description_from_the_audit_or_from_flags(
    drawn, table, small_bundle, tmp_path
):
    header, rows = table
    data = shop(drawn, tmp_path / "shop", ["sku", *header[1:]], rows, "shop.csv")
    arguments = ["--bundle", str(small_bundle), "--data", str(data), "--id-column", "sku", "-q"]
    out = tmp_path / "audit"
    assert main(["audit", *arguments, "--out", str(out), "--no-report"]) == 0
    for more in ([], ["--table", "shop.csv", "--id-column", "sku"]):
        args = server.parse(["--audit", str(out), "--data", str(data), *more])
        catalogue = server.audited_catalogue(args, {})  # the audit knows
        assert Audit(out, catalogue).photo("1000").shape == (80, 60, 3)


@pytest.mark.parametrize(
    "cell, place",
    [
        ("{}.jpg", "images/{}.jpg"),
        ("images/{}.jpg", "images/{}.jpg"),
        ("images/{}", "images/{}.jpg"),
        ("images\\{}.jpg", "images/{}.jpg"),
        ("./images/{}.jpg", "images/{}.jpg"),
        ("/home/ann/shop/images/{}.jpg", "images/{}.jpg"),
        ("images/010/0{}.jpg", "images/010/0{}.jpg"),
        ("0{}", "images/010/0{}.jpg"),
        ("{}", "images/010/00{}.jpg"),  # a spreadsheet ate the zeros
        ("{}", "photos/deep/er/{}.JPG"),
        ("AB-{}", "images/ab-{}.jpg"),
    ],
)
def test_ids_and_photos_find_each_other(drawn, table, tmp_path, cell, place):
    header, rows = table
    data = tmp_path / "shop"
    for row in rows:
        photo = data / place.format(row[0])
        photo.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(drawn / "images" / f"{row[0]}.jpg", photo)
    text = "\n".join(",".join(r) for r in [header, *[[cell.format(r[0]), *r[1:]] for r in rows]])
    (data / "styles.csv").write_text(text, encoding="utf-8")
    assert same_as(drawn, Catalogue(data))
    # And by a column of its own, where ids are something else.
    rows = [[f"P{n}", *r[1:], cell.format(r[0])] for n, r in enumerate(rows)]
    text = "\n".join(",".join(r) for r in [[*header, "where"], *rows])
    (data / "styles.csv").write_text(text, encoding="utf-8")
    assert same_as(drawn, Catalogue(data, table=Table(photo="where")))


@pytest.mark.parametrize(
    "suffix", [".jfif", ".jpe", ".bmp", ".tif", ".tiff", ".gif", ".png", ".webp"]
)
def test_photos_of_every_format_that_is_read(drawn, table, tmp_path, suffix):
    header, rows = table
    data = shop(drawn, tmp_path / "shop", header, rows[:1])
    kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix)
    Image.open(data / "images" / "1000.jpg").save(data / "images" / f"1000{suffix}", kind)
    (data / "images" / "1000.jpg").unlink()
    assert Catalogue(data).photo(Catalogue(data).products[0]).shape == (80, 60, 3)


def test_two_photos_of_one_id_are_not_chosen_between(drawn, table, tmp_path):
    header, rows = table
    data = shop(drawn, tmp_path / "shop", header, rows)
    shutil.copyfile(data / "images" / "1001.jpg", data / "images" / "1000.png")
    (left_out,) = Catalogue(data).rejected
    assert left_out.id == "1000" and "several photos: images/1000.jpg and" in left_out.reason


@pytest.mark.parametrize(
    "delimiter, encoding, said",
    [
        (";", "utf-8", "cells between semicolons"),
        ("\t", "utf-8", "cells between tabs"),
        ("\t", "utf-16", "encoding utf-16, cells between tabs"),
        (",", "utf-16-le", "encoding utf-16-le"),
        (",", "cp1252", "encoding cp1252, guessed (--encoding says another)"),
        (
            ";",
            "cp1252",
            "encoding cp1252, guessed (--encoding says another), cells between semicolons",
        ),
        (",", "utf-8-sig", None),
    ],
)
def test_delimiters_and_encodings_are_found_and_said(
    drawn, table, tmp_path, delimiter, encoding, said
):
    header, rows = table
    at = header.index("baseColour")
    rows = [[*r[:at], "Crème", *r[at + 1 : -1], "Été, “l'étoile” – 5 €"] for r in rows]
    data = shop(drawn, tmp_path / "shop", header, rows, delimiter=delimiter, encoding=encoding)
    catalogue = Catalogue(data)
    assert {p.labels["baseColour"] for p in catalogue.products} == {"Crème"}
    assert {p.title for p in catalogue.products} == {"Été, “l'étoile” – 5 €"}
    assert catalogue.notes == ([f"styles.csv: {said}"] if said else [])


@pytest.mark.parametrize(
    "encoding, colour",
    [("cp1251", "Красный"), ("cp932", "青いワンピース"), ("gb18030", "红色"), ("cp1250", "Żółty")],
)
def test_other_countries_excel(drawn, table, tmp_path, encoding, colour):
    header, rows = table
    at = header.index("baseColour")
    rows = [[*r[:at], colour, *r[at + 1 :]] for r in rows]
    data = shop(drawn, tmp_path / "shop", header, rows, encoding=encoding)
    assert {p.labels["baseColour"] for p in Catalogue(data).products} == {colour}
    named = Catalogue(data, table=Table(encoding=encoding))
    assert {p.labels["baseColour"] for p in named.products} == {
        colour
    } and "guess" not in named.notes[0]
    with pytest.raises(CatalogueError, match="expected text in --encoding utf-8"):
        Catalogue(data, table=Table(encoding="utf-8"))


def test_excel(drawn, table, tmp_path):
    header, rows = table
    shutil.copytree(drawn / "images", tmp_path / "images")
    book = openpyxl.Workbook()
    book.active.append(header)
    for row in rows:
        book.active.append([int(row[0]), *row[1:]])
    book.save(tmp_path / "products.xlsx")
    catalogue = Catalogue(tmp_path)
    assert same_as(drawn, catalogue) and not catalogue.rejected
    assert catalogue.notes[:2] == [
        "The table is products.xlsx",
        "products.xlsx: Excel, sheet 'Sheet'",
    ]
    assert same_as(drawn, Catalogue(tmp_path / "products.xlsx"))
    (tmp_path / "products.xlsx").write_bytes(b"PK nothing")
    with pytest.raises(CatalogueError, match=r"products\.xlsx: expected an Excel table"):
        Catalogue(tmp_path)


def class_folders(drawn, to, sides=("train", "test")):
    for n, product in enumerate(Catalogue(drawn).products):
        folder = to / sides[n % len(sides)] / product.labels["articleType"]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(drawn / "images" / f"{product.id}.jpg", folder / f"{product.id}.jpg")
    return to


def test_class_folders(drawn, tmp_path):
    data = class_folders(drawn, tmp_path / "shop")
    (data / "train" / "stray.jpg").write_bytes(b"x")
    catalogue = Catalogue(data)
    usual = {p.id: p.labels["articleType"] for p in Catalogue(drawn).products}
    found = {p.id.split("/")[-1][:-4]: p for p in catalogue.products}
    assert {i: p.labels for i, p in found.items()} == {
        i: {"articleType": x} for i, x in usual.items()
    }
    assert {p.side for p in catalogue.products} == {"train", "test"}
    assert all(p.id.startswith("train/") == (p.side == "train") for p in catalogue.products)
    assert catalogue.notes[0].startswith("Folders by class, 6 of them: ")
    (stray,) = catalogue.rejected
    assert stray.id == "train/stray.jpg" and stray.reason == "lies in no class's folder"
    # A head of one's own, and words of one's own.
    assert set(Catalogue(data, table=Table(columns={"kind": "kind"})).products[0].labels) == {
        "kind"
    }
    words = {label: {"gender": ["Men", "Women"]} for label in set(usual.values())}
    mapped = Catalogue(data, table=Table(words=words)).products[0]
    assert mapped.one_of == {"gender": ("Men", "Women")} and mapped.word in words
    # The description that an audit or a card keeps reads the same again.
    assert (
        Catalogue(data, table=Table.from_json(catalogue.table.to_json())).products
        == catalogue.products
    )


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_hugging_face_image_folder(drawn, tmp_path, form):
    usual = Catalogue(drawn).products
    for side in ("train", "test"):
        folder = tmp_path / side
        folder.mkdir()
        rows = []
        for product in usual[side == "test" :: 2]:
            shutil.copyfile(drawn / "images" / f"{product.id}.jpg", folder / f"{product.id}.jpg")
            rows.append({"file_name": f"{product.id}.jpg", **product.labels})
        if form == "csv":
            lines = [",".join(rows[0]), *(",".join(r.values()) for r in rows)]
            (folder / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
        elif form == "jsonl":
            text = "\n".join(json.dumps(r) for r in rows)
            (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
        else:
            pq.write_table(pa.Table.from_pylist(rows), folder / "metadata.parquet")
    catalogue = Catalogue(tmp_path)
    assert {p.id: (p.side, p.labels) for p in catalogue.products} == {
        f"{side}/{p.id}.jpg": (side, p.labels)
        for n, p in enumerate(usual)
        for side in (("train", "test")[n % 2],)
    }
    assert "The table is test/metadata" in catalogue.notes[0] and not catalogue.rejected


@pytest.mark.parametrize("kind", ["bytes", "hugging face", "path"])
def test_parquet_with_photos_or_paths(drawn, tmp_path, kind):
    usual = Catalogue(drawn)
    data = [usual.read(p) for p in usual.products]
    columns = {a: [p.labels[a] for p in usual.products] for a in usual.table.attributes}
    metadata = None
    if kind == "path":
        shutil.copytree(drawn / "images", tmp_path / "photos")
        columns["path"] = [f"photos/{p.id}.jpg" for p in usual.products]
    elif kind == "bytes":
        columns["photo"] = data
        columns["id"] = [int(p.id) for p in usual.products]
    else:
        names = sorted(set(columns["gender"]))
        columns = {"label": [names.index(x) for x in columns["gender"]]}
        columns["image"] = [{"bytes": d, "path": None} for d in data]
        features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table(columns).replace_schema_metadata(metadata)
    file = (
        tmp_path / "data" / "train-00000-of-00001.parquet"
        if kind != "path"
        else tmp_path / "a.parquet"
    )
    file.parent.mkdir(exist_ok=True)
    pq.write_table(table, file, row_group_size=5)
    catalogue = Catalogue(tmp_path)
    assert [catalogue.read(p) for p in catalogue.products] == data
    if kind == "hugging face":
        assert [p.labels for p in catalogue.products] == [
            {"articleType": p.labels["gender"]} for p in usual.products
        ]
        assert [p.id for p in catalogue.products] == [str(n) for n in range(24)]
    else:
        assert [p.labels for p in catalogue.products] == [p.labels for p in usual.products]
    assert {p.side for p in catalogue.products} == ({""} if kind == "path" else {"train"})


@pytest.mark.parametrize("word", ["nan", "NaN", "N/A", "NULL", "<NA>", "-", "null", "n/a"])
def test_words_for_missing(drawn, table, tmp_path, word):
    header, rows = table
    at = header.index("season")
    rows = [[*r[:at], word, *r[at + 1 :]] for r in rows]
    data = shop(drawn, tmp_path / "shop", header, rows)
    catalogue = Catalogue(data)
    assert {p.labels["season"] for p in catalogue.products} == {None}
    (note,) = catalogue.notes
    assert f"season {word!r} 24×" in note and "--missing" in note
    kept = Catalogue(data, table=Table(missing=("unknown",)))
    assert {p.labels["season"] for p in kept.products} == {word}


def test_missing_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "NA N/A nan NULL <NA> #N/A - –" in text


def test_other_spellings_are_named_before_the_work_and_mapped(
    drawn, table, small_bundle, tmp_path, capsys
):
    header, rows = table
    at = header.index("articleType")
    swap = {"Tshirts": "T-shirts", "Jeans": "jeans", "Watches": "Watch"}
    assert any(r[at] in swap for r in rows)
    rows = [[*r[:at], swap.get(r[at], r[at]), *r[at + 1 :]] for r in rows]
    rows[0][at] = "Qpzxv"  # nothing is spelt like it
    data = shop(drawn, tmp_path / "shop", header, rows)
    arguments = ["--bundle", str(small_bundle), "--data", str(data), "-q", "--no-report"]
    out = tmp_path / "audit"
    assert main(["audit", *arguments, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "articleType 'T-shirts' (3 products); meant: 'Tshirts'?" in said
    assert said.index("T-shirts") < said.index("differ from the label")
    suggested = out / "suggested-labels.json"
    assert json.loads(suggested.read_text(encoding="utf-8"))["T-shirts"] == {
        "articleType": ["Tshirts"]
    }
    assert json.loads(suggested.read_text(encoding="utf-8"))["Qpzxv"] == {"articleType": []}
    again = tmp_path / "again"
    assert main(["audit", *arguments, "--labels", str(suggested), "--out", str(again)]) == 0
    assert "none of the bundle's" not in capsys.readouterr().out
    usual = [p.labels["articleType"] for p in Catalogue(drawn).products]
    found = Audit(again).table["articleType_true"]
    assert found.isna()[0] and list(found[1:]) == usual[1:]


def test_a_side_is_the_folders_where_the_bundle_knows_none(drawn, small_bundle, tmp_path, capsys):
    data = class_folders(drawn, tmp_path / "shop")
    out = tmp_path / "audit"
    arguments = ["--bundle", str(small_bundle), "--data", str(data), "-q", "--no-report"]
    assert main(["audit", *arguments, "--split", "test", "--out", str(out)]) == 0
    assert (
        "products of test, as the catalogue's folders or files name it" in capsys.readouterr().out
    )
    kept = Audit(out).table["id"]
    assert len(kept) and all(i.startswith("test/") for i in kept)
    assert main(["audit", *arguments, "--split", "validation", "--out", str(tmp_path / "b")]) == 1
    assert "no product of the validation split" in capsys.readouterr().err


def test_columns_spelt_otherwise_are_suggested(drawn, table, tmp_path):
    header, rows = table
    spelt = ["ID", "Gender", "master_category", "Sub Category", "articletype", *header[5:]]
    data = shop(drawn, tmp_path / "shop", spelt, rows)
    with pytest.raises(CatalogueError, match="Perhaps: --id-column ID --columns ") as caught:
        Catalogue(data)
    words = shlex.split(str(caught.value).split("Perhaps: ")[1])
    parser = argparse.ArgumentParser()
    flags.add_arguments(parser)
    described = flags.from_arguments(parser.parse_args(words))
    assert same_as(drawn, Catalogue(data, table=described))


@pytest.mark.parametrize(
    "command",
    [
        lambda: main(["audit", "--help"]),
        lambda: main(["trust", "--help"]),
        lambda: main(["predict", "--help"]),
        lambda: server.parse(["--help"]),
        lambda: config.parse(["--help"]),
        lambda: evaluate.main(["--help"]),
        lambda: calibrate.main(["--help"]),
        lambda: eda.main(["--help"]),
    ],
    ids=["audit", "trust", "predict", "demo", "train", "evaluate", "calibrate", "eda"],
)
def test_every_command_takes_the_same_flags(command, capsys):
    with pytest.raises(SystemExit):
        command()
    text = capsys.readouterr().out
    for flag in flags.FLAGS:
        assert f"--{flag.replace('_', '-')}" in text, flag


def test_an_old_excel_file_and_an_address_are_refused_in_a_sentence(drawn, table, tmp_path):
    header, rows = table
    data = shop(drawn, tmp_path / "shop", header, [["ftp://shop.example/1.jpg", *rows[0][1:]]])
    with pytest.raises(CatalogueError, match="at an address, which is not opened"):
        Catalogue(data)
    with pytest.raises(CatalogueError, match=r"save the old Excel file"):
        Catalogue(written(drawn, tmp_path / "old", b"\xd0\xcf\x11\xe0", "shop.xls"))


def test_a_photo_in_memory_only_is_read_by_threads_at_once(drawn, tmp_path):
    """Row groups are cached among threads; each gets its own photo."""
    buffers = []
    for n in range(60):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (n, 0, 0)).save(buffer, "PNG")
        buffers.append(buffer.getvalue())
    pq.write_table(pa.table({"image": buffers, "label": ["x"] * 60}), tmp_path / "a.parquet",
                   row_group_size=3)  # fmt: skip
    catalogue = Catalogue(tmp_path / "a.parquet")
    with ThreadPoolExecutor(8) as pool:
        order = [*range(60)] * 5
        found = list(pool.map(lambda n: catalogue.read(catalogue.products[n]), order))
    assert found == [buffers[n] for n in order]


def test_the_audit_tab_says_which_heads_have_no_labels(drawn, small, tmp_path):
    engine.run(small, Catalogue(drawn, table=Table(columns={"season": "season"})), tmp_path / "a")
    opened = Audit(tmp_path / "a")
    said = str(view.about(opened, None))
    assert "No product has a label of gender, masterCategory, subCategory, articleType" in said
    bare = view.Filters("gender")
    assert view.why_nothing(opened, bare) == "gender: – (no product has a label)"
    assert view.matrix(opened, bare, False)[0] is None and not len(view.pairs(opened, bare))
    assert not view.why_nothing(opened, view.Filters("season"))
    assert view.traits(opened) and "No slice" in str(view.worst_slices(opened, bare))
