"""What the lab's contactless cards have behind their protocol: something that takes APDUs (ISO/IEC 7816-4).

The card emulators (`nfc_card` on the PN532 emulator, `pcsc_card` on the virtual PC/SC reader) carry APDUs to such a
handler. How long a phone thinks, or waits for its owner's consent, is part of the answer: the card below models it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApduAnswer:
    """A response APDU: `data` ends with the status word; `after_s` is how many seconds the phone needs before it."""

    data: bytes = field(repr=False)
    after_s: float = 0.0


class ApduHandler(Protocol):
    """The applications of a card or phone. Called from the thread of whatever carries the APDUs, one call at a time."""

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer a command APDU as it was received. Every command gets an answer, at worst a status word."""

    def on_deselected(self) -> None:
        """The field was lost or the card was deselected: what the applications had selected and begun is over."""
