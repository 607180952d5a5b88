"""The NDEF messages a phone says at a tap, and what it reads of the reader's (Connection Handover 1.5, TNEP 1.0).

They are put together with ndeflib, carrier data by hand, and none of it with the reader's own encoders and parsers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import cbor2
import ndef

from mdoc_reader.lab.nfc_behaviour import (
    BleOffer,
    ExtraRecord,
    LeRole,
    MessageBehaviour,
    NegotiationBehaviour,
    NfcOffer,
    Offer,
    Psm,
)

BLE = "application/vnd.bluetooth.le.oob"
NFC = "urn:nfc:ext:iso.org:18013:nfc"
DEVICE_ENGAGEMENT = "urn:nfc:ext:iso.org:18013:deviceengagement"
READER_ENGAGEMENT = "urn:nfc:ext:iso.org:18013:readerengagement"
_POWER = {"inactive": 0, "active": 1, "activating": 2, "unknown": 3}
_PSM_SERVICE = b"\x01\xff"  # no 16-bit UUID is allocated; some wallets use FF01 in its place


class NotUnderstood(Exception):  # noqa: N818 -- about the reader's message, not a defect here
    """The reader's message is none this phone can read."""


def encode(records: Sequence[ExtraRecord]) -> bytes:
    """Return one NDEF message."""
    return b"".join(ndef.message_encoder([ndef.Record(one.type, one.name, one.payload) for one in records]))


def handover_select(
    offers: Sequence[tuple[Offer, UUID]], device_engagement: bytes, behaviour: MessageBehaviour, *, bare: bool = False
) -> bytes:
    """Return a Handover Select: carriers in order of preference, each with the UUID it would name.

    `bare` leaves out a Bluetooth UUID unless the offer insists on it.
    """
    named = "mdoc" if behaviour.auxiliary and not behaviour.without_engagement else None
    inner = [_alternative(offer, named) for offer, _ in offers] + list(behaviour.inner)
    opening = ExtraRecord("urn:nfc:wkt:Hs", "", bytes((behaviour.version,)) + (encode(inner) if inner else b""))
    carriers = [_carrier(offer, uuid, bare=bare) for offer, uuid in offers]
    if behaviour.records_reversed:
        carriers.reverse()
    said = [] if behaviour.without_engagement else [ExtraRecord(DEVICE_ENGAGEMENT, "mdoc", device_engagement)]
    middle = [*carriers, *said] if behaviour.engagement_last else [*said, *carriers]
    return encode([opening, *behaviour.before, *middle, *behaviour.after])


def _alternative(offer: Offer, auxiliary: str | None) -> ExtraRecord:
    reference = offer.reference.encode()
    payload = bytes((_POWER[offer.power], len(reference))) + reference
    payload += b"\0" if auxiliary is None else bytes((1, len(auxiliary))) + auxiliary.encode()
    return ExtraRecord("urn:nfc:wkt:ac", "", payload)


