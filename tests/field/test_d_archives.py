"""Archives and text from other systems: read, or a sentence; never a traceback."""

import json
import os
import shutil
import struct
import subprocess
import sys
import types
import zipfile
import zlib

import pytest

from fashion_xai.__main__ import main
from fashion_xai.data import sources
from fashion_xai.data.catalogue import Catalogue, CatalogueError
from tests.field import encodings
from tests.server import ROOT


def pack(folder, to, name=lambda n: n, **how):
    with zipfile.ZipFile(to, "w", **how) as file:
        for path in sorted(folder.rglob("*.*")):
            file.writestr(name(path.relative_to(folder).as_posix()), path.read_bytes())
    return to


def patched(file, change):
    """A zip whose members' local and central headers are changed: (bytes, offset of the flags)."""
    data = bytearray(file.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            change(data, at + flags)
            at = data.find(mark, at + 4)
    file.write_bytes(data)
    return file


def stored(data):
    """Blocks without compression: the same in Deflate and Deflate64 (RFC 1951, 3.2.4)."""
    blocks = [data[n : n + 65_535] for n in range(0, max(len(data), 1), 65_535)]
    return b"".join(
        bytes([n == len(blocks) - 1]) + struct.pack("<2H", len(b), len(b) ^ 0xFFFF) + b
        for n, b in enumerate(blocks)
    )


def zeros(data):
    """One block by fixed codes: a zero, and all others as one match of it at distance 1.
    Deflate64's code 285 has 16 bits for its length where Deflate's means 258 (APPNOTE 5.5)."""
    assert not any(data) and 4 <= len(data) <= 65_539
    bits = "1" + "10"  # the last block, fixed codes; numbers begin with their lowest bit
    bits += "00110000"  # the literal 0; codes begin with their highest bit
    bits += "11000101" + f"{len(data) - 1 - 3:016b}"[::-1]  # code 285 and its length less 3
    bits += "00000" + "0000000"  # distance 1, the end
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[n : n + 8][::-1], 2) for n in range(0, len(bits), 8))


def deflate64_zip(folder, to, packings=types.MappingProxyType({})):
    """As Windows' Explorer packs what is larger than 2 GB, in blocks that are stored."""
    local, central = b"", b""
    count = 0
    for path in sorted(folder.rglob("*.*")):
        name, data = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        packed = packings.get(name, stored)(data)
        facts = struct.pack("<3H2H3I2H", 21, 0, 9, 0, 33, zlib.crc32(data), len(packed), len(data),
                            len(name), 0)  # fmt: skip
        central += b"PK\x01\x02" + struct.pack("<H", 21) + facts + struct.pack(
            "<3H2I", 0, 0, 0, 0, len(local)) + name  # fmt: skip
        local += b"PK\x03\x04" + facts + name + packed
        count += 1
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(central), len(local), 0)
    to.write_bytes(local + central + end)
    return to


def same(drawn, catalogue):
    usual = Catalogue(drawn)
    assert [p.labels for p in catalogue.products] == [p.labels for p in usual.products]
    pairs = zip(catalogue.products, usual.products, strict=True)
    return all(catalogue.read(a) == usual.read(b) for a, b in pairs)


def test_deflate64(drawn, tmp_path, monkeypatch):
    file = deflate64_zip(drawn, tmp_path / "a.zip")
    with pytest.raises(NotImplementedError):
        zipfile.ZipFile(file).read("styles.csv")  # what Python itself says of it
    assert same(drawn, Catalogue(file))
    monkeypatch.setitem(sys.modules, "inflate64", None)
    with pytest.raises(CatalogueError, match=r"packed with Deflate64.*fashion-xai\[formats\]"):
        Catalogue(file)


def test_what_only_deflate64_can_say(drawn, tmp_path):
    """A match of 60,000 bytes, by the specification; Deflate itself reads the stream otherwise."""
    data = shutil.copytree(drawn, tmp_path / "shop")
    (data / "zeros.bin").write_bytes(bytes(60_001))
    file = deflate64_zip(data, tmp_path / "a.zip", {b"zeros.bin": zeros})
    assert len(zeros(bytes(60_001))) < 10
    assert sources.open_source(file).read("zeros.bin") == bytes(60_001)
    with pytest.raises(zlib.error):
        zlib.decompress(zeros(bytes(60_001)), -15)


def test_damaged_deflate64(drawn, tmp_path):
    file = deflate64_zip(drawn, tmp_path / "a.zip")
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as opened:
        info = opened.getinfo("images/1000.jpg")
    data[info.header_offset + 200] ^= 0xFF
    file.write_bytes(data)
    catalogue = Catalogue(file)
    with pytest.raises(sources.ImageError, match=r"images/1000\.jpg is damaged inside"):
        catalogue.read(catalogue.products[0])
    assert catalogue.read(catalogue.products[1])


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing(drawn, tmp_path, how):
    assert same(drawn, Catalogue(pack(drawn, tmp_path / "a.zip", compression=how)))


def test_backslashes(drawn, tmp_path):
    file = pack(drawn, tmp_path / "a.zip", lambda n: "shop\\" + n.replace("/", "\\"))
    assert same(drawn, Catalogue(file))


