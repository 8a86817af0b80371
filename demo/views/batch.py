"""Many photos at once: several files, or zips of them, into a table; no gradio here."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from markupsafe import Markup

from demo.serving.batcher import BULK, DynamicBatcher
from demo.serving.decoder import GONE, Decoder
from demo.serving.queue_full import QueueFull
from demo.serving.routes import UPLOAD
from demo.views import cards, words
from demo.views.render import percent, render
from fashion_xai import FashionClassifier
from fashion_xai.audit import gallery
from fashion_xai.data import files, images
from fashion_xai.data.images import ImageError
from fashion_xai.viz import html

PHOTOS = 200
"""In one batch; the rest is counted and the first of it named as not done."""

NAMED = 5
"""Files over the limit that are named."""

NAME = 200
"""Characters of a file's name that are kept."""

ENTRIES = 5_000
"""Of a zip; a longer list is refused before it is read."""

DIRECTORY = 2_000_000
"""Bytes of a zip's directory: 400 for each of its entries."""

UNPACKED = 400_000_000
"""Bytes that a zip's photos may have together once unpacked."""

LIMITS = (
    f"At most {PHOTOS} photos and {UPLOAD // 1_000_000} MB a batch, "
    f"{images.MAX_BYTES // 1_000_000} MB a file (a zip counts as one), 50 megapixels a photo. "
    "Files that cannot be used are listed, the others are done."
)

AHEAD = 4
"""Photos of a batch that are decoded and read at the same time."""

Entry = tuple[Path, zipfile.ZipInfo]
"""A zip and a file inside it: by its place, for two may have one name."""

File = tuple[str, Path | Entry]
"""A photo's name, and where it is."""

BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
          RuntimeError, NotImplementedError)  # fmt: skip
"""What unpacking an entry can raise; the last two: encrypted, and an unknown compression."""


@dataclass(frozen=True)
class Done:
    """One photo's outcome.

    Args:
        name: of the file, as it was sent; in a zip its path inside.
        answer: as of ``cards.answer``; None where the photo could not be used.
        reason: why not; '' where it could.
        thumbnail: a small uint8 RGB picture, or None.
    """

    name: str
    answer: dict[str, Any] | None
    reason: str = ""
    thumbnail: np.ndarray | None = None


def work(
    batcher: DynamicBatcher,
    decoder: Decoder,
    paths: Sequence[str],
    wanted: Callable[[], bool] = lambda: True,
) -> Iterator[tuple[int, int, Done]]:
    """Work off a batch: (how many are done, how many there are, the last one).

    Photos are read with less urgency than visitors' ones, :data:`AHEAD` at a time, so that a batch
    is never in anybody's way.

    Args:
        paths: files on the server, as Gradio has received them; each counts once.
        wanted: asked before each photo whether anybody still waits for the rest.

    Raises:
        ImageError: nothing to do, or a zip that is refused as a whole.
        QueueFull: too many photos are waiting, or nobody waits for the answers any more.
    """
    files = list(islice(_files(list(dict.fromkeys(paths))), ENTRIES + 1))
    if len(files) > ENTRIES:
        raise ImageError(f"The batch holds over {ENTRIES:,} files; no more are looked at.")
    if not files:
        raise ImageError("No photo arrived; expected photos or a zip of them.")
    over = files[PHOTOS:]
    total = len(files[:PHOTOS]) + bool(over)
    for number, done in enumerate(_in_order(batcher, decoder, files[:PHOTOS], wanted), start=1):
        yield number, total, done
    if over:
        names = ", ".join(_short(name) for name, _ in over[:NAMED])
        more = f" and {len(over) - NAMED:,} more" if len(over) > NAMED else ""
        reason = f"not done: over {PHOTOS} photos"
        yield total, total, Done(f"{len(over):,} files: {names}{more}", None, reason)


def _in_order(
    batcher: DynamicBatcher, decoder: Decoder, files: Sequence[File], wanted: Callable[[], bool]
) -> Iterator[Done]:
    """The outcomes, a few photos being decoded and read while the first of them is waited for."""
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(AHEAD) as pool:
        for name, source in files:
            if not wanted():
                raise QueueFull("Nobody waits for this batch any more; it was stopped.")
            waiting.append(pool.submit(_one, batcher, decoder, name, source))
            if len(waiting) == AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def table(attributes: Sequence[str], rows: Sequence[Done]) -> Markup:
    """The outcomes as HTML, thumbnails first."""
    return render(
        "batch",
        header=["photo", "file", *map(words.title, attributes)],
        rows=[_row(attributes, row) for row in rows],
    )


