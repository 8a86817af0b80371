"""The state of a run in one file, written whole: what a killed run needs to resume."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


def write(path: Path, state: dict[str, Any], **groups: Sequence[np.ndarray]) -> None:
    """Write JSON ``state`` and named lists of arrays; a kill leaves the file before, whole."""
    arrays = {f"{name}/{i:04d}": a for name, group in groups.items() for i, a in enumerate(group)}
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, state=text, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Arrays]]:
    """Read what :func:`write` wrote, as (state, groups). Raises FileNotFoundError."""
    with np.load(path, allow_pickle=False) as file:
        state = json.loads(file["state"].tobytes())
        groups: dict[str, Arrays] = {}
        for key in sorted(name for name in file.files if name != "state"):
            groups.setdefault(key.split("/")[0], []).append(file[key])
    return state, groups
