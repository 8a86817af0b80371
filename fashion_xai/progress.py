"""Progress bars of long work, which ``--quiet`` silences."""

from __future__ import annotations

import argparse

from tqdm import tqdm


class ProgressBar(tqdm):
    """``tqdm`` that keeps still once :attr:`quiet` is set."""

    quiet = False

    def __init__(self, *args, **kwargs):
        if ProgressBar.quiet:
            kwargs["disable"] = True
        super().__init__(*args, **kwargs)


class Quiet(argparse.Action):
    """The flag ``-q``: from now on no bar is shown."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None):
        ProgressBar.quiet = True


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add ``-q`` to a command."""
    ProgressBar.quiet = False
    parser.add_argument("-q", "--quiet", action=Quiet, help="no progress bars")
