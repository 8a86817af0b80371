"""Files at addresses: object storage and web servers, by fsspec.

Only the command line and the library open addresses; the demo opens none that a visitor names.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, BinaryIO

from fashion_xai.data.images import ImageError
from fashion_xai.data.rejections import CatalogueError
from fashion_xai.data.sources import composed, is_address

EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "http": "remote", "https": "remote"}
"""Schemes of the addresses that are opened → the extra of this package that each needs."""

ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 5, 0.3, 8.0
"""How often a file is asked for, and the seconds between, doubled each time, with jitter."""

TIMEOUT, TABLE_TIMEOUT = 30.0, 900.0
"""Seconds that one attempt to read a photo, and a table, may take."""

BLOCK = 1 << 20
"""Bytes that are asked for at once of a file that is read in parts."""

READERS = 16
"""Photos that are fetched at once: waiting for an answer costs no core."""

_FINAL = ("NoCredentialsError", "PartialCredentialsError", "InvalidURL", "NonHttpUrlClientError")
"""Errors of boto and aiohttp that another attempt does not mend, by name: neither need be there."""


class Addresses:
    """Single files, by their whole addresses; a :class:`fashion_xai.data.sources.Source` that
    lists none."""

    def names(self) -> list[str]:
        return []

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A file's bytes; what fails for a moment is tried :data:`ATTEMPTS` times.

        Raises:
            ImageError: it cannot be read or is larger than ``limit`` bytes; says which and why.
        """
        data: bytes = _retried(name, _fetch, name, limit)
        if limit is not None and len(data) > limit:
            raise ImageError(f"{name} is larger than {limit / 1e6:.0f} MB.")
        return data

    def open(self, name: str) -> BinaryIO:
        """The file to seek in, read in blocks as they are needed.

        Raises:
            ImageError: as :meth:`read`.
        """
        return io.BufferedReader(_Blocks(name), BLOCK)

    def stamp(self, name: str) -> str:
        """Nothing: a request for each of millions of files would cost more than it saves."""
        return ""

    def path(self, name: str) -> Path | None:
        return None


class _Blocks(io.RawIOBase):
    """A file at an address, of which each block is a request of its own, tried like any other."""

    def __init__(self, address: str):
        self._address, self._place = address, 0
        facts = _retried(address, file_system(address).info, address)
        if not isinstance(facts.get("size"), int):
            raise ImageError(f"{address}: the server tells no size, so no part can be asked for.")
        self._size: int = facts["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(start + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        end = min(self._place + len(buffer), self._size)
        count = max(end - self._place, 0)
        if count:
            files = file_system(self._address)
            part = {"start": self._place, "end": end, "timeout": TIMEOUT}
            data = _retried(self._address, files.cat_file, self._address, **part)
            if len(data) != count:
                raise ImageError(f"{self._address}: the server sends no part of a file.")
            buffer[:count] = data
            self._place = end
        return count


class RemoteFolder(Addresses):
    """The files below an address, hidden ones apart.

    Args:
        root: such as ``s3://bucket/catalogue``.
    """

    def __init__(self, root: str):
        self.root = root.rstrip("/")
        file_system(self.root)  # says at once what is missing

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}  # a listing of millions stays here

    @cached_property
    def _names(self) -> list[str]:
        files = file_system(self.root)
        try:
            found = _retried(self.root, files.find, self.root)
        except ImageError as error:
            raise CatalogueError(f"{error} Expected a folder or a table.") from error
        base = files._strip_protocol(self.root).rstrip("/") + "/"
        names = [str(f).removeprefix(base) for f in found]
        shown = [n for n in names if n and not any(p.startswith(".") for p in n.split("/"))]
        if not shown:
            raise CatalogueError(f"{self.root}: no file below this address.")
        return sorted(shown)

    def names(self) -> list[str]:
        return [composed(name) for name in self._names]

    @cached_property
    def _spelled(self) -> dict[str, str]:
        """Names whose spelling here is not the composed one."""
        return {composed(n): n for n in self._names if composed(n) != n}

    def address(self, name: str) -> str:
        """A file's whole address."""
        spelled = self.__dict__.get("_names") is not None and self._spelled.get(name)
        return f"{self.root}/{spelled or name}"

    def read(self, name: str, limit: int | None = None) -> bytes:
        return super().read(self.address(name), limit)

    def open(self, name: str) -> BinaryIO:
        return super().open(self.address(name))


def file_system(address: str) -> Any:
    """What fsspec opens an address with.

    Raises:
        CatalogueError: no such scheme, or its package is not installed; says how to get it.
    """
    scheme = address.partition("://")[0].lower()
    if not is_address(address) or scheme not in EXTRAS:
        known = ", ".join(f"{name}://" for name in EXTRAS)
        raise CatalogueError(f"{address:.80}: expected an address that starts with {known}.")
    return _file_system(scheme)


@cache
def _file_system(scheme: str) -> Any:
    try:
        import fsspec
        import tenacity  # noqa: F401

        if scheme in ("http", "https"):
            import aiohttp

            # Sending keeps what a table says as it is; fsspec would encode an encoded address anew.
            patience = {"timeout": aiohttp.ClientTimeout(total=TIMEOUT)}
            return fsspec.filesystem(scheme, client_kwargs=patience, encoded=True)
        if scheme == "s3":  # what is tried again, and when, is decided here alone
            once = {"retries": {"total_max_attempts": 1}, "read_timeout": TIMEOUT}
            files = fsspec.filesystem(scheme, config_kwargs=once)
            files.retries = 1
            return files
        return fsspec.filesystem(scheme)
    except ImportError:
        extra = EXTRAS[scheme]
        raise CatalogueError(
            f'{scheme}:// addresses need: pip install "fashion-xai[{extra}]".'
        ) from None


def _fetch(address: str, limit: int | None) -> bytes:
    files = file_system(address)
    if limit is None:
        return bytes(files.cat_file(address, timeout=TABLE_TIMEOUT))
    if address.lower().startswith("http"):
        return _streamed(files, address, limit + 1)
    return bytes(files.cat_file(address, start=0, end=limit + 1, timeout=TIMEOUT))


def _streamed(files: Any, address: str, most: int) -> bytes:
    """At most so many bytes: a web server need not honour a range, nor tell a size."""
    data = bytearray()
    with files.open(address, "rb", block_size=0, size=1) as file:  # a size spares a HEAD request
        while len(data) < most and (chunk := file.read(most - len(data))):
            data += chunk
    return bytes(data)


def _retried(address: str, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """What a function answers, called until it does; its last error becomes a sentence."""
    import tenacity

    wait = tenacity.wait_exponential(FIRST_WAIT, LONGEST_WAIT)
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=wait + tenacity.wait_random(0, FIRST_WAIT),
        reraise=True,
    )
    try:
        return attempts(function, *args, **more)
    except Exception as error:  # each file system has its own
        count = attempts.statistics["attempt_number"]
        tries = f" after {count} attempts" if count > 1 else ""
        raise ImageError(f"{address} cannot be read{tries} ({_reason(error)}).") from error


def _may_pass(error: BaseException) -> bool:
    """Whether another attempt may succeed."""
    if isinstance(error, FileNotFoundError | PermissionError | NotImplementedError | ValueError):
        return False
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500:
        return status in (408, 425, 429)
    return isinstance(error, Exception) and type(error).__name__ not in _FINAL


def _reason(error: BaseException) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError) or status in (401, 403):
        return "no right to read it"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return f"status {status}" if isinstance(status, int) else f"{error!r:.200}"
