"""No display: for a reader that speaks by lamps and sound alone."""

from __future__ import annotations

import msgspec

from mdoc_reader.outputs.ports import Display, Screen

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Nothing to set."""


class _NoDisplay:
    def show(self, screen: Screen) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_display(options: Options) -> Display:
    """Return a display that shows nothing."""
    del options
    return _NoDisplay()
