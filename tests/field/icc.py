"""ICC profiles written by hand (ICC.1:2001-04, v2), so that no file of others is needed."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Red, green and blue of Adobe RGB (1998) in XYZ, adapted to D50 (its specification, table 4.3)."""

DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
D50 = (0.9642, 1.0, 0.8249)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _curve(gamma: float | None) -> bytes:
    """A power, or for None the sRGB curve by 1,024 points."""
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    x = np.linspace(0, 1, 1024)
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *(65535 * y).round().astype(int))


def _profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"drawn\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(D50),
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, kind, space, connection)
    header += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(_fixed, D50))
    )
    return header + bytes(128 - len(header)) + table + body


def rgb(primaries: Sequence[Sequence[float]], gamma: float | None) -> bytes:
    """A monitor's or a camera's."""
    tags = {
        name: _xyz(xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return _profile(b"RGB ", b"mntr", b"XYZ ", tags)


def grey(gamma: float) -> bytes:
    return _profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk(lab_of: dict[tuple[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """A printer's, by the Lab of its 16 solid overprints (lut8Type, two points a channel)."""
    cells = bytearray()
    for n in range(16):
        lightness, a, b = lab_of[(n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1)]
        cells += bytes([round(lightness * 2.55), round(a + 128), round(b + 128)])
    line = bytes(range(256))
    unit = b"".join(_fixed(float(i == j)) for i in range(3) for j in range(3))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + 4 * line + bytes(cells) + 3 * line
    return _profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": lut, b"A2B1": lut, b"A2B2": lut})


def stored(
    srgb: Sequence[int], primaries: Sequence[Sequence[float]], gamma: float | None
) -> list[int]:
    """The numbers by which a profile of :func:`rgb` means an sRGB colour, by numpy alone."""
    x = np.array(srgb) / 255
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    there = np.linalg.solve(np.array(primaries).T, np.array(SRGB).T @ linear).clip(0, 1)
    if gamma is None:
        coded = np.where(there <= 0.0031308, 12.92 * there, 1.055 * there ** (1 / 2.4) - 0.055)
    else:
        coded = there ** (1 / gamma)
    return (255 * coded).round().astype(int).tolist()
