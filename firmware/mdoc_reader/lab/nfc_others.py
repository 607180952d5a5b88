"""What people hold to a reader that is no phone with a document: bank cards, passports, stickers.

Each is an `ApduHandler` that answers the few commands by which it can be told (EMV book 1, clause 11.3; ICAO Doc 9303
part 10). Nothing on them is anybody's. `fixed_uid` is for the card below those that always show the same identifier;
passports draw theirs anew in each field, as phones do.
"""

from __future__ import annotations

import os

import ndef

from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_behaviour import TagBehaviour
from mdoc_reader.lab.nfc_tag import NDEF_APPLICATION, FixedMessage, Type4Tag
from mdoc_reader.lab.phone_nfc_apdu import (
    CONDITIONS,
    NO_FILE,
    NOT_FOUND,
    SECURITY,
    SELECT,
    WRONG_INS,
    WRONG_P1P2,
    Apdu,
    Refused,
    Reply,
    Selector,
)

PROXIMITY_PAYMENT = b"2PAY.SYS.DDF01"
PAYMENT_APPLICATION = bytes.fromhex("A0000000031010")
TRAVEL_DOCUMENT = bytes.fromhex("A0000002471001")
_GET_CHALLENGE, _READ_BINARY, _GET_PROCESSING_OPTIONS = 0x84, 0xB0, 0xA8


def fixed_uid() -> bytes:
    """Return an identifier of seven octets, as a maker of chips gives each of them one."""
    return b"\x04" + os.urandom(6)


class BankCard:
    """A payment card: it lists its applications, and goes no further without a terminal."""

    def __init__(self) -> None:
        """Make one."""
        entry = _tlv(0x61, _tlv(0x4F, PAYMENT_APPLICATION) + _tlv(0x50, b"LAB CARD") + _tlv(0x87, b"\x01"))
        listing = _tlv(0x6F, _tlv(0x84, PROXIMITY_PAYMENT) + _tlv(0xA5, _tlv(0xBF0C, entry)))
        options = _tlv(0x9F38, bytes.fromhex("9F66049F02069F37045F2A02"))
        application = _tlv(0x6F, _tlv(0x84, PAYMENT_APPLICATION) + _tlv(0xA5, _tlv(0x50, b"LAB CARD") + options))
        self._selector = Selector(
            {PROXIMITY_PAYMENT: _Named(listing), PAYMENT_APPLICATION: _Named(application, payment=True)}
        )

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer."""
        return self._selector.on_apdu(command)

    def on_deselected(self) -> None:
        """Forget what was selected."""
        self._selector.on_deselected()


class _Named:
    """An application that tells who it is."""

    def __init__(self, information: bytes, *, payment: bool = False) -> None:
        self._information = information
        self._payment = payment

    def select(self, apdu: Apdu) -> Reply:
        return Reply(self._information)

    def answer(self, apdu: Apdu) -> Reply:
        raise Refused(CONDITIONS if self._payment and apdu.ins == _GET_PROCESSING_OPTIONS else WRONG_INS)


class Passport:
    """A passport's chip: the application is there, and shows nothing before access was negotiated."""

    def __init__(self) -> None:
        """Make one."""
        self._selector = Selector({TRAVEL_DOCUMENT: _TravelDocument()})

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer."""
        return self._selector.on_apdu(command)

    def on_deselected(self) -> None:
        """Forget what was selected."""
        self._selector.on_deselected()


class _TravelDocument:
    def select(self, apdu: Apdu) -> Reply:
        return Reply()

    def answer(self, apdu: Apdu) -> Reply:
        if apdu.ins == _GET_CHALLENGE:
            return Reply(os.urandom(8))
        if apdu.ins == SELECT:
            if apdu.p1 != 0x02:
                raise Refused(WRONG_P1P2)
            raise Refused(SECURITY if apdu.data[:1] == b"\x01" else NOT_FOUND)
        raise Refused(NO_FILE if apdu.ins == _READ_BINARY else WRONG_INS)


class NdefSticker:
    """A Type 4 tag that says something, and offers no document. Not for writing."""

    def __init__(self, message: bytes | None = None, behaviour: TagBehaviour | None = None) -> None:
        """Hold an NDEF message: by default a web address; empty for a tag nobody has written to."""
        if message is None:
            message = b"".join(ndef.message_encoder([ndef.UriRecord("https://lab.invalid/menu")]))
        self.message = FixedMessage(message)
        self._selector = Selector({NDEF_APPLICATION: Type4Tag(self.message, behaviour)})

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer."""
        return self._selector.on_apdu(command)

    def on_deselected(self) -> None:
        """Forget what was selected."""
        self._selector.on_deselected()


class StatusCard:
    """A card that knows no command, and says so with one status word: access badges and the like."""

    def __init__(self, sw: int = 0x6D00) -> None:
        """Answer `sw` to everything."""
        self._sw = sw

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer."""
        return ApduAnswer(self._sw.to_bytes(2, "big"))

    def on_deselected(self) -> None:
        """Do nothing."""


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    length = bytes((size,)) if size < 128 else bytes((0x81, size))
    return tag.to_bytes(2 if tag > 0xFF else 1, "big") + length + value
