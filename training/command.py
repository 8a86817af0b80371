"""How every command of training ends: with an exit code, and a sentence for a user's mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable

from fashion_xai.cli.streams import print_anything
from fashion_xai.data.catalogue import CatalogueError


def run(work: Callable[[], object], stopped: str) -> int:
    """Do the work and return the exit code: 0 done, 1 failed or stopped.

    Args:
        work: what the command does. Errors that a user can fix are printed as one sentence;
            others are bugs and keep their traceback.
        stopped: what a Ctrl-C leaves behind, in a sentence.
    """
    print_anything()
    try:
        work()
    except KeyboardInterrupt:
        print(f"\n{stopped}", file=sys.stderr)
        return 1
    except (CatalogueError, OSError, ValueError) as error:  # BundleError is a ValueError
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
