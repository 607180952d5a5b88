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
    LoneChannel,
    RadioTrouble,
)

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Nothing to choose."""


class DisabledRadio:
    """A radio that is never available."""

    available = False
    trouble = RadioTrouble.DISABLED

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Never call back: nothing changes."""

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Raise LinkError RADIO_OFF."""
        raise LinkError(LinkCode.RADIO_OFF, "Bluetooth is disabled in the configuration")

    async def open_channel(self, psm: int, service: UUID, address: bytes | None = None) -> LoneChannel:
        """Raise LinkError RADIO_OFF."""
        raise LinkError(LinkCode.RADIO_OFF, "Bluetooth is disabled in the configuration")

    async def serve(
        self,
        service: UUID,
        characteristics: tuple[GattCharacteristic, ...],
        events: GattServerEvents,
        *,
        channels: bool = False,
    ) -> GattServer:
        """Raise LinkError RADIO_OFF."""
        raise LinkError(LinkCode.RADIO_OFF, "Bluetooth is disabled in the configuration")

    async def close(self) -> None:
        """Do nothing."""


async def open_bluetooth(options: Options) -> BleRadio:
    """Return the radio that is off."""
    del options
    return DisabledRadio()
