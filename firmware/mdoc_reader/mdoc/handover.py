"""NFC handover: what a tap says about how to go on (NFC Forum Connection Handover 1.5; ISO 18013-5 clause 8.2.2).

A Handover Select comes from the phone and carries its device engagement; a Handover Request comes from the reader where
handover is negotiated. Both are read here into the same carriers. The messages are kept as received, without NLEN:
they are part of the session transcript (`transcript.NfcHandover`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from uuid import UUID

from mdoc_reader.mdoc import cbor, engagement, ndef
from mdoc_reader.mdoc.ndef import Record, Tnf
from mdoc_reader.model.connection import BleMethod, ConnectionMethod, NfcMethod, WifiAwareMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode

SELECT, REQUEST, ALTERNATIVE_CARRIER, COLLISION = b"Hs", b"Hr", b"ac", b"cr"
DEVICE_ENGAGEMENT = b"iso.org:18013:deviceengagement"
READER_ENGAGEMENT = b"iso.org:18013:readerengagement"
BLE_CARRIER, WIFI_AWARE_CARRIER = b"application/vnd.bluetooth.le.oob", b"application/vnd.wfa.nan"
NFC_CARRIER = b"iso.org:18013:nfc"

# Advertising data types (Bluetooth Assigned Numbers); 77 is what some wallets use while no PSM type is allocated.
AD_UUIDS_PARTIAL, AD_UUIDS, AD_SERVICE_DATA, AD_ADDRESS, AD_ROLE, AD_PSM = 0x06, 0x07, 0x16, 0x1B, 0x1C, 0x77
_AD_ONCE = frozenset({AD_UUIDS, AD_ADDRESS, AD_ROLE, AD_PSM})
_MAX_FIELDS = 64
_SMALL = cbor.Limits(max_bytes=255, max_depth=4, max_items=32)


class CarrierKind(StrEnum):
    """What a carrier configuration record describes."""

    BLE = "ble"
    NFC = "nfc"
    WIFI_AWARE = "wifi_aware"
    OTHER = "other"


class PowerState(IntEnum):
    """Whether the sender's carrier is ready."""

    INACTIVE = 0
    ACTIVE = 1
    ACTIVATING = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Carrier:
    """One alternative carrier, in the sender's order of preference.

    `method` speaks from the phone's side whoever sent the message; None for a carrier this reader does not know, and
    for a reader's NFC carrier, which names no limits.
    """

    reference: bytes
    power_state: PowerState
    kind: CarrierKind
    method: ConnectionMethod | None
    auxiliary: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class HandoverSelect:
    """The phone's message. A Bluetooth method without a UUID is reached under the UUID the reader itself offered."""

    raw: bytes = field(repr=False)
    version: tuple[int, int]
    carriers: tuple[Carrier, ...]
    engagement: engagement.DeviceEngagement

    @property
    def methods(self) -> tuple[ConnectionMethod, ...]:
        """Return the methods this reader can name, in the phone's order of preference."""
        return tuple(carrier.method for carrier in self.carriers if carrier.method is not None)


@dataclass(frozen=True, slots=True)
class HandoverRequest:
    """The reader's message. `reader_engagement` is the encoded ReaderEngagement, `collision` the cr record's number."""

    raw: bytes = field(repr=False)
    version: tuple[int, int]
    carriers: tuple[Carrier, ...]
    reader_engagement: bytes | None = field(default=None, repr=False)
    collision: bytes | None = None


def parse(message: bytes) -> HandoverSelect | HandoverRequest:
    """Read whichever of the two messages this is, without NLEN. Raises Malformed."""
    first = ndef.parse(message, "handover")[0]
    return parse_request(message) if first.is_a(Tnf.WELL_KNOWN, REQUEST) else parse_select(message)


def parse_select(message: bytes) -> HandoverSelect:
    """Read a Handover Select message, static or negotiated, without NLEN. Raises Malformed."""
    path = "handover_select"
    records = ndef.parse(message, path)
    version, inner = _opening(records, SELECT, path)
    found = [record for record in records if record.is_a(Tnf.EXTERNAL, DEVICE_ENGAGEMENT)]
    if len(found) != 1:
        code = MalformedCode.BAD_VALUE if found else MalformedCode.MISSING_KEY
        raise Malformed(code, path, detail="exactly one device engagement record is expected")
    try:
        said = engagement.parse(found[0].payload, need_methods=False)
    except Malformed as error:
        raise error.under(f"{path}.device_engagement") from None
    return HandoverSelect(message, version, _carriers(records, inner, path, reader=False), said)


