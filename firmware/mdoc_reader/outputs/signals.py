"""What each sign looks and sounds like: lamp rhythms, notes and a screen.

Nobody has to tell colours apart or hear pitch: every sign has a rhythm of light and a rhythm of sound that no other
sign has (WCAG 2.2 success criterion 1.4.1), and no lamp flashes more than three times a second (criterion 2.3.1).
The words come from a language (`languages.py`); which colours a display may use comes from the sign's mood.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.languages import DARK, Language, Words, english
from mdoc_reader.outputs.ports import Blink, Colour, Mood, Note, Screen


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign on every output: lamps that are lit (all others dark), notes played once, and the display's screen."""

    lamps: tuple[tuple[Colour, Blink], ...]
    notes: tuple[Note, ...]
    screen: Screen


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
        Sign.COMPARE: "faces",
        Sign.CLOSED: "clock",
        Sign.ALARM: "bell",
        Sign.FAULT: "warning",
        Sign.MAINTENANCE: "wrench",
        Sign.ASLEEP: "",
    }
)

_MOODS: Mapping[Sign, Mood] = MappingProxyType(
    {
        Sign.READY: Mood.CALM,
        Sign.CONNECTING: Mood.BUSY,
        Sign.APPROVE: Mood.BUSY,
        Sign.APPROVE_HERE: Mood.BUSY,
        Sign.HOLD_STILL: Mood.BUSY,
        Sign.CHECKING: Mood.BUSY,
        Sign.GRANTED: Mood.GOOD,
        Sign.REFUSED: Mood.BAD,
        Sign.UNDETERMINED: Mood.DOUBT,
        Sign.DECLINED: Mood.DOUBT,
        Sign.NOT_READABLE: Mood.DOUBT,
        Sign.UNLOCK: Mood.DOUBT,
        Sign.ONE_ONLY: Mood.DOUBT,
        Sign.TAP_AGAIN: Mood.BUSY,
        Sign.TRY_AGAIN: Mood.DOUBT,
        Sign.COMPARE: Mood.BUSY,
        Sign.CLOSED: Mood.CALM,
        Sign.ALARM: Mood.BAD,
        Sign.FAULT: Mood.BAD,
        Sign.MAINTENANCE: Mood.CALM,
        Sign.ASLEEP: Mood.CALM,
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
        Sign.COMPARE: ((Colour.AMBER, Blink(0.2, 0.8)),),
        Sign.CLOSED: ((Colour.RED, Blink(0.12, 4.88)),),
        Sign.ALARM: ((Colour.RED, Blink(0.4, 0.1)),),
        Sign.FAULT: ((Colour.RED, Blink(0.2, 1.8)),),
        Sign.MAINTENANCE: ((Colour.AMBER, Blink(2.0, 2.0)),),
        Sign.ASLEEP: (),
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
        Sign.COMPARE: _beeps(932, 0.1, 0.1, 0.3, gap=0.1),
        Sign.CLOSED: (Note(494, 0.2), Note(0, 0.3), Note(392, 0.4)),
        Sign.ALARM: _beeps(988, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, gap=0.1),
        Sign.FAULT: _beeps(247, 1.0, gap=0.0),
        Sign.MAINTENANCE: _beeps(600, 0.05, 0.05, gap=0.5),
        Sign.ASLEEP: (),
    }
)


BLANK = Screen("", "")
"""A dark display: what is shown while nothing is said."""


def signals(language: Language | None = None) -> Mapping[Sign, Signal]:
    """Return every sign's signal in a language; in English without one."""
    words = (language or english()).signs
    return MappingProxyType(
        {
            sign: Signal(_LAMPS[sign], _NOTES[sign], BLANK if sign in DARK else _screen(sign, words[sign]))
            for sign in Sign
        }
    )


def _screen(sign: Sign, words: Words) -> Screen:
    return Screen(_ICONS[sign], words.headline, words.lines, _MOODS[sign])


def inviting(screen: Screen, by: Collection[By], language: Language) -> Screen:
    """Return the screen that invites people to begin in these ways; the same screen where it says so already."""
    words = language.invitation(by)
    return screen if words is None else replace(screen, icon="tap", headline=words.headline, lines=words.lines)


def naming(screen: Screen, sign: Sign, parts: Sequence[str], language: Language) -> Screen:
    """Return the screen with the parts named in its first small line; the same screen without any.

    What an alarm is about is said with the words for it.
    """
    if not parts:
        return screen
    if sign is Sign.ALARM and parts[0] in language.alarms:
        words = language.alarms[parts[0]]
        return replace(screen, headline=words.headline, lines=words.lines)
    return replace(screen, lines=(language.named(sign, parts), *screen.lines)[:2])
