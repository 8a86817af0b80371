"""What is kept on disk: bounded by age, number and size, and gone in the end."""

import os
import time

import pytest

from demo.serving.storage import LOCK, PREFIX, Janitor, Storage


@pytest.fixture
def storage():
    made = Storage(seconds=100, room=1_000, files=3)
    yield made
    made.close()
    assert not made.folder.exists()


def put(storage, name, size=10, age=0.0):
    file = storage.folder / name[0] / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * size)
    os.utime(file, (time.time() - age,) * 2)
    return file


def left(storage):
    names = (file.name for file in storage.folder.rglob("*") if file.is_file())
    return sorted(name for name in names if name != LOCK)


def test_what_a_killed_server_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    living = Storage()
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / LOCK).touch()
    (dead / "photo.jpg").touch()
    (tmp_path / f"{PREFIX}other").mkdir()  # without a lock it is not ours to judge
    new = Storage()
    assert not dead.exists() and living.folder.exists() and (tmp_path / f"{PREFIX}other").exists()
    living.close()
    new.close()


def test_old_files_go_with_their_folders_and_those_of_the_page_stay(storage):
    page = put(storage, "page.png", age=500)
    storage.keep_what_is_there()
    put(storage, "old.png", age=101)
    put(storage, "new.png", age=99)
    assert storage.sweep() == 1
    assert left(storage) == ["new.png", "page.png"] and not (storage.folder / "o").exists()
    assert page.exists()


def test_the_oldest_go_where_there_are_too_many_or_too_much(storage):
    for age in range(5):
        put(storage, f"a{age}.png", age=age)
    assert storage.sweep() == 3 and left(storage) == ["a0.png", "a1.png", "a2.png"]
    assert storage.sweep(coming=985) == 1 and left(storage) == ["a0.png"]
    assert storage.sweep(coming=2_000) == 0


def test_a_janitor_comes_again_until_it_is_closed():
    rounds: list[int] = []
    janitor = Janitor(0.01, lambda: rounds.append(1))
    deadline = time.monotonic() + 10
    while len(rounds) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    janitor.close()
    count = len(rounds)
    time.sleep(0.05)
    assert len(rounds) == count
