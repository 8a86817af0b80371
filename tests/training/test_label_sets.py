"""One of several labels: in tables and maps, as truth of metrics, in batches and in training."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from examples import garments
from fashion_xai.data import schema
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.labels import MISSING, Vocabulary
from fashion_xai.data.schema import Table
from fashion_xai.data.split import read_split
from fashion_xai.models import bundle
from training import calibrate, config, evaluate, train
from training.data import near_duplicates, packing
from training.data.labelled import Labelled, Other, read_other
from training.evaluation.predictions import resolve

WORDS = {
    "Pants": {"masterCategory": ["Apparel"], "articleType": ["Jeans", "Trousers"]},
    "Bag": {"articleType": ["Handbags"]},
    "Other": {},
    "kids=True": {"gender": ["Boys", "Girls"]},
}
PHONE = ("id,label,sender,kids", "1,Pants,ann,False", "2,Bag,ann,True", "3,Other,bob,False",
         "4,Hat,bob,False")  # fmt: skip


@pytest.fixture
def phone(tmp_path):
    (tmp_path / "images").mkdir()
    for n, kind in enumerate(("trousers", "bag", "shoe", "shirt"), start=1):
        garments.save(kind, tmp_path / "images" / f"{n}.png")
    (tmp_path / "phone.csv").write_text("\n".join(PHONE) + "\n", encoding="utf-8")
    return tmp_path


def described(**more):
    return Table(
        **{"file": "phone.csv", "label": "label", "words": WORDS, "group": "sender", **more}
    )


def test_a_label_map_says_what_each_word_allows(phone):
    catalogue = Catalogue(phone, table=described())
    pants, bag, other = catalogue.products
    assert pants.labels["articleType"] is None
    assert pants.one_of == {"articleType": ("Jeans", "Trousers")}
    assert pants.labels["masterCategory"] == "Apparel" and pants.labels["gender"] is None
    assert bag.labels["articleType"] == "Handbags" and bag.one_of == {"gender": ("Boys", "Girls")}
    assert not other.labelled and pants.labelled and pants.group == "ann"
    (left_out,) = catalogue.rejected
    assert left_out[:2] == (5, "4") and left_out.reason == "label 'Hat' is not in the label map"


def test_a_cell_may_name_several_labels(drawn, tmp_path):
    folder = shutil.copytree(drawn, tmp_path / "c")
    text = (folder / "styles.csv").read_text(encoding="utf-8")
    (folder / "styles.csv").write_text(
        text.replace(",Handbags,", ",Handbags|Clutches|NA,"), encoding="utf-8"
    )
    bags = [p for p in Catalogue(folder).products if p.one_of]
    assert len(bags) == 4
    assert bags[0].one_of == {"articleType": ("Clutches", "Handbags")}


def test_descriptions_and_maps_are_read_from_files_and_travel_with_the_card(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"Pants": WORDS["Pants"]}), encoding="utf-8")
    (tmp_path / "kids.json").write_text(
        json.dumps({"kids=True": WORDS["kids=True"]}), encoding="utf-8"
    )
    text = {"file": "phone.csv", "label": "label", "words": ["map.json", "kids.json"]}
    (tmp_path / "phone.json").write_text(json.dumps(text), encoding="utf-8")
    found = schema.read(tmp_path / "phone.json")
    assert found.words == {k: WORDS[k] for k in ("Pants", "kids=True")}
    assert Table.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.needed == ["id", "label", "kids"]
    assert set(Table().to_json()) == {"columns", "file", "id", "title"}


@pytest.mark.parametrize(
    "text, complaint",
    [
        ('{"Pants": ["Jeans"]}', "'Pants': expected attributes with lists of labels"),
        ('{"Pants": {"articleType": "Jeans"}}', "'Pants': expected attributes"),
        ('{"Pants": {"articleType": [1]}}', "'Pants': expected attributes"),
        ("[]", "expected a JSON object"),
    ],
)
def test_maps_of_another_form_are_refused_in_words(tmp_path, text, complaint):
    (tmp_path / "map.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        schema.read_words([tmp_path / "map.json"])
    (tmp_path / "d.json").write_text('{"colour": 1}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"Received: \['colour'\]"):
        schema.read(tmp_path / "d.json")


def product(number, article=None, one_of=(), group="", word=""):
    sets = {"articleType": tuple(one_of)} if one_of else {}
    return Product(str(number), number, {"articleType": article}, "", sets, group, word)


def test_allowed_labels_by_hand():
    products = [product(1, "A"), product(2, None, ("A", "C", "Z")), product(3)]
    vocabulary = Vocabulary({"articleType": ("A", "B", "C")})
    found = packing.allowed(vocabulary, products)
    assert found["articleType"].tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert packing.allowed(vocabulary, products[:1]) is None
    assert packing.encode(vocabulary, products).ravel().tolist() == [0, MISSING, MISSING]
    fitted = Vocabulary.fit(packing.label_rows(products), ["articleType"])
    assert fitted.labels["articleType"] == ("A", "C", "Z")


def test_an_allowed_answer_is_the_truth_else_the_best_allowed_label_is():
    truth = np.array([2, -1, -1, -1])
    allowed = np.array([[0, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0]], bool)
    scores = np.array([[0.9, 0, 0.1], [0.2, 0.5, 0.3], [0.8, 0.05, 0.15], [1, 0, 0]])
    assert resolve(truth, allowed, scores.argmax(1), scores).tolist() == [2, 1, 2, -1]


def test_calibration_counts_an_allowed_answer_as_right():
    logits = np.array([[2.0, 1.0, 0.0]] * 6)
    truth = np.array([1, 1, -1, -1, -1, -1])
    allowed = np.array([[0, 1, 0]] * 2 + [[1, 1, 0]] * 4, bool)
    fit = calibrate.fit_head(truth, logits, np.zeros(3), allowed)
    assert fit["before"]["accuracy"] == pytest.approx(4 / 6)


def test_batches_hold_sets_and_the_shares_of_each_catalogue():
    photos = packing.Photos(np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1))
    more = [np.arange(100, 105, dtype=np.uint8).reshape(5, 1, 1, 1)]
    both = photos.followed_by(more)
    assert both.take(np.array([3, 22, 0, 24]), np.zeros(4, bool)).ravel().tolist() == [
        3,
        102,
        0,
        104,
    ]
    labels = np.zeros((25, 1), np.int32)
    allowed = [np.ones((25, 3), bool)]
    others = [packing.Share(np.arange(20, 25), 0.25)]
    batches = packing.Batches(both, np.arange(20), labels, 8, 3, allowed=allowed, others=others)
    assert len(batches.order) == 27  # 20 and a quarter of 27
    assert sorted(batches.order)[:20] == list(range(20))
    for i in range(3):
        pixels, (sets,) = batches[i]
        assert 1 <= (pixels.ravel() >= 100).sum() <= 3 and sets.shape == (8, 3)
    assert batches[3][1][0].sum() == 3 * 3  # what fills the last batch up weighs nothing
    before = batches.order.copy()
    batches.on_epoch_end()
    assert (before != batches.order).any()
    short = packing.Batches(both, np.arange(20), labels, 8, 3, others=others, epoch_size=8)
    assert len(short.order) == 8 and (short.order >= 20).sum() == 2


def test_rare_words_are_drawn_more_often():
    words = ["T-Shirt"] * 16 + ["Hat"] * 4
    shown = [product(n, "A", word=word) for n, word in enumerate(words)]
    shown.append(product(99, "A", word="Hat"))  # not to train on, and not counted
    sides = {p.id: "train" for p in shown[:-1]} | {shown[-1].id: "validation"}
    labelled = Labelled(None, shown, sides, "phone.zip")
    other = Other(labelled, Path(), {}, 0.5)
    assert other.weights(0.5) == pytest.approx([1 / 4] * 16 + [1 / 2] * 4)
    assert other.weights(1.0) == pytest.approx([1 / 16] * 16 + [1 / 4] * 4)
    share = packing.Share(np.arange(20), 0.5, other.weights(1.0))
    drawn = share.draw(np.random.default_rng(0), 4000)
    # Half of the draws are hats: 4000 × 0.5, with a standard deviation of 32.
    assert abs((drawn >= 16).sum() - 2000) < 130


def test_what_one_sender_took_is_never_split_apart():
    rng = np.random.default_rng(0)
    products = [product(n, "A", group=f"sender {n % 15}") for n in range(150)]
    group = np.arange(150)
    group[149] = group[3]  # a near-duplicate in another sender's photos: both senders go together
    joined = near_duplicates.with_groups(near_duplicates.NearDuplicates(group, 2, 0), products)
    assert len(set(joined.group)) == 14
    order = rng.permutation(150)
    duplicates = near_duplicates.NearDuplicates(joined.group[order], 2, 0)
    split = near_duplicates.split_by_near_duplicates([products[i] for i in order], duplicates)
    for sender in range(15):
        assert len({split[str(n)] for n in range(sender, 150, 15)}) == 1
    assert split["149"] == split["3"] and len(set(split.values())) == 3


def test_two_catalogues_in_one_training(drawn, tmp_path, capsys):
    other = garments.write_catalogue(tmp_path / "phone", per_kind=8)
    rows = (other / "styles.csv").read_text(encoding="utf-8").splitlines()
    words = {"Trousers": {"articleType": ["Jeans", "Trousers"]}, "unsure": {}}
    lines = ["id,label,sender"]
    for i, row in enumerate(rows[1:]):
        cells = row.split(",")
        word = "unsure" if i == 0 else cells[4]
        words.setdefault(word, {"articleType": [word]})
        lines.append(f"{cells[0]},{word},s{i % 12}")
    (other / "phone.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (other / "styles.csv").unlink()
    (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8")
    description = {
        "file": "phone.csv",
        "label": "label",
        "words": ["words.json"],
        "group": "sender",
    }
    (tmp_path / "phone.json").write_text(json.dumps(description), encoding="utf-8")
    settings = config.parse([
        *("--data", str(drawn), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")),
        *("--weights", "none", "--split-by", "random", "--batch-size", "8", "--epoch-size", "24"),
        "--no-onnx",
        *("--stages", "64x64:1:1e-3:block6d_add", "--backgrounds", "0.5", "--augment", "light"),
        *("--also", f"{other}:0.5:{tmp_path / 'phone.json'}"),
    ])  # fmt: skip
    train.run(settings)
    out = capsys.readouterr().out
    assert "1 products without any label are left out" in out and "50% of each batch" in out
    assert "phone, validation: articleType" in out
    assert "backgrounds are grown from the corners" in out
    folder = tmp_path / "run" / "bundle"
    card = bundle.read_card(folder)
    assert card["output_stride"] == 16 and bundle.load(folder).model.get_layer(
        card["cam_layer"]
    ).output.shape[1:3] == (4, 4)
    (also,) = card["also"]
    assert also["share"] == 0.5 and sum(also["split"].values()) == 47
    assert "Jeans" in bundle.load(tmp_path / "run" / "bundle").vocabulary.labels["articleType"]
    split = read_split(folder / "split-1.csv")
    for sender in range(12):
        ids = [line.split(",")[0] for line in lines[1:] if line.endswith(f",s{sender}")]
        assert len({split[i] for i in ids}) == 1
    with pytest.raises(SystemExit):
        config.parse(["--data", "x", "--out", "y", "--also", "a:0.6", "b:0.4"])
    # A run that continues with another seed does not train on what the bundle held back.
    again = dataclasses.replace(settings, out=tmp_path / "again", init=folder, seed=5)
    again.out.mkdir()
    assert read_other(again, again.also[0], 1, [(64, 64)]).labelled.split == split
    assert "the splits are those of" in capsys.readouterr().out

    # Afterwards the bundle knows the other catalogue by its name: its table, words and sides.
    here = ["--bundle", str(folder), "--data"]
    assert evaluate.main([*here, str(other), "--split", "validation", "--write-card"]) == 0
    out = capsys.readouterr().out
    assert f"validation split, {also['split']['validation']} products" in out
    assert "by the catalogue's own words" in out and "doubted to show one product" in out
    floors = ["--split", "validation", "--floors", str(other)]
    assert evaluate.main([*here, str(drawn), *floors, "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert f"In front of {also['split']['validation']} floors of the same side" in out
    assert "| as they are | in front of floors |" in out
    all_sides = ["--split", "all", "--floors", str(other), "--limit", "3"]
    assert evaluate.main([*here, str(drawn), *all_sides]) == 1
    assert "none on side 'all'" in capsys.readouterr().err
    (also,) = bundle.read_card(folder)["also"]
    assert also["metrics"]["validation"]["products"] == also["split"]["validation"]
    assert calibrate.main([*here, str(drawn), "--also", str(other)]) == 0
    assert "phone, validation: articleType" in capsys.readouterr().out
    (also,) = bundle.read_card(folder)["also"]
    assert "metrics" not in also  # they were of the heads before
    assert bundle.load(folder).card["sha256"].keys() >= {"split-1.csv"}
    assert calibrate.main([*here, str(drawn), "--also", str(drawn)]) == 1
    assert "expected one of ['phone'], which it was trained on" in capsys.readouterr().err
