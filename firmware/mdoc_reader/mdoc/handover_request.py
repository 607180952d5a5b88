"""The reader's Handover Request: what it offers a phone that negotiates (ISO 18013-5 clause 8.2.2.1, CH 1.5).

Its bytes are part of the session transcript, exactly as they were written to the phone.
"""

from __future__ import annotations

from uuid import UUID

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.handover import (
    AD_ROLE,
    AD_UUIDS,
    ALTERNATIVE_CARRIER,
    BLE_CARRIER,
    COLLISION,
    NFC_CARRIER,
    READER_ENGAGEMENT,
    REQUEST,
    PowerState,
)
from mdoc_reader.mdoc.ndef import Tnf

VERSION = 0x15
_BLE_NAME, _NFC_NAME, _READER_NAME = b"0", b"nfc", b"mdocreader"
_PERIPHERAL, _CENTRAL, _BOTH = 0, 1, 2  # the role of the reader; 2 is both, and rather peripheral


def build(collision: bytes, *, uuid: UUID | None = None, central: bool = True, nfc: bool = True) -> bytes:
    """Return the message, without NLEN.

    Args:
        collision: two octets drawn at random.
        uuid: what the reader advertises for phones that come to it; None when it does not.
        central: whether the reader can itself connect to a phone.
        nfc: whether it can go on over NFC. How much fits a command is for the phone to say.

    Raises ValueError when nothing is offered, or `collision` is not two octets: mistakes of the caller.
    """
    if len(collision) != 2:
        raise ValueError("a collision number has two octets")
    carriers: list[tuple[bytes, Tnf, bytes, bytes]] = []
    if uuid is not None or central:
        role = _CENTRAL if uuid is None else _BOTH if central else _PERIPHERAL
        fields = _field(AD_ROLE, bytes((role,)))
        if uuid is not None:
            fields += _field(AD_UUIDS, uuid.bytes[::-1])
        carriers.append((_BLE_NAME, Tnf.MEDIA, BLE_CARRIER, fields))
    if nfc:
        carriers.append((_NFC_NAME, Tnf.EXTERNAL, NFC_CARRIER, b"\x01"))
    if not carriers:
        raise ValueError("nothing to offer")
    inner = [(Tnf.WELL_KNOWN, COLLISION, b"", collision)]
    inner += [
        (Tnf.WELL_KNOWN, ALTERNATIVE_CARRIER, b"", bytes((PowerState.ACTIVE, len(name))) + name + b"\0")
        for name, *_ in carriers
    ]
    records = [
        (Tnf.WELL_KNOWN, REQUEST, b"", bytes((VERSION,)) + _message(inner)),
        (Tnf.EXTERNAL, READER_ENGAGEMENT, _READER_NAME, cbor.encode({0: "1.0"})),
    ]
    records += [(tnf, kind, name, payload) for name, tnf, kind, payload in carriers]
    return _message(records)


def _field(kind: int, data: bytes) -> bytes:
    return bytes((1 + len(data), kind)) + data


def _message(records: list[tuple[Tnf, bytes, bytes, bytes]]) -> bytes:
    """Encode records of type name format, type, name and payload; all payloads here are short."""
    parts = []
    for index, (tnf, kind, name, payload) in enumerate(records):
        flags = 0x10 | tnf | (0x80 if index == 0 else 0) | (0x40 if index == len(records) - 1 else 0)
        head = bytes((flags | (0x08 if name else 0), len(kind), len(payload))) + (bytes((len(name),)) if name else b"")
        parts.append(head + kind + name + payload)
    return b"".join(parts)
