"""Batches: zips good and bad, limits, what cannot be used, and the table in a real browser."""

import csv
import io
import zipfile

import pytest
from gradio_client import Client, handle_file

from demo.serving.batcher import DynamicBatcher
from demo.serving.decoder import Decoder
from demo.serving.queue_full import QueueFull
from demo.views import batch
from examples import garments
from fashion_xai import ImageError


@pytest.fixture(scope="module")
def batcher(small):
    made = DynamicBatcher(small)
    yield made
    made.close()


@pytest.fixture(scope="module")
def tools(batcher, decoder):
    return batcher, decoder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for kind in ("bag", "shoe", "dress"):
        garments.save(kind, folder / f"{kind}.png")
    return folder


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return str(path)


@pytest.fixture(scope="module")
def decoder():
    made = Decoder(workers=1)
    yield made
    made.close()


def run(tools, *paths, **options):
    found = list(batch.work(*tools, [str(p) for p in paths], **options))
    assert [n for n, _, _ in found] == list(range(1, len(found) + 1))
    return [row for *_, row in found]


def test_files_and_a_zip_are_read_in_order_and_bad_ones_named(tools, photos, tmp_path):
    entries = {
        "deep/shoe.png": (photos / "shoe.png").read_bytes(),
        "__MACOSX/._shoe.png": b"resource fork",
        "readme.txt": b"not a photo",
        "../../escape.png": (photos / "dress.png").read_bytes(),
        "page.svg": b"<svg onload='alert(1)'/>",
    }
    rows = run(tools, photos / "bag.png", zipped(tmp_path / "some.zip", entries))
    assert [row.name for row in rows] == [
        "bag.png", "deep/shoe.png", "readme.txt", "../../escape.png", "page.svg",
    ]  # fmt: skip
    assert [row.answer is None for row in rows] == [False, False, True, False, True]
    assert "not a photo" in rows[2].reason
    assert not list(tmp_path.parent.glob("**/escape.png"))  # read, never unpacked
    (expected,) = tools[0].classifier.predict([photos / "shoe.png"])
    for attribute, p in expected.items():
        assert rows[1].answer[attribute]["label"] == p.label


def test_a_bomb_and_an_endless_list_are_refused_at_once(tools, tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", {f"{i}.bmp": b"\0" * 45_000_000 for i in range(10)})
    with pytest.raises(ImageError, match=r"bomb.zip unpacks to more than 400 MB"):
        run(tools, bomb)
    many = zipped(tmp_path / "many.zip", {f"{i}.png": b"" for i in range(10_000)})
    with pytest.raises(ImageError, match=r"10,000 files; at most 5,000"):
        run(tools, many)
    with pytest.raises(ImageError, match="No photo arrived"):
        run(tools, zipped(tmp_path / "empty.zip", {}))


def test_an_entry_that_lies_about_its_size_stops_at_the_cap(tools, tmp_path):
    large = zipped(tmp_path / "large.zip", {"a.bmp": b"BM" + b"\0" * 25_000_000})
    (row,) = run(tools, large)
    assert "at most 20 MB" in row.reason


def test_what_is_over_the_limit_is_named_as_not_done(tools, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "PHOTOS", 2)
    data = (photos / "bag.png").read_bytes()
    entries = {f"{i}.png": data for i in range(5)} | {"n" * 999: b"", "last.png": b""}
    rows = run(tools, zipped(tmp_path / "seven.zip", entries))
    assert [row.answer is None for row in rows] == [False, False, True]
    assert rows[2].reason == "not done: over 2 photos"
    assert rows[2].name.startswith("5 files: 2.png, 3.png, 4.png, …n") and len(rows[2].name) < 300
    html = batch.progress(rows, 3)
    assert "3 of 3 files; 1 could not be used, the table says why." in html
    assert '<progress max="3" value="3"' in html and 'role="alert"' not in html


def test_a_file_named_several_times_counts_once_and_nobody_is_waited_for(tools, photos):
    bag = photos / "bag.png"
    assert len(run(tools, bag, bag, bag)) == 1
    asked = iter([True, False])
    with pytest.raises(QueueFull, match="Nobody waits"):
        run(tools, bag, photos / "shoe.png", wanted=lambda: next(asked))
    with pytest.raises(ImageError, match="no longer here"):
        run(tools, photos / "gone.png")


def test_zips_of_very_many_files_are_refused_before_they_are_listed(tools, tmp_path):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(5_001):
            archive.writestr(f"{i:0400}.png", b"")
    with pytest.raises(ImageError, match="too many files; at most 5,000"):
        run(tools, path)


def test_encrypted_and_damaged_entries_are_listed(tools, photos, tmp_path):
    data = (photos / "bag.png").read_bytes()
    path = zipped(tmp_path / "a.zip", {"a.png": data, "b.png": data})
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    first = raw.find(b"PK\x01\x02")
    raw[first + 8] |= 1  # the first entry says it is encrypted
    raw[raw.find(b"PK\x03\x04", 10) + 40 : raw.find(b"PK\x03\x04", 10) + 80] = b"\0" * 40
    (tmp_path / "a.zip").write_bytes(raw)
    rows = run(tools, path)
    assert "encrypted" in rows[0].reason and rows[1].reason


def test_texts_are_inert_in_the_table_and_the_csv(tools, photos, tmp_path):
    data = (photos / "bag.png").read_bytes()
    evil = {"<script>x.png": data, "=cmd|' /c calc'!A1.png": b"none"}
    rows = run(tools, zipped(tmp_path / "evil.zip", evil))
    html = batch.table(tools[0].classifier.attributes, rows)
    assert "<script>" not in html and "&lt;script&gt;x.png" in html
    header, *lines = csv.reader(io.StringIO(batch.csv_text(tools[0].classifier.attributes, rows)))
    assert header[0] == "file" and header[-1] == "problem" and len(lines) == 2
    assert lines[1][0].startswith("'=cmd") and "not a photo" in lines[1][-1]
    assert lines[0][header.index("gender")] == rows[0].answer["gender"]["label"]


def test_a_batch_over_the_api(small_url, photos, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo", encoding="utf-8")
    files = [handle_file(str(photos / "bag.png")), handle_file(str(bad))]
    good, refused = Client(small_url, verbose=False).predict(files, api_name="/batch")
    assert good["file"] == "bag.png" and good["gender"]["label"]
    assert refused["file"] == "bad.jpg" and "not a photo" in refused["problem"]


def test_a_batch_in_the_browser(browser, small_url, photos, tmp_path):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.goto(small_url)
    page.get_by_role("tab", name="Batch").click()
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo", encoding="utf-8")
    names = [str(photos / f"{kind}.png") for kind in ("bag", "shoe", "dress")]
    page.set_input_files("#batch-files input[type=file]", [*names, str(bad)])
    page.wait_for_selector("#batch-message:has-text('4 of 4 files; 1 could not be used')")
    assert page.locator(".batch tbody tr").count() == 4
    assert page.locator(".batch td.bad").count() == 1
    for picture in page.locator(".batch img").all():
        assert picture.evaluate("i => i.complete && i.naturalHeight") == 72
    page.wait_for_selector("#batch-csv a")
    with page.expect_download() as download:
        page.locator("#batch-csv a").click()
    lines = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert len(lines) == 5 and lines[1][0] == "bag.png"
    page.get_by_role("tab", name="About").click()
    page.wait_for_selector(".about h2:has-text('How to read a map')")
    assert page.locator(".about figure img").count() == 4
    page.close()