def parse_request(message: bytes) -> HandoverRequest:
    """Read a Handover Request message, without NLEN. Raises Malformed."""
    path = "handover_request"
    records = ndef.parse(message, path)
    version, inner = _opening(records, REQUEST, path)
    found = [record for record in records if record.is_a(Tnf.EXTERNAL, READER_ENGAGEMENT)]
    if len(found) > 1:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="more than one reader engagement record")
    if found:
        try:
            cbor.as_map(cbor.decode(found[0].payload, engagement.LIMITS), "")
        except Malformed as error:
            raise error.under(f"{path}.reader_engagement") from None
    collisions = [record.payload for record in inner if record.is_a(Tnf.WELL_KNOWN, COLLISION)]
    return HandoverRequest(
        message,
        version,
        _carriers(records, inner, path, reader=True),
        found[0].payload if found else None,
        collisions[0] if collisions else None,
    )


def _opening(records: Sequence[Record], kind: bytes, path: str) -> tuple[tuple[int, int], tuple[Record, ...]]:
    """Return the version and the records inside Hs or Hr, which opens the message.

    Versions 1.2 to 1.5 are in use; a later minor version adds only what an earlier reader may pass over.
    """
    first = records[0]
    if not first.is_a(Tnf.WELL_KNOWN, kind):
        raise Malformed(MalformedCode.BAD_VALUE, path, 0, f"the first record is not {kind.decode()}")
    if not first.payload:
        raise Malformed(MalformedCode.TRUNCATED, path, 0, "no version")
    major, minor = first.payload[0] >> 4, first.payload[0] & 15
    if major != 1 or minor < 2:
        raise Malformed(MalformedCode.UNSUPPORTED, path, 0, "handover version 1.2 or later is expected")
    return (major, minor), ndef.parse(first.payload[1:], f"{path}.inner") if len(first.payload) > 1 else ()


def _carriers(records: Sequence[Record], inner: Sequence[Record], path: str, *, reader: bool) -> tuple[Carrier, ...]:
    carriers = []
    for index, record in enumerate(inner):
        if not record.is_a(Tnf.WELL_KNOWN, ALTERNATIVE_CARRIER):
            continue
        where = f"{path}.ac[{index}]"
        power, reference, auxiliary = _alternative_carrier(record.payload, where)
        named = [entry for entry in records[1:] if entry.id == reference]
        if len(named) != 1:
            code = MalformedCode.BAD_VALUE if named else MalformedCode.MISSING_KEY
            raise Malformed(code, where, detail="exactly one record of the carrier's name is expected")
        kind, method = _configuration(named[0], f"{where}.carrier", reader=reader)
        carriers.append(Carrier(reference, power, kind, method, auxiliary))
    return tuple(carriers)


def _alternative_carrier(payload: bytes, path: str) -> tuple[PowerState, bytes, tuple[bytes, ...]]:
    """Read power state, carrier reference and auxiliary references; what follows them is reserved."""
    if len(payload) < 3:
        raise Malformed(MalformedCode.TRUNCATED, path)
    at, references, expected = 1, list[bytes](), 1
    while len(references) < expected:
        length = payload[at] if at < len(payload) else 0
        reference = payload[at + 1 : at + 1 + length]
        if not length or len(reference) != length:
            raise Malformed(MalformedCode.TRUNCATED, path, detail="a reference is cut short")
        references.append(reference)
        at += 1 + length
        if len(references) == 1:
            if at >= len(payload):
                raise Malformed(MalformedCode.TRUNCATED, path, detail="no count of auxiliary references")
            expected += payload[at]
            at += 1
    return PowerState(payload[0] & 3), references[0], tuple(references[1:])


def _configuration(record: Record, path: str, *, reader: bool) -> tuple[CarrierKind, ConnectionMethod | None]:
    if record.is_a(Tnf.MEDIA, BLE_CARRIER):
        return CarrierKind.BLE, _ble(record.payload, path, reader=reader)
    if record.is_a(Tnf.EXTERNAL, NFC_CARRIER):
        return CarrierKind.NFC, _nfc(record.payload, path, reader=reader)
    if record.is_a(Tnf.MEDIA, WIFI_AWARE_CARRIER):
        return CarrierKind.WIFI_AWARE, _wifi_aware(record.payload, path)
    return CarrierKind.OTHER, None


