"""The field of a reader chip: what lies in it hears every frame, and what answers together collides.

Cards may be put and taken from any thread at any moment, also in the middle of an exchange.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Protocol

from mdoc_reader.lab.nfc_air import Damage, Kind, RfAnswer, RfFrame, from_bits, to_bits, without_crc

_BROADCAST = 0x6A
_MOST_KEPT = 10_000


class FieldCard(Protocol):
    """Something that can lie in the field. All calls come one at a time, under the field's lock."""

    def powered(self, *, on: bool) -> None:
        """The field came on or went off around it; it was put into a field that is on, or taken away."""

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame and say what the card sends back; None when it stays silent."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A frame of enhanced contactless polling as it was sent: whether its CRC and framing were right."""

    data: bytes
    right: bool


@dataclass(frozen=True, slots=True)
class Met:
    """What came back, and which card it came from when it came from one."""

    answer: RfAnswer
    card: FieldCard | None = field(default=None, repr=False)


@dataclass(slots=True)
class _Leaving:
    """A card that goes after some frames more."""

    frames: int
    unanswered: bool


class RfField:
    """What lies in front of the antenna."""

    def __init__(self, *cards: FieldCard) -> None:
        """Start with the field off."""
        self._lock = threading.RLock()
        self._cards: list[FieldCard] = list(cards)
        self._leaving: dict[int, _Leaving] = {}
        self._on = False
        self.on_since = 0.0
        """When the field came on last, by the monotonic clock."""
        self.broadcasts: deque[Broadcast] = deque(maxlen=_MOST_KEPT)
        """Every frame that began with 6A, for polling loops that announce themselves."""
        self.switched_on = 0
        """How often the field came on."""
        self.frames = 0
        """How many frames a reader has sent into it."""

    @property
    def on(self) -> bool:
        """Whether the field is on."""
        return self._on

    @property
    def cards(self) -> tuple[FieldCard, ...]:
        """What lies in it now."""
        with self._lock:
            return tuple(self._cards)

    def put(self, card: FieldCard) -> None:
        """Put a card into the field. Does nothing for one that lies there."""
        with self._lock:
            self._leaving.pop(id(card), None)
            if card not in self._cards:
                self._cards.append(card)
                if self._on:
                    card.powered(on=True)

    def take(self, card: FieldCard, *, after_frames: int = 0, unanswered: bool = False) -> None:
        """Take a card out of the field, now or once it has heard so many frames more.

        The last of these frames is answered, unless `unanswered`. Does nothing for a card that is not there.
        """
        with self._lock:
            if card not in self._cards:
                return
            if after_frames > 0:
                self._leaving[id(card)] = _Leaving(after_frames, unanswered)
                return
            self._leaving.pop(id(card), None)
            self._cards.remove(card)
            if self._on:
                card.powered(on=False)

    def holds(self, card: FieldCard) -> bool:
        """Say whether a card lies in the field and the field is on."""
        with self._lock:
            return self._on and card in self._cards

    def switch(self, *, on: bool) -> None:
        """Switch the field on or off."""
        with self._lock:
            if on == self._on:
                return
            self._on = on
            if on:
                self.on_since = time.monotonic()
                self.switched_on += 1
            for card in tuple(self._cards):
                card.powered(on=on)

    def send(self, frame: RfFrame) -> Met | None:
        """Send a frame to everything in the field, and return what comes back at once or later; None for silence."""
        with self._lock:
            if not self._on:
                return None
            self.frames += 1
            if frame.kind is Kind.A and frame.data[:1] == bytes((_BROADCAST,)):
                right = frame.last_bits == 8 and frame.rate == 1 and without_crc(Kind.A, frame.data) is not None
                self.broadcasts.append(Broadcast(frame.data, right))
            for card in tuple(self._cards):
                # One that was to go has had its last answer.
                if id(card) in self._leaving and self._leaving[id(card)].frames <= 0:
                    self.take(card)
            met: list[Met] = []
            for card in tuple(self._cards):
                answer = card.hear(frame)
                if self._leaves(card):
                    continue
                if answer is not None and card in self._cards:
                    met.append(Met(answer, card))
            return _together(met)

    def _leaves(self, card: FieldCard) -> bool:
        """Count one frame of a card that is about to go; True when it goes without its answer."""
        leaving = self._leaving.get(id(card))
        if leaving is None:
            return False
        leaving.frames -= 1
        if leaving.frames == 0 and leaving.unanswered:
            self.take(card)
            return True
        return False


def _together(met: list[Met]) -> Met | None:
    """What a receiver hears when all of these answer at once."""
    if len(met) < 2:
        return met[0] if met else None
    first = met[0].answer
    if all((one.answer.data, one.answer.bits) == (first.data, first.bits) for one in met):
        return Met(first)
    strings = [to_bits(one.answer.data)[: one.answer.bits] for one in met]
    length = max(map(len, strings))
    padded = [bits + [0] * (length - len(bits)) for bits in strings]
    columns = [sorted(set(column)) for column in zip(*padded, strict=True)]
    collision = next((index for index, column in enumerate(columns) if len(column) > 1), min(map(len, strings)))
    heard = from_bits([column[-1] for column in columns])
    return Met(replace(first, data=heard, bits=length, damage=Damage.COLLISION, collision=collision))
