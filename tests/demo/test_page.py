"""The demo as it is started: over the API, and through the page in a real browser."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from demo.tabs import explain
from demo.tabs.inputs import EXAMPLES
from demo.views import whatif, words
from demo.views.render import render
from examples import drawings, garments
from fashion_xai import ATTRIBUTES
from fashion_xai.data import images
from fashion_xai.viz import overlay
from tests.conftest import ROOT
from tests.server import start

WHAT, SEASON = (words.in_order(ATTRIBUTES).index(a) for a in ("articleType", "season"))
"""Places of two cards on the page."""


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False)


@pytest.fixture
def dress(tmp_path):
    path = tmp_path / "dress.png"
    Image.fromarray(garments.draw("dress", "Red", (300, 400), scale=0.8)).save(path)
    return str(path)


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_text("<html>404</html>", encoding="utf-8")
    return str(path)


def test_the_api_answers_as_the_library(client, shipped, dress):
    answer = client.predict(handle_file(dress), api_name="/predict")
    (expected,) = shipped.predict([dress])
    assert list(answer) == [*ATTRIBUTES, "one_product"]
    for attribute, p in expected.items():
        assert answer[attribute]["label"] == p.label
        assert answer[attribute]["probability"] == pytest.approx(p.probability, abs=1e-3)
        assert len(answer[attribute]["top3"]) == 3


def test_only_the_documented_endpoints_are_public(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(named) == ["/batch", "/explain", "/predict"]


def test_explain_over_gradio_gives_the_librarys_maps(client, shipped, dress):
    answer = client.predict(handle_file(dress), "layercam", api_name="/explain")
    for attribute, e in shipped.explain(dress, method="layercam").items():
        assert answer[attribute]["label"] == e.prediction.label
        np.testing.assert_allclose(answer["maps"][attribute]["heatmap"], e.heatmap, atol=1e-3)
    with pytest.raises(AppError, match="Expected a method of gradcam-odds"):
        client.predict(handle_file(dress), "scorecam", api_name="/explain")


def test_a_bad_upload_gives_our_sentence_and_the_app_resumes(client, broken, dress):
    for _ in range(2):
        with pytest.raises(AppError, match="This file is not a photo that can be read"):
            client.predict(handle_file(broken), api_name="/predict")
    assert client.predict(handle_file(dress), api_name="/predict")["gender"]["label"]
    with pytest.raises(AppError, match="No photo arrived"):
        client.predict(None, api_name="/predict")


def test_many_visitors_at_once_get_their_own_answers(url, shipped, tmp_path):
    paths = []
    for i, kind in enumerate(garments.KINDS):
        paths.append(str(tmp_path / f"{kind}.png"))
        Image.fromarray(garments.draw(kind, list(garments.COLOURS)[i])).save(paths[-1])
    expected = shipped.predict(paths)

    def visit(path):  # each with a session of their own
        return Client(url, verbose=False).predict(handle_file(path), api_name="/predict")

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(visit, paths * 3, timeout=240))
    for answer, right in zip(answers, expected * 3, strict=True):
        labels = {a: answer[a]["label"] for a in ATTRIBUTES}
        assert labels == {a: p.label for a, p in right.items()}


def test_files_of_the_server_are_not_served(url):
    for path in ("/etc/passwd", str(ROOT / "pyproject.toml")):
        assert httpx.get(f"{url}/gradio_api/file={path}").status_code in (403, 404)


def test_a_photo_over_the_byte_cap_is_refused(url):
    data = b"\xff" * 20_500_000
    reply = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.jpg", data)}, timeout=60)
    assert reply.status_code == 413


def test_ctrl_c_ends_it():
    process, _ = start()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=90) == 0


def test_share_without_a_network_leaves_a_local_demo(small_bundle, tmp_path, monkeypatch):
    """No proxy answers and no tunnel program is in the cache, as on a machine without a network."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    process, url = start("--share", "--bundle", str(small_bundle))
    try:
        assert httpx.get(f"{url}/health", trust_env=False).json()["status"] == "ok"
    finally:
        process.kill()
        process.wait()


