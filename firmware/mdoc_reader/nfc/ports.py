"""What this reader needs of an NFC front end: see what is in the field, and exchange frames or APDUs with it.

All of it is blocking and belongs to one owner thread, because front ends are. `abort` alone is for other threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mdoc_reader.model.reasons import ReasonCode


class NfcTrouble(ReasonCode):
    """Why NFC is not available."""

    DISABLED = "nfc_disabled", "NFC is switched off in the configuration."
    NO_DEVICE = "nfc_no_device", "No NFC reader is connected where the configuration says."
    NO_ANSWER = "nfc_no_answer", "The NFC reader does not answer: check its power, wiring and interface switches."
    BUSY = "nfc_busy", "The NFC reader is in use by another program."
    NO_SERVICE = "nfc_no_service", "The smart card service (pcscd) does not run."
    NOT_ALLOWED = "nfc_not_allowed", "The NFC reader may not be opened by this user."
    LOST = "nfc_device_lost", "The NFC reader was unplugged or stopped answering."
    UNSUITABLE = "nfc_unsuitable", "This NFC reader lacks something that is needed."


class NfcDeviceError(Exception):
    """The front end itself cannot be opened or used; nothing about the card. It is closed and opened anew."""

    def __init__(self, code: NfcTrouble, detail: str = "") -> None:
        """Keep the reason; `detail` is for the log and holds no bytes of a card."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


class FieldCode(ReasonCode):
    """Why an exchange with what is in the field ended without its result."""

    LOST = "nfc_lost", "The phone was taken away from the reader."
    PROTOCOL = "nfc_protocol", "The phone or card broke the protocol of contactless cards."
    TOO_LARGE = "nfc_too_large", "The phone or card sent more than this reader accepts."
    REFUSED = "nfc_refused", "The phone or card refused a command."
    ABORTED = "nfc_aborted", "The exchange was given up at the reader."


class CardError(Exception):
    """An exchange failed; the card is of no further use until it is seen anew."""

    def __init__(self, code: FieldCode, detail: str = "") -> None:
        """Keep the reason; `detail` is for the log and holds no bytes of a card, at most a status word."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


class FrameLost(Exception):  # noqa: N818 -- the ordinary weather of a radio field
    """Nothing came back in the time given."""


class FrameBroken(Exception):  # noqa: N818 -- see above
    """Something came back with a wrong checksum, parity or framing."""


class Frames(Protocol):
    """A card of ISO/IEC 14443 that was selected, frame by frame. The chip adds and checks CRCs and parity."""

    longest: int
    """Bytes of the largest frame the chip takes and gives, without CRC."""

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        """Send a frame and return the one that answers, both without CRC.

        `timeout_s` is how long the card may take to begin its answer; a chip whose own timer is shorter still waits
        that long. Raises FrameLost, FrameBroken, CardError ABORTED after `abort`, and NfcDeviceError.
        """

    def set_rate(self, kbits: int, /) -> None:
        """Go on at another bit rate in both directions, in kbit/s. Raises NfcDeviceError."""


class Card(Protocol):
    """Something in the field that takes APDUs (ISO/IEC 7816-4)."""

    longest_command: int
    """Bytes of the largest encoded command the way to the card carries; 261 is the largest short one."""
    longest_response: int
    """The same for responses, with the status word; 258 is the largest short one."""
    words: str
    """What it is, for people: technology and bit rate. Nothing that tells two cards apart."""
    random_uid: bool
    """Whether its identifier is of the kind phones draw anew each time (ISO/IEC 14443-3: first octet 08)."""
    longest_silence_s: float
    """How long `transmit` may block between two calls of `on_frame` without anything being wrong, in seconds."""
    on_frame: Callable[[], None] | None
    """Called by `transmit` whenever the card or the front end showed life; never by one that cannot see frames."""

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU and return the response with its status word. Raises CardError, NfcDeviceError."""

    def give_up(self) -> None:
        """Make the `transmit` in progress raise CardError ABORTED at its next frame, and every later one at once.

        From any thread; never blocks or raises. `leave` still works.
        """

    def leave(self) -> None:
        """Say goodbye (S(DESELECT) or the like). Bounded; never raises."""


class FieldKind(StrEnum):
    """What a look into the field found."""

    EMPTY = "empty"
    CARD = "card"  # one card or phone that takes APDUs
    FOREIGN = "foreign"  # something that does not: MIFARE Classic, FeliCa and the like
    SEVERAL = "several"  # more than one


@dataclass(frozen=True, slots=True)
class Field:
    """What a look into the field found. `card` for CARD alone; `words` name what was seen, for people."""

    kind: FieldKind
    card: Card | None = None
    words: str = ""


class NfcDevice(Protocol):
    """An open NFC front end. Every method raises NfcDeviceError when the device is gone or stops answering."""

    words: str
    """What it is, for people: chip, firmware, where it is plugged in."""

    def look(self) -> Field:
        """Switch the field on, look once, and activate what is there. The field stays on when something is there.

        Takes a few milliseconds over an empty field. Sends the ECP identity frame where that is configured.
        """

    def occupied(self) -> bool:
        """Say whether anything is in the field, without activating it. Switches the field on."""

    def rest(self) -> None:
        """Switch the field off."""

    def abort(self) -> None:
        """Make the call that blocks the owner thread raise soon, and every later one. From any thread; never raises."""

    def close(self) -> None:
        """Switch the field off if that is still possible, and release the device. Bounded; never raises."""
