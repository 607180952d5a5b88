"""What the outputs room needs from hardware: pins for lights, buzzer and relay, and a small display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Colour(StrEnum):
    """The lamps of a panel."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Blink:
    """A lamp's rhythm: seconds on, seconds off, repeated. `off_s == 0` is steady."""

    on_s: float = 1.0
    off_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """One tone of the buzzer; `hertz == 0` is silence."""

    hertz: int
    seconds: float


class Pins(Protocol):
    """Lamps, buzzer and relay. Calls return at once; a hardware fault shows in `healthy`, never as an exception."""

    @property
    def healthy(self) -> bool:
        """Whether the last call reached the hardware."""

    def light(self, colour: Colour, blink: Blink | None) -> None:
        """Set one lamp's rhythm, or switch it off with None."""

    def tone(self, notes: Sequence[Note]) -> None:
        """Play notes once, replacing what is playing; an empty sequence is silence."""

    def energise_relay(self, seconds: float) -> None:
        """Energise the relay for `seconds`, at most the driver's own maximum, then return it to rest by itself."""

    def rest(self) -> None:
        """Relay to its configured rest, lamps off, silence."""

    def close(self) -> None:
        """Rest, then release the pins."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What a small display shows: an icon by name, one large line, up to two small ones. Never personal data."""

    icon: str
    headline: str
    lines: tuple[str, ...] = ()


class Display(Protocol):
    """A small display, used by one owner thread alone."""

    def show(self, screen: Screen) -> None:
        """Draw a screen. OSError when the device is gone."""

    def close(self) -> None:
        """Blank and release the display."""
