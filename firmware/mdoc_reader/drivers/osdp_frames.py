"""Frames of an OSDP line (IEC 60839-11-5, clause 5): found in what comes, checked, and told from one another.

Only whole frames with a right checksum that are for this peripheral are handed on: what else is on the line, noise,
other peripherals and their answers, never reaches the protocol library.
"""

from __future__ import annotations

from binascii import crc_hqx

RAW, NAK = 0x50, 0x41
"""Replies: a card's bits, and a refusal."""
BROADCAST = 0x7F
LONGEST = 256
"""Octets of a frame, at most: what the library says it takes."""

_MARK, _START = 0xFF, 0x53
_SHORTEST = 7
_SEQUENCE, _CRC, _SECURITY_BLOCK = 0x03, 0x04, 0x08
_CRC_START = 0x1D0F
_SILENCE_S = 0.1  # within a frame; the standard allows 20 ms, which a USB adapter does not keep


class Framer:
    """Finds commands for one address in a stream."""

    def __init__(self, address: int) -> None:
        """Begin with nothing held."""
        self._ours = frozenset({address, BROADCAST})
        self._held = bytearray()
        self._since = 0.0

    def feed(self, octets: bytes, now: float) -> list[bytes]:
        """Take what came and return the whole frames, without a mark before them. `now` in seconds."""
        if self._held and now - self._since > _SILENCE_S:
            self._held.clear()
        if octets:
            self._since = now
        self._held += octets
        found = []
        while (frame := self._next()) is not None:
            if frame[1] in self._ours:
                found.append(frame)
        return found

    def _next(self) -> bytes | None:
        held = self._held
        while True:
            start = held.find(_START)
            del held[: start if start >= 0 else len(held)]
            if len(held) < 5:
                return None
            length = held[2] | held[3] << 8
            if _SHORTEST <= length <= LONGEST:
                if len(held) < length:
                    return None
                frame = bytes(held[:length])
                if _right(frame):
                    del held[:length]
                    return frame
            del held[0]  # what looked like a frame's start was none


def _right(frame: bytes) -> bool:
    if frame[4] & _CRC:
        return crc_hqx(frame[:-2], _CRC_START) == int.from_bytes(frame[-2:], "little")
    return sum(frame) & 0xFF == 0


def repeats(frame: bytes, before: bytes) -> bool:
    """Say whether a command is the one before once more, whose reply got lost: octets and sequence number alike."""
    return frame == before and bool(frame[4] & _SEQUENCE)


def reply_code(frame: bytes) -> int:
    """Return the code of a reply, which the secure channel leaves readable; 0 for no frame."""
    start = 1 if frame[:1] == bytes([_MARK]) else 0
    place = start + 5
    if len(frame) <= place or frame[start] != _START:
        return 0
    if frame[start + 4] & _SECURITY_BLOCK:
        place += frame[place]
    return frame[place] if place < len(frame) else 0
