"""No pins: for a reader that answers by other means than lamps and a relay."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from mdoc_reader.outputs.ports import Blink, Colour, ContactCallback, Note, Pins

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Nothing to set."""


class _NoPins:
    healthy = True

    @property
    def heartbeat(self) -> float:
        """Now: nothing lives here, and nothing can die."""
        return time.monotonic()

    def light(self, colour: Colour, blink: Blink | None) -> None:
        """Do nothing."""

    def tone(self, notes: Sequence[Note]) -> None:
        """Do nothing."""

    def energise_relay(self, seconds: float) -> None:
        """Do nothing."""

    def on_contact(self, callback: ContactCallback) -> None:
        """Do nothing: there is no contact to tell of."""

    def alarm(self, rhythm: Blink | None) -> None:
        """Do nothing."""

    def rest(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_pins(options: Options) -> Pins:
    """Return pins that do nothing."""
    del options
    return _NoPins()
