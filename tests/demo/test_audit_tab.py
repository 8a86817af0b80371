"""The audit tab: plain functions, then the whole way in a real browser to an annotation on disk."""

import io
import re

import numpy as np
import pandas as pd
import pytest

from demo.views import annotations as given
from demo.views import audit as handlers
from demo.views.audit import ANY, Address, Filters
from fashion_xai.audit import annotations, confusions
from fashion_xai.audit.results import Audit
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.viz import confusion_matrix
from tests.server import audit_tab

HEAD = "season"


@pytest.fixture(scope="module")
def folder(drawn_audit):
    return drawn_audit


@pytest.fixture(scope="module")
def opened(folder, drawn):
    return Audit(folder, Catalogue(drawn))


def test_filters_by_hand(opened):
    table = opened.table
    assert handlers.rows(opened, Filters(HEAD)).all()
    sure = handlers.rows(opened, Filters(HEAD, low=0.4))
    np.testing.assert_array_equal(sure, table[f"{HEAD}_probability"] >= 0.4)
    women = handlers.rows(opened, Filters(HEAD, trait="gender", value="Women"))
    np.testing.assert_array_equal(women, table["gender_true"] == "Women")
    assert handlers.values_of(opened, "gender") == [ANY, "Men", "Women"]
    true, predicted = confusions.labelled_predictions(table[women], HEAD)
    found = handlers.pairs(opened, Filters(HEAD, trait="gender", value="Women"))
    assert found["both"].sum() == (true != predicted).sum()
    assert handlers.pairs(opened, Filters(HEAD, minimum=10_000)).empty
    nobody = Filters(HEAD, low=0.2, high=0.1)
    assert not handlers.rows(opened, nobody).any()
    assert handlers.matrix(opened, nobody, rate=False) == (None, [])
    kinds = handlers.pairs(opened, Filters("articleType", kind="startling (far apart)"))["kind"]
    assert set(kinds) <= {"startling"}


def test_the_cell_under_a_click_is_the_pair_that_is_drawn_there():
    labels = ["a", "b", "c"]
    frame = pd.DataFrame([[0, 5, 0], [0, 0, 0], [0, 0, 0]], labels, labels)
    picture = confusion_matrix.draw(frame, "drawn")
    corners = [middle(i, j) for i in range(3) for j in range(3)]
    dark = [picture[y - 8, x - 8].mean() for x, y in corners]
    assert int(np.argmin(dark)) == 1  # row a, column b: where a click is
    assert handlers.cell(labels, *middle(0, 1)) == ("a", "b")
    assert handlers.cell(labels, *middle(1, 1)) is None  # the diagonal is no confusion
    assert handlers.cell(labels, 3, 3) is None
    assert confusion_matrix.cell_at(*middle(2, 0), 3) == (2, 0)


def middle(row, column):
    cell = confusion_matrix.CELL
    return (
        confusion_matrix.NAMES + column * cell + cell // 2,
        confusion_matrix.EDGE + row * cell + cell // 2,
    )


def test_texts_are_escaped(opened, monkeypatch):
    evil = "<script>alert(1)</script>"
    table = opened.table.copy()
    table["title"] = evil
    monkeypatch.setattr(opened, "table", table)
    identity = table["id"][0]
    assert evil not in handlers.detail(opened, HEAD, identity)
    assert "&lt;script&gt;" in handlers.detail(opened, HEAD, identity)
    assert evil not in handlers.confusion(opened, Filters(HEAD), evil, evil)


def test_without_photos_or_a_file_the_tab_says_so(folder, opened, tmp_path):
    text = handlers.about(Audit(folder), None)
    assert "--data" in text and "--annotations FILE" in text
    assert "--" not in handlers.about(opened, tmp_path / "v.csv")
    bare = Audit(folder)
    pair = handlers.pairs(bare, Filters(HEAD)).iloc[0]
    items, ids = handlers.photos(bare, Filters(HEAD), pair["true"], pair["predicted"], "margin")
    assert len(items) == len(ids) == pair["count"]


def test_what_ships_is_an_audit_of_the_shipped_model_on_its_test_split(shipped):
    """Ids, labels, predictions and maps only: no photo, no product names."""
    ships = Audit()
    assert ships.summary["model"] == shipped.bundle.card["sha256"]["model.keras"]
    assert ships.summary["split"] == "test" and set(ships.table["split"]) == {"test"}
    assert (ships.table["title"] == "").all() and not ships.has_photos
    figures = shipped.bundle.card["metrics"]["test"]["heads"]
    for head, counts in ships.summary["heads"].items():
        share = counts["right"] / counts["labelled"]
        assert share == pytest.approx(figures[head]["accuracy"], abs=1e-3)


