"""Where text files are opened without a named encoding, in a tree of Python files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

NOT_FILES = {"Image", "webbrowser", "zipfile", "tarfile", "os", "wave", "urllib"}
"""Modules whose ``open`` is another one."""


def unnamed(source: str) -> Iterator[ast.Call]:
    """The calls of ``open``, ``read_text`` and ``write_text`` that leave the encoding to the
    machine's locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if any(k.arg in ("encoding", None) for k in node.keywords):
            continue
        if isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            modes = node.args[:1]
            if modes and not isinstance(modes[0], ast.Constant):
                continue  # a zip's, with the name of a member
        elif isinstance(node.func, ast.Name):
            name, owner, modes = node.func.id, None, node.args[1:2]
        else:
            continue
        if name in ("read_text", "write_text"):
            yield node
        elif name == "open" and not (isinstance(owner, ast.Name) and owner.id in NOT_FILES):
            modes = [*modes, *(k.value for k in node.keywords if k.arg == "mode")]
            words = [m.value for m in modes if isinstance(m, ast.Constant)]
            if not any("b" in str(word) for word in words):
                yield node


def in_tree(root: Path, folders: tuple[str, ...]) -> list[str]:
    """FILE:LINE of each."""
    return [
        f"{file.relative_to(root)}:{call.lineno}"
        for folder in folders
        for file in sorted((root / folder).rglob("*.py"))
        for call in unnamed(file.read_text(encoding="utf-8"))
    ]
