"""What the commands print, on terminals that cannot show all of it."""

from __future__ import annotations

import io
import sys


def print_anything() -> None:
    """Escape what a terminal's encoding lacks, rather than end in a traceback: the names of files
    may hold bytes that are no text, and some locales know ASCII only."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
