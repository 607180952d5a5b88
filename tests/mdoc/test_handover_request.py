"""The reader's Handover Request, read by ndeflib, by our own parser, and beside the worked example of Annex D."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import ndef
import pytest

from mdoc_reader.mdoc import cbor, handover, handover_request
from mdoc_reader.mdoc.handover import CarrierKind, PowerState
from mdoc_reader.model.connection import BleMethod

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
VECTORS = Path(os.environ.get("MDOC_VECTORS", _DEFAULT)) / "iso18013-5-annexD"
UUID_READER = UUID("3a82d455-d5fc-4db3-bea0-6fd2f6ff32c8")
ROLES = [(UUID_READER, True, 2), (UUID_READER, False, 0), (None, True, 1)]


@pytest.mark.parametrize(("uuid", "central", "role"), ROLES)
def test_ndeflib_reads_what_is_offered(uuid: UUID | None, central: bool, role: int) -> None:
    message = handover_request.build(b"\xbe\xef", uuid=uuid, central=central)
    request, reader, ble, nfc = ndef.message_decoder(message)
    assert (request.type, request.version_string, request.collision_resolution_number) == (
        "urn:nfc:wkt:Hr",
        "1.5",
        0xBEEF,
    )
    carriers = [
        (carrier.carrier_power_state, carrier.carrier_data_reference, list(carrier.auxiliary_data_reference))
        for carrier in request.alternative_carriers
    ]
    assert carriers == [("active", "0", []), ("active", "nfc", [])]
    assert (reader.type, reader.name) == ("urn:nfc:ext:iso.org:18013:readerengagement", "mdocreader")
    assert cbor.decode(reader.data) == {0: "1.0"}
    assert (ble.type, ble.name, ble["LE Role"]) == ("application/vnd.bluetooth.le.oob", "0", bytes((role,)))
    assert ble.get("Complete List of 128-bit Service Class UUIDs") == (uuid.bytes[::-1] if uuid else None)
    assert (nfc.type, nfc.name, nfc.data) == ("urn:nfc:ext:iso.org:18013:nfc", "nfc", b"\x01")


@pytest.mark.parametrize(("uuid", "central", "role"), ROLES)
def test_our_own_parser_reads_it_too(uuid: UUID | None, central: bool, role: int) -> None:
    message = handover_request.build(b"\xbe\xef", uuid=uuid, central=central)
    request = handover.parse_request(message)
    assert (request.raw, request.version, request.collision) == (message, (1, 5), b"\xbe\xef")
    ble, nfc = request.carriers
    assert ble.method == BleMethod(role != 0, role != 1, uuid if role != 0 else None, uuid if role != 1 else None)
    assert (nfc.kind, nfc.method) == (CarrierKind.NFC, None)
    assert {carrier.power_state for carrier in request.carriers} == {PowerState.ACTIVE}


def test_only_what_there_is_is_offered() -> None:
    (only,) = handover.parse_request(handover_request.build(b"ab", central=False)).carriers
    assert only.kind is CarrierKind.NFC
    (only,) = handover.parse_request(handover_request.build(b"ab", uuid=UUID_READER, nfc=False)).carriers
    assert only.kind is CarrierKind.BLE
    with pytest.raises(ValueError, match="nothing"):
        handover_request.build(b"ab", central=False, nfc=False)
    with pytest.raises(ValueError, match="two octets"):
        handover_request.build(b"abc")


def test_it_goes_out_in_one_command() -> None:
    assert len(handover_request.build(b"ab", uuid=UUID_READER)) + 2 <= 255


@pytest.mark.skipif(not VECTORS.is_dir(), reason="ISO Annex D vectors are not here: set MDOC_VECTORS")
def test_the_records_are_those_of_the_worked_example() -> None:
    worked = list(ndef.message_decoder(bytes.fromhex((VECTORS / "nfc_handover_request.hex").read_text())))
    ours = list(ndef.message_decoder(handover_request.build(b"\x01\x02", uuid=UUID_READER)))
    assert ours[0].alternative_carriers == worked[0].alternative_carriers[:2]
    assert ours[0].collision_resolution_number == worked[0].collision_resolution_number
    assert (ours[3].type, ours[3].name, ours[3].data) == (worked[2].type, worked[2].name, worked[2].data)
    fields = dict(worked[1].items())
    del fields[handover.AD_ADDRESS]  # the address is left out: the reader draws it anew
    assert dict(ours[2].items()) == fields
    assert (ours[2].type, ours[2].name) == (worked[1].type, worked[1].name)
