"""axe-core on every tab, light and dark, desk and phone: nothing serious in our own markup."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from examples import garments
from tests.server import start

OURS = [".card", "#message", "#shared", ".detail", ".batch", ".about", "#outcome", "#link",
        "#audit-about", "#kept"]  # fmt: skip
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    process, address = start("--annotations", str(tmp_path_factory.mktemp("v") / "annotations.csv"))
    yield address
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def shirt(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "shirt.png"
    garments.save("shirt", path)
    return str(path)


def serious(page, context=None) -> list[str]:
    """Violations in what is visible, as text."""
    found = Axe().run(page, context=context).response["violations"]
    return [
        f"{v['id']}: {v['help']} ({node['html'][:120]})"
        for v in found
        if v["impact"] in SERIOUS
        for node in v["nodes"]
    ]


def in_our_markup(page) -> list[str]:
    there = [s for s in OURS if page.locator(s).locator("visible=true").count()]
    assert there
    return serious(page, {"include": [[s] for s in there]})


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_every_tab(browser, url, shirt, theme, size):
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{url}/?__theme={theme}")
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", shirt)
    page.wait_for_selector("canvas.view[data-painted]")
    page.get_by_text("What if a part were hidden?").click()
    page.locator("#hide-seen").click()
    page.wait_for_selector("#outcome table")
    page.locator("#save").click()
    page.wait_for_selector("#link a")
    problems = in_our_markup(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0], "the page is wider than the screen"

    tab(page, "Audit")
    page.wait_for_selector("#matrix img")
    cell(page)
    page.wait_for_selector("#photos img")
    page.locator("#photos button:has(img)").first.click()
    page.wait_for_selector(".detail")
    problems += in_our_markup(page)

    tab(page, "Batch")
    page.set_input_files("#batch-files input[type=file]", shirt)
    page.wait_for_selector(".batch tbody tr")
    problems += in_our_markup(page)

    tab(page, "About")
    page.wait_for_selector(".about h2")
    problems += in_our_markup(page)
    assert not problems, "\n".join(problems)
    theirs = serious(page)
    if theirs:
        print("Gradio's own:", *sorted({x.split(" (")[0] for x in theirs}), sep="\n  ")
    page.close()


def test_a_screen_reader_is_told_words_and_no_key(browser, url, shirt):
    page = browser.new_page()
    page.goto(url)
    page.set_input_files("#photo input[type=file]", shirt)
    told = page.locator(".sr-only[role=status]")
    told.filter(has_text="Done.").first.wait_for(state="attached")
    page.close()


def tab(page, name: str) -> None:
    """Choose a tab; on a phone some hide behind a button."""
    wanted = page.get_by_role("tab", name=name).locator("visible=true")
    if not wanted.count():
        page.locator(".overflow-menu button").first.click()
        page.locator(".overflow-dropdown button", has_text=name).click()
        return
    wanted.first.click()


def cell(page) -> None:
    """Choose the first of the confused pairs."""
    page.locator("#pairs [role=gridcell], #pairs tbody td").locator("visible=true").first.click()
