"""Lists on the audit tab: plain functions, then the map, a tag and a saved view in a browser."""

import json
import shutil

import numpy as np
import pytest

from demo.server import main
from demo.views import lists, saved_views
from demo.views.lists import Lists
from fashion_xai.audit import embedding_map, tags
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue
from tests.server import audit_tab

HEAD = "season"


@pytest.fixture(scope="module")
def folder(drawn_audit, tmp_path_factory):
    out = shutil.copytree(drawn_audit, tmp_path_factory.mktemp("mapped") / "audit")
    embedding_map.lay_out(Audit(out))
    return out


@pytest.fixture(scope="module")
def audit(folder, drawn):
    return Audit(folder, Catalogue(drawn))


def test_the_lists_by_name(audit, tmp_path):
    file = tmp_path / "v.tags.csv"
    first, second = audit.table["id"][:2]
    tags.add(file, "dark", [second, "not of this audit"])
    found = Lists(audit, file)
    names = dict((name, text) for text, name in found.names())
    assert names["tag:dark"] == "Tag: dark (2)" and lists.UNUSUAL in names
    assert found.listed(HEAD, "tag:dark").ids == [second]
    assert len(found.listed(HEAD, lists.UNUSUAL).ids) == min(lists.MOST_UNUSUAL, len(audit.table))
    for gone in ("tag:bright", "slice:nothing=1", "", "../../etc"):
        with pytest.raises(ValueError, match="no longer there"):
            found.listed(HEAD, gone)
    assert "2 products, 1 of them shown" in lists.shown(lists.Listed("Both.", [first, second]), 1)


def wrong(audit):
    true, said = (audit.table[f"{HEAD}_{x}"].astype(object) for x in ("true", "predicted"))
    return true != said


def test_a_slice_lists_its_errors_only(audit):
    men = audit.table["gender_true"] == "Men"
    found = Lists(audit, None).listed(HEAD, "slice:gender=Men")
    assert list(found.ids) == list(audit.table["id"][wrong(audit) & men]) and found.ids


def test_one_photo_of_two_products(audit, monkeypatch):
    table = audit.table.copy()
    points = audit.embeddings.copy()
    table.loc[4, "fingerprint"], points[4] = table.loc[1, "fingerprint"], points[1]
    twins = Audit(audit.folder)
    twins.table = table
    twins.__dict__["embeddings"] = points
    found = Lists(twins, None).listed(HEAD, lists.DUPLICATES).ids
    a, b = (found.index(table["id"][i]) for i in (1, 4))
    assert b == a + 1  # side by side


def test_what_is_circled(audit):
    found = Lists(audit, None)
    made = embedding_map.lay_out(audit)
    everything = [[-1, -1], [2, -1], [2, 2], [-1, 2]]
    assert list(found.circled(everything).ids) == list(audit.table["id"])
    left = found.circled([[-1, -1], [0.5, -1], [0.5, 2], [-1, 2]]).ids
    assert list(left) == list(audit.table["id"].iloc[made.points[:, 0] < 0.5])
    for nothing in (None, [], [[0, 0], [1, 1]], "x", [["a", "b"]] * 3, [[0, np.nan]] * 3,
                    [[0, 0]] * 3000, [[1, 2, 3], [4, 5]]):  # fmt: skip
        with pytest.raises(ValueError, match="Circle some points"):
            found.circled(nothing)
    drawn = found.drawn(HEAD).unescape()
    points = json.loads(drawn.split("data-points='")[1].split("'")[0])
    assert points["kind"] == wrong(audit).astype(int).tolist()


def test_views_are_saved_under_a_name(tmp_path):
    file = tmp_path / "v.views.csv"
    where = saved_views.address(HEAD, {"pair": ["A&B", "C"], "id": "7"})
    assert where == "audit=season&true=A%26B&predicted=C&id=7"
    saved_views.save(file, " <b>mine ", where)
    saved_views.save(file, "other", saved_views.address(HEAD, {"list": "tag:dark"}))
    assert [*saved_views.read(file)] == ["<b>mine", "other"]
    assert "&lt;b&gt;mine" in saved_views.links(file) and "<b>" not in saved_views.links(file)
    saved_views.remove(file, "<b>mine")
    assert [*saved_views.read(file)] == ["other"]
    for name, where in (("", "audit=a"), ("x" * 61, "audit=a"), ("empty", "")):
        with pytest.raises(ValueError):
            saved_views.save(file, name, where)
    with pytest.raises(ValueError, match="no view of this name"):
        saved_views.remove(file, "mine")
    assert saved_views.address(HEAD, {"pair": None, "list": None, "id": None}) == ""


@pytest.mark.parametrize("name", ["a.tags.csv", "a.views.csv"])
def test_another_file_in_their_place_is_refused_at_the_start(name, tmp_path, capsys):
    (tmp_path / name).write_text("colour,price\nred,7\n", encoding="utf-8")
    assert main(["--annotations", str(tmp_path / "a.csv")]) == 1
    assert f"{name}: expected" in capsys.readouterr().err


def test_from_the_map_to_a_tag_and_a_saved_view(browser, folder, drawn, small_bundle, tmp_path):
    file = tmp_path / "annotations.csv"
    args = ["--bundle", small_bundle, "--audit", folder, "--data", drawn, "--annotations", file]
    with audit_tab(browser, *args) as (page, _):
        # A lasso around the left half opens the products there.
        page.get_by_text("Map: circle products").click()
        page.locator("#show-map").click()
        board = page.locator("canvas#atlas[data-drawn]")
        board.wait_for(timeout=60_000)
        board.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        box = board.bounding_box()
        left, top, right, bottom = (
            box["x"],
            box["y"],
            box["x"] + box["width"] / 2,
            box["y"] + box["height"],
        )
        page.mouse.move(left + 1, top + 1)
        page.mouse.down()
        for corner in ((right, top + 1), (right, bottom - 1), (left + 1, bottom - 1)):
            page.mouse.move(*corner)
        page.mouse.up()
        half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
        opened = Audit(folder)
        expected = Lists(opened, None).circled(
            [[x * 1.02 - 0.01, y * 1.02 - 0.01] for x, y in half]
        )
        page.wait_for_selector(
            f"#shared:has-text('Circled on the map. {len(expected.ids)} products')"
        )
        assert page.locator("#photos button:has(img)").count() == min(24, len(expected.ids))
        assert not page.get_by_text("most confident first").is_visible()  # of a confusion only

        # All of them get a tag, which is a list from now on, with an address of its own.
        page.locator("#tag").get_by_role("textbox").fill("left half")
        page.locator("#give-tag").click()
        page.wait_for_selector("#tagged:has-text('Tagged')")
        assert sorted(tags.read(tmp_path / "annotations.tags.csv")["left half"]) == sorted(
            expected.ids
        )
        page.locator("#lists input").click()
        page.get_by_role("option", name="Tag: left half").click()
        page.wait_for_selector("#shared:has-text('Tagged “left half”.')")
        page.wait_for_function("() => location.search.includes('list=tag')")

        # The view is kept under a name; the link opens it again.
        page.get_by_text("Saved views").click()
        page.locator("#view-name").get_by_role("textbox").fill("to retake")
        page.locator("#save-view").click()
        link = page.locator("#views a", has_text="to retake")
        link.wait_for()
        link.click()
        page.wait_for_selector("#shared:has-text('Tagged “left half”.')", timeout=60_000)
        assert page.locator("#photos button:has(img)").count()