def test_from_the_matrix_to_an_annotation_on_disk(
    browser, folder, drawn, opened, small_bundle, tmp_path
):
    file = tmp_path / "annotations.csv"
    args = ["--bundle", small_bundle, "--audit", folder, "--data", drawn, "--annotations", file]
    with audit_tab(browser, *args) as (page, url):
        # It opens with the answer, and without empty fields.
        found = handlers.summary(opened, "articleType")
        assert page.locator("#audit-summary").inner_text().strip() in found.text
        assert not page.locator("#photos").locator("visible=true").count()
        assert not page.locator("#annotation").locator("visible=true").count()
        one, other, count = found.worst[0]
        page.get_by_role("button", name=f"{one} / {other}: {count}", exact=True).click()
        page.wait_for_selector("#photos img", timeout=60_000)
        assert f"{one} taken for {other}" in page.locator("#shared").inner_text()
        seen = "() => document.querySelector('#gallery-side').getBoundingClientRect().top"
        page.wait_for_function(f"{seen} < innerHeight")  # the page goes to it

        # A cell of the matrix opens its gallery.
        f = Filters("articleType", minimum=2)
        _, labels = handlers.matrix(opened, f, rate=False)
        pair = handlers.pairs(opened, f).iloc[0]
        x, y = middle(labels.index(pair["true"]), labels.index(pair["predicted"]))
        image = page.locator("#matrix img")
        box, natural = image.bounding_box(), image.evaluate("i => i.naturalWidth")
        image.click(position={"x": x * box["width"] / natural, "y": y * box["width"] / natural})
        says = f"{pair['true']} taken for {pair['predicted']}: {pair['count']} products"
        page.wait_for_selector(f"#shared:has-text({says!r})", timeout=60_000)
        assert page.locator("#photos button:has(img)").count() == pair["count"]

        # A photo opens its maps at full size, decoded by the browser.
        page.locator("#photos button:has(img)").first.click()
        page.wait_for_selector(".detail", timeout=60_000)
        _, ids = handlers.photos(opened, f, pair["true"], pair["predicted"], "confident")
        assert page.locator(".detail").get_attribute("data-id") == ids[0]
        pictures = page.locator(".detail .row").first.locator("img")
        assert pictures.count() == 4  # the photo, and three maps
        assert all(p.evaluate("i => i.complete && i.naturalHeight") == 320 for p in pictures.all())

        # An annotation is on disk, and shown again.
        page.get_by_label("label wrong").check()
        page.locator("#keep").click()
        page.wait_for_selector("#kept:has-text('1 annotations in annotations.csv')")
        (kept,) = annotations.read(file).values()
        assert (kept.id, kept.attribute, kept.annotation) == (ids[0], "articleType", "label wrong")
        assert (kept.label, kept.suggested) == (pair["true"], pair["predicted"])

        # The right label may be any other; it is listed, and can be taken back.
        own = next(x for x in given.labels_of(opened, "articleType")
                   if x not in (pair["true"], pair["predicted"]))  # fmt: skip
        page.get_by_label("The right label, where it is wrong").click()
        page.get_by_role("option", name=own, exact=True).click()
        page.locator("#keep").click()
        page.wait_for_selector(f"#kept:has-text('should be {own}')")
        (kept,) = annotations.read(file).values()
        assert (kept.label, kept.suggested) == (pair["true"], own)
        page.get_by_text("Annotations given").click()
        page.locator("#given").get_by_text(own).locator("visible=true").first.wait_for()
        page.locator("#take-back").click()
        page.wait_for_selector("#kept:has-text('Taken back')")
        assert annotations.read(file) == {}

        # With keys: the next photo, an annotation, kept.
        page.locator(".detail h3").click()  # away from the button
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f".detail[data-id={ids[1]!r}]")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        page.wait_for_selector("#kept:has-text('model wrong')")
        assert annotations.read(file)[ids[1], "articleType"].annotation == "model wrong"

        # Whoever is given the address sees the same, and what was said of it.
        other = browser.new_page(viewport={"width": 1300, "height": 1000})
        other.goto(page.url)
        other.wait_for_selector(f".detail[data-id={ids[1]!r}]", timeout=60_000)
        assert f"{pair['true']} taken for {pair['predicted']}" in other.inner_text("#shared")
        assert other.get_by_label("model wrong").is_checked()
        assert other.inner_text("#pair-seen").strip() == f"1 of {pair['count']} looked at."
        other.get_by_label("Only what was not looked at yet").check()
        other.wait_for_function(
            "n => document.querySelectorAll('#photos button:has(img)').length === n",
            arg=int(pair["count"]) - 1,
        )
        other.get_by_text("Annotations given").click()
        other.locator("#given").get_by_text(ids[1]).locator("visible=true").first.wait_for()
        other.locator("#take-home").click()
        link = other.locator("#taken a", has_text="annotations.csv")
        link.wait_for()
        reply = other.request.get(f"{url}{link.get_attribute('href')}")
        assert reply.text() == file.read_text(encoding="utf-8")
        other.close()

        # The table opens the same gallery; another head empties it.
        page.locator("#pairs").get_by_text(re.compile(f"^{pair['true']}$")).locator(
            "visible=true"
        ).first.click()
        page.wait_for_selector("#photos img")
        page.wait_for_timeout(1500)  # until the page has scrolled to them
        page.get_by_label("Attribute").click()
        page.get_by_role("option", name="Season (season)").click()
        page.wait_for_function("() => !document.querySelector('#photos img')")
        says = handlers.summary(opened, "season").text.unescape()
        page.wait_for_function(
            "text => text.includes(document.querySelector('#audit-summary').innerText.trim())",
            arg=says,
        )


