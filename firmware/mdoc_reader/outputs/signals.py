"""What each sign looks and sounds like: lamp rhythms, notes and a screen.

Nobody has to tell colours apart or hear pitch: every sign has a rhythm of light and a rhythm of sound that no other
sign has (WCAG 2.2 success criterion 1.4.1), and no lamp flashes more than three times a second (criterion 2.3.1).
Words live in one table, so that another language can replace it without touching the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.ports import Blink, Colour, Note, Screen


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign on every output: lamps that are lit (all others dark), notes played once, and the display's screen."""

    lamps: tuple[tuple[Colour, Blink], ...]
    notes: tuple[Note, ...]
    screen: Screen


@dataclass(frozen=True, slots=True)
class Words:
    """What a screen says: one headline, up to two small lines."""

    headline: str
    lines: tuple[str, ...] = ()


ENGLISH: Mapping[Sign, Words] = MappingProxyType(
    {
        Sign.READY: Words("Show your code", ("Open your mobile ID", "and hold it here")),
        Sign.CONNECTING: Words("Connecting", ("Keep your phone near",)),
        Sign.APPROVE: Words("Approve on your phone", ("See what is asked,", "then share or decline")),
        Sign.APPROVE_HERE: Words("Approve on your phone", ("Keep it on the reader", "while you do")),
        Sign.HOLD_STILL: Words("Stay close", ("Your phone is sending",)),
        Sign.CHECKING: Words("Checking", ("One moment, please",)),
        Sign.GRANTED: Words("Welcome", ("You may go in",)),
        Sign.REFUSED: Words("No entry", ("Please ask the staff",)),
        Sign.UNDETERMINED: Words("Cannot check now", ("This is not your fault.", "Please ask the staff")),
        Sign.DECLINED: Words("Not shared", ("Too little was shared.", "Nothing is kept")),
        Sign.NOT_READABLE: Words("Not a mobile ID", ("Use the mobile ID", "on your phone")),
        Sign.UNLOCK: Words("Unlock your phone", ("Then hold it here",)),
        Sign.ONE_ONLY: Words("One at a time", ("Hold only your phone", "to the reader")),
        Sign.TAP_AGAIN: Words("Tap once more", ("Approve on the phone,", "then hold it here again")),
        Sign.TRY_AGAIN: Words("Please try again", ("The connection broke",)),
        Sign.FAULT: Words("Out of order", ("Please ask the staff",)),
        Sign.MAINTENANCE: Words("Maintenance", ("Back in a moment",)),
    }
)

INVITATIONS: Mapping[frozenset[By], Words] = MappingProxyType(
    {
        frozenset({By.TAP}): Words("Tap your phone", ("Unlock it and", "hold it here")),
        frozenset({By.TAP, By.CODE}): Words("Tap or show code", ("Hold your phone here", "with the mobile ID open")),
    }
)
"""What READY says where a code is not the only way to begin."""

PARTS: Mapping[str, str] = MappingProxyType({"bluetooth": "Bluetooth", "camera": "Camera", "nfc": "NFC"})
"""Parts that can fail, as a screen names them."""

_ICONS: Mapping[Sign, str] = MappingProxyType(
    {
        Sign.READY: "qr",
        Sign.CONNECTING: "waves",
        Sign.APPROVE: "phone",
        Sign.APPROVE_HERE: "approve_here",
        Sign.HOLD_STILL: "transfer",
        Sign.CHECKING: "hourglass",
        Sign.GRANTED: "tick",
        Sign.REFUSED: "cross",
        Sign.UNDETERMINED: "question",
        Sign.DECLINED: "hand",
        Sign.NOT_READABLE: "no_qr",
        Sign.UNLOCK: "unlock",
        Sign.ONE_ONLY: "one",
        Sign.TAP_AGAIN: "tap_again",
        Sign.TRY_AGAIN: "again",
        Sign.FAULT: "warning",
        Sign.MAINTENANCE: "wrench",
    }
)

_STEADY = Blink()

