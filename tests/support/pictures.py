"""A reader of PNG files: 8 bits a channel, RGBA, not interlaced, as `render_png` writes them."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = 4


def read_size(png: bytes) -> tuple[int, int]:
    """Return the width and the height in pixels."""
    width, height, *form = struct.unpack(">IIBBBBB", png[16:29])
    assert png[:8] == SIGNATURE
    assert form == [8, 6, 0, 0, 0], "8 bits, RGBA, not interlaced"
    return width, height


def count_dark_pixels(png: bytes) -> int:
    """Return the number of opaque pixels that are nearly black."""
    return sum(
        1
        for row in _rows(png)
        for start in range(0, len(row), CHANNELS)
        if max(row[start : start + 3]) < 80 and row[start + 3] == 255
    )


def _rows(png: bytes) -> Iterator[bytearray]:
    """Yield the rows of pixels, with the filter of each row removed."""
    width, height = read_size(png)
    data, size = zlib.decompress(b"".join(_chunks(png))), width * CHANNELS
    above = bytearray(size)
    for number in range(height):
        start = number * (size + 1)
        above = _unfiltered(data[start], bytearray(data[start + 1 : start + 1 + size]), above)
        yield above


def _chunks(png: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            yield png[place + 8 : place + 8 + length]
        place += length + 12


def _unfiltered(kind: int, row: bytearray, above: bytearray) -> bytearray:
    for place in range(len(row)):
        left, corner = (row[place - CHANNELS], above[place - CHANNELS]) if place >= CHANNELS else (0, 0)
        predicted = (0, left, above[place], (left + above[place]) // 2, _paeth(left, above[place], corner))[kind]
        row[place] = (row[place] + predicted) & 255
    return row


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
