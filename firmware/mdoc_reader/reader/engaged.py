"""What a presentation begins with: the phone's engagement, how it can be reached, and where both came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from mdoc_reader.mdoc.engagement import DeviceEngagement
from mdoc_reader.mdoc.transcript import NfcHandover
from mdoc_reader.model.connection import BleMethod, ConnectionMethod, NfcMethod
from mdoc_reader.nfc.channel import CardChannel

M = TypeVar("M", BleMethod, NfcMethod)


@dataclass(frozen=True, slots=True)
class Engaged:
    """One phone that wants to be read.

    Args:
        device: its engagement.
        methods: how it can be reached, in its order of preference.
        handover: the NFC messages that belong to the transcript; None for a QR code.
        offered: the UUID that a negotiated handover promised the phone to find us under.
        card: the phone at the reader, where it was tapped.
    """

    device: DeviceEngagement
    methods: tuple[ConnectionMethod, ...]
    handover: NfcHandover | None = field(default=None, repr=False)
    offered: UUID | None = field(default=None, repr=False)
    card: CardChannel | None = None

    @classmethod
    def by_code(cls, device: DeviceEngagement) -> Engaged:
        """Return the engagement of a QR code."""
        return cls(device, device.methods)

    @property
    def ble(self) -> BleMethod | None:
        """The first Bluetooth method, if any."""
        return self._first(BleMethod)

    @property
    def nfc(self) -> NfcMethod | None:
        """NFC data transfer, if it was offered and the phone was tapped."""
        return None if self.card is None else self._first(NfcMethod)

    def _first(self, kind: type[M]) -> M | None:
        return next((method for method in self.methods if isinstance(method, kind)), None)
