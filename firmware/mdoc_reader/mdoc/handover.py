"""Connection handover over NFC: what a Handover Select or Request message offers (ISO 18013-5 clause 8.2.2.1).

Read only. Multi-byte values of Bluetooth out-of-band data are little-endian there, and big-endian everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from mdoc_reader.mdoc import ndef
from mdoc_reader.model.connection import BleMethod, ConnectionMethod, NfcMethod, UnknownMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode

BLE_OOB, WIFI_AWARE, NFC_CARRIER = "application/vnd.bluetooth.le.oob", "application/vnd.wfa.nan", "iso.org:18013:nfc"
DEVICE_ENGAGEMENT, READER_ENGAGEMENT = "iso.org:18013:deviceengagement", "iso.org:18013:readerengagement"
_ROLE, _UUID, _ADDRESS = 0x1C, 0x07, 0x1B
_OLDEST = 0x12


@dataclass(frozen=True, slots=True)
class Carrier:
    """One alternative carrier with what was read of its configuration, if this reader knows it."""

    reference: bytes
    power_state: int
    method: ConnectionMethod | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """A handover message. `raw` is the NDEF message as it travelled, for the transcript."""

    raw: bytes = field(repr=False)
    select: bool
    version: str
    carriers: tuple[Carrier, ...]
    engagement: bytes | None = field(default=None, repr=False)


def parse(message: bytes) -> Handover:
    """Read a Handover Select (`Hs`) or Request (`Hr`) message, without NLEN. Raises Malformed."""
    records = ndef.parse(message)
    head = next((r for r in records if r.tnf == ndef.WELL_KNOWN and r.type in {"Hs", "Hr"}), None)
    if head is None or not head.payload:
        raise Malformed(MalformedCode.MISSING_KEY, "Handover", detail="neither Hs nor Hr")
    version = head.payload[0]
    if version >> 4 != 1 or version < _OLDEST:
        raise Malformed(MalformedCode.UNSUPPORTED, "Handover.version", detail="connection handover 1.2 or newer")
    inner = ndef.parse(head.payload[1:]) if len(head.payload) > 1 else ()
    configurations = {record.id: record for record in records if record.id}
    carriers = tuple(_carrier(record, configurations) for record in inner if record.type == "ac")
    kind = DEVICE_ENGAGEMENT if head.type == "Hs" else READER_ENGAGEMENT
    engaged = next((r.payload for r in records if r.tnf == ndef.EXTERNAL and r.type == kind), None)
    return Handover(message, head.type == "Hs", f"{version >> 4}.{version & 15}", carriers, engaged)


def _carrier(record: ndef.Record, configurations: dict[bytes, ndef.Record]) -> Carrier:
    payload = record.payload
    if len(payload) < 2 or len(payload) < 2 + payload[1]:
        raise Malformed(MalformedCode.TRUNCATED, "Handover.ac")
    reference = payload[2 : 2 + payload[1]]
    configuration = configurations.get(reference)
    return Carrier(reference, payload[0] & 3, None if configuration is None else _method(configuration))


def _method(record: ndef.Record) -> ConnectionMethod | None:
    if record.tnf == ndef.MEDIA and record.type == BLE_OOB:
        return _ble(record.payload)
    if record.tnf == ndef.EXTERNAL and record.type == NFC_CARRIER:
        return _nfc(record.payload)
    if record.tnf == ndef.MEDIA and record.type == WIFI_AWARE:
        return UnknownMethod(3, 1)
    return None


def _ble(payload: bytes) -> BleMethod:
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(payload):
        length = payload[position]
        if length == 0 or position + 1 + length > len(payload):
            raise Malformed(MalformedCode.TRUNCATED, "Handover.ble", position)
        fields[payload[position + 1]] = payload[position + 2 : position + 1 + length]
        position += 1 + length
    role = fields.get(_ROLE, b"")
    if len(role) != 1 or role[0] > 3:
        raise Malformed(MalformedCode.BAD_VALUE, "Handover.ble.role")
    uuid = fields.get(_UUID)
    if uuid is not None and len(uuid) != 16:
        raise Malformed(MalformedCode.BAD_VALUE, "Handover.ble.uuid")
    address = fields.get(_ADDRESS)
    if address is not None and len(address) not in {6, 7}:
        raise Malformed(MalformedCode.BAD_VALUE, "Handover.ble.address")
    known = None if uuid is None else UUID(bytes=uuid[::-1])
    # The role is the sender's: 0 peripheral only, 1 central only, 2 and 3 both.
    return BleMethod(
        peripheral_server=role[0] != 1,
        central_client=role[0] != 0,
        peripheral_uuid=known if role[0] != 1 else None,
        central_uuid=known if role[0] != 0 else None,
        address=None if address is None else address[5::-1],
    )


def _nfc(payload: bytes) -> NfcMethod | None:
    numbers: dict[int, int] = {}
    position = 1
    while position < len(payload):
        length = payload[position]
        if length < 2 or position + 1 + length > len(payload):
            raise Malformed(MalformedCode.TRUNCATED, "Handover.nfc", position)
        numbers[payload[position + 1]] = int.from_bytes(payload[position + 2 : position + 1 + length], "big")
        position += 1 + length
    return NfcMethod(numbers.get(1, 255), numbers.get(2, 256))