def _carrier(offer: Offer, uuid: UUID, *, bare: bool) -> ExtraRecord:
    if isinstance(offer, BleOffer):
        return ExtraRecord(BLE, offer.reference, _ble(offer, uuid, bare=bare))
    if isinstance(offer, NfcOffer):
        limits = ((1, offer.max_command), (2, offer.max_response))
        sized = [(kind, value.to_bytes((value.bit_length() + 7) // 8, "big")) for kind, value in limits]
        return ExtraRecord(NFC, offer.reference, b"\x01" + b"".join(_field(kind, data) for kind, data in sized))
    return ExtraRecord(offer.type, offer.reference, offer.payload)


def _field(kind: int, data: bytes) -> bytes:
    return bytes((len(data) + 1, kind)) + data


def _ble(offer: BleOffer, uuid: UUID, *, bare: bool) -> bytes:
    fields = [*offer.extra, (0x1C, bytes((offer.role,)))]
    if not bare if offer.with_uuid is None else offer.with_uuid:
        fields.append((0x06 if offer.partial_list else 0x07, uuid.bytes[::-1]))
    if offer.address is not None:
        kind = b"" if offer.address_type is None else bytes((offer.address_type,))
        fields.append((0x1B, offer.address[::-1] + kind))
    if offer.psm is not None:
        if offer.psm_as is Psm.SERVICE_DATA:
            fields.append((0x16, _PSM_SERVICE + cbor2.dumps({0: offer.psm})))
        else:
            fields.append((0x77, offer.psm.to_bytes(4, "big")))
    return b"".join(_field(kind, data) for kind, data in fields) + bytes(offer.padding)


def service_parameters(behaviour: NegotiationBehaviour, messages: MessageBehaviour) -> bytes:
    """Return the first message of a phone that negotiates: its services."""
    services = [_service(name, behaviour) for name in (*behaviour.other_services, behaviour.service)]
    return encode([*messages.before, *services, *messages.after])


def _service(name: str, behaviour: NegotiationBehaviour) -> ExtraRecord:
    payload = bytes((0x10, len(name))) + name.encode()
    payload += bytes((behaviour.mode, behaviour.wt_int, behaviour.n_wait)) + behaviour.largest.to_bytes(2, "big")
    return ExtraRecord("urn:nfc:wkt:Tp", "", payload)


def status(number: int) -> bytes:
    """Return a message of one TNEP status record."""
    return encode([ExtraRecord("urn:nfc:wkt:Te", "", bytes((number,)))])


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader's Handover Request offers. `uuid` is what it advertises, `engagement` its ReaderEngagement."""

    role: LeRole | None = None
    uuid: UUID | None = None
    nfc: bool = False
    engagement: bytes | None = field(default=None, repr=False)


def read_service(message: bytes) -> str | None:
    """Return the service a message selects, empty to leave one; None when it is no service selection.

    Raises NotUnderstood.
    """
    first = _records(message)[0]
    if first.type != "urn:nfc:wkt:Ts":
        return None
    if not first.payload or first.payload[0] != len(first.payload) - 1:
        raise NotUnderstood("a service name of another length")
    return first.payload[1:].decode("ascii", "replace")


def read_request(message: bytes) -> Asked:
    """Read a Handover Request, strictly. Raises NotUnderstood."""
    try:
        # ndeflib's own classes insist on what the specification does: the collision record, carriers in full.
        opening, *_ = ndef.message_decoder(message, "strict")
    except (ndef.DecodeError, ValueError) as error:
        raise NotUnderstood(str(error)) from error
    if not isinstance(opening, ndef.HandoverRequestRecord) or not opening.alternative_carriers:
        raise NotUnderstood("no Handover Request with carriers")
    if not 0x12 <= opening.hexversion < 0x20:
        raise NotUnderstood("a Handover Request of another version")
    rest = _records(message)[1:]
    asked = Asked()
    for carrier in opening.alternative_carriers:
        found = [one for one in rest if one.name == carrier.carrier_data_reference]
        if len(found) != 1:
            raise NotUnderstood("a carrier without its record")
        if found[0].type == BLE:
            role, uuid = _read_ble(found[0].payload)
            asked = Asked(role, uuid, asked.nfc, asked.engagement)
        elif found[0].type == NFC:
            if found[0].payload != b"\x01":
                raise NotUnderstood("an NFC carrier of a reader has a version alone")
            asked = Asked(asked.role, asked.uuid, True, asked.engagement)
    for one in rest:
        if one.type == READER_ENGAGEMENT:
            if one.name != "mdocreader":
                raise NotUnderstood("a reader engagement of another name")
            asked = Asked(asked.role, asked.uuid, asked.nfc, one.payload)
    return asked


def _read_ble(payload: bytes) -> tuple[LeRole, UUID | None]:
    role: LeRole | None = None
    uuid: UUID | None = None
    at = 0
    while at < len(payload):
        length = payload[at]
        data = payload[at + 2 : at + 1 + length]
        if length == 0 or len(data) != length - 1:
            raise NotUnderstood("Bluetooth data cut short")
        if payload[at + 1] == 0x1C and len(data) == 1 and data[0] <= 3:
            role = LeRole(data[0])
        elif payload[at + 1] == 0x07 and len(data) == 16:
            uuid = UUID(bytes=data[::-1])
        at += 1 + length
    if role is None:
        raise NotUnderstood("Bluetooth data without a role")
    if role is not LeRole.CENTRAL and uuid is None:
        raise NotUnderstood("a reader that can be connected to names no UUID")
    return role, uuid


def _records(message: bytes) -> list[ExtraRecord]:
    try:
        decoded = list(ndef.message_decoder(message, "strict", {}))
    except (ndef.DecodeError, ValueError) as error:
        raise NotUnderstood(str(error)) from error
    if not decoded:
        raise NotUnderstood("an empty message")
    return [ExtraRecord(one.type, one.name, bytes(one.data)) for one in decoded]
