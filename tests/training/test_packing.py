import os
import shutil

import numpy as np
import pytest

from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.images import letterbox, prepare
from fashion_xai.data.labels import MISSING, Vocabulary
from fashion_xai.data.split import rows_in
from training.data import packing

SIZES = [(64, 64), (96, 64)]


def test_a_pack_is_exactly_what_the_library_prepares(drawn, tmp_path):
    catalogue = Catalogue(drawn)
    for pack, size in zip(packing.pack(catalogue, SIZES, tmp_path), SIZES, strict=True):
        assert pack.pixels.dtype == np.uint8
        for photo, product in zip(pack.pixels, pack.products, strict=True):
            np.testing.assert_array_equal(photo[..., :3], prepare(catalogue.read(product), size))
            assert (photo[0, 0] == 255).all()  # white, and known as studio
            assert photo[..., 3].min() == 0


def test_a_pack_is_announced_reused_and_rebuilt_when_a_photo_changed(drawn, tmp_path, capsys):
    folder = shutil.copytree(drawn, tmp_path / "catalogue")
    cache = tmp_path / "cache"
    packing.pack(Catalogue(folder), SIZES, cache)
    assert "Packing 24 photos at 64×64, 96×64" in capsys.readouterr().out
    packing.pack(Catalogue(folder), SIZES, cache)
    assert "Packing" not in capsys.readouterr().out
    packing.pack(Catalogue(folder), [*SIZES, (32, 32)], cache)
    assert "at 32×32:" in capsys.readouterr().out  # only the size that is new
    shutil.copy(folder / "images" / "1500.jpg", folder / "images" / "1000.jpg")
    (pack,) = packing.pack(Catalogue(folder), SIZES[:1], cache)
    assert "Packing" in capsys.readouterr().out
    expected = letterbox(Catalogue(folder).photo(pack.products[0]), SIZES[0])[0]
    np.testing.assert_array_equal(pack.pixels[0, ..., :3], expected)


def test_a_pack_cut_off_by_a_kill_is_built_again(drawn, tmp_path, capsys):
    packing.pack(Catalogue(drawn), SIZES[:1], tmp_path)
    (mark,) = tmp_path.rglob("pack.json")
    os.remove(mark)  # it is written last
    capsys.readouterr()
    packing.pack(Catalogue(drawn), SIZES[:1], tmp_path)
    assert "Packing" in capsys.readouterr().out


def test_photos_that_do_not_decode_are_named_and_left_out(drawn, tmp_path):
    folder = shutil.copytree(drawn, tmp_path / "catalogue")
    (folder / "images" / "1100.jpg").write_bytes(b"broken")
    for _ in range(2):  # built, then reused
        (pack,) = packing.pack(Catalogue(folder), SIZES[:1], tmp_path / "cache")
        assert [r.id for r in pack.rejected] == ["1100"] and "not a photo" in pack.rejected[
            0
        ].reason
        assert len(pack.products) == len(pack.pixels) == 23
        assert pack.products[4].id == "1101"
        expected = letterbox(Catalogue(folder).photo(pack.products[4]), SIZES[0])[0]
        np.testing.assert_array_equal(pack.pixels[4, ..., :3], expected)


def test_a_full_disk_is_foreseen(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(OSError, match=r"--cache"):
        packing.pack(Catalogue(drawn), SIZES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_batches_cover_every_row_once_and_depend_on_seed_and_epoch_alone():
    pixels = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 4), np.uint8)
    photos = packing.Photos(pixels)
    labels = np.stack([np.arange(10), np.full(10, MISSING)], 1).astype(np.int32)
    rows = np.array([1, 3, 4, 7, 9])

    def epoch_of(batches):
        seen = []
        for i in range(len(batches)):
            photos, (first, second) = batches[i]
            assert photos.dtype == np.uint8 and (second == MISSING).all()
            assert len(photos) == 2  # the last one too: filled up with photos without labels
            real = first != MISSING
            assert real.all() or i == len(batches) - 1
            np.testing.assert_array_equal(photos[real, 0, 0, 0], first[real])
            seen += first[real].tolist()
        return seen

    batches = packing.Batches(photos, rows, labels, 2, shuffle_seed=5)
    first = epoch_of(batches)
    batches.on_epoch_end()
    second = epoch_of(batches)
    assert sorted(first) == sorted(second) == rows.tolist() and first != second
    resumed = packing.Batches(photos, rows, labels, 2, shuffle_seed=5, first_epoch=1)
    assert epoch_of(resumed) == second
    assert epoch_of(packing.Batches(photos, rows, labels, 2)) == rows.tolist()


def test_larger_photos_are_drawn_as_often_as_asked(drawn, tmp_path):
    (tmp_path / "larger").mkdir()
    for name in ("1000", "1001", "1002"):
        shutil.copy(drawn / "images" / "1500.jpg", tmp_path / "larger" / f"{name}.jpg")
    (plain,) = packing.pack(Catalogue(drawn), SIZES[:1], tmp_path / "cache")
    catalogue = Catalogue(drawn, tmp_path / "larger")
    catalogue.products = [p for p in catalogue.products if p.id in catalogue.replaced]
    (larger,) = packing.pack(catalogue, SIZES[:1], tmp_path / "cache")
    photos = packing.Photos.join(plain, larger)
    rows = np.arange(6)
    labels = np.zeros((24, 1), np.int32)
    taken = []
    for epoch in range(40):
        batch, _ = packing.Batches(photos, rows, labels, 6, 0, epoch, larger_share=0.5)[0]
        taken.append(sum((photo == larger.pixels[0]).all() for photo in batch))
    assert 40 < sum(taken) < 80  # half of 3 × 40
    batch, _ = packing.Batches(photos, rows, labels, 6, larger_share=1.0)[0]
    np.testing.assert_array_equal(batch[:3], larger.pixels)
    np.testing.assert_array_equal(batch[3:], plain.pixels[3:6])
    rows, chosen = np.array([5, 1, 0, 2]), np.array([True, True, False, True])
    gathered = np.asarray(photos.on_device().take(rows, chosen))
    np.testing.assert_array_equal(gathered, photos.take(rows, chosen))
    np.testing.assert_array_equal(gathered[1], larger.pixels[1])


def test_labels_become_indices(drawn):
    products = Catalogue(drawn).products
    vocabulary = Vocabulary.fit(p.labels for p in products)
    encoded = packing.encode(vocabulary, products)
    assert encoded.shape == (24, 6)
    assert vocabulary.decode("articleType", encoded[:, 3]) == [
        p.labels["articleType"] for p in products
    ]
    assert rows_in(products, {"1001": "test", "1003": "test"}, "test").tolist() == [1, 3]
