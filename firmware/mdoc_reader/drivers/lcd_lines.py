"""The lines of a display that are no part of its bus: data or command, reset, backlight, on gpiozero pins.

luma speaks to pins as RPi.GPIO does, which works on no Raspberry Pi 5 and no current kernel; this has those few names.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from gpiozero import DigitalOutputDevice, GPIOZeroError

FAULTS = (OSError, GPIOZeroError)
_FACTORIES = {
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
}


class Lines:
    """Output lines by their GPIO number. Used by one thread; OSError when the hardware fails."""

    OUT = 0
    LOW = 0
    HIGH = 1

    def __init__(self, factory: Any, faults: tuple[type[Exception], ...] = ()) -> None:
        """Use a gpiozero pin factory, which is closed with the lines. `faults` are its library's own errors."""
        self._factory = factory
        self._faults = (*FAULTS, *faults)
        self._lines: dict[int, DigitalOutputDevice] = {}

    def setup(self, pin: int, direction: int) -> None:
        """Claim a line, low."""
        del direction
        if pin in self._lines:
            return
        try:
            self._lines[pin] = DigitalOutputDevice(pin, pin_factory=self._factory)
        except self._faults as error:
            raise OSError(f"GPIO {pin} cannot be used: {error}") from error

    def output(self, pin: int, level: int) -> None:
        """Set a line."""
        try:
            self._lines[pin].value = level
        except self._faults as error:
            raise OSError(f"GPIO {pin} does not answer: {error}") from error

    def cleanup(self, pins: int | Iterable[int] = ()) -> None:
        """Release some lines."""
        for pin in [pins] if isinstance(pins, int) else pins:
            line = self._lines.pop(pin, None)
            if line is not None:
                with suppress(*self._faults):
                    line.close()

    def close(self) -> None:
        """Release all lines and the factory."""
        self.cleanup(tuple(self._lines))
        with suppress(*self._faults):
            self._factory.close()


def open_lines(library: str) -> Lines:
    """Open the pin library of this name. OSError when it, or the hardware, is not there."""
    # lgpio makes a pipe in its working directory when it is imported, and a service's is often not writable.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    module, name = _FACTORIES[library]
    try:
        make = getattr(import_module(module), name)
        faults = (import_module("lgpio").error,) if library == "lgpio" else (RuntimeError,)
    except ImportError as error:
        raise OSError(f"the {library} library is not installed: {error}") from error
    try:
        return Lines(make(), faults)
    except (*FAULTS, *faults) as error:
        raise OSError(f"the GPIO pins cannot be opened: {error}") from error