def _fields(payload: bytes, path: str) -> tuple[tuple[int, bytes], ...]:
    """Split `{length, type, data}`, the length counting type and data. Length zero ends it; only zeros may follow."""
    fields: list[tuple[int, bytes]] = []
    at = 0
    while at < len(payload):
        length = payload[at]
        if length == 0:
            if any(payload[at:]):
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="data after the end of the list")
            break
        if at + 1 + length > len(payload):
            raise Malformed(MalformedCode.TRUNCATED, path, detail="a field is cut short")
        if len(fields) == _MAX_FIELDS:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, path)
        fields.append((payload[at + 1], payload[at + 2 : at + 1 + length]))
        at += 1 + length
    return tuple(fields)


def _ble(payload: bytes, path: str, *, reader: bool) -> BleMethod:
    role: int | None = None
    uuid: UUID | None = None
    address: bytes | None = None
    psm: int | None = None
    seen: set[int] = set()
    for kind, data in _fields(payload, path):
        if kind in seen and kind in _AD_ONCE:
            raise Malformed(MalformedCode.BAD_VALUE, path, detail="a Bluetooth field is given twice")
        seen.add(kind)
        if kind == AD_ROLE:
            if len(data) != 1 or data[0] > 3:
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="not a Bluetooth role")
            role = data[0]
        elif kind in {AD_UUIDS, AD_UUIDS_PARTIAL}:
            if not data or len(data) % 16:
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="a UUID has sixteen octets")
            uuid = uuid or UUID(bytes=data[15::-1])
        elif kind == AD_ADDRESS:
            if len(data) not in {6, 7}:
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="a Bluetooth address has six octets")
            address = data[5::-1]
        elif kind == AD_SERVICE_DATA:
            psm = psm or _service_data_psm(data)
        elif kind == AD_PSM:
            psm = _psm(int.from_bytes(data, "big")) if len(data) == 4 else None
            if psm is None:
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="not a PSM")
    if role is None:
        raise Malformed(MalformedCode.MISSING_KEY, path, detail="no Bluetooth role")
    # The role is the sender's: 0 peripheral, 1 central, 2 and 3 both. The method speaks of the phone.
    peripheral, central = role != 1, role != 0
    server, client = (central, peripheral) if reader else (peripheral, central)
    return BleMethod(server, client, uuid if server else None, uuid if client else None, address, psm)


def _psm(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= 0xFFFF else None


def _service_data_psm(data: bytes) -> int | None:
    """Return the PSM from `{0: PSM}` behind a 16-bit UUID. No UUID is allocated yet, so any is taken."""
    try:
        return _psm(cbor.as_map(cbor.decode(data[2:], _SMALL), "").get(0))
    except Malformed:
        return None


def _nfc(payload: bytes, path: str, *, reader: bool) -> NfcMethod | None:
    if not payload:
        raise Malformed(MalformedCode.TRUNCATED, path)
    if payload[0] != 1:
        raise Malformed(MalformedCode.UNSUPPORTED, path, detail="version 1 is expected")
    if reader:
        return None
    limits: dict[int, int] = {}
    for kind, data in _fields(payload[1:], path):
        if kind in {1, 2}:
            value = int.from_bytes(data, "big")
            if kind in limits or not data or len(data) > 4 or not 1 <= value <= 65536:
                raise Malformed(MalformedCode.BAD_VALUE, path, detail="not a length")
            limits[kind] = value
    if len(limits) != 2:
        raise Malformed(MalformedCode.MISSING_KEY, path, detail="both maximum lengths are expected")
    return NfcMethod(limits[1], limits[2])


def _wifi_aware(payload: bytes, path: str) -> WifiAwareMethod:
    """Read what there is a use for: 3 the passphrase, 4 the bands. Cipher suites and channels are passed over."""
    passphrase: str | None = None
    bands = b""
    for kind, data in _fields(payload, path):
        if kind == 3:
            try:
                passphrase = data.decode()
            except UnicodeDecodeError:
                raise Malformed(MalformedCode.BAD_TEXT, path, detail="the passphrase") from None
        elif kind == 4:
            bands = data
    return WifiAwareMethod(passphrase=passphrase, bands=bands)
