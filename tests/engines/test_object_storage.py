"""Photos and tables at addresses: what fails for a moment is retried, what fails for good is named,
and the rows are those of a folder."""

import csv
import http.server
import io
import os
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_xai.__main__ import main
from fashion_xai.audit import engine
from fashion_xai.data import images, remote
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from fashion_xai.data.images import ImageError
from fashion_xai.data.schema import Table
from fashion_xai.engines.run import Cluster
from tests.engines import object_storage
from tests.engines.tables import assert_same_rows
from tests.field.shops import rows_of

WHERE = Table(photo="where")


@pytest.fixture
def s3(drawn, monkeypatch):
    """The drawn catalogue in a bucket, its table with addresses beside it; and the server."""
    with object_storage.serving() as (address, shaky):
        for name, value in {**object_storage.KEYS, "AWS_ENDPOINT_URL_S3": address}.items():
            monkeypatch.setenv(name, value)
        forget()
        files = {f"shop/images/{f.name}": f.read_bytes() for f in (drawn / "images").iterdir()}
        header, rows = rows_of(drawn)
        many = [[f"{r[0]}-{n}", *r[1:], f"s3://shop/shop/images/{r[0]}.jpg"]
                for n in range(10) for r in rows]  # fmt: skip
        files["shop/styles.csv"] = (drawn / "styles.csv").read_bytes()
        files["many.csv"] = table_of([*header, "where"], many)
        bad = [*many[:20], ["gone", *many[0][1:-1], "s3://shop/shop/images/none.jpg"],
               ["broken", *many[0][1:-1], "s3://shop/broken.jpg"]]  # fmt: skip
        files["broken.jpg"] = files["shop/images/1000.jpg"]
        files["bad.csv"] = table_of([*header, "where"], bad)
        object_storage.bucket_with(address, files)
        yield shaky
    forget()


def forget():
    """File systems of an earlier server."""
    remote._file_system.cache_clear()
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def table_of(header, rows) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode()


def test_a_folder_at_an_address_is_audited_as_one_on_disk(s3, drawn, small, tmp_path):
    there = Catalogue("s3://shop/shop")
    assert [p.id for p in there.products] == [p.id for p in Catalogue(drawn).products]
    engine.run(small, there, tmp_path / "there")
    engine.run(small, Catalogue(drawn), tmp_path / "here")
    assert_same_rows(tmp_path / "there", tmp_path / "here")


def test_what_fails_for_a_moment_is_asked_for_again(s3, drawn, small, tmp_path):
    catalogue = Catalogue("s3://shop/many.csv", table=WHERE)
    assert len(catalogue) == 240 and catalogue.photos.far
    assert not any(path.endswith("/shop") for path in s3.asked)  # no bucket was listed
    summary = engine.run(small, catalogue, tmp_path / "s3")
    assert (summary["audited"], summary["rejected"]) == (240, 0)
    assert s3.failed >= 4 and sum(s3.asked.values()) >= 240 + s3.failed
    table = pq.read_table(tmp_path / "s3" / engine.PRODUCTS).to_pandas()
    engine.run(small, Catalogue(drawn), tmp_path / "here")
    here = pq.read_table(tmp_path / "here" / engine.PRODUCTS).to_pandas().set_index("id")
    same = here.loc[table["id"].str.split("-").str[0]]
    for column in ("articleType_predicted", "gender_true", "fingerprint"):
        assert list(table[column]) == list(same[column])


def test_photos_inside_a_folder_of_parquet_files_are_read_in_parts(
    s3, drawn, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(remote, "BLOCK", 5_000)  # so that there are many requests
    s3.every = 7
    here = Catalogue(drawn)
    for number, some in enumerate((here.products[:10], here.products[10:])):
        table = pa.table(
            {
                "id": [p.id for p in some],
                "image": [here.read(p) for p in some],
                **{a: [p.labels[a] for p in some] for a in here.products[0].labels},
            }
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, row_group_size=4)
        address = os.environ["AWS_ENDPOINT_URL_S3"]
        object_storage.put(address, f"tables/part-{number}.parquet", buffer.getvalue())
    there = Catalogue("s3://shop/tables/")
    assert [p.labels for p in there.products] == [p.labels for p in here.products]
    failed = s3.failed
    for mine, theirs in zip(here.products, there.products, strict=True):
        assert there.read(theirs) == here.read(mine)
    assert s3.failed > failed  # and nobody noticed
    assert_same_answers(small, here, there)


def assert_same_answers(classifier, one, other):
    photos = [[c.photo(p) for p in c.products[:4]] for c in (one, other)]
    first, second = (classifier.predict(each) for each in photos)
    assert [a["gender"].label for a in first] == [a["gender"].label for a in second]


def test_what_fails_for_good_is_named_with_its_reason(
    s3, small_bundle, tmp_path, monkeypatch, capsys
):
    s3.broken = ("broken.jpg",)
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.01)
    out = tmp_path / "audit"
    assert main(["audit", "--data", "s3://shop/bad.csv", "--photo-column", "where", "--out",
                 str(out), "--bundle", str(small_bundle), "--no-report", "-q"]) == 0  # fmt: skip
    assert "2 rows left out" in capsys.readouterr().out
    with (out / engine.REJECTED).open(encoding="utf-8", newline="") as file:
        why = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert "none.jpg cannot be read (there is no such file)" in why["gone"]
    assert f"cannot be read after {remote.ATTEMPTS} attempts" in why["broken"]
    assert s3.asked["/shop/broken.jpg"] == remote.ATTEMPTS
    assert s3.asked["/shop/shop/images/none.jpg"] == 1


