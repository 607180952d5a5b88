"""The host link of the emulated chip: the frames of its high speed UART (UM0701-02 clause 6.2.1), without any I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LONGEST_DATA = 265
"""Bytes of the largest frame body: the frame identifier and 264 more."""
ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR = bytes.fromhex("0000ff01ff7f8100")
BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
FIRST_BAUD = 115200

_START = b"\x00\xff"
_MOST_BUFFERED = 1024
_TO_CHIP = 0xD4
_FROM_CHIP = 0xD5


class Said(StrEnum):
    """What the host sent."""

    ACK = "ack"
    NACK = "nack"
    COMMAND = "command"
    WRONG = "wrong"
    """A frame with right checksums that is no command: answered with the error frame."""


@dataclass(frozen=True, slots=True)
class HostFrame:
    """A frame from the host; a command's `data` is its code and parameters."""

    said: Said
    data: bytes = field(default=b"", repr=False)


def response(data: bytes, *, bare: bool = False) -> bytes:
    """Frame a response: code and parameters. `bare` leaves preamble and postamble out."""
    body = bytes((_FROM_CHIP,)) + data
    if len(body) > 0xFF:
        size = len(body).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes((-sum(size) & 0xFF,))
    else:
        head = bytes((len(body), -len(body) & 0xFF))
    frame = _START + head + body + bytes((-sum(body) & 0xFF,))
    return frame if bare else b"\x00" + frame + b"\x00"


class HostFrames:
    """Find the frames in what comes over the line. Bytes that belong to none are passed over, as the chip does."""

    def __init__(self) -> None:
        """Start between frames."""
        self._held = bytearray()

    def reset(self) -> None:
        """Forget what was begun."""
        self._held.clear()

    def feed(self, data: bytes) -> list[HostFrame]:
        """Take bytes and return the frames that are whole now. A frame with a wrong checksum is ignored."""
        self._held += data
        found: list[HostFrame] = []
        while True:
            start = self._held.find(_START)
            if start < 0:
                del self._held[: -1 if self._held.endswith(b"\x00") else len(self._held)]
                return found
            del self._held[:start]
            length = self._take(found)
            if not length:
                if len(self._held) > _MOST_BUFFERED:
                    self._held.clear()
                return found
            del self._held[:length]

    def _take(self, found: list[HostFrame]) -> int:
        """Look at a frame that begins the buffer; return how many bytes are done with, 0 while it is not whole."""
        held = bytes(self._held)
        if len(held) < 4:
            return 0
        if held[2:4] == b"\x00\xff":
            found.append(HostFrame(Said.ACK))
            return 4
        if held[2:4] == b"\xff\x00":
            found.append(HostFrame(Said.NACK))
            return 4
        if held[2:4] == b"\xff\xff":
            if len(held) < 7:
                return 0
            header, size, right = 7, int.from_bytes(held[4:6], "big"), sum(held[4:7]) & 0xFF == 0
        else:
            header, size, right = 4, held[2], sum(held[2:4]) & 0xFF == 0
        if not right or size > LONGEST_DATA:
            return 1
        if len(held) < header + size + 1:
            return 0
        body = held[header : header + size]
        if (sum(body) + held[header + size]) & 0xFF:
            return 1
        if len(body) < 2 or body[0] != _TO_CHIP:
            found.append(HostFrame(Said.WRONG))
        else:
            found.append(HostFrame(Said.COMMAND, body[1:]))
        return header + size + 1
