"""Flags by their old names: still read, each with one warning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

Today = str | Callable[[str], tuple[str, str] | None]
"""The flag's name of today; or, of its value, that name and its value, None where it is today's."""


def in_todays_words(argv: Sequence[str] | None, renamed: Mapping[str, Today]) -> list[str]:
    """The arguments with each old flag by its new name; says so on stderr, once a flag.

    Args:
        argv: arguments; None for those of the program.
        renamed: old flag → today's.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    found: list[str] = []
    warned: set[str] = set()
    while given:
        argument = given.pop(0)
        flag, equals, value = argument.partition("=")
        today = renamed.get(flag)
        if callable(today):
            now = today(value if equals else given[0] if given else "")
            words = None if now is None else list(now)
            if words and not equals:
                given = given[1:]
        else:
            words = [f"{today}={value}" if equals else today] if today else None
        if words is None:
            found.append(argument)
            continue
        if flag not in warned:
            print(f"warning: {flag} is called {words[0].split('=')[0]} now", file=sys.stderr)
            warned.add(flag)
        found += words
    return found