@pytest.mark.slow
def test_a_ray_cluster_reads_the_same_rows_from_addresses(s3, small, tmp_path):
    catalogue = Catalogue("s3://shop/many.csv", table=WHERE)
    engine.run(small, catalogue, tmp_path / "ray", cluster=Cluster(actors=2))
    engine.run(small, catalogue, tmp_path / "local")
    assert_same_rows(tmp_path / "ray", tmp_path / "local")


@pytest.mark.parametrize("address", ["s3://shop/none.csv", "s3://shop/none", "s3://nowhere/x"])
def test_an_address_with_nothing_there_is_told_in_a_sentence(s3, address):
    with pytest.raises(CatalogueError, match=r"none|nowhere"):
        Catalogue(address)


class Web(http.server.BaseHTTPRequestHandler):
    """Photos that come at the third time, are too large, or take too long."""

    asked: dict[str, int]
    photo: bytes

    def do_GET(self):
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        if self.path == "/gone.jpg":
            return self.send_error(404)
        if self.path == "/third%20time.jpg?size=2" and self.asked[self.path] < 3:
            return self.send_error(503)
        if self.path == "/hangs.jpg":
            return threading.Event().wait(3)
        self.send_response(200)  # without a length, and whatever range was asked for
        self.end_headers()
        self.wfile.write(self.photo)
        for _ in range(1000 if self.path == "/large.jpg" else 0):
            try:
                self.wfile.write(bytes(100_000))
            except OSError:  # the reader has seen enough
                break

    def log_message(self, *args):
        pass


@pytest.fixture
def web(drawn, monkeypatch):
    Web.asked, Web.photo = {}, (drawn / "images" / "1000.jpg").read_bytes()
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(remote, "TIMEOUT", 1.0)
    remote._file_system.cache_clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    remote._file_system.cache_clear()


def test_a_web_server_need_not_know_ranges_and_cannot_fill_the_memory(web, monkeypatch):
    monkeypatch.setattr(remote, "ATTEMPTS", 3)
    files = remote.Addresses()
    assert files.read(f"{web}/third%20time.jpg?size=2", images.MAX_BYTES) == Web.photo
    assert Web.asked["/third%20time.jpg?size=2"] == 3
    with pytest.raises(ImageError, match=r"large\.jpg is larger than 20 MB"):
        files.read(f"{web}/large.jpg", 20_000_000)
    with pytest.raises(ImageError, match=r"gone\.jpg cannot be read \(there is no such file\)"):
        files.read(f"{web}/gone.jpg", images.MAX_BYTES)
    with pytest.raises(ImageError, match=r"hangs\.jpg cannot be read after 3 attempts \(no answer"):
        files.read(f"{web}/hangs.jpg", images.MAX_BYTES)
    assert Web.asked["/gone.jpg"] == 1


def test_other_schemes_are_refused_by_name(drawn, tmp_path):
    header, rows = rows_of(drawn)
    bad = ["file:///etc/hostname", "ftp://host/1.jpg", "memory://1.jpg", "local://1.jpg"]
    (tmp_path / "table.csv").write_bytes(
        table_of([*header, "where"], [[*r, *bad[n : n + 1]] for n, r in enumerate(rows[:4])])
    )
    with pytest.raises(CatalogueError, match=r"none of the 4 rows has a photo.*is not opened"):
        Catalogue(tmp_path / "table.csv", table=WHERE)
    with pytest.raises(CatalogueError, match="starts with s3://, gs://"):
        Catalogue("ftp://host/catalogue")
