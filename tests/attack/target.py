"""The demo under attack: its address, its memory, and an honest visitor beside the attacker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.attack.pictures import good


@dataclass
class Target:
    """A running demo.

    Args:
        url: its address, on this machine.
        pid: its process, to watch the memory of; None where that is not known.
        login: user and password, of a demo that asks for them.
    """

    url: str
    pid: int | None = None
    login: tuple[str, str] | None = None
    problems: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **{"timeout": 60, **options})

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, **{"timeout": 120, **options})

    def predict(self) -> httpx.Response:
        """An honest photo over plain HTTP."""
        return self.post("/api/predict", content=good(), auth=self.login)

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """A file as Gradio's endpoints name it."""
        reply = self.post("/gradio_api/upload", files={"files": (name, data)})
        path = reply.raise_for_status().json()[0]
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def event(self, name: str) -> int:
        """The number of an event, private ones too."""
        found = self.get("/config").json()["dependencies"]
        return next(d["id"] for d in found if d["api_name"] == name)

    def join(self, event: int, data: list[Any], session: str) -> httpx.Response:
        """Ask for an event as the page does, without reading the answer."""
        body = {"fn_index": event, "data": data, "session_hash": session}
        return self.post("/gradio_api/queue/join", json=body)

    def answer(self, session: str) -> dict[str, Any]:
        """The outcome of a session's event."""
        import json

        with httpx.stream(
            "GET", f"{self.url}/gradio_api/queue/data?session_hash={session}", timeout=120
        ) as stream:
            for line in stream.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return message
        raise AssertionError("the stream ended without an answer")

    def memory(self) -> float:
        """Resident megabytes of the server and its workers; 0 where the process is not known."""
        if self.pid is None:
            return 0.0
        return sum(_resident(pid) for pid in _tree(self.pid)) / 1e6

    @contextmanager
    def honest_visitor(self) -> Iterator[None]:
        """Somebody who asks for good photos and for the health all the while, and once after.

        What goes wrong is added to ``problems``.
        """
        end = threading.Event()

        def visit() -> None:
            while not end.is_set():
                self._visit("during")
                time.sleep(0.05)

        thread = threading.Thread(target=visit)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            self._visit("after")

    def _visit(self, when: str) -> None:
        try:
            for what, reply in (("photo", self.predict()), ("health", self.get("/health"))):
                if reply.status_code != 200:
                    self.problems.append(f"{what} {when} it: {reply.status_code} {reply.text[:80]}")
        except httpx.HTTPError as error:
            self.problems.append(f"{when} it: {error!r}")


class Watch:
    """The most memory that a target takes while this is open."""

    def __init__(self, target: Target):
        self.target, self.before = target, target.memory()
        self.most = self.before
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def grown(self) -> float:
        """Megabytes."""
        return self.most - self.before

    def _look(self) -> None:
        while not self._end.wait(0.05):
            self.most = max(self.most, self.target.memory())


def _tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:  # ended while we looked
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE")
