"""How a type A card is found and selected: the state machine of ISO/IEC 14443-3 clause 6, from the card's side."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import StrEnum

from mdoc_reader.lab.nfc_air import Kind, RfAnswer, RfFrame, from_bits, to_bits, with_crc, without_crc

REQA = 0x26
WUPA = 0x52
_SELECT_LEVELS = (0x93, 0x95, 0x97)
_CASCADE_TAG = 0x88
_NOT_COMPLETE = 0x04


class TypeAState(StrEnum):
    """Where a card is. ACTIVE: selected, no protocol begun; PROTOCOL: after the answer to select."""

    OFF = "off"
    IDLE = "idle"
    READY = "ready"
    ACTIVE = "active"
    HALT = "halt"
    PROTOCOL = "protocol"


def random_uid() -> bytes:
    """Draw an identifier of the kind that phones draw: four bytes, the first 08."""
    return b"\x08" + secrets.token_bytes(3)


class TypeA:
    """Request, anticollision, selection and halt of one card.

    Args:
        uid: 4, 7 or 10 bytes; None draws a random one each time the field comes on.
        sak: the last answer to select.
        atqa: the two bytes of the answer to request as sent; made to fit the identifier when None.
        awake: asked at each request whether the card wants to answer it.
    """

    def __init__(
        self, *, uid: bytes | None, sak: int, atqa: bytes | None = None, awake: Callable[[], bool] = lambda: True
    ) -> None:
        """Start without power. ValueError for an identifier of another length."""
        if uid is not None and len(uid) not in {4, 7, 10}:
            raise ValueError("a type A identifier has 4, 7 or 10 bytes")
        self._fixed = uid
        self.uid = uid if uid is not None else random_uid()
        self.sak = sak
        self._atqa = atqa
        self._awake = awake
        self._from_halt = False
        self._level = 0
        self.state = TypeAState.OFF

    def powered(self, *, on: bool) -> None:
        """Begin at idle, or lose everything."""
        self.state = TypeAState.IDLE if on else TypeAState.OFF
        self._from_halt = False
        if on and self._fixed is None:
            self.uid = random_uid()

    def rest(self) -> None:
        """Fall back to where the card was before the request: something not meant for it was heard."""
        self.state = TypeAState.HALT if self._from_halt else TypeAState.IDLE

    def halt(self) -> None:
        """Be halted: only a wake-up is answered from now on."""
        self._from_halt = True
        self.state = TypeAState.HALT

    @property
    def atqa(self) -> bytes:
        """The answer to request, as sent."""
        if self._atqa is not None:
            return self._atqa
        return {4: b"\x04\x00", 7: b"\x44\x03", 10: b"\x84\x00"}[len(self.uid)]

    def _parts(self) -> list[bytes]:
        """The identifier in the pieces of each cascade level, with their check bytes."""
        rest, parts = self.uid, []
        while len(rest) > 4:
            parts.append(bytes((_CASCADE_TAG,)) + rest[:3])
            rest = rest[3:]
        parts.append(rest)
        return [part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],)) for part in parts]

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame while the card is not in its protocol. Frames of the active state are not for here."""
        if self.state in {TypeAState.OFF, TypeAState.PROTOCOL} or frame.kind is not Kind.A or frame.rate != 1:
            return None
        if frame.last_bits == 7 and len(frame.data) == 1:
            return self._on_request(frame.data[0])
        if self.state is TypeAState.READY:
            return self._on_ready(frame)
        if self.state is TypeAState.ACTIVE:
            if without_crc(Kind.A, frame.data) == b"\x50\x00":
                self.halt()
            else:
                self.rest()
        return None

    def _on_request(self, code: int) -> RfAnswer | None:
        if self.state in {TypeAState.READY, TypeAState.ACTIVE}:
            self.rest()
            return None
        if code == WUPA or (code == REQA and self.state is TypeAState.IDLE):
            if not self._awake():
                return None
            self._from_halt = self.state is TypeAState.HALT
            self.state = TypeAState.READY
            self._level = 0
            return RfAnswer(self.atqa)
        return None

    def _on_ready(self, frame: RfFrame) -> RfAnswer | None:
        data = frame.data
        if len(data) < 2 or data[0] not in _SELECT_LEVELS or _SELECT_LEVELS.index(data[0]) != self._level:
            self.rest()
            return None
        parts = self._parts()
        own = parts[self._level]
        if data[1] == 0x70:
            body = without_crc(Kind.A, data)
            if frame.last_bits != 8 or body is None or body[2:] != own:
                self.rest()
                return None
            if self._level + 1 < len(parts):
                self._level += 1
                return RfAnswer(with_crc(Kind.A, bytes((_NOT_COMPLETE,))))
            self.state = TypeAState.ACTIVE
            return RfAnswer(with_crc(Kind.A, bytes((self.sak & ~_NOT_COMPLETE,))))
        count = (data[1] >> 4) * 8 + (data[1] & 7) - 16
        known = to_bits(data[2:])[:count]
        mine = to_bits(own)
        if not 0 <= count < 40 or len(known) != count or (data[1] & 7 or 8) != frame.last_bits:
            self.rest()
            return None
        if known != mine[:count]:
            self.rest()
            return None
        rest = mine[count:]
        return RfAnswer(from_bits(rest), bits=None if len(rest) % 8 == 0 else len(rest))
