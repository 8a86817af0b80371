"""Structured logs: one JSON line a request, with sizes and times and never a picture."""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOGGER = logging.getLogger("fashion_xai.demo")


class Request:
    """One request's line: ``id``, ``what``, facts, and milliseconds per stage.

    Args:
        what: the endpoint or event, such as "explain".
    """

    def __init__(self, what: str):
        self.id = uuid.uuid4().hex[:12]
        self.facts: dict[str, Any] = {"what": what}
        self.stages: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the work."""
        before = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - before)
            self.stages[name] = round(self.stages.get(name, 0) + spent, 1)


@contextmanager
def request(what: str) -> Iterator[Request]:
    """Log a request when it ends, also by an error, which is named and raised again."""
    line = Request(what)
    outcome = "ok"
    try:
        yield line
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        total = round(1000 * (time.perf_counter() - line._started), 1)
        facts = {
            "id": line.id,
            "outcome": outcome,
            **line.facts,
            "ms": {**line.stages, "total": total},
        }
        LOGGER.info(json.dumps(facts))


def to_stderr() -> None:
    """Send the lines to standard error, each with its time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
