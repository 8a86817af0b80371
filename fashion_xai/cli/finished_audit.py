"""A finished audit, for every command that reads one."""

from __future__ import annotations

import argparse
from pathlib import Path

from fashion_xai.audit.results import Audit
from fashion_xai.cli import schema
from fashion_xai.data.schema import Table


def open_audit(args: argparse.Namespace, folder: Path) -> Audit:
    """A finished audit, with the photos of ``--data`` where it is given, read as the audit read it.

    Raises:
        ValueError: no audit there, or no catalogue.
    """
    opened = Audit(folder)
    if not args.data:
        return opened
    return Audit(folder, schema.open_catalogue(args, Table.from_json(opened.summary.get("table"))))
