"""The bounded attacks on a real demo, each beside an honest visitor who gets every answer."""

import os
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from demo.serving.storage import LOCK
from tests.attack.__main__ import LOGIN
from tests.attack.attacks import LOCKED, OPEN
from tests.attack.pictures import good
from tests.attack.target import Target
from tests.server import start


@pytest.fixture(scope="module")
def target(small_bundle):
    process, url = start("--bundle", str(small_bundle))
    made = Target(url, process.pid)
    made.predict()  # what the first photo takes for good is no attack's doing
    yield made
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def locked(small_bundle):
    os.environ["FASHION_AUTH"] = ":".join(LOGIN)
    try:
        process, url = start("--bundle", str(small_bundle))
    finally:
        del os.environ["FASHION_AUTH"]
    yield Target(url, process.pid, LOGIN)
    process.kill()
    process.wait()


@pytest.mark.parametrize("name", OPEN)
def test_it_holds_and_good_photos_are_answered_meanwhile(target, name):
    target.problems.clear()
    with target.honest_visitor():
        problem = OPEN[name](target)
    assert not problem
    assert not target.problems


@pytest.mark.parametrize("name", LOCKED)
def test_it_holds_where_there_is_a_log_in(locked, name):
    assert not LOCKED[name](locked)


def test_nothing_stays_of_a_visitor_after_the_time_to_keep(small_bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert Path(tempfile.gettempdir()) != tmp_path  # the server's, not ours
    process, url = start("--bundle", str(small_bundle), "--keep", "8")
    try:
        t = Target(url)
        (folder,) = tmp_path.glob("fashion_xai-*")
        before = set(files(folder))
        assert before  # the examples belong to the page
        photo = t.upload("photo.jpg", good())
        t.join(t.event("save"), [photo, "gradcam", *[None] * 12], "visitor")
        link = str(t.answer("visitor")["output"]).split("/result/")[-1].split('"')[0]
        assert httpx.get(f"{url}/result/{link}").status_code == 200
        assert len(set(files(folder)) - before) == 1  # the upload; what is saved is in memory
        deadline = time.monotonic() + 30
        while set(files(folder)) - before or httpx.get(f"{url}/result/{link}").status_code == 200:
            assert time.monotonic() < deadline, set(files(folder)) - before
            time.sleep(0.2)
        assert set(files(folder)) == before
        t.join(t.event("look"), [photo, "gradcam"], "late")
        assert "no longer here" in str(t.answer("late"))
        assert not [file for file in files(tmp_path) if folder not in file.parents]
        process.terminate()
        assert process.wait(60) == 0
        assert not list(tmp_path.glob("fashion_xai-*"))
    finally:
        process.kill()
        process.wait()


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and file.name != LOCK]


def test_limits_of_rates_and_memory_are_one_flag_away(small_bundle):
    process, url = start("--bundle", str(small_bundle), "--limit", "5/min", "--max-memory", "4")
    try:
        t = Target(url)
        replies = [t.predict() for _ in range(7)]
        assert [r.status_code for r in replies] == [200] * 5 + [429] * 2
        assert 0 < int(replies[-1].headers["retry-after"]) <= 60
        assert "Too many requests from your address" in replies[-1].json()["error"]
        assert t.get("/health").status_code == 200  # looking costs nothing
    finally:
        process.kill()
        process.wait()
