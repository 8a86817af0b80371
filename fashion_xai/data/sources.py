"""Where a catalogue's files lie: a folder, a zip or an address, whatever system they come from.

Names are POSIX paths in Unicode's composed form (NFC), whatever the file system or the archive
holds: macOS decomposes them, PowerShell writes backslashes.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from fashion_xai.data.images import ImageError
from fashion_xai.data.rejections import CatalogueError

DEFLATE64 = 9
"""Compression method of a zip member (APPNOTE 4.4.5): what Windows writes over 2 GB."""

ENCRYPTED, UTF8 = 0x1, 0x800
"""Flag bits of a zip member (APPNOTE 4.4.4)."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error,
            ValueError, OverflowError)  # fmt: skip


class Source(Protocol):
    """Files by name."""

    def names(self) -> list[str]:
        """All of them, sorted."""

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A file's bytes.

        Raises:
            ImageError: it cannot be read or is larger than ``limit`` bytes; a sentence.
        """

    def open(self, name: str) -> BinaryIO:
        """The file, to seek in.

        Raises:
            ImageError: as :meth:`read`.
        """

    def stamp(self, name: str) -> str:
        """Changes when the file changes."""

    def path(self, name: str) -> Path | None:
        """Where the file lies by itself; None inside an archive."""


def is_address(text: object) -> bool:
    """Whether it names something by a scheme: ``s3://bucket/1.jpg``."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", str(text), re.IGNORECASE))


def location(text: str) -> Path | str:
    """A path, or an address as it is, for ``argparse``."""
    return text if is_address(text) else Path(text)


def open_source(path: Path | str) -> Source:
    """A folder, a zip, or an address.

    Raises:
        CatalogueError: none of them.
    """
    if is_address(path):
        from fashion_xai.data.remote import RemoteFolder  # which needs this module

        return RemoteFolder(str(path))
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Zip(path)
    raise CatalogueError(f"{path}: no such folder or zip file.")


def composed(text: str) -> str:
    """Unicode's composed form (NFC): one spelling of é."""
    return unicodedata.normalize("NFC", text)


class Folder:
    """A folder's files, hidden ones apart; links to folders are followed."""

    def __init__(self, root: Path):
        self.root = root

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root.resolve()}  # other processes list it where they need to

    def _path(self, name: str) -> Path:
        """Where a file lies; all are listed only where its name is spelled in another way."""
        if "_paths" not in self.__dict__ and (path := self.root / name).is_file():
            return path
        return self._paths[name]

    @cached_property
    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        seen: set[str] = set()
        for at, folders, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(at)
            if real in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if not _hidden(name)]
            for name in files:
                if not _hidden(name):
                    path = Path(at, name)
                    found[composed(_readable(path.relative_to(self.root).as_posix()))] = path
        return found

    def names(self) -> list[str]:
        return sorted(self._paths)

    def read(self, name: str, limit: int | None = None) -> bytes:
        path = self._path(name)
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for
                raise ImageError(f"{name} is no file.")
            if limit is not None and facts.st_size > limit:
                raise ImageError(_too_large(name, limit))
            return path.read_bytes()
        except OSError as error:  # a link to nothing, or no right to read it
            raise ImageError(f"{name} cannot be read ({error.strerror or error}).") from error

    def open(self, name: str) -> BinaryIO:
        return open(self._path(name), "rb")

    def path(self, name: str) -> Path | None:
        return self._path(name)

    def stamp(self, name: str) -> str:
        try:
            facts = self._path(name).stat()
        except OSError:
            return "gone"
        return f"{facts.st_size}:{facts.st_mtime_ns}"


class Zip:
    """A zip's files, hidden ones apart."""

    def __init__(self, path: Path):
        try:
            self._zip = zipfile.ZipFile(path)
        except (*_DAMAGED, NotImplementedError) as error:
            raise CatalogueError(f"{path}: expected a folder or a zip file ({error}).") from error
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Zip, (self._path.resolve(),)

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = _name(info)
            if not name.endswith("/") and not any(map(_hidden, name.split("/"))):
                found.setdefault(name, info)
        return found

    def names(self) -> list[str]:
        return sorted(self._infos)

    def read(self, name: str, limit: int | None = None) -> bytes:
        info = self._infos[name]
        if limit is not None and info.file_size > limit:
            raise ImageError(_too_large(name, limit))
        if info.flag_bits & ENCRYPTED:
            raise ImageError(f"{name} is encrypted inside {self._path}; unpack it first.")
        try:
            if info.compress_type == DEFLATE64:
                return self._inflate64(name, info)
            return self._zip.read(info)
        except (NotImplementedError, RuntimeError) as error:
            raise ImageError(
                f"{name} is packed inside {self._path} in a way that is not read ({error}); "
                "unpack it first."
            ) from error
        except _DAMAGED as error:
            raise ImageError(f"{name} is damaged inside {self._path} ({error}).") from error

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name))

    def path(self, name: str) -> Path | None:
        return None

    def stamp(self, name: str) -> str:
        return f"{self._infos[name].file_size}:{self._infos[name].CRC}"

    def _inflate64(self, name: str, info: zipfile.ZipInfo) -> bytes:
        try:
            import inflate64
        except ImportError:
            raise ImageError(
                f"{name} is packed with Deflate64 inside {self._path}: unpack it first, or "
                'pip install "fashion-xai[formats]".'
            ) from None
        with open(self._path, "rb") as file:
            file.seek(info.header_offset)
            header = file.read(30)  # APPNOTE 4.3.7: the lengths of name and extra field end it
            name_length, extra_length = struct.unpack("<26x2H", header)
            file.seek(name_length + extra_length, os.SEEK_CUR)
            packed = file.read(info.compress_size)
        data = inflate64.Inflater().inflate(packed)
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("Bad CRC-32")
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name as it was meant."""
    name = info.filename
    if not info.flag_bits & UTF8:  # zipfile read it as code page 437; many tools write UTF-8
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    folder = name.endswith(("/", "\\"))
    path = PurePosixPath(name.replace("\\", "/")).as_posix()  # no ./ before it
    return composed(f"{path}/" if folder else path)


def _readable(name: str) -> str:
    """A file's name, also where its bytes are no UTF-8: an older system's, by Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _too_large(name: str, limit: int) -> str:
    return f"{name} is larger than {limit / 1e6:.0f} MB."


def depth(name: str) -> int:
    """How many folders a file lies in."""
    return len(PurePosixPath(name).parts) - 1
