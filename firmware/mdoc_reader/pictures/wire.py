"""What the reader and its decoder of portraits say to each other over one socket.

A request is `>IHH` (octets that follow, most pixels across, most pixels down) and the picture's octets; an answer is
`>BHH` (how it went, width, height) and, where it went well, three octets for each pixel.
"""

from __future__ import annotations

import struct
from enum import IntEnum

REQUEST = struct.Struct(">IHH")
ANSWER = struct.Struct(">BHH")

MAX_OCTETS = 4 * 1024 * 1024
"""The largest portrait that is looked at."""
MAX_PIXELS = 24_000_000
"""Of the picture as it was sent: what it takes in memory is bounded by this."""
MAX_SIDE = 1024
"""Of the picture as it is shown."""


class Told(IntEnum):
    """How it went."""

    READY = 0  # said once, when the process has started
    DECODED = 1
    UNREADABLE = 2  # no JPEG, no JPEG 2000, or a broken one
    TOO_LARGE = 3  # more pixels than are decoded
