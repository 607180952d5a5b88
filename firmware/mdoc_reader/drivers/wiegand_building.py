"""A badge number to a panel's Wiegand input, on two GPIO pins behind two transistors.

The line goes one way: nothing comes back, so that what is told here is that a frame left, and never that it arrived.
A frame that was begun is sent to its end. Never tried on a panel by this project's tests: they record a real kernel's
simulated GPIO lines.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from mdoc_reader.drivers.wiegand_frame import Layout, Length
from mdoc_reader.drivers.wiegand_lines import WiegandLines
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.check import Check, Health
from mdoc_reader.outputs.ports import Building

log = logging.getLogger(__name__)

SIMULATED = False

_PART = "building"
_CLOSE_S = 5.0
_RETRY_S = (0.5, 10.0)
_PULLED_UP = range(9)  # GPIO 0 to 8 of a Raspberry Pi are pulled up until a program takes them, the others down

BcmPin = Annotated[int, msgspec.Meta(ge=0, le=27)]


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The pins, the format and the timing.

    `facility` is the site's code, where the panel wants one. `pulse` is a pin's level during a pulse: `high` for the
    usual transistors that pull the line down, `low` for a buffer that does not invert. `chip` is the number of the
    GPIO chip; without it the header's chip is looked for.
    """

    d0: BcmPin
    d1: BcmPin
    format: Length = 26
    facility: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    pulse: Literal["high", "low"] = "high"
    pulse_us: Annotated[int, msgspec.Meta(ge=20, le=200)] = 50
    interval_us: Annotated[int, msgspec.Meta(ge=500, le=20_000)] = 2000
    gap_ms: Annotated[int, msgspec.Meta(ge=50, le=5000)] = 250
    chip: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None

    def __post_init__(self) -> None:
        """Refuse one pin for both lines, and a facility code without room."""
        if self.d0 == self.d1:
            raise ValueError("d0 and d1 share one pin")
        self.layout()

    def layout(self) -> Layout:
        """Return what a frame is made of."""
        return Layout(self.format, self.facility)

    def lines(self) -> WiegandLines:
        """Claim the pins. Raises OSError."""
        return WiegandLines(self.d0, self.d1, self.chip, pulse_high=self.pulse == "high")


class WiegandBuilding:
    """A line to a panel. See `outputs.ports.Building`; calls may come from any thread.

    One badge waits at most, for the frame before it and the gap behind that; what comes while one waits is dropped.
    After a fault the pins are claimed anew, and a badge that met the fault is not sent again.
    """

    def __init__(self, options: Options, lines: WiegandLines) -> None:
        """Take over claimed pins."""
        self._options = options
        self._layout = options.layout()
        self._lines: WiegandLines | None = lines
        self._wake = threading.Condition()
        self._waiting: Badge | None = None
        self._closing = False
        self.sent = 0
        """Frames that left."""
        self.dropped = 0
        """Badges that did not."""
        self._thread = threading.Thread(target=self._live, name="wiegand", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the pins are claimed, the last frame left, and the thread lives. A panel cannot be seen from here."""
        return self._lines is not None and self._thread.is_alive()

    def present(self, badge: Badge) -> None:
        """Send a badge as soon as the line is free, or drop it where one is waiting already."""
        with self._wake:
            if self._closing:
                return
            if self._waiting is not None or not self.healthy:
                self._drop()
                return
            self._waiting = badge
            self._wake.notify()

    def close(self) -> None:
        """Let a begun frame end, rest the lines, release the pins. May be repeated."""
        with self._wake:
            self._closing = True
            self._waiting = None
            self._wake.notify()
        self._thread.join(_CLOSE_S)

    def _live(self) -> None:
        try:
            pause = _RETRY_S[0]
            while not self._closing:
                if self._lines is None and not self._claim():
                    self._rest_for(pause)
                    pause = min(2 * pause, _RETRY_S[1])
                    continue
                badge = self._next()
                if badge is not None and self._send(badge):
                    pause = _RETRY_S[0]
        finally:
            lines, self._lines = self._lines, None
            if lines is not None:
                lines.close()

    def _claim(self) -> bool:
        try:
            self._lines = self._options.lines()
        except OSError as error:
            log.debug("no Wiegand line: %s", error)
            return False
        log.info("the Wiegand line works again")
        return True

    def _next(self) -> Badge | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting is not None or self._closing)
            badge, self._waiting = self._waiting, None
            return None if self._closing else badge

    def _send(self, badge: Badge) -> bool:
        lines = self._lines
        if lines is None:
            return False
        try:
            lines.send(self._layout.bits(badge), self._options.pulse_us, self._options.interval_us)
        except OSError as error:
            log.warning("%s", error)
            self._lines = None
            lines.close()
            with self._wake:
                self._drop()
            return False
        self.sent += 1
        self._rest_for(self._options.gap_ms / 1000)
        return True

    def _rest_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._wake:
            while not self._closing and (left := until - time.monotonic()) > 0:
                self._wake.wait(left)

    def _drop(self) -> None:
        self.dropped += 1
        log.warning("a badge was not sent to the panel, %d so far", self.dropped)


def open_building(options: Options) -> Building:
    """Claim the pins. OSError when the library or the pins are not there."""
    return WiegandBuilding(options, options.lines())


def header_pins(options: Options) -> Mapping[int, str]:
    """Return what hangs on which GPIO; nothing on another chip than the header's."""
    return {options.d0: "d0", options.d1: "d1"} if options.chip is None else {}


async def examine(options: Options) -> tuple[Check, ...]:
    """Claim the pins as the reader would, at rest, and say what there is to say of the wiring."""
    return await asyncio.to_thread(_examined, options)


def _examined(options: Options) -> tuple[Check, ...]:
    try:
        options.lines().close()
    except OSError as error:
        if "busy" in str(error).lower():
            advice = "where that is the running reader, all is well: stop it to look closer"
            return (Check(_PART, Health.WARNING, str(error), advice),)
        return (Check(_PART, Health.FAULT, str(error), "install python3-lgpio, and correct `d0`, `d1` and `chip`"),)
    what = f"Wiegand {options.format} on GPIO {options.d0} and {options.d1}; whether a panel listens cannot be seen"
    checks = [Check(_PART, Health.OK, what)]
    wrong = [pin for pin in (options.d0, options.d1) if (pin in _PULLED_UP) == (options.pulse == "high")]
    if wrong:
        named = " and ".join(f"GPIO {pin}" for pin in wrong)
        advice = "use GPIO 9 to 27" if options.pulse == "high" else "use GPIO 0 to 8, or pull the pins up"
        checks.append(Check(_PART, Health.WARNING, f"{named}: not at rest from power-up to the reader's start", advice))
    return tuple(checks)
