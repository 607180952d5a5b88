"""The panel: one place that turns a sign into light, sound and a screen, and a granted decision into an open door.

Lamps come first and on the caller's own thread, because a pin is written in microseconds and the person is waiting; the
display is slow and may be broken, so it has an owner thread and never holds up a lamp or the relay.

A portrait passes through on its way to the display and is not kept here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from mdoc_reader.model.decision import Decision
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.display_owner import DisplayOwner
from mdoc_reader.outputs.languages import Language, english
from mdoc_reader.outputs.ports import Colour, Display, Picture, Pins, Screen
from mdoc_reader.outputs.signals import BLANK, Signal, inviting, naming, signals

HealthCallback = Callable[[str, bool], None]
"""Called with the part (`pins` or `display`) and whether it works now; possibly from the display's thread."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What is being said, in no language."""

    sign: Sign
    parts: tuple[str, ...] = ()
    by: tuple[By, ...] = ()
    code: str = field(default="", repr=False)


class Panel:
    """Lamps, buzzer, relay and display of one reader. Used from one thread; leaving it as a context closes it.

    Args:
        pins: lamps, buzzer and relay.
        display_factory: opens the display; called on the display's owner thread, again after a failure.
        relay_pulse_s: how long a grant opens unless it says otherwise, in seconds.
        overrun_s: how long one display operation may take before its thread is replaced.
        back_off_s: first and longest pause between attempts to open a display.
        languages: what the reader speaks; the first is the one it falls back to. English without any.
    """

    def __init__(
        self,
        pins: Pins,
        display_factory: Callable[[], Display],
        *,
        relay_pulse_s: float = 3.0,
        overrun_s: float = 2.0,
        back_off_s: tuple[float, float] = (0.5, 30.0),
        languages: Sequence[Language] = (),
    ) -> None:
        """Bring everything to rest."""
        if not relay_pulse_s > 0:
            raise ValueError("relay_pulse_s must be a number of seconds above zero")
        self._pins = pins
        self._relay_pulse_s = relay_pulse_s
        self._languages = tuple(languages) or (english(),)
        self._tables = tuple(signals(language) for language in self._languages)
        self._speaking = 0
        self._listeners: list[HealthCallback] = []
        self._pins_worked = True
        self._said: _Said | None = None
        self._holder = False  # whether a portrait may be on the display
        self._last_light: float | None = None
        self._closed = False
        self._pins.rest()
        self._display = DisplayOwner(
            display_factory,
            overrun_s=overrun_s,
            back_off_s=back_off_s,
            on_change=lambda works: self._tell("display", works),
        )

    def __enter__(self) -> Self:
        """Return the panel."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Rest and close, however the body ended."""
        self.close()

    @property
    def sign(self) -> Sign | None:
        """What is being said; None at rest."""
        return None if self._said is None else self._said.sign

    @property
    def language(self) -> str:
        """The tag of the language the display speaks now."""
        return self._languages[self._speaking].tag

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags of all languages, the one it falls back to first."""
        return tuple(language.tag for language in self._languages)

    @property
    def last_light(self) -> float | None:
        """`time.monotonic()` right after the lamps last changed; None before the first sign."""
        return self._last_light

    @property
    def healthy(self) -> bool:
        """Whether pins and display work."""
        pins = self._pins.healthy  # both are asked: the display's answer also replaces a stuck thread
        return self._display.healthy and pins

    def on_health(self, callback: HealthCallback) -> None:
        """Have `callback(part, works)` called at each change. It must return at once and not raise."""
        self._listeners.append(callback)

    def signal(self, sign: Sign, parts: tuple[str, ...] = (), by: tuple[By, ...] = (), code: str = "") -> None:
        """Say something on lamps, buzzer and display, in that order. Returns at once; never raises.

        A sign that is already lit, said again with other `parts`, `by` or `code`, changes the display alone. `parts`
        names what does not work, or for an alarm what it is about; `code` is shown as a QR code.
        """
        if self._closed:
            return
        again = bool(parts or by or code) and self.sign is sign
        self._say(_Said(sign, parts, by, code), again=again)
        self._show()
        self._check_pins()

    def show_holder(self, picture: Picture, sign: Sign = Sign.COMPARE) -> None:
        """Say `sign` with a portrait on the display, until `hide` or whatever is said next. Returns at once.

        The panel does not keep the portrait. A display without room for one shows the sign's own screen.
        """
        if self._closed:
            return
        self._say(_Said(sign), again=self.sign is sign)
        self._holder = True
        self._display.show(replace(self._screen(), picture=picture))
        self._check_pins()

    def hide(self) -> None:
        """Take the portrait off the display and go on saying what is said."""
        if not self._closed and self._holder:
            self._show()

    def grant(self, decision: Decision, pulse_s: float | None = None) -> None:
        """Open: lamps, then the relay for `pulse_s` seconds (the driver bounds it), then sound and display.

        Raises ValueError, with nothing moved, for a decision that is not granted or a pulse that is not above zero.
        """
        seconds = self._relay_pulse_s if pulse_s is None else pulse_s
        if not decision.granted:
            raise ValueError("the relay moves on a granted decision only")
        if not seconds > 0:
            raise ValueError("a relay pulse must last longer than zero seconds")
        if self._closed:
            return
        signal = self._tables[self._speaking][Sign.GRANTED]
        said = self.sign is Sign.GRANTED
        if not said:
            self._light(signal)
            self._said = _Said(Sign.GRANTED)
        self._pins.energise_relay(seconds)
        if not said:
            self._pins.tone(signal.notes)
            self._show()
        self._check_pins()

    def next_language(self) -> None:
        """Speak the next language from now on: the screen is drawn again. A portrait stays until the next sign."""
        self._speak((self._speaking + 1) % len(self._languages))

    def default_language(self) -> None:
        """Speak the first language again, for the next person."""
        self._speak(0)

    def rest(self) -> None:
        """Relay to its rest at once, lamps off, silence, display dark. Never raises."""
        if self._closed:
            return
        self._said = None
        self._pins.rest()
        self._show()
        self._check_pins()

    def close(self) -> None:
        """Rest, then release the pins and the display; waits at most a second for the display. May be repeated."""
        if self._closed:
            return
        self._closed = True
        self._said = None
        self._pins.close()
        self._display.close(timeout_s=1.0)

    def _say(self, said: _Said, *, again: bool) -> None:
        """Lamps and sound, unless they say it already."""
        self._said = said
        if not again:
            signal = self._tables[self._speaking][said.sign]
            self._light(signal)
            self._pins.tone(signal.notes)

    def _speak(self, number: int) -> None:
        if self._closed or number == self._speaking:
            return
        self._speaking = number
        if not self._holder:  # the portrait is not ours to draw again
            self._show()

    def _show(self) -> None:
        """Have the display say it, without a portrait."""
        self._holder = False
        self._display.show(self._screen())

    def _screen(self) -> Screen:
        said = self._said
        if said is None:
            return BLANK
        language = self._languages[self._speaking]
        screen = inviting(self._tables[self._speaking][said.sign].screen, said.by, language)
        screen = naming(screen, said.sign, said.parts, language)
        return replace(screen, code=said.code) if said.code else screen

    def _light(self, signal: Signal) -> None:
        lit = dict(signal.lamps)
        for colour in Colour:
            if colour not in lit:
                self._pins.light(colour, None)
        for colour, blink in signal.lamps:
            self._pins.light(colour, blink)
        self._last_light = time.monotonic()

    def _check_pins(self) -> None:
        works = self._pins.healthy
        if works != self._pins_worked:
            self._pins_worked = works
            self._tell("pins", works)

    def _tell(self, part: str, works: bool) -> None:
        for callback in tuple(self._listeners):
            callback(part, works)
