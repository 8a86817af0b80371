"""The demo started as a person starts it, for tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(*args: str, root: Path = ROOT) -> tuple[subprocess.Popen, str]:
    """Start the demo of a clone as a person does and wait until it says it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "demo/app.py", "--port", str(port), *args],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    until_ready(process)
    return process, f"http://127.0.0.1:{port}"


def until_ready(process: subprocess.Popen) -> None:
    """Read what a demo prints until it says it is ready; what follows is read and dropped."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ready"):
            break
    else:
        raise AssertionError("the demo did not start:\n" + "".join(lines))
    threading.Thread(target=process.stdout.read, daemon=True).start()  # or its pipe fills up


@contextmanager
def running(*args: str) -> Iterator[str]:
    """The address of a demo that runs as long as this is open."""
    process, address = start(*args)
    try:
        yield address
    finally:
        process.kill()
        process.wait()


@contextmanager
def audit_tab(browser, *args: object) -> Iterator[tuple[Any, str]]:
    """A page with the Audit tab open, and the demo's address; fails where its JavaScript does."""
    with running(*map(str, args)) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.get_by_role("tab", name="Audit").click()
        page.wait_for_selector("#matrix img", timeout=60_000)
        yield page, address
        assert not errors
        page.close()
