"""No Bluetooth: the driver to name where a reader has none, or must not use it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec

from mdoc_reader.transport.ports import (
    BleRadio,
    GattCharacteristic,
    GattClient,
    GattClientEvents,
    GattServer,
    GattServerEvents,
    LinkCode,
    LinkError,
)

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Nothing to choose."""


class DisabledRadio:
    """A radio that is never available."""

    available = False

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Never call back: nothing changes."""

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Raise LinkError RADIO_OFF."""
        raise LinkError(LinkCode.RADIO_OFF, "Bluetooth is disabled in the configuration")

    async def serve(
        self, service: UUID, characteristics: tuple[GattCharacteristic, ...], events: GattServerEvents
    ) -> GattServer:
        """Raise LinkError RADIO_OFF."""
        raise LinkError(LinkCode.RADIO_OFF, "Bluetooth is disabled in the configuration")

    async def close(self) -> None:
        """Do nothing."""


async def open_bluetooth(options: Options) -> BleRadio:
    """Return the radio that is off."""
    del options
    return DisabledRadio()
