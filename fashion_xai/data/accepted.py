"""What is read, as the README's table has it: ``python -m fashion_xai.data.accepted`` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from fashion_xai.data import delimited, images, layouts, tables
from fashion_xai.data.schema import FILE, MISSING_WORDS, SEVERAL

BEGIN, END = "<!-- accepted: python -m fashion_xai.data.accepted -->", "<!-- /accepted -->"
"""Around the table in the README."""


def markdown() -> str:
    """The table, made from the constants that the readers go by."""
    lines = ["| | is read |", "|---|---|"]
    lines += [f"| {what} | {read} |" for what, read in _rows()]
    return "\n".join(lines)


def _rows() -> Iterator[tuple[str, str]]:
    kinds = ", ".join(
        f"{kind}{' (extra `formats`)' if kind == 'HEIF' else ''} `{' '.join(suffixes)}`"
        for kind, suffixes in images.FORMATS.items()
    )
    yield "photos", kinds
    yield (
        "of any mode",
        "grey, palette, CMYK, 16 bits, transparency (on white), EXIF rotation, embedded colour "
        f"profiles (to sRGB); up to {images.MAX_BYTES / 1e6:.0f} MB and "
        f"{images.MAX_PIXELS / 1e6:.0f} megapixels",
    )
    yield "in Python", "bytes, `bytearray`, paths, open files, PIL images, NumPy arrays"
    files = " ".join(tables.SUFFIXES)
    yield "tables", f"`{files}`, with the columns named by flags; Excel: extra `formats`"
    signs = ", ".join(delimited.DELIMITERS.values())
    codes = " ".join(delimited.ENCODINGS)
    yield "CSV", f"{signs}; UTF-8, UTF-16, `{codes}`; found out and said, or `--encoding`"
    yield (
        "photos of a row",
        "by id anywhere below the table (`images/` first), by a path with `--photo-column`, or "
        "inside a Parquet",
    )
    metadata = " ".join(f"`{name}`" for name in layouts.METADATA)
    yield (
        "laid out as",
        f"`{FILE}` beside `images/`; the only table that is there, or `--table`; a folder each "
        f"class; a Hugging Face image folder ({metadata}) or its Parquet files",
    )
    yield (
        "in",
        "a folder, or a zip: stored, deflated, bzip2, LZMA, Deflate64 (extra `formats`); "
        "backslashes, NFD and older systems' names",
    )
    words = " ".join(f"`{word}`" for word in MISSING_WORDS)
    yield "missing labels", f"empty cells, {words}; other words: `--missing`"
    several = f"`Jeans{SEVERAL}Trousers`".replace("|", "\\|")
    yield "one of several", f"{several}; own words: `--labels`"


if __name__ == "__main__":
    print(markdown())
