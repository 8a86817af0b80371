from collections import Counter

import numpy as np
import pytest

from examples import garments
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.split import read_split, write_split
from training.data import near_duplicates


def product(identity: str, article: str | None = "Shirts") -> Product:
    return Product(identity, 2, {"articleType": article})


def thumbs_of(*photos: np.ndarray) -> np.ndarray:
    return np.stack(photos)


def drawn(kind="shirt", colour="Navy Blue", **options) -> np.ndarray:
    return garments.draw(kind, colour, near_duplicates.THUMBNAIL, **options)


def noisy(photo: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def test_identical_and_nearly_identical_photos_are_near_duplicates():
    shirt, dress = drawn(), drawn("dress", "Red")
    thumbs = thumbs_of(shirt, dress, shirt.copy(), noisy(shirt, 3), drawn("bag", "Black"))
    duplicates = near_duplicates.find_near_duplicates(thumbs)
    assert duplicates.group[0] == duplicates.group[2] == duplicates.group[3]
    assert len(set(duplicates.group)) == 3
    assert duplicates.identical == 2 and sorted(duplicates.sizes) == [1, 1, 3]
    assert "1 groups of near-duplicates with 3 photos" in duplicates.summary()
    assert "largest group: 3" in duplicates.summary()


def test_the_hash_alone_links_nothing():
    """Same outline, other colour: the grey hash agrees, the pixels do not."""
    red = drawn(colour="Red")
    blue = red[..., ::-1].copy()
    pairs = near_duplicates._propose(thumbs_of(red, blue), np.array([0, 1]))
    assert pairs.tolist() == [[0, 1]]
    assert len(set(near_duplicates.find_near_duplicates(thumbs_of(red, blue)).group)) == 2


def test_the_distance_counts_the_product_not_the_background():
    white = np.full((80, 60, 3), 255, np.uint8)
    one, other = white.copy(), white.copy()
    one[:8, :6], other[:8, :6] = 100, 120  # 1 % of the picture, 20 levels apart
    assert near_duplicates._distance(one, other) == pytest.approx(20)
    assert near_duplicates._distance(white, white) == 0


def test_groups_stay_together_and_classes_are_spread():
    products = [product(str(i), f"type {i % 4}") for i in range(400)]
    group = np.arange(400)
    group[200:300] = group[100:200]  # a hundred pairs
    duplicates = near_duplicates.NearDuplicates(group, 0, 100)
    split = near_duplicates.split_by_near_duplicates(products, duplicates)
    for g in range(100, 200):
        assert len({split[p.id] for p, k in zip(products, group, strict=True) if k == g}) == 1
    for kind in range(4):
        sides = Counter(split[p.id] for p in products if p.labels["articleType"] == f"type {kind}")
        assert abs(sides["train"] - 80) <= 2 and abs(sides["test"] - 10) <= 2


def test_a_class_with_one_group_is_trained_on():
    products = [product("1", "Rare"), product("2", None)]
    split = near_duplicates.split_by_near_duplicates(
        products, near_duplicates.NearDuplicates(np.array([0, 1]), 0, 0)
    )
    assert split == {"1": "train", "2": "train"}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_rows_does_not_matter(seed):
    products = [product(str(i)) for i in range(100)]
    duplicates = near_duplicates.NearDuplicates(np.arange(100), 0, 0)
    one = near_duplicates.split_by_near_duplicates(products, duplicates, seed)
    assert one == near_duplicates.split_by_near_duplicates(products[::-1], duplicates, seed)
    assert near_duplicates.split_at_random(products, seed) == near_duplicates.split_at_random(
        products[::-1], seed
    )


def test_the_split_is_the_same_on_every_machine():
    """By hand: ``printf 0:ID | sha256sum`` of the ids 0–19, sorted; the last two are the test."""
    products = [product(str(i)) for i in range(20)]
    split = near_duplicates.split_at_random(products)
    assert sorted((i for i, s in split.items() if s == "test"), key=int) == ["1", "13"]
    assert Counter(split.values()) == {"train": 16, "validation": 2, "test": 2}


def test_csv_round_trip_and_its_errors(tmp_path):
    file = tmp_path / "split.csv"
    write_split(file, {"2": "test", "10": "train"})
    assert file.read_text(encoding="utf-8") == "id,split\n10,train\n2,test\n"
    assert read_split(file) == {"2": "test", "10": "train"}
    for text, message in [
        ("a,b\n", "header"),
        ("id,split\n1,train\n1,test\n", "row 3"),
        ("id,split\n1,dev\n", "row 2.*dev"),
    ]:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            read_split(file)


def test_no_pixel_identical_photos_of_the_real_catalogue_are_parted(real_catalogue, shipped):
    import hashlib

    split = read_split(shipped.bundle.folder / "split.csv")
    catalogue = Catalogue(real_catalogue)
    sides: dict[str, set[str]] = {}
    for p in catalogue.products:
        sides.setdefault(hashlib.sha256(catalogue.photo(p).tobytes()).hexdigest(), set()).add(
            split[p.id]
        )
    assert len(sides) < len(catalogue)  # there are identical photos
    assert all(len(s) == 1 for s in sides.values())
    assert Counter(split.values()) == {"train": 31_955, "validation": 4_018, "test": 3_966}
