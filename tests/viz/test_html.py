"""Pages are one file, need no network, and show text from data as text."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fashion_xai.data import files
from fashion_xai.viz import html as report

FULL = Path("/dev/full")
NASTY = '<script>alert("x")</script>'


def test_a_page_is_whole_escaped_and_needs_no_network(tmp_path):
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    photo = np.zeros((4, 3, 3), np.uint8)
    html = report.page(
        f"Title {NASTY}",
        report.contents([(NASTY, "place")]),
        report.heading(NASTY, anchor="place"),
        report.table(["photo"], [[report.thumbnail(photo, NASTY)]]),
        report.paragraph(NASTY),
        report.table([NASTY], [[NASTY], [1234], [0.5], [91.04], ["88.2–93.8"], ["+3"]], NASTY),
        report.image(report.png(figure), NASTY),
        report.sheet([(photo, NASTY)]),
        report.folded(NASTY, report.paragraph("inside")),
    )
    assert "<script" not in html and html.count("&lt;script&gt;") >= 8
    assert not re.search(r'(src|href)="(?!data:|#place")', html) and "@import" not in html
    assert '<a href="#place">' in html and ' id="place">' in html and "<td><img" in html
    for number in ("1,234", "0.500", "91.0", "88.2–93.8", "+3"):
        assert f'<td class="n">{number}</td>' in html
    files.write(tmp_path / "page.html", html)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == html
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_leaves_no_part_and_keeps_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("old", encoding="utf-8")
    whole = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda p, data: p.touch() or whole(FULL, data))
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / "page.html", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "old"


def test_what_is_folded_on_a_screen_is_printed_and_a_phone_cuts_nothing(browser, tmp_path):
    wide = [f"a column of some words, number {i}" for i in range(12)]
    html = report.page(
        "Title",
        report.contents([("Part", "part")]),
        report.heading("Part", anchor="part"),
        report.table(wide, [wide]),
        report.folded("More", report.paragraph("inside")),
    )
    files.write(tmp_path / "page.html", html)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((tmp_path / "page.html").as_uri())
    inside, links = page.locator("details p"), page.locator("nav")
    try:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert links.is_visible() and not inside.is_visible()
        page.emulate_media(media="print")
        assert inside.is_visible() and not links.is_visible()
        # A box that scrolls on a screen would cut its table on paper.
        assert page.locator(".scroll").evaluate("e => getComputedStyle(e).overflowX") == "visible"
    finally:
        page.close()