def csv_text(attributes: Sequence[str], rows: Sequence[Done]) -> str:
    """The outcomes as CSV: labels and probabilities, and why a file could not be used."""
    header = ["file", *(x for a in attributes for x in (a, f"{a}_probability"))]
    header += ["one_product", "problem"]
    lines = []
    for row in rows:
        cells: list[object] = [row.name]
        for a in attributes:
            found = row.answer[a] if row.answer else {"label": None, "probability": None}
            cells += [found["label"], found["probability"]]
        cells += [row.answer["one_product"] if row.answer else None, row.reason]
        lines.append(cells)
    return files.csv_text(header, lines)


def progress(rows: Sequence[Done], total: int) -> Markup:
    """How far the batch is: a bar and a sentence, as HTML."""
    bad = sum(row.answer is None for row in rows)
    return render("progress", done=len(rows), total=total, bad=bad)


def _one(batcher: DynamicBatcher, decoder: Decoder, name: str, source: Path | Entry) -> Done:
    name = _short(name)
    try:
        photo = decoder.load(_bytes(source))
    except ImageError as error:
        return Done(name, None, str(error))
    answer = cards.answer(batcher.classifier, batcher.read(photo, BULK))
    return Done(name, answer, thumbnail=gallery.resized(photo, 72))


def _short(name: str) -> str:
    return name if len(name) <= NAME else f"…{name[-NAME + 1 :]}"


def _files(paths: Sequence[str]) -> Iterator[File]:
    """(name, where it is) of each photo: a path, or a zip and the entry inside it."""
    for text in paths:
        path = Path(text)
        if not path.is_file():
            raise ImageError(GONE)
        if not zipfile.is_zipfile(path):
            yield path.name, path
            continue
        if _directory(path) > DIRECTORY:
            raise ImageError(
                f"{path.name} holds too many files; at most {ENTRIES:,} are looked at."
            )
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [x for x in archive.infolist() if not x.is_dir()]
        except BROKEN as error:
            raise ImageError(f"{path.name} cannot be unpacked ({error}).") from error
        if len(entries) > ENTRIES:
            raise ImageError(
                f"{path.name} holds {len(entries):,} files; at most {ENTRIES:,} are looked at."
            )
        if sum(x.file_size for x in entries) > UNPACKED:
            raise ImageError(
                f"{path.name} unpacks to more than {UNPACKED // 1_000_000} MB; it is refused."
            )
        for entry in entries:
            if not _hidden(entry.filename):
                yield entry.filename, (path, entry)


def _directory(path: Path) -> int:
    """Bytes of a zip's directory as its end record has it, which ``zipfile`` reads as a whole."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_557))  # the record, and the longest comment
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    return int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0


def _hidden(name: str) -> bool:
    """What macOS and others put into zips beside the photos."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(x.startswith(".") and x not in ("..", ".") for x in parts)


def _bytes(source: Path | Entry) -> bytes:
    """A file's bytes, no more than the cap and one. An entry's name is never used as a path."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(images.MAX_BYTES + 1)
    archive, entry = source
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(entry) as file:
            return file.read(images.MAX_BYTES + 1)
    except BROKEN as error:
        raise ImageError(f"It cannot be unpacked ({error}).") from error


def _row(attributes: Sequence[str], row: Done) -> dict[str, Any]:
    cells = None
    if row.answer is not None:
        found = [row.answer[a] for a in attributes]
        cells = [(one["label"], percent(one["probability"])) for one in found]
    return {
        "uri": None if row.thumbnail is None else html.data_uri(row.thumbnail),
        "name": row.name if len(row.name) <= 80 else f"…{row.name[-79:]}",
        "cells": cells,
        "reason": row.reason,
    }


def answers(classifier: FashionClassifier, rows: Sequence[Done]) -> list[dict[str, Any]]:
    """The API's reply: one object a file, in order, with ``file`` and the answer or ``problem``."""
    return [
        {"file": row.name, **row.answer}
        if row.answer
        else {"file": row.name, "problem": row.reason}
        for row in rows
    ]
