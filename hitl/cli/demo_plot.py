"""A plot for the tour: a PNG made by the standard library alone, so that the demo needs no other package."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Final

_WIDTH: Final = 480
_HEIGHT: Final = 240
_MARGIN: Final = 24
_PAPER: Final = b"\xff\xff\xff"
_AXIS: Final = b"\x88\x88\x88"
_LINE: Final = b"\x1f\x5f\xbf"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def line_plot(values: Sequence[float]) -> bytes:
    """Return a line through some values as a PNG of 480 × 240 pixels, the lowest value at its foot.

    Args:
        values: At least two, not all the same.
    """
    rows = [bytearray(_PAPER * _WIDTH) for _ in range(_HEIGHT)]
    foot, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    for x in range(_MARGIN, right):
        _dot(rows, x, foot, _AXIS)
    for y in range(_MARGIN, foot):
        _dot(rows, _MARGIN, y, _AXIS)
    low, high = min(values), max(values)
    steps = right - _MARGIN - 1
    before = None
    for step in range(steps + 1):
        at = step / steps * (len(values) - 1)
        left = min(int(at), len(values) - 2)
        value = values[left] + (values[left + 1] - values[left]) * (at - left)
        y = round(foot - 1 - (value - low) / (high - low) * (foot - 1 - _MARGIN))
        for each in range(min(y, before or y), max(y, before or y) + 1):
            _dot(rows, _MARGIN + step, each, _LINE)
            _dot(rows, _MARGIN + step, each - 1, _LINE)
        before = y
    # Each row begins with the number of its filter: none.
    pixels = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def _dot(rows: list[bytearray], x: int, y: int, colour: bytes) -> None:
    rows[y][3 * x : 3 * x + 3] = colour


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