def test_wrong_use_is_answered_in_words(tmp_path):
    done = subprocess.run(
        [sys.executable, "demo/app.py", "--bundle", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no card.json" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_a_photo_as_phones_save_it_is_read_and_shown(browser, url, dress, tmp_path, kind):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    file = tmp_path / f"dress.{kind}"
    Image.open(dress).convert("RGB").save(file, quality=90)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", str(file))
    page.wait_for_selector(".card canvas.view[data-painted]", timeout=60_000)
    shown = "() => [...document.querySelectorAll('#photo img')].every(i => i.naturalWidth > 0)"
    page.wait_for_function(shown, timeout=10_000)  # Chromium itself shows no HEIC
    page.close()


def test_batch_can_be_tried_with_the_examples(browser, url, shipped):
    page = browser.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-examples").click()
    page.wait_for_selector("#batch-csv a", timeout=60_000)
    header, *rows = page.locator("#batch-table tr").all_inner_texts()
    assert "What it is" in header and "articleType" not in header
    assert len(rows) == len(EXAMPLES)
    for path, row in zip(EXAMPLES, rows, strict=True):
        assert shipped.predict([path])[0]["articleType"].label in row
    page.close()


def test_a_visitor_uploads_a_photo_and_reads_six_labels_and_six_pictures(
    browser, url, shipped, dress, broken
):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", dress)
    painted = "canvas.view[data-painted]"
    page.wait_for_selector(f".card {painted}", timeout=60_000)
    (expected,) = shipped.predict([dress])
    cards = page.locator(".card")
    assert cards.count() == 6
    order = words.in_order(ATTRIBUTES)
    assert [card.get_attribute("data-attribute") for card in cards.all()] == order
    assert page.locator("#message .headline b").inner_text() == expected["articleType"].label
    for card, attribute in zip(cards.all(), order, strict=True):
        assert card.locator(".label b").inner_text() == expected[attribute].label
        assert re.fullmatch(r"[\d.]+ %", card.locator(".label span").inner_text())
        assert not card.locator(".evidence").is_visible()  # numbers are asked for
        card.get_by_text("Details").click()
        assert card.locator("ol li").count() == 2
        assert "in logits" in card.locator(".evidence").inner_text()
        assert card.locator(painted).evaluate("c => [c.width, c.height]") == [400, 300]

    # The page paints what the library paints, within a few grey levels of JPEG and rounding.
    found = picture_of(cards.nth(WHAT).locator("canvas"))
    e = shipped.explain(dress)["articleType"]
    photo = images.load(dress)
    faint = explain.FAINT if cards.nth(WHAT).locator("canvas[data-faint]").count() else 1
    alpha = faint * explain.OPACITY / 100
    drawn = overlay.blend(photo, e.heatmap, e.box, shipped.size, alpha).astype(int)
    assert np.abs(found - drawn).mean() < 3
    assert np.abs(found - drawn).mean() < 0.2 * np.abs(photo.astype(int) - drawn).mean()
    fitted = overlay.fit_to_photo(e.heatmap, e.box, shipped.size, photo.shape[:2])
    inside, outside = overlay.outline(overlay.intensity(fitted))  # white and black, on the page too
    assert np.abs(found - drawn)[inside | outside].mean() < 10
    assert found[inside].mean() > found[outside].mean() + 50 * alpha

    # Opacity and scale answer without the server; a hovered map shows the photo alone.
    page.get_by_text("Map settings").click()
    page.locator("#opacity input[type=number]").fill("0")
    page.locator("#opacity input[type=number]").press("Enter")
    page.wait_for_selector("canvas.view[data-painted='0 own']")
    assert np.abs(picture_of(cards.nth(WHAT).locator("canvas")) - photo).mean() < 3
    page.locator("#opacity input[type=number]").fill("25")
    page.locator("#opacity input[type=number]").press("Enter")
    page.locator("#scale").get_by_label("comparable").check()
    page.wait_for_selector("canvas.view[data-painted='0.25 shared']")
    cards.nth(WHAT).locator("canvas").press("Enter")
    page.wait_for_selector(".card[data-attribute=articleType] canvas[data-bare]")
    cards.nth(WHAT).locator("canvas").press("Enter")

    # Another label, another map; then rather than another one, and another method.
    season = cards.nth(SEASON).locator("canvas")
    before = season.get_attribute("data-map")
    other = shipped.top(expected["season"], 2)[1][0]
    choose(page, "Season: explain", f"^{other} ")
    named = page.locator(f'.card[data-attribute=season] canvas[aria-label*="Season: {other};"]')
    named.wait_for()
    assert season.get_attribute("data-map") != before
    assert cards.nth(SEASON).locator(".label b").inner_text() == expected["season"].label
    rival = "Season: compare with another answer"  # the details are open still
    choose(page, rival, f"^{other} ")
    page.wait_for_selector("#message:has-text('choose two different answers')")
    choose(page, rival, f"^{expected['season'].label} ")
    page.wait_for_selector(".card[data-attribute=season] canvas[data-signed]")
    assert f"{other} over" in cards.nth(SEASON).locator(".evidence").inner_text()
    before = cards.nth(0).locator("canvas").get_attribute("data-map")
    page.locator("#method").get_by_label("Grad-CAM", exact=True).check()
    page.wait_for_function(
        "old => document.querySelector('.card canvas').dataset.map !== old", arg=before
    )
    assert all(card.locator(".trust").inner_text() for card in cards.all())
    # Whoever chooses faster than the server answers gets the last choice.
    page.locator("#method").get_by_label("LayerCAM", exact=True).check()
    page.locator("#method").get_by_label("Eigen-CAM", exact=True).check()
    page.wait_for_selector(".card[data-attribute=gender] .evidence:has-text('knows no answer')")
    page.wait_for_function(
        "name => document.querySelector(`input[aria-label='${name}']`).disabled", arg=rival
    )
    page.locator("#method").get_by_label("LayerCAM", exact=True).check()
    page.wait_for_selector(".card[data-attribute=gender] .evidence:has-text('in logits')")

    # What is shown can be saved, and looked at again under a link.
    page.locator("#save").click()
    page.wait_for_selector("#link a")
    *files, link = [a.get_attribute("href") for a in page.locator("#link a").all()]
    kinds = [httpx.get(url + file).headers["content-type"] for file in files]
    assert kinds == ["image/png", "application/json"]
    again = httpx.get(url + link)
    assert again.status_code == 200 and again.text.count("<figure>") == 6
    assert "rather than" in again.text and again.text.count('alt="heatmap: ') == 6
    assert httpx.get(f"{url}/result/guessed").status_code == 404

    # A link that leads to something else than what is shown is no longer offered.
    page.locator("#method").get_by_label("Grad-CAM", exact=True).check()
    page.wait_for_function("() => !document.querySelector('#link a')")

    # What if the part that a head looked at were hidden.
    page.get_by_text("What if a part were hidden?").click()
    page.locator("#hide-painted").click()
    page.wait_for_selector("#outcome:has-text('Paint over a part of the photo first')")
    page.locator("#hide-seen").click()
    page.wait_for_selector("#outcome table")
    assert page.locator("#outcome tbody tr").count() == 6

    # What is painted with the mouse is hidden, and nothing else.
    board = page.locator("canvas#paint")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 20, middle[1] + 40, steps=5)
    page.mouse.up()
    page.wait_for_selector("canvas#paint[data-painted]")
    mask = whatif.painted(page.evaluate("window.fashion.painted()"), photo.shape[:2])
    y, x = np.argwhere(mask).mean(0)
    assert 0.005 < mask.mean() < 0.1
    assert abs(y / 300 - 0.56) < 0.06 and abs(x / 400 - 0.53) < 0.06
    page.locator("#hide-painted").click()
    page.wait_for_selector("#outcome .shared img")
    page.locator("#unpaint").click()
    assert page.evaluate("window.fashion.painted()") == ""

    # Something that is no photo: our sentence, empty cards; then an example works again.
    page.get_by_label("Remove Image").first.click()
    page.wait_for_function("() => !document.querySelector('canvas.view')")
    page.set_input_files("#photo input[type=file]", broken)
    page.wait_for_selector(".message:has-text('not a photo that can be read')")
    assert page.locator("canvas.view").count() == 0
    page.locator("button.gallery-item").first.click()
    page.wait_for_function("() => document.querySelectorAll('canvas[data-painted]').length === 6")
    assert page.locator("#message .message").count() == 0
    assert not errors
    page.close()


@pytest.mark.parametrize("size", [(390, 844), (1366, 768)], ids=["phone", "desk"])
def test_six_answers_stand_on_the_first_screen_and_stay(browser, url, dress, size):
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(url)
    page.wait_for_selector(".card")
    page.evaluate(
        "() => { window.shift = 0; new PerformanceObserver(list => { for (const e of"
        " list.getEntries()) window.shift += e.value; }).observe({type: 'layout-shift'}); }"
    )
    page.set_input_files("#photo input[type=file]", dress)
    page.wait_for_function("() => document.querySelectorAll('canvas[data-painted]').length === 6")
    page.wait_for_timeout(500)
    for card in page.locator(".card").all():
        box = card.locator(".label").bounding_box()
        assert box["y"] + box["height"] <= size[1]
    assert page.locator("#photo img").first.bounding_box()["height"] > 100
    assert page.evaluate("window.shift") < 0.05
    # Each card says how many similar products agree, and all of them stand below the answers.
    assert page.locator(".card", has_text=re.compile(r"[0-8] of the 8 most similar")).count() == 6
    assert page.locator("#similar .similar li").count() == 8
    if size[0] < 768:  # a tap on a row opens its map
        card = page.locator(".card").first
        small = card.locator("canvas").bounding_box()["height"]
        card.click()
        page.wait_for_function("() => document.querySelector('.card canvas').clientHeight > 200")
        assert small < 60 and card.locator(".evidence").is_visible()
    page.close()


def test_a_reload_keeps_the_photo_until_it_is_removed(browser, url, dress):
    painted = "() => document.querySelectorAll('canvas[data-painted]').length === 6"
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.goto(url)
    page.set_input_files("#photo input[type=file]", dress)
    page.wait_for_function(painted)
    page.wait_for_function("() => sessionStorage.getItem('fashion-photo')")
    answers = page.locator(".headline").inner_text()
    page.reload()
    page.wait_for_function(painted)
    assert page.locator(".headline").inner_text() == answers
    page.get_by_label("Remove Image").first.click()
    page.wait_for_function("() => !document.querySelector('canvas.view')")
    page.reload()
    page.wait_for_selector(".card")
    page.wait_for_timeout(1500)
    assert page.locator("#photo img").count() == 0
    page.close()


def test_looking_closer_shows_its_progress_and_never_another_photos_map(browser, url, dress):
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.goto(url)
    page.set_input_files("#photo input[type=file]", dress)
    page.wait_for_function("() => document.querySelectorAll('canvas[data-painted]').length === 6")
    card = page.locator(".card").first
    card.locator("details.more > summary").click()
    button = page.get_by_role("button", name="What it is: look closer")
    button.click()
    page.wait_for_selector(".closer-bar progress")
    page.wait_for_function(
        "() => document.querySelector('.card').innerText.includes('in logits lost')"
    )
    assert page.locator(".closer-bar").count() == 0
    assert card.locator("details.more").get_attribute("open") is not None
    # The visitor moves on while it works.
    button.click()
    page.wait_for_selector(".closer-bar progress")
    page.locator("button.gallery-item").first.click()
    page.wait_for_function("() => document.querySelector('.headline').innerText.includes('Caps')")
    page.wait_for_timeout(4000)
    assert page.locator(".closer-bar").count() == 0
    assert "in logits lost" not in card.inner_text()
    page.close()


def test_a_phones_12_megapixels_are_made_smaller_before_they_are_sent(browser, url, tmp_path):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(garments.draw("bag", "Red", (300, 400))).resize((4000, 3000))
    noise = rng.integers(-20, 20, (3000, 4000, 1))
    photo = Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side, as phones save it
    photo.save(tmp_path / "phone.jpg", quality=95, exif=exif)
    assert (tmp_path / "phone.jpg").stat().st_size > 3e6
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.add_init_script(
        "const ask = window.fetch; window.sent = []; window.fetch = (url, how) => {"
        " if (how?.body instanceof FormData) window.sent.push(...how.body.values());"
        " return ask(url, how); }"
    )
    page.goto(url)
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", str(tmp_path / "phone.jpg"))
    page.wait_for_selector(".card canvas.view[data-painted]", timeout=60_000)
    (size,) = page.evaluate("window.sent.map(file => file.size)")
    assert size < 1e6
    height, width = page.locator(".card canvas").first.evaluate("c => [c.height, c.width]")
    assert height > width  # upright, once
    page.close()


def test_a_picture_is_pasted_and_examples_have_names(browser, url, dress):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(".card")
    page.wait_for_selector("button.gallery-item[aria-label='Example: pink dress']")
    paste = """async data => {
      const moved = new DataTransfer();
      const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
      moved.items.add(new File([bytes], "a.png", {type: "image/png"}));
      document.body.dispatchEvent(new ClipboardEvent("paste",
        {clipboardData: moved, bubbles: true, cancelable: true}));
    }"""
    with open(dress, "rb") as file:
        page.evaluate(paste, base64.b64encode(file.read()).decode())
    page.wait_for_selector(".card canvas.view[data-painted]", timeout=60_000)
    page.close()


def test_a_box_is_answered_for_and_the_whole_photo_comes_back(browser, url, tmp_path):
    """A red bag beside a green T-shirt, on one photo."""
    both = np.concatenate([drawings.photo("red-handbag"), drawings.photo("green-tshirt")], 1)
    Image.fromarray(both).save(tmp_path / "both.png")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", str(tmp_path / "both.png"))
    shape = "([h, w]) => { const c = document.querySelector('.card canvas[data-painted]');"
    shape += " return c && Math.abs(c.height / c.width - h / w) < .1; }"
    page.wait_for_function(shape, arg=[480, 720])
    page.get_by_role("button", name="Only a part of the photo").click()
    box = page.locator("#photo img").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.51, box["y"] + box["height"] * 0.01)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5, steps=4)
    assert page.locator(".part-box").count() == 1
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] * 0.99, steps=4)
    page.mouse.up()
    page.wait_for_function(shape, arg=[480, 360])
    page.wait_for_selector("#message .headline b:has-text('Tshirts')")
    assert page.locator(".part-box").count() == 0
    page.get_by_role("button", name="The whole photo again").click()
    page.wait_for_function(shape, arg=[480, 720])
    assert not page.get_by_role("button", name="The whole photo again").is_visible()
    page.close()


def test_a_photo_on_its_side_is_turned_by_a_click(browser, url, tmp_path):
    """Whichever the server offers: its turn is drawn in the browser."""
    photo = drawings.photo("green-tshirt")
    Image.fromarray(photo).save(tmp_path / "a.png")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(".card")
    page.set_input_files("#photo input[type=file]", str(tmp_path / "a.png"))
    page.wait_for_selector(".card canvas.view[data-painted]")
    offer = render("headline", labels=["a"], doubts=[], turn=90)
    page.evaluate("html => { document.querySelector('#message').innerHTML = html; }", str(offer))
    page.get_by_role("button", name="Turn the photo").click()
    page.wait_for_function(
        "() => { const c = document.querySelector('.card canvas[data-painted]');"
        " return c && c.width > c.height; }"
    )
    shown = picture_of(page.locator("#shown-photo img"))
    assert np.abs(shown - np.rot90(photo, -1).astype(int)).mean() < 6
    page.close()


def picture_of(shown) -> np.ndarray:
    """What a canvas or an image with its data in its address shows, int (height, width, 3)."""
    data = shown.evaluate("c => c.src || c.toDataURL('image/png')").split(",", 1)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), int)


def choose(page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=re.compile(option)).click()