def test_dots_and_what_macos_adds(drawn, tmp_path):
    file = pack(drawn, tmp_path / "a.zip", lambda n: f"./{n}")
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("__MACOSX/._styles.csv", b"\0\x05\x16\x07")
        opened.writestr("__MACOSX/images/._1000.jpg", b"\0\x05\x16\x07")
        opened.writestr(".DS_Store", b"\0")
    assert same(drawn, Catalogue(file))


def encrypt(data, at):
    data[at] |= 1


def test_encrypted(drawn, tmp_path):
    file = patched(pack(drawn, tmp_path / "a.zip"), encrypt)
    with pytest.raises(
        CatalogueError, match=r"styles\.csv is encrypted inside .*; unpack it first"
    ):
        Catalogue(file)


def test_an_unknown_method(drawn, tmp_path):
    def method(data, at):
        data[at + 2 : at + 4] = struct.pack("<H", 98)  # PPMd

    file = patched(pack(drawn, tmp_path / "a.zip"), method)
    with pytest.raises(CatalogueError, match="in a way that is not read"):
        Catalogue(file)


def test_damaged_members_are_rows_left_out(drawn, small_bundle, tmp_path):
    file = pack(drawn, tmp_path / "a.zip")
    with zipfile.ZipFile(file) as opened:
        places = [opened.getinfo(f"images/100{n}.jpg").header_offset for n in range(2)]
    data = bytearray(file.read_bytes())
    data[places[0] + 300] ^= 0xFF  # its bytes: the checksum tells
    data[places[1] : places[1] + 4] = b"PK\0\0"  # its header
    file.write_bytes(data)
    out = tmp_path / "audit"
    arguments = ["--bundle", str(small_bundle), "--data", str(file), "--out", str(out), "-q"]
    assert main(["audit", *arguments, "--no-report"]) == 0
    lines = (out / "rejected.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["1000", "1001"]
    assert all("damaged inside" in line for line in lines[1:])


@pytest.mark.parametrize("cut", [10, 1000, 5000])
def test_a_cut_zip_and_something_else(drawn, tmp_path, cut):
    file = pack(drawn, tmp_path / "a.zip")
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(CatalogueError, match="expected a folder or a zip file"):
        Catalogue(file)
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(100))
    with pytest.raises(CatalogueError, match="expected a folder or a zip file"):
        Catalogue(tmp_path / "a.tar.gz")


NAME = b"caf\xe9.jpg"
"""No UTF-8: what an older system calls café."""


@pytest.fixture
def oddly_named(drawn, tmp_path):
    file = os.path.join(os.fsencode(tmp_path), NAME)
    shutil.copyfile(os.fsencode(drawn / "images" / "1000.jpg"), file)
    return os.fsdecode(file)


def test_explain_writes_what_it_knows_of_all_photos(drawn, small_bundle, oddly_named, tmp_path):
    photos = [str(drawn / "images" / "1001.jpg"), oddly_named]
    out = tmp_path / "out"
    assert main(["explain", *photos, "--bundle", str(small_bundle), "--out", str(out)]) == 0
    rows = json.loads((out / "explanations.json").read_text(encoding="utf-8"))
    assert len(rows) == 12 and {r["image"] for r in rows} == set(photos)
    assert all((out / r["picture"]).is_file() for r in rows)


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_names_on_a_terminal_that_knows_ascii_only(small_bundle, oddly_named, tmp_path, command):
    out = ["--out", str(tmp_path / "out")] if command == "explain" else []
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "fashion_xai", command, oddly_named, str(tmp_path / "no.jpg"),
         "--bundle", str(small_bundle), *out],
        cwd=ROOT, env={**os.environ, **ascii_only}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and b"Traceback" not in done.stderr  # one photo is not there
    assert b"no.jpg" in done.stderr


def test_an_older_systems_names_in_a_folder(drawn, tmp_path):
    data = shutil.copytree(drawn, tmp_path / "shop")
    rows = (data / "styles.csv").read_text(encoding="utf-8").replace("1000,", "café,", 1)
    (data / "styles.csv").write_text(rows, encoding="utf-8")
    folder = os.fsencode(data / "images")
    os.rename(os.path.join(folder, b"1000.jpg"), os.path.join(folder, NAME))
    assert same(drawn, Catalogue(data))


SAVE = """
import sys
from pathlib import Path
from fashion_xai.data import files
import json
labels = {"baseColour": ["Crème", "Été"]}
files.write(Path(sys.argv[1]), json.dumps(labels, ensure_ascii=False))
assert files.read_json(Path(sys.argv[1])) == labels
"""


def test_text_is_utf8_whatever_the_locale(tmp_path):
    posix = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    file = tmp_path / "labels.json"
    script = tmp_path / "save.py"
    script.write_text(SAVE, encoding="utf-8")
    subprocess.run(
        [sys.executable, str(script), str(file)],
        env={**os.environ, **posix, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert "Crème".encode() in file.read_bytes()


def test_no_file_is_opened_in_the_locales_encoding():
    assert encodings.in_tree(ROOT, ("fashion_xai", "training", "demo", "tests")) == []
    wrong = "open(x); p.open('w'); p.read_text(); p.write_text('a'); open(x, 'rb'); p.open('wb')"
    assert len([*encodings.unnamed(wrong)]) == 4
