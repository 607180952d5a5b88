"""What can go wrong between the emulated chip and its host, when the chip is told that it should."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """How one command goes wrong."""

    SILENT = "silent"
    """Neither acknowledged nor answered."""
    NO_RESPONSE = "no response"
    """Acknowledged and never answered."""
    NACK = "nack"
    """A NACK frame in place of the acknowledgement, and nothing more."""
    ERROR_FRAME = "error frame"
    BAD_LENGTH = "bad length checksum"
    BAD_CHECKSUM = "bad data checksum"
    WRONG_CODE = "wrong code"
    """The response belongs to another command by its code."""
    CUT = "cut"
    """The response ends in the middle."""
    LATE = "late"
    """The response comes `delay_s` later."""
    TWICE = "twice"
    STALE = "stale"
    """The response before comes once more, then the right one."""
    NOISE_FIRST = "noise first"
    """Bytes that belong to nothing come before the acknowledgement; in the next three, around the response."""
    NOISE_BEFORE = "noise before"
    NOISE_INSIDE = "noise inside"
    NOISE_AFTER = "noise after"
    FALSE_START = "false start"
    """The head of a longer frame comes before the response."""
    RESET = "reset"
    """Acknowledged; then the chip is reset: field, registers and bit rate are lost."""
    UNPLUG = "unplug"
    """Acknowledged; then the line is gone."""


@dataclass(frozen=True, slots=True)
class HostFault:
    """One trouble.

    Args:
        trouble: what happens.
        command: the code of the commands it happens to; None for all.
        skip: how many of these go well first.
        times: how many go wrong then; None for all of them.
        delay_s: of LATE, in real seconds.
    """

    trouble: Trouble
    command: int | None = None
    skip: int = 0
    times: int | None = 1
    delay_s: float = 0.0


class HostFaults:
    """The troubles a chip was given, used up command by command."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting: deque[tuple[HostFault, list[int]]] = deque(maxlen=1000)
        self._lock = threading.Lock()

    def add(self, fault: HostFault) -> None:
        """Add one."""
        with self._lock:
            self._waiting.append((fault, [fault.skip, -1 if fault.times is None else fault.times]))

    def clear(self) -> None:
        """End all troubles."""
        with self._lock:
            self._waiting.clear()

    def due(self, code: int) -> HostFault | None:
        """Return the trouble of a command that has just come."""
        with self._lock:
            waiting = tuple(self._waiting)
        for fault, left in waiting:
            if fault.command not in {None, code}:
                continue
            if left[0] > 0:
                left[0] -= 1
                continue
            if left[1] == 0:
                continue
            left[1] -= 1
            return fault
        return None


def noise(source: random.Random) -> bytes:
    """Return a few bytes that no frame begins with."""
    return bytes(source.randrange(1, 0x100) for _ in range(source.randrange(1, 12)))


def spoil(trouble: Trouble, frame: bytes, before: bytes, source: random.Random) -> bytes:
    """Return what the host gets in place of a response frame; `before` is the response before this one."""
    some = noise(source)
    body = frame.index(b"\x00\xff") + (7 if frame[3:5] == b"\xff\xff" else 4)
    match trouble:
        case Trouble.BAD_LENGTH:
            return _changed(frame, body - 1)
        case Trouble.BAD_CHECKSUM:
            return _changed(frame, len(frame) - 2)
        case Trouble.WRONG_CODE:
            # With a checksum that is right for it.
            return _changed(_changed(frame, body + 1, 2), len(frame) - 2, -2)
        case Trouble.CUT:
            return frame[: max(1, len(frame) // 2)]
        case Trouble.TWICE:
            return frame + frame
        case Trouble.STALE:
            return before + frame
        case Trouble.NOISE_BEFORE:
            return some + frame
        case Trouble.NOISE_INSIDE:
            return frame[: body + 1] + some + frame[body + 1 :]
        case Trouble.NOISE_AFTER:
            return frame + some
        case Trouble.FALSE_START:
            return b"\x00\x00\xff\x40\xc0\xd5" + frame
        case _:
            return frame


def _changed(frame: bytes, place: int, by: int = 1) -> bytes:
    return frame[:place] + bytes(((frame[place] + by) & 0xFF,)) + frame[place + 1 :]
