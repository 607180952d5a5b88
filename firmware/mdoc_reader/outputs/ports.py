"""What the outputs room needs from hardware: pins for lights, sound, relay and contacts, a display, a line out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from mdoc_reader.model.badge import Badge


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


class Contact(StrEnum):
    """What the building and people tell the reader by closing a contact. Active is what the name says."""

    OPEN = "open"  # the door stands open
    EXIT = "exit"  # somebody inside wants to leave
    FIRE = "fire"  # the fire alarm system asks for the door
    WAKE = "wake"
    CANCEL = "cancel"
    LANGUAGE = "language"
    CONFIRM = "confirm"
    REJECT = "reject"


ContactCallback = Callable[[Contact, bool, float], None]
"""Told of a contact, whether it is active now, and when (monotonic). From any thread; returns at once, never raises."""


class Pins(Protocol):
    """Lamps, buzzer and relay. Calls return at once; a hardware fault shows in `healthy`, never as an exception."""

    @property
    def healthy(self) -> bool:
        """Whether the last call reached the hardware."""

    @property
    def heartbeat(self) -> float:
        """Monotonic time at which whatever keeps their time was last seen alive; 0.0 where it has died."""

    def light(self, colour: Colour, blink: Blink | None) -> None:
        """Set one lamp's rhythm, or switch it off with None."""

    def tone(self, notes: Sequence[Note]) -> None:
        """Play notes once, replacing what is playing; an empty sequence is silence."""

    def energise_relay(self, seconds: float) -> None:
        """Energise the relay for `seconds`, at most the driver's own maximum, then return it to rest by itself."""

    def alarm(self, rhythm: Blink | None) -> None:
        """Set the alarm output's rhythm, or switch it off with None."""

    def on_contact(self, callback: ContactCallback) -> None:
        """Have `callback` told of each contact's state, once now and then at every change that lasts."""

    def rest(self) -> None:
        """Relay to its configured rest, lamps off, silence."""

    def close(self) -> None:
        """Rest, then release the pins."""


class Mood(StrEnum):
    """What a screen feels like, for displays that have colours. Never the only difference between two screens."""

    CALM = "calm"
    BUSY = "busy"
    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Picture:
    """A portrait, decoded and scaled: `rgb` holds height x width x 3 octets. Personal data: shown, never kept."""

    width: int
    height: int
    rgb: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Screen:
    """What a small display shows: an icon by name, one large line, up to two small ones.

    `code` is shown as a QR code in the icon's place. `picture`, where there is one, is the only personal data a screen
    ever has: it takes the display for itself, with the headline, and is gone with the next screen.
    """

    icon: str
    headline: str
    lines: tuple[str, ...] = ()
    mood: Mood = Mood.CALM
    code: str = ""
    picture: Picture | None = field(default=None, repr=False)


class Display(Protocol):
    """A small display, used by one owner thread alone."""

    def show(self, screen: Screen) -> None:
        """Draw a screen. OSError when the device is gone."""

    def close(self) -> None:
        """Blank and release the display."""


class Building(Protocol):
    """A line to a controller of the building that takes card numbers. Calls return at once and never raise."""

    @property
    def healthy(self) -> bool:
        """Whether the line works as far as can be told from here."""

    def present(self, badge: Badge) -> None:
        """Hand on whom the reader let in. One at a time; a number that cannot be sent in time is dropped."""

    def close(self) -> None:
        """Release the line. May be repeated."""
