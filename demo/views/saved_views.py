"""Views of the audit tab under a name: addresses kept in a CSV, so that they survive restarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from demo.views.render import render
from fashion_xai.data import files

HEADER = ["name", "address"]

LONGEST = 60
"""Characters of a name."""


def beside(annotations: Path) -> Path:
    """Where the views are kept, by the file of the annotations."""
    return annotations.with_suffix(".views.csv")


def read(file: Path | None) -> dict[str, str]:
    """Name → address. No file: none yet.

    Raises:
        ValueError: the file holds something else.
    """
    if file is None or not file.exists():
        return {}
    return {name: where for name, where in files.read_table(file, HEADER)}


def address(head: str, shown: Mapping[str, Any]) -> str:
    """What ``address.js`` writes into the page's address for what is open; '' for nothing."""
    true, predicted = shown.get("pair") or (None, None)
    parts = {"audit": head, "true": true, "predicted": predicted, "list": shown.get("list"),
             "id": shown.get("id")}  # fmt: skip
    known = {name: value for name, value in parts.items() if value}
    return urlencode(known) if len(known) > 1 else ""


def save(file: Path, name: str, where: str) -> None:
    """Keep an address under a name, in the place of an earlier one of this name.

    Raises:
        ValueError: no or a too long name, nothing is open, or the file holds something else.
    """
    name = name.strip()
    if not name or len(name) > LONGEST:
        raise ValueError(f"Give it a name of 1 to {LONGEST} characters.")
    if not where:
        raise ValueError("Open a confusion, a list or a product first.")
    with files.lock(file):
        _write(file, {**read(file), name: where})


def remove(file: Path, name: str) -> None:
    """Forget a view.

    Raises:
        ValueError: there is none of this name, or the file holds something else.
    """
    with files.lock(file):
        known = read(file)
        if known.pop(name.strip(), None) is None:
            raise ValueError("There is no view of this name.")
        _write(file, known)


def links(file: Path | None) -> Markup:
    """The views as links, as HTML."""
    return render("saved_views", views=[*read(file).items()])


def _write(file: Path, known: Mapping[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, files.csv_text(HEADER, [[*pair] for pair in known.items()]))
