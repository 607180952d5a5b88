"""Lamps, buzzer, relay and contacts on a Raspberry Pi's GPIO pins, through gpiozero and the configured pin library.

Never tried on hardware by this project's tests: they drive the same `Board` over gpiozero's mock pins.
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from typing import Literal

from mdoc_reader.drivers.board import Board, open_factory
from mdoc_reader.drivers.board_wiring import Wiring
from mdoc_reader.outputs.ports import Pins

SIMULATED = False

# gpiozero's other factories are left out on purpose: `mock` moves nothing, and `pigpio` speaks through an IP socket,
# which the reader's process may not open.
_FACTORIES = {
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
}


class Options(Wiring, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The wiring, and which library drives the pins. `native` has no tones: set `buzzer_tonal = false` with it."""

    factory: Literal["lgpio", "rpigpio", "native"] = "lgpio"


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
