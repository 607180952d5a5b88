"""The process that decodes portraits: started without keys or settings, locked in, then fed bytes of strangers.

`python -m mdoc_reader.pictures.worker FD`: answers requests on the socket FD (see `wire`) until it is closed. Imports
nothing of the reader but the form of what is said.
"""

from __future__ import annotations

import io
import socket
import struct
import sys
import warnings

from PIL import Image, UnidentifiedImageError

from mdoc_reader.pictures.sandbox import enter
from mdoc_reader.pictures.wire import ANSWER, MAX_OCTETS, MAX_PIXELS, MAX_SIDE, REQUEST, Told

_FORMATS = ("JPEG", "JPEG2000")
_MEMORY = 768 * 1024 * 1024


class TooLargeError(Exception):
    """A picture with more pixels than are decoded."""


def decode(data: bytes, width: int, height: int) -> tuple[int, int, bytes]:
    """Return width, height and RGB octets of a picture, no larger than asked, in its own proportions.

    Raises TooLargeError, and OSError or ValueError for what is no picture.
    """
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS or 0 in picture.size:
            raise TooLargeError
        if picture.format == "JPEG":
            picture.draft("RGB", (width, height))
        shown = picture.convert("RGB")
    shown.thumbnail((width, height))
    return shown.width, shown.height, shown.tobytes()


def _answer(data: bytes, width: int, height: int) -> bytes:
    try:
        shown = decode(data, width, height)
    except TooLargeError:
        return ANSWER.pack(Told.TOO_LARGE, 0, 0)
    # What Pillow raises for broken pictures; whatever else there is ends this process, and another takes its place.
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError, EOFError, struct.error):
        return ANSWER.pack(Told.UNREADABLE, 0, 0)
    return ANSWER.pack(Told.DECODED, shown[0], shown[1]) + shown[2]


def _take(line: socket.socket, octets: int) -> bytes | None:
    taken = bytearray()
    while len(taken) < octets:
        part = line.recv(min(octets - len(taken), 1 << 16))
        if not part:
            return None
        taken += part
    return bytes(taken)


def serve(line: socket.socket) -> None:
    """Answer requests until the other side closes, or says what nobody should."""
    while (head := _take(line, REQUEST.size)) is not None:
        octets, width, height = REQUEST.unpack(head)
        if octets > MAX_OCTETS or not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            return
        data = _take(line, octets)
        if data is None:
            return
        line.sendall(_answer(data, width, height))


def main() -> int:
    """Warm up, lock in, serve. Exit code 3: the process could not be locked in."""
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the bound here is stricter, and its own
    line = socket.socket(fileno=int(sys.argv[1]))
    for form in _FORMATS:
        # Pillow loads parts of itself when they are first used; afterwards nothing can be loaded any more.
        sample = io.BytesIO()
        Image.new("RGB", (8, 8)).save(sample, form)
        decode(sample.getvalue(), 8, 8)
    try:
        filtered = enter(_MEMORY)
    except (OSError, ValueError):
        return 3
    line.sendall(ANSWER.pack(Told.READY, filtered, 0))
    serve(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
