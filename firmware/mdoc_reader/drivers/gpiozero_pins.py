"""Lamps, buzzer, relay and contacts on a Raspberry Pi's GPIO pins, through gpiozero and the configured pin library.

Never tried on hardware by this project's tests: they drive it over gpiozero's mock pins, and in a guest over
lgpio and a simulated chip of a real kernel.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from importlib import import_module
from typing import Literal

from mdoc_reader.drivers import gpiozero_examine
from mdoc_reader.drivers.board import Board, open_factory
from mdoc_reader.drivers.board_wiring import Wiring
from mdoc_reader.model.check import Check
from mdoc_reader.outputs.ports import Pins

SIMULATED = False

# gpiozero's other factories are left out on purpose: `mock` moves nothing, and `pigpio` speaks through an IP socket,
# which the reader's process may not open.
_FACTORIES = {
    "lgpio": ("mdoc_reader.drivers.lgpio_factory", "SteadyFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
}


class Options(Wiring, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The wiring, and which library drives the pins. `native` has no tones: set `buzzer_tonal = false` with it."""

    factory: Literal["lgpio", "rpigpio", "native"] = "lgpio"

    def __post_init__(self) -> None:
        """Refuse what moves a relay by itself."""
        super().__post_init__()
        if self.relay is not None and self.factory == "native":
            raise ValueError("the factory 'native' moves a relay for a moment at each start: use lgpio")


def open_pins(options: Options) -> Pins:
    """Claim the pins. OSError when the library or the hardware is not there."""
    # lgpio makes a pipe in its working directory when it is imported, and a service's is often not writable.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    module, name = _FACTORIES[options.factory]
    try:
        make = getattr(import_module(module), name)
        # lgpio's own error is no OSError and no GPIOZeroError.
        faults = (import_module("lgpio").error,) if options.factory == "lgpio" else (RuntimeError,)
    except ImportError as error:
        raise OSError(f"the {options.factory} library is not installed: {error}") from error
    return Board(open_factory(make, faults), options, faults)


def header_pins(options: Options) -> Mapping[int, str]:
    """Return what hangs on which GPIO, by the names of the options."""
    outputs = {pin: name for name, pin in options.parts().items() if pin is not None}
    return outputs | {one.pin: one.name for one in options.inputs()}


async def examine(options: Options) -> tuple[Check, ...]:
    """Look at the chip and who has the lines. Claims nothing."""
    return await asyncio.to_thread(gpiozero_examine.examined, options.factory, header_pins(options))