# Seconds on and off. Any two rhythms differ by a sixth or more in period, or clearly in how much of it is lit.
_LAMPS: Mapping[Sign, tuple[tuple[Colour, Blink], ...]] = MappingProxyType(
    {
        Sign.READY: ((Colour.GREEN, Blink(0.12, 2.88)),),
        Sign.CONNECTING: ((Colour.AMBER, Blink(0.2, 1.0)),),
        Sign.APPROVE: ((Colour.AMBER, Blink(1.3, 0.2)),),
        Sign.APPROVE_HERE: ((Colour.AMBER, Blink(2.21, 0.39)),),
        Sign.HOLD_STILL: ((Colour.AMBER, Blink(0.35, 0.35)),),
        Sign.CHECKING: ((Colour.AMBER, Blink(0.1, 0.4)),),
        Sign.GRANTED: ((Colour.GREEN, _STEADY),),
        Sign.REFUSED: ((Colour.RED, Blink(0.2, 0.2)),),
        Sign.UNDETERMINED: ((Colour.RED, Blink(1.1, 1.1)), (Colour.AMBER, Blink(1.1, 1.1))),
        Sign.DECLINED: ((Colour.AMBER, Blink(0.8, 0.8)),),
        Sign.NOT_READABLE: ((Colour.AMBER, Blink(0.8, 0.2)),),
        Sign.UNLOCK: ((Colour.AMBER, Blink(1.3, 1.3)),),
        Sign.ONE_ONLY: ((Colour.AMBER, Blink(0.65, 0.65)),),
        Sign.TAP_AGAIN: ((Colour.AMBER, Blink(3.06, 0.54)),),
        Sign.TRY_AGAIN: ((Colour.AMBER, Blink(0.15, 0.7)),),
        Sign.FAULT: ((Colour.RED, Blink(0.2, 1.8)),),
        Sign.MAINTENANCE: ((Colour.AMBER, Blink(2.0, 2.0)),),
    }
)


def _beeps(hertz: int, *lengths: float, gap: float) -> tuple[Note, ...]:
    """Return tones of one pitch with equal gaps."""
    notes = [part for seconds in lengths for part in (Note(hertz, seconds), Note(0, gap))]
    return tuple(notes[:-1])


_NOTES: Mapping[Sign, tuple[Note, ...]] = MappingProxyType(
    {
        Sign.READY: (),
        Sign.CONNECTING: _beeps(1200, 0.08, gap=0.0),
        Sign.APPROVE: (Note(880, 0.12), Note(0, 0.1), Note(1175, 0.25)),
        Sign.APPROVE_HERE: (Note(880, 0.12), Note(0, 0.1), Note(1175, 0.5)),
        Sign.HOLD_STILL: _beeps(1000, 0.05, 0.05, gap=0.07),
        Sign.CHECKING: _beeps(800, 0.03, gap=0.0),
        Sign.GRANTED: (Note(1047, 0.12), Note(1319, 0.12), Note(1568, 0.3)),
        Sign.REFUSED: _beeps(330, 0.35, 0.35, gap=0.12),
        Sign.UNDETERMINED: (Note(523, 0.3), Note(0, 0.15), Note(494, 0.15), Note(0, 0.15), Note(523, 0.3)),
        Sign.DECLINED: (Note(660, 0.25), Note(0, 0.1), Note(523, 0.12)),
        Sign.NOT_READABLE: _beeps(415, 0.1, 0.1, 0.1, gap=0.08),
        Sign.UNLOCK: _beeps(587, 0.1, 0.3, gap=0.1),
        Sign.ONE_ONLY: _beeps(587, 0.3, 0.1, gap=0.1),
        Sign.TAP_AGAIN: (Note(880, 0.12), Note(0, 0.1), Note(1175, 0.25), Note(0, 0.1), Note(1175, 0.25)),
        Sign.TRY_AGAIN: _beeps(698, 0.2, 0.2, gap=0.2),
        Sign.FAULT: _beeps(247, 1.0, gap=0.0),
        Sign.MAINTENANCE: _beeps(600, 0.05, 0.05, gap=0.5),
    }
)


def inviting(screen: Screen, by: Collection[By]) -> Screen:
    """Return the screen that invites people to begin in these ways; the same screen where it says so already."""
    words = INVITATIONS.get(frozenset(by))
    return screen if words is None else Screen("tap", words.headline, words.lines)


def naming(screen: Screen, parts: Sequence[str]) -> Screen:
    """Return the screen with the failed parts named in its first small line; the same screen without any."""
    if not parts:
        return screen
    named = ", ".join(PARTS.get(part, part) for part in parts)
    return replace(screen, lines=(f"No {named}", *screen.lines)[:2])


BLANK = Screen("", "")
"""A dark display: what is shown while nothing is said."""


def signals(words: Mapping[Sign, Words] = ENGLISH) -> Mapping[Sign, Signal]:
    """Return every sign's signal with the given words. ValueError when a sign has no words."""
    missing = [str(sign) for sign in Sign if sign not in words]
    if missing:
        raise ValueError(f"no words for: {', '.join(missing)}")
    return MappingProxyType(
        {
            sign: Signal(_LAMPS[sign], _NOTES[sign], Screen(_ICONS[sign], words[sign].headline, words[sign].lines))
            for sign in Sign
        }
    )
