"""The two Wiegand lines D0 and D1 on GPIO pins, through lgpio.

A zero is a pulse on D0, a one a pulse on D1. Each pulse is made in one go, without giving Python's lock away; the
pauses between them can get longer and never shorter. lgpio's own waves are not used: they keep to a timetable, and
after a stall send what is late at once, closer together than a panel can tell apart.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

_CHIPS = 8
_OURS = ("pinctrl-bcm", "pinctrl-rp1")  # the header's GPIO chip, as the kernel labels it on each Raspberry Pi


def load_lgpio() -> Any:
    """Import lgpio, which carries no types. OSError where it is not installed."""
    # lgpio makes a pipe in its working directory when it is imported, and a service's is often not writable.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    try:
        return import_module("lgpio")
    except ImportError as error:
        raise OSError(f"the lgpio library is not installed: {error}") from error


class WiegandLines:
    """D0 and D1 as outputs at rest. For one thread; every method raises OSError when the hardware fails.

    Args:
        d0, d1: GPIO numbers.
        chip: number of the GPIO chip, or None for the one with the header's pins.
        pulse_high: whether a pin is high during a pulse; it rests at the other level.
    """

    def __init__(self, d0: int, d1: int, chip: int | None, *, pulse_high: bool) -> None:
        """Claim both pins, at rest."""
        self._lgpio = load_lgpio()
        self._pins = (d0, d1)
        self._rest = 0b00 if pulse_high else 0b11
        self._handle: int | None = None
        try:
            self._handle = self._open(chip)
            levels = [self._rest & 1, self._rest >> 1]
            self._lgpio.group_claim_output(self._handle, list(self._pins), levels)
        except self._lgpio.error as error:
            self.close()
            raise OSError(f"the Wiegand pins {d0} and {d1} cannot be used: {error}") from error

    def send(self, bits: tuple[int, ...], pulse_us: int, interval_us: int) -> None:
        """Play one frame and return when both lines are at rest again."""
        try:
            for bit in bits:
                self._pulse(bit, pulse_us / 1e6)
                time.sleep((interval_us - pulse_us) / 1e6)
            self._see_rest()
        except self._lgpio.error as error:
            raise OSError(f"a Wiegand frame was not sent: {error}") from error

    def _pulse(self, bit: int, seconds: float) -> None:
        # Bit 0 of a group's levels is D0, its bit 1 D1.
        self._write(self._rest ^ (1 << bit))
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:  # a sleep takes longer than a pulse
            pass
        self._write(self._rest)

    def _write(self, levels: int) -> None:
        self._lgpio.group_write(self._handle, self._pins[0], levels, 0b11)

    def close(self) -> None:
        """Rest both lines and release them. Never raises; may be repeated."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        with suppress(self._lgpio.error):
            self._lgpio.group_write(handle, self._pins[0], self._rest, 0b11)
        with suppress(self._lgpio.error):
            self._lgpio.group_free(handle, self._pins[0])
        with suppress(self._lgpio.error):
            self._lgpio.gpiochip_close(handle)

    def _see_rest(self) -> None:
        for place, pin in enumerate(self._pins):
            if self._lgpio.gpio_read(self._handle, pin) != self._rest >> place & 1:
                self._write(self._rest)
                raise OSError(f"the Wiegand line on GPIO {pin} was not at rest after a frame")

    def _open(self, chip: int | None) -> int:
        if chip is not None:
            return int(self._lgpio.gpiochip_open(chip))
        for number in range(_CHIPS):
            try:
                handle = int(self._lgpio.gpiochip_open(number))
            except self._lgpio.error:
                continue
            # The answer is a status, the number of lines, the name, the label; or the status alone.
            if str(self._lgpio.gpio_get_chip_info(handle)[-1]).startswith(_OURS):
                return handle
            self._lgpio.gpiochip_close(handle)
        raise OSError("no GPIO chip of a Raspberry Pi's header was found: set `chip`")
