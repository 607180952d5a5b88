"""No line to the building: for a reader whose relay, screen or operator is the answer."""

from __future__ import annotations

import msgspec

from mdoc_reader.model.badge import Badge
from mdoc_reader.model.check import Check
from mdoc_reader.outputs.ports import Building

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Nothing to set."""


class _NoBuilding:
    healthy = True

    def present(self, badge: Badge) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_building(options: Options) -> Building:
    """Return a line that leads nowhere."""
    del options
    return _NoBuilding()


async def examine(options: Options) -> tuple[Check, ...]:
    """Have nothing to say."""
    del options
    return ()