def test_the_right_label_has_to_be_another_and_a_known_one(opened, tmp_path):
    file, identity = tmp_path / "v.csv", opened.table["id"][0]
    true = opened.value(identity, f"{HEAD}_true")
    for label, words in ((true, "is the label that it has"), ("Monsoon", "is no label of season")):
        with pytest.raises(ValueError, match=words):
            given.judge(opened, file, HEAD, identity, "label wrong", label)
    assert not file.exists()
    assert "none to take back" in given.take_back(file, HEAD, identity)


def test_what_is_taken_home_has_the_right_labels(opened, tmp_path):
    file = tmp_path / "v.csv"
    one, two = opened.table["id"][:2]
    true = opened.value(one, f"{HEAD}_true")
    wanted = next(x for x in given.labels_of(opened, HEAD) if x != true)
    given.judge(opened, file, HEAD, one, "label wrong", wanted)
    given.judge(opened, file, HEAD, two, "model wrong")
    files = given.downloads(opened, file)
    assert files["annotations.csv"] == file.read_text(encoding="utf-8")
    table = pd.read_csv(io.StringIO(files["corrected.csv"]), dtype=str).set_index("id")
    assert len(table) == len(opened.table) and list(table) == list(opened.heads)
    assert table.loc[one, HEAD] == wanted
    assert table.loc[two, HEAD] == opened.value(two, f"{HEAD}_true")
    assert table.loc[one, "gender"] == opened.value(one, "gender_true")
    assert given.looked_at(file, HEAD) == {one, two} and not given.looked_at(file, "gender")
    assert "2 of 3 looked at" in given.progress(file, HEAD, [one, two, "another"])


def test_what_was_looked_at_is_left_out_on_request(opened):
    f = Filters("articleType", minimum=2)
    pair = handlers.pairs(opened, f).iloc[0][["true", "predicted"]]
    _, ids = handlers.photos(opened, f, *pair, "confident")
    _, rest = handlers.photos(opened, f, *pair, "confident", {ids[0]})
    assert rest == ids[1:] and ids == handlers.members(opened, f, *pair)[: len(ids)]
    _, listed = handlers.issues(opened, HEAD)
    _, without = handlers.issues(opened, HEAD, {listed[0]})
    assert without == [x for x in listed if x != listed[0]]


def test_an_address_is_taken_as_far_as_it_is_of_this_audit(opened):
    identity = opened.table["id"][0]
    asked = {"audit": HEAD, "true": "Fall", "predicted": "Summer", "id": identity}
    assert Address.read(opened, asked, "gender") == (HEAD, ("Fall", "Summer"), identity, None)
    assert Address.read(opened, {**asked, "id": "../../x"}, "gender").id is None
    assert Address.read(opened, {**asked, "true": None}, "gender").pair is None
    for nothing in (None, "text", [], {}, {**asked, "audit": "colour"}, {**asked, "audit": []}):
        assert Address.read(opened, nothing, "gender") == ("gender", None, None, None)


def test_the_summary_by_hand(opened):
    true, predicted = confusions.labelled_predictions(opened.table, HEAD)
    found = handlers.summary(opened, HEAD)
    assert f"{(true == predicted).mean():.1%} of {len(true)} products right" in found.text
    together = pd.Series([" / ".join(sorted(p)) for p in zip(true, predicted)])[true != predicted]
    most = together.value_counts()
    assert [count for *_, count in found.worst] == most.head(3).tolist()
    assert f"make up {most.head(3).sum() / len(together):.0%} of the {len(together)}" in found.text
    assert found.issues == (opened.label_issues["attribute"] == HEAD).sum()


def test_a_server_without_a_annotations_file_takes_none_and_bad_files_are_refused(folder, tmp_path):
    from demo import server

    assert server.main(["--audit", str(tmp_path)]) == 1
    (tmp_path / "v.csv").write_text("something,else\n", encoding="utf-8")
    assert server.main(["--audit", str(folder), "--annotations", str(tmp_path / "v.csv")]) == 1
    assert (tmp_path / "v.csv").read_text(encoding="utf-8") == "something,else\n"
