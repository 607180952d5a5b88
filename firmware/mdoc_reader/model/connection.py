"""Connection methods: how a phone said it can be reached (ISO 18013-5 device retrieval methods)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class BleMethod:
    """Bluetooth Low Energy.

    `peripheral_server`: the phone is GATT server and we connect to it under `peripheral_uuid`.
    `central_client`: the phone connects to us; we advertise `central_uuid`.
    `address`: 6 bytes, most significant first, where the phone named one. `psm`: L2CAP PSM (second edition).
    """

    peripheral_server: bool
    central_client: bool
    peripheral_uuid: UUID | None = None
    central_uuid: UUID | None = None
    address: bytes | None = None
    psm: int | None = None


@dataclass(frozen=True, slots=True)
class NfcMethod:
    """NFC data transfer, with the phone's limits in bytes."""

    max_command_data: int
    max_response_data: int


@dataclass(frozen=True, slots=True)
class WifiAwareMethod:
    """Wi-Fi Aware: read, and never used, because Linux has no usable stack for it."""

    passphrase: str | None = None
    operating_class: int | None = None
    channel: int | None = None
    bands: bytes = b""


@dataclass(frozen=True, slots=True)
class RestMethod:
    """Website retrieval (ISO 18013-7): read only."""

    uri: str


@dataclass(frozen=True, slots=True)
class UnknownMethod:
    """A type or version this reader does not know; kept so that it can be named."""

    type: int
    version: int


ConnectionMethod = BleMethod | NfcMethod | WifiAwareMethod | RestMethod | UnknownMethod
