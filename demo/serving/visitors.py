"""Who asks, how often and how much: addresses behind proxies, rates, uploads, wrong passwords."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Sequence

import limits
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

UPLOADED = 500_000_000
"""Bytes that one address may upload in an hour."""

WRONG = "10/minute"
"""Wrong passwords of one address; after them it has to wait, right password or not."""

_UNITS = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour"}
_STEP = 100_000  # bytes that uploads are counted in


def rate(text: str) -> limits.RateLimitItem:
    """``60/min`` → a limit; also ``5/s``, ``1000/hour``.

    Raises:
        ValueError: another form.
    """
    match = re.fullmatch(r"\s*([1-9]\d{0,6})\s*/\s*([a-z]+)\s*", text.lower())
    unit = match and _UNITS.get(match[2], match[2].removesuffix("s"))
    if not match or unit not in _UNITS.values():
        raise ValueError(f"Expected a rate such as 60/min, 5/s or 1000/hour. Received: {text!r}")
    return limits.parse(f"{match[1]}/{unit}")


class Visitors:
    """What each address has used up. IPv6 addresses count by their /64, which one household has.

    Args:
        asked: requests an address may make, as :func:`rate` reads it; None for as many as it likes.
        uploaded: bytes it may upload in an hour.
    """

    def __init__(self, asked: limits.RateLimitItem | None = None, uploaded: int = UPLOADED):
        self._asked = asked
        self._wrong = limits.parse(WRONG)
        self._uploaded = limits.parse(f"{max(1, uploaded // _STEP)}/hour")
        self._moving = MovingWindowRateLimiter(MemoryStorage())
        self._fixed = FixedWindowRateLimiter(MemoryStorage())

    def ask(self, address: str) -> int:
        """Count a request. Returns 0 where it may pass, else the seconds to wait."""
        if self._asked is None or self._moving.hit(self._asked, "asked", _key(address)):
            return 0
        return _wait(self._moving, self._asked, "asked", _key(address))

    def barred(self, address: str) -> int:
        """Seconds until this address may try a password again; 0 for now."""
        if self._moving.test(self._wrong, "wrong", _key(address)):
            return 0
        return _wait(self._moving, self._wrong, "wrong", _key(address))

    def wrong_password(self, address: str) -> None:
        """Count a wrong password."""
        self._moving.hit(self._wrong, "wrong", _key(address))

    def upload(self, address: str, size: int) -> int:
        """Count ``size`` bytes. Returns 0 where they may come, else the seconds to wait."""
        steps = max(1, math.ceil(size / _STEP))
        if self._fixed.hit(self._uploaded, "uploaded", _key(address), cost=steps):
            return 0
        return _wait(self._fixed, self._uploaded, "uploaded", _key(address))


class Proxies:
    """The addresses whose word on where a request comes from is taken.

    Args:
        trusted: addresses or networks such as ``10.0.0.0/8``; ``*`` for all.

    Raises:
        ValueError: neither.
    """

    def __init__(self, trusted: Sequence[str] = ()):
        self.all = "*" in trusted
        self.networks = [ipaddress.ip_network(x.strip(), strict=False) for x in trusted if x != "*"]

    def __contains__(self, address: str) -> bool:
        if self.all:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:  # a unix socket or a test has none
            return False
        return any(found in network for network in self.networks)


def _key(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _wait(limiter: limits.strategies.RateLimiter, item: limits.RateLimitItem, *names: str) -> int:
    reset, _ = limiter.get_window_stats(item, *names)
    return max(1, math.ceil(reset - time.time()))
