"""NFC handover: the worked example of Annex D where it is at hand, messages built here, and hostile bytes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from mdoc_reader.mdoc import cbor, engagement, handover, keys, ndef
from mdoc_reader.mdoc.handover import CarrierKind, PowerState
from mdoc_reader.mdoc.ndef import Tnf
from mdoc_reader.model.connection import BleMethod, NfcMethod, WifiAwareMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "vectors"
VECTORS = Path(os.environ.get("MDOC_VECTORS", _DEFAULT)) / "iso18013-5-annexD"
annex_d = pytest.mark.skipif(not VECTORS.is_dir(), reason="ISO Annex D vectors are not here: set MDOC_VECTORS")

UUID_A = UUID("0000aaaa-1111-2222-3333-444455556666")
BLE = b"application/vnd.bluetooth.le.oob"
ENGAGEMENT = (
    b"\xa2\x00\x631.0\x01\x82\x01"
    + cbor.embed(keys.encode_cose_key(ec.derive_private_key(7, ec.SECP256R1()).public_key()))
)  # fmt: skip


def record(tnf: int, kind: bytes, payload: bytes, name: bytes | None = None, *, long: bool = False) -> bytes:
    flags = tnf | (0 if long else 0x10) | (0 if name is None else 0x08)
    length = len(payload).to_bytes(4 if long else 1, "big")
    return (
        bytes([flags, len(kind)])
        + length
        + (b"" if name is None else bytes([len(name)]))
        + kind
        + (name or b"")
        + payload
    )


def message(*records: bytes) -> bytes:
    marked = [bytearray(entry) for entry in records]
    marked[0][0] |= 0x80
    marked[-1][0] |= 0x40
    return b"".join(marked)


def ac(reference: bytes, *auxiliary: bytes, power: int = 1) -> bytes:
    names = b"".join(bytes([len(name)]) + name for name in auxiliary)
    return record(1, b"ac", bytes([power, len(reference)]) + reference + bytes([len(auxiliary)]) + names)


def opening(kind: bytes, *inner: bytes, version: int = 0x15) -> bytes:
    return record(1, kind, bytes([version]) + (message(*inner) if inner else b""))


def fields(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([1 + len(data), kind]) + data for kind, data in pairs)


def said(content: bytes = ENGAGEMENT) -> bytes:
    return record(4, b"iso.org:18013:deviceengagement", content, b"mdoc")


def select_with(kind: bytes, payload: bytes, tnf: int = 2) -> handover.HandoverSelect:
    return handover.parse_select(message(opening(b"Hs", ac(b"x", b"mdoc")), said(), record(tnf, kind, payload, b"x")))


def refused(payload: bytes, kind: bytes = BLE, tnf: int = 2) -> MalformedCode:
    with pytest.raises(Malformed) as caught:
        select_with(kind, payload, tnf)
    return caught.value.code


@annex_d
def test_the_worked_select_is_read() -> None:
    raw = bytes.fromhex((VECTORS / "nfc_handover_select.hex").read_text())
    select = handover.parse_select(raw)
    assert select.raw == raw
    assert select.version == (1, 5)
    assert select.methods == (BleMethod(False, True, address=bytes.fromhex("2828378b1228")),)
    assert select.carriers[0].auxiliary == (b"mdoc",)
    transcript = cbor.decode(bytes.fromhex((VECTORS / "session_transcript_bytes.hex").read_text()))
    parts = cbor.as_array(cbor.decode(cbor.as_embedded(transcript, "")), "")
    assert select.engagement.raw == cbor.as_embedded(parts[0], "")


@annex_d
def test_the_worked_request_is_read() -> None:
    raw = bytes.fromhex((VECTORS / "nfc_handover_request.hex").read_text())
    request = handover.parse_request(raw)
    assert (request.raw, request.collision, request.reader_engagement) == (raw, b"\x01\x02", None)
    ble, nfc, wifi = request.carriers
    uuid = UUID("3a82d455-d5fc-4db3-bea0-6fd2f6ff32c8")
    assert ble.method == BleMethod(True, True, uuid, uuid, bytes.fromhex("28bf80800728"))
    assert (nfc.kind, nfc.method, nfc.reference) == (CarrierKind.NFC, None, b"nfc")
    assert wifi.method == WifiAwareMethod(bands=b"\x14")


@pytest.mark.parametrize("role", range(4))
@pytest.mark.parametrize("reader", [False, True])
def test_the_role_is_the_senders_and_the_method_the_phones(role: int, reader: bool) -> None:
    payload = fields((0x1C, bytes([role])), (0x07, UUID_A.bytes[::-1]))
    sender_peripheral, sender_central = role != 1, role != 0
    if reader:
        parsed = handover.parse_request(message(opening(b"Hr", ac(b"x")), record(2, BLE, payload, b"x")))
        method = parsed.carriers[0].method
        server, client = sender_central, sender_peripheral
    else:
        method = select_with(BLE, payload).methods[0]
        server, client = sender_peripheral, sender_central
    assert method == BleMethod(server, client, UUID_A if server else None, UUID_A if client else None)


@pytest.mark.parametrize("data", [bytes([6, 5, 4, 3, 2, 1]), bytes([6, 5, 4, 3, 2, 1, 0])])
def test_an_address_has_six_octets_or_its_type_as_well(data: bytes) -> None:
    (method,) = select_with(BLE, fields((0x1B, data), (0x1C, b"\x00"))).methods
    assert method == BleMethod(True, False, address=bytes([1, 2, 3, 4, 5, 6]))


@pytest.mark.parametrize(
    "field",
    [(0x16, b"\x01\xff" + cbor.encode({0: 0x81})), (0x77, (0x81).to_bytes(4, "big"))],
    ids=["service data", "four octets"],
)
def test_both_spellings_of_the_psm_are_read(field: tuple[int, bytes]) -> None:
    (method,) = select_with(BLE, fields(field, (0x1C, b"\x00"))).methods
    assert isinstance(method, BleMethod)
    assert method.psm == 0x81


def test_unknown_bluetooth_fields_and_padding_are_passed_over() -> None:
    payload = fields((0x09, b"phone"), (0x16, b"\x0f\x18\x64"), (0x1C, b"\x02"), (0x01, b"\x06")) + bytes(3)
    (method,) = select_with(BLE, payload).methods
    assert method == BleMethod(True, True)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", MalformedCode.MISSING_KEY),
        (fields((0x07, UUID_A.bytes)), MalformedCode.MISSING_KEY),
        (fields((0x1C, b"\x04")), MalformedCode.BAD_VALUE),
        (fields((0x1C, b"\x00\x00")), MalformedCode.BAD_VALUE),
        (fields((0x1C, b"\x00"), (0x1C, b"\x01")), MalformedCode.BAD_VALUE),
        (fields((0x1C, b"\x00"), (0x07, bytes(15))), MalformedCode.BAD_VALUE),
        (fields((0x1C, b"\x00"), (0x1B, bytes(5))), MalformedCode.BAD_VALUE),
        (fields((0x1C, b"\x00"), (0x77, bytes(4))), MalformedCode.BAD_VALUE),
        (b"\x05\x1c\x00", MalformedCode.TRUNCATED),
        (b"\x02\x1c\x00\x00\x02\x1c\x01", MalformedCode.BAD_VALUE),
    ],
)
def test_a_defective_bluetooth_carrier_is_refused(payload: bytes, code: MalformedCode) -> None:
    assert refused(payload) is code


def test_an_nfc_carrier_names_the_phones_limits() -> None:
    payload = b"\x01" + fields((1, b"\xff\xff"), (2, b"\x01\x00\x00"))
    assert select_with(b"iso.org:18013:nfc", payload, 4).methods == (NfcMethod(65535, 65536),)
    assert select_with(b"ISO.org:18013:NFC", payload, 4).methods == (NfcMethod(65535, 65536),)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", MalformedCode.TRUNCATED),
        (b"\x01", MalformedCode.MISSING_KEY),
        (b"\x02" + fields((1, b"\xff"), (2, b"\xff")), MalformedCode.UNSUPPORTED),
        (b"\x01" + fields((1, b"\xff"), (2, bytes(9))), MalformedCode.BAD_VALUE),
        (b"\x01" + fields((1, b"\xff"), (1, b"\xff")), MalformedCode.BAD_VALUE),
    ],
)
def test_a_defective_nfc_carrier_is_refused(payload: bytes, code: MalformedCode) -> None:
    assert refused(payload, b"iso.org:18013:nfc", 4) is code


def test_a_wifi_aware_carrier_is_read() -> None:
    payload = fields((1, b"\x01"), (3, b"secret words"), (4, b"\x14"))
    assert select_with(b"application/vnd.wfa.nan", payload).methods == (WifiAwareMethod("secret words", bands=b"\x14"),)
    assert refused(fields((3, b"\xff")), b"application/vnd.wfa.nan") is MalformedCode.BAD_TEXT


def test_the_order_of_preference_is_that_of_the_ac_records_whatever_else_there_is() -> None:
    ble = record(2, BLE, fields((0x1C, b"\x01")), b"b")
    nfc = record(4, b"iso.org:18013:nfc", b"\x01" + fields((1, b"\xff"), (2, b"\xff")), b"n", long=True)
    extra = record(2, b"text/plain", b"hello")
    unknown = record(2, b"application/x-other", b"", b"o")
    inner = (record(1, b"err", b"\x01"), ac(b"n", b"mdoc", b"more"), ac(b"o"), ac(b"b", power=2), record(0, b"", b""))
    select = handover.parse_select(message(opening(b"Hs", *inner), extra, ble, unknown, said(), nfc, extra))
    assert [carrier.kind for carrier in select.carriers] == [CarrierKind.NFC, CarrierKind.OTHER, CarrierKind.BLE]
    assert select.methods == (NfcMethod(255, 255), BleMethod(False, True))
    assert select.carriers[0].auxiliary == (b"mdoc", b"more")
    assert select.carriers[2].power_state is PowerState.ACTIVATING


@pytest.mark.parametrize("version", [0x12, 0x13, 0x14, 0x15, 0x1F])
def test_versions_in_use_and_later_minor_ones_are_read(version: int) -> None:
    select = handover.parse_select(message(opening(b"Hs", version=version), said()))
    assert (select.version, select.carriers) == ((1, version & 15), ())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (message(opening(b"Hs", version=0x11), said()), MalformedCode.UNSUPPORTED),
        (message(opening(b"Hs", version=0x25), said()), MalformedCode.UNSUPPORTED),
        (message(record(1, b"Hs", b""), said()), MalformedCode.TRUNCATED),
        (message(opening(b"Hr"), said()), MalformedCode.BAD_VALUE),
        (message(said(), opening(b"Hs")), MalformedCode.BAD_VALUE),
        (message(opening(b"Hs")), MalformedCode.MISSING_KEY),
        (message(opening(b"Hs"), said(), said()), MalformedCode.BAD_VALUE),
        (message(opening(b"Hs"), said(b"\xa0")), MalformedCode.MISSING_KEY),
        (message(opening(b"Hs", ac(b"x")), said()), MalformedCode.MISSING_KEY),
        (message(opening(b"Hs", ac(b"mdoc")), said(), said()), MalformedCode.BAD_VALUE),
        (message(opening(b"Hs", ac(b"x")), said(), *[record(2, b"a/b", b"", b"x")] * 2), MalformedCode.BAD_VALUE),
        (message(opening(b"Hs", record(1, b"ac", b"\x01")), said()), MalformedCode.TRUNCATED),
        (message(opening(b"Hs", record(1, b"ac", b"\x01\x05x\x00")), said()), MalformedCode.TRUNCATED),
        (message(opening(b"Hs", record(1, b"ac", b"\x01\x01x")), said()), MalformedCode.TRUNCATED),
        (message(opening(b"Hs", record(1, b"ac", b"\x01\x01x\x02\x01a")), said()), MalformedCode.TRUNCATED),
    ],
)
def test_a_defective_select_is_refused(content: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        handover.parse_select(content)
    assert caught.value.code is code


def test_the_engagement_keeps_its_bytes_and_its_complaints_their_place() -> None:
    select = handover.parse_select(message(opening(b"Hs"), said()))
    assert select.engagement.raw == ENGAGEMENT
    with pytest.raises(Malformed, match=r"handover_select\.device_engagement"):
        handover.parse_select(message(opening(b"Hs"), said(b"\xff")))


def test_a_request_may_carry_a_reader_engagement() -> None:
    content = cbor.encode({0: "1.0"})
    hello = record(4, b"iso.org:18013:readerengagement", content, b"mdocreader")
    request = handover.parse_request(message(opening(b"Hr", record(1, b"cr", b"\xbe\xef")), hello))
    assert (request.reader_engagement, request.collision) == (content, b"\xbe\xef")
    bad = record(4, b"iso.org:18013:readerengagement", b"\x01", b"mdocreader")
    for several in ((hello, hello), (bad,)):
        with pytest.raises(Malformed):
            handover.parse_request(message(opening(b"Hr"), *several))


def test_records_of_every_form_are_read() -> None:
    content = message(
        record(1, b"U", b"\x00a"),
        record(2, b"a/b", bytes(300), b"name", long=True),
        record(0, b"", b""),
        record(5, b"", b"z"),
    )
    first, second, third, fourth = ndef.parse(content)
    assert (first.tnf, first.type, first.payload, first.offset) == (Tnf.WELL_KNOWN, b"U", b"\x00a", 0)
    assert (second.id, len(second.payload), second.offset) == (b"name", 300, 6)
    assert (third.tnf, fourth.tnf, fourth.payload) == (Tnf.EMPTY, Tnf.UNKNOWN, b"z")


@pytest.mark.parametrize(
    ("content", "code", "offset"),
    [
        (b"", MalformedCode.TRUNCATED, 0),
        (b"\xd1", MalformedCode.TRUNCATED, 1),
        (b"\xd1\x01\x02Ua", MalformedCode.TRUNCATED, 4),
        (b"\xc1\x01\xff\xff\xff\xffU", MalformedCode.TRUNCATED, 7),
        (b"\xd1\x01\x01Uab", MalformedCode.TRAILING_BYTES, 5),
        (b"\x51\x01\x01Ua", MalformedCode.BAD_VALUE, 0),
        (b"\x91\x01\x01Ua\xd1\x01\x01Ua", MalformedCode.BAD_VALUE, 5),
        (b"\x91\x01\x01Ua", MalformedCode.TRUNCATED, 5),
        (b"\xf1\x01\x01Ua", MalformedCode.UNSUPPORTED, 0),
        (b"\xd6\x00\x01a", MalformedCode.UNSUPPORTED, 0),
        (b"\xd7\x01\x01Ua", MalformedCode.BAD_VALUE, 0),
        (b"\xd0\x00\x01a", MalformedCode.BAD_VALUE, 0),
        (b"\xd5\x01\x01Ua", MalformedCode.BAD_VALUE, 0),
        (b"\xd1\x00\x01a", MalformedCode.BAD_VALUE, 0),
        (b"\x90\x00\x00" + b"\x10\x00\x00" * 70, MalformedCode.TOO_MANY_ITEMS, 192),
        (bytes(ndef.MAX_MESSAGE + 1), MalformedCode.TOO_LARGE, None),
    ],
)
def test_a_defective_message_is_refused_with_its_place(content: bytes, code: MalformedCode, offset: int | None) -> None:
    with pytest.raises(Malformed) as caught:
        ndef.parse(content)
    assert (caught.value.code, caught.value.offset) == (code, offset)


VALID = message(
    opening(b"Hs", ac(b"b", b"mdoc"), ac(b"n")),
    said(),
    record(2, BLE, fields((0x1C, b"\x02"), (0x07, bytes(16)), (0x16, b"\x01\xff\xa1\x00\x18\x81")), b"b"),
    record(4, b"iso.org:18013:nfc", b"\x01" + fields((1, b"\xff"), (2, b"\xff")), b"n"),
)


@given(st.binary(max_size=200))
@example(VALID)
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for read in (ndef.parse, handover.parse, handover.parse_select, handover.parse_request):
        with contextlib.suppress(Malformed):
            read(data)


@given(st.data())
def test_a_damaged_message_is_read_or_malformed(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(VALID) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(VALID)))]) if data.draw(st.booleans()) else bytes(damaged)
    try:
        select = handover.parse_select(cut)
    except Malformed:
        return
    assert select.raw == cut
    assert isinstance(select.engagement, engagement.DeviceEngagement)
