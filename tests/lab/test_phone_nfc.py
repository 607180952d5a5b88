"""The lab phone's applications against a bare client, ndeflib and the reader's own language."""

from __future__ import annotations

import time
from dataclasses import replace

import ndef
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nfc_client import SELECT_NDEF, SELECT_TRANSFER, TS_HANDOVER, Client, command
from nfc_session import OUR_UUID, REQUEST, WALLET, Reader, claimed, tap

from mdoc_reader.lab.nfc_behaviour import (
    NEGOTIATED,
    NEGOTIATED_NFC,
    NEGOTIATED_PERIPHERAL,
    STATIC,
    STATIC_BOTH,
    STATIC_CENTRAL,
    STATIC_NFC,
    TEXT_RECORD,
    URI_RECORD,
    BleOffer,
    Choice,
    Declines,
    Delay,
    Failure,
    LeRole,
    MessageBehaviour,
    NegotiationBehaviour,
    NfcOffer,
    OtherOffer,
    PastEnd,
    Psm,
    Step,
    TagBehaviour,
    TapBehaviour,
)
from mdoc_reader.lab.nfc_tag import NDEF_APPLICATION, Shown, Type4Tag
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_apdu import Selector
from mdoc_reader.mdoc import handover, handover_request, transcript
from mdoc_reader.model.connection import BleMethod, NfcMethod, WifiAwareMethod
from mdoc_reader.nfc import type4

PIECES = [
    SELECT_NDEF,
    SELECT_TRANSFER,
    bytes.fromhex("00A4000C02E104"),
    bytes.fromhex("00B00000B4"),
    b"\x00\xd6\x00\x00" + bytes((len(TS_HANDOVER) + 2, 0, len(TS_HANDOVER))) + TS_HANDOVER,
    b"\x00\xd6\x00\x00" + bytes((len(REQUEST) + 2, 0, len(REQUEST))) + REQUEST,
    command(0x10, 0xC3, b"\x53\x03", None),
    command(0x00, 0xC3, b"\x00\x01\x02", 256),
    command(0x00, 0xC0, b"", 256),
]


# Static handover


@pytest.mark.parametrize(
    ("behaviour", "server", "client"), [(STATIC, True, False), (STATIC_CENTRAL, False, True), (STATIC_BOTH, True, True)]
)
def test_static_handover_to_bluetooth(behaviour: TapBehaviour, server: bool, client: bool) -> None:
    _, bare, select, known = tap(behaviour)
    assert (bare.commands, known.negotiated, known.nfc) == (6, False, None)
    assert select.methods == (known.engagement.ble,)
    ble = known.engagement.ble
    assert ble is not None
    assert (ble.peripheral_server, ble.central_client) == (server, client)
    assert {ble.peripheral_uuid, ble.central_uuid} - {None}
    assert select.carriers[0].auxiliary == (b"mdoc",)


def test_every_spelling_of_a_bluetooth_carrier() -> None:
    address = bytes.fromhex("d00102030405")
    for psm in Psm:
        for kind in (None, 0, 1):
            offer = BleOffer(
                LeRole.BOTH_RATHER_CENTRAL,
                OUR_UUID,
                partial_list=kind == 0,
                address=address,
                address_type=kind,
                psm=0x81,
                psm_as=psm,
                extra=((0x09, b"phone"),),
                padding=2,
            )
            _, _, select, known = tap(replace(STATIC, carriers=(offer,)))
            assert select.methods == (BleMethod(True, True, OUR_UUID, OUR_UUID, address, 0x81),)
            assert known.engagement.ble == select.methods[0]


def test_a_missing_uuid() -> None:
    _, _, select, _ = tap(replace(STATIC, carriers=(BleOffer(with_uuid=False),)))
    assert select.methods == (BleMethod(True, False),)


def test_ndeflib_reads_the_same_carriers() -> None:
    phone = TapPhone(WALLET, replace(STATIC, carriers=(BleOffer(LeRole.CENTRAL, OUR_UUID), NfcOffer(255, 256))))
    client = Client(phone)
    client.open()
    opening, engagement, ble, nfc = ndef.message_decoder(client.message(), "strict")
    assert opening.type == "urn:nfc:wkt:Hs"
    assert opening.version_string == "1.5"
    assert [one.carrier_data_reference for one in opening.alternative_carriers] == ["0", "nfc"]
    assert [one.auxiliary_data_reference for one in opening.alternative_carriers] == [["mdoc"], ["mdoc"]]
    assert (engagement.type, engagement.name) == ("urn:nfc:ext:iso.org:18013:deviceengagement", "mdoc")
    assert ble.role_capabilities == "Central"
    assert (nfc.type, nfc.data) == ("urn:nfc:ext:iso.org:18013:nfc", bytes.fromhex("01 0201ff 03020100"))


@pytest.mark.parametrize("version", [0x12, 0x13, 0x14, 0x15])
@pytest.mark.parametrize("other", [False, True])
def test_messages_in_other_orders_with_records_nobody_asked_for(version: int, other: bool) -> None:
    carriers = (OtherOffer(), NfcOffer(0x1000, 0x10000), BleOffer(uuid=OUR_UUID), OtherOffer("x/y", b"?", "later"))
    messages = MessageBehaviour(
        version,
        auxiliary=not other,
        before=(URI_RECORD,),
        after=(TEXT_RECORD,),
        inner=(TEXT_RECORD,) if other else (),
        records_reversed=other,
        engagement_last=other,
    )
    _, _, select, known = tap(replace(STATIC, carriers=carriers, messages=messages))
    assert select.version == (1, version & 15)
    assert select.methods == (
        WifiAwareMethod(bands=b"\x14"),
        NfcMethod(0x1000, 0x10000),
        BleMethod(True, False, OUR_UUID),
    )
    assert known.nfc == carriers[1]


def test_a_message_without_engagement_tells_the_reader_nothing() -> None:
    phone = TapPhone(WALLET, replace(STATIC, messages=MessageBehaviour(without_engagement=True)))
    client = Client(phone)
    client.open()
    assert b"deviceengagement" not in client.message()


def test_every_field_is_a_new_engagement() -> None:
    phone = TapPhone(WALLET, STATIC)
    client = Client(phone)
    seen = set()
    for _ in range(2):
        client.open()
        message = client.message()
        client.open()
        # Selecting again in the same field changes nothing, and tells nobody anything new.
        assert client.message() == message
        known = claimed(phone)
        assert not known.over.done()
        phone.on_deselected()
        assert known.over.result(timeout=0).answered == 0
        seen.add((message, known.engagement.e_device_key_bytes))
    assert len(seen) == phone.fields == 2
    assert not phone.next_handover().done()


def test_a_handover_counts_only_once_it_was_read_to_its_end() -> None:
    phone = TapPhone(WALLET, STATIC)
    client = Client(phone)
    client.open()
    size = int.from_bytes(client.read(0, 2), "big")
    waiting = phone.next_handover()
    client.read(2, size - 1)
    assert not waiting.done()
    client.read(2 + size - 1, 1)
    assert waiting.done()


def test_a_waiter_that_gave_up_takes_nothing() -> None:
    phone = TapPhone(WALLET, STATIC)
    gone, waiting = phone.next_handover(), phone.next_handover()
    gone.cancel()
    client = Client(phone)
    client.open()
    client.message()
    assert waiting.done()


# The tag


@pytest.mark.parametrize("file", [0x0001, 0xE104, 0xABCD])
@pytest.mark.parametrize("most", [15, 59, 255, 256])
def test_file_identifiers_and_read_limits(file: int, most: int) -> None:
    phone = TapPhone(WALLET, replace(STATIC, tag=TagBehaviour(file=file, longest_read=most)))
    client = Client(phone)
    container = type4.parse_cc(client.open())
    assert (container.file, container.longest_read, container.version) == (file, most, (2, 0))
    assert (container.writable, container.readable) == (False, True)
    if most < 255:
        assert client.send(bytes((0, 0xB0, 0, 0, most + 1)))[1] == 0x6700
    assert handover.parse_select(client.message(most)).methods


def test_a_tag_of_mapping_version_three() -> None:
    tag = TagBehaviour(version=0x30, extended=True, file_size=0x10000)
    client = Client(TapPhone(WALLET, replace(STATIC, tag=tag)))
    container = type4.parse_cc(client.open())
    assert (container.version, container.file_size, container.length_octets) == ((3, 0), 0x10000, 4)
    assert handover.parse_select(client.message(octets=4)).methods


def test_other_blocks_in_the_container() -> None:
    tag = TagBehaviour(tlvs_after=bytes.fromhex("0506 8001 0100 00FF".replace(" ", "")))
    client = Client(TapPhone(WALLET, replace(STATIC, tag=tag)))
    assert len(client.open()) == 23


@pytest.mark.parametrize(
    ("past_end", "answer"),
    [
        (PastEnd.SHORT_6282, 0x6282),
        (PastEnd.SHORT_9000, 0x9000),
        (PastEnd.SIX_C, 0x6C0F),
        (PastEnd.REFUSED, 0x6B00),
    ],
)
def test_reading_past_the_end(past_end: PastEnd, answer: int) -> None:
    client = Client(TapPhone(WALLET, replace(STATIC, tag=TagBehaviour(past_end=past_end))))
    client.done(SELECT_NDEF)
    client.done("00A4000C02E103")
    data, sw = client.send("00B0000010")
    assert sw == answer
    assert len(data) == (15 if answer in {0x6282, 0x9000} else 0)


def test_a_file_as_large_as_it_says() -> None:
    client = Client(TapPhone(WALLET, replace(STATIC, tag=TagBehaviour(past_end=PastEnd.ZEROS))))
    client.open()
    assert client.read(0x0F00, 0xF0) == bytes(0xF0)
    assert client.send("00B00F80F6")[1] == 0x6B00


@pytest.mark.parametrize(
    ("wrong", "sw"),
    [
        ("00A4040006D2760000850100", 0x6A82),  # a part of the name
        ("00A4040004D2760000", 0x6700),
        ("00A4040009D276000085010100", 0x6700),  # shorter than it says
        ("00A4040107D276000085010100", 0x6A86),
        ("80A4040007D276000085010100", 0x6E00),
        ("10A4040007D276000085010100", 0x6884),
        ("00CA000000", 0x6D00),
        ("00B0000010", 0x6986),  # no file is selected
        ("00D6000001AA", 0x6986),
        ("00A4000002E103", 0x6A86),
        ("00A4000C03E10300", 0x6700),
        ("00A4000C02E105", 0x6A82),
        ("00C0000010", 0x6985),
        ("00A4", 0x6700),
    ],
)
def test_commands_a_phone_does_not_take(wrong: str, sw: int) -> None:
    client = Client(TapPhone(WALLET))
    client.done(SELECT_NDEF)
    assert client.send(wrong) == (b"", sw)


def test_a_static_tag_is_not_written_to() -> None:
    client = Client(TapPhone(WALLET))
    client.open()
    assert client.send("00D600000200AA")[1] == 0x6982


def test_nothing_is_selected_before_a_selection_and_after_the_field() -> None:
    phone = TapPhone(WALLET)
    client = Client(phone)
    assert client.send("00B0000001")[1] == 0x6D00
    client.open()
    phone.on_deselected()
    assert client.send("00B0000001")[1] == 0x6D00


def test_what_a_tag_says_about_itself_and_answers_in_pieces() -> None:
    tag = TagBehaviour(select_data=b"\x6f\x02\x84\x00", select_le=False)
    client = Client(TapPhone(WALLET, replace(STATIC, tag=tag, pieces=10)))
    assert client.send(SELECT_NDEF)[1] == 0x6700
    assert client.send(SELECT_NDEF[:-1]) == (b"", 0x6104)
    assert client.done("00C0000004") == b"\x6f\x02\x84\x00"
    client.done("00A4000C02E103")
    data, sw = client.send("00B000000F")
    assert (len(data), sw) == (10, 0x6105)
    assert len(client.done("00C0000005")) == 5
    assert client.send("00C0000005")[1] == 0x6985


class Heard:
    """Messages that were written to a tag."""

    writable = True

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def begin(self) -> Shown:
        return Shown(b"")

    def written(self, message: bytes) -> Shown:
        self.messages.append(message)
        return Shown(b"")

    def was_read(self, message: bytes) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("most", [1, 2, 3, 255])
def test_a_message_is_heard_once_its_length_stands(most: int) -> None:
    heard = Heard()
    client = Client(Selector({NDEF_APPLICATION: Type4Tag(heard, TagBehaviour(longest_write=most))}))
    for message in (bytes(range(1, 254)), b"\xaa" * 300, b"b"):
        client.open()
        whole = len(message).to_bytes(2, "big") + message
        if len(whole) <= most:
            client.update(0, whole)
        else:
            for offset, data in ((0, bytes(2)), (2, message), (0, whole[:2])):
                for at in range(0, len(data), most):
                    client.update(offset + at, data[at : at + most])
        assert heard.messages == [message]
        heard.messages.clear()
    if most < 255:
        assert client.send(bytes((0, 0xD6, 0, 0, most + 1)) + bytes(most + 1))[1] == 0x6700
    assert client.send(b"\x00\xd6\x0f\xff\x02\0\0")[1] == (0x6700 if most == 1 else 0x6B00)
    assert client.send("00D6000000")[1] == 0x6700
    client.done("00A4000C02E103")
    assert client.send("00D6000001AA")[1] == 0x6982


# Locked, failing, slow


def test_a_locked_phone_and_the_owner_who_unlocks_it() -> None:
    phone = TapPhone(WALLET, replace(STATIC, locked=True, unlocked_after=3))
    client = Client(phone)
    assert [client.send(SELECT_NDEF)[1] for _ in range(4)] == [0x6A82, 0x6A82, 0x6A82, 0x9000]
    phone.lock()
    assert client.send("00B0000001") == (b"", 0x6A82)
    phone.unlock()
    client.open()
    assert client.message()


@pytest.mark.parametrize("step", Step)
def test_every_step_can_fail_and_be_slow(step: Step) -> None:
    for at in (0, 1):
        phone = TapPhone(
            WALLET,
            TapBehaviour(
                (NfcOffer(80, 120),), failures=(Failure(step, 0x6F42, at, 1),), delays=(Delay(step, 2.5, at),)
            ),
        )
        client = Client(phone)
        outcomes = [_outcome(client, phone) for _ in range(2)]
        many = step in {Step.ENVELOPE_PART, Step.GET_RESPONSE}
        if step is Step.UPDATE:
            assert (outcomes, phone.steps[step]) == (["done", "done"], 0)
            continue
        assert outcomes[0 if at == 0 or many else 1] == "6F42"
        assert outcomes.count("done") == 1
        assert client.thought_s.count(2.5) == 1
        assert phone.steps[step] >= 2


def _outcome(client: Client, phone: TapPhone) -> str:
    try:
        client.open()
        select = handover.parse_select(client.message())
        client.done(SELECT_TRANSFER)
        reader = Reader(select)
        reader.read(client.deliver(reader.establish("portrait", "family_name"), 80, 120))
    except AssertionError as error:
        return str(error).partition("\n")[0]
    finally:
        phone.on_deselected()
    return "done"


# Negotiated handover


@pytest.mark.parametrize("most", [0xF6, 13])
def test_negotiated_handover_to_the_readers_own_uuid(most: int) -> None:
    tag = TagBehaviour(longest_write=most, longest_read=0xF6)
    phone = TapPhone(WALLET, replace(NEGOTIATED, tag=tag))
    client = Client(phone)
    container = type4.parse_cc(client.open())
    assert (container.writable, container.longest_write) == (True, most)
    (parameters,) = ndef.message_decoder(client.message(), "strict")
    assert parameters.type == "urn:nfc:wkt:Tp"
    assert parameters.data == b"\x10\x13urn:nfc:sn:handover" + bytes((0, 24, 15, 8, 0))
    client.write(TS_HANDOVER, most)
    assert client.message() == b"\xd1\x02\x01Te\x00"
    client.write(REQUEST, most)
    select = handover.parse_select(client.message())
    assert select.methods == (BleMethod(False, True),)
    known = claimed(phone)
    assert known.negotiated
    assert known.engagement.ble == BleMethod(False, True, None, OUR_UUID)
    assert known.engagement.handover == transcript.NfcHandover(select.raw, REQUEST)


def test_negotiated_handover_to_every_choice() -> None:
    _, _, select, known = tap(NEGOTIATED_PERIPHERAL)
    ble = known.engagement.ble
    assert ble is not None
    assert select.methods == (ble,)
    assert ble.peripheral_server
    assert ble.peripheral_uuid not in {None, OUR_UUID}
    _, _, select, known = tap(NEGOTIATED_NFC)
    assert (select.methods, known.nfc, known.engagement.ble) == ((NfcMethod(255, 256),), NfcOffer(), None)
    _, _, select, _ = tap(TapBehaviour(negotiates=NegotiationBehaviour(echo_uuid=True)))
    assert select.methods == (BleMethod(False, True, None, OUR_UUID),)


@pytest.mark.parametrize(
    ("offered", "prefers", "chosen"),
    [
        (handover_request.build(b"ab", uuid=None), tuple(Choice), BleMethod),
        (handover_request.build(b"ab", uuid=None, central=False), tuple(Choice), NfcMethod),
        (handover_request.build(b"ab", uuid=OUR_UUID, central=False, nfc=False), (Choice.PERIPHERAL,), None),
        (handover_request.build(b"ab", uuid=OUR_UUID, nfc=False), (Choice.NFC, Choice.PERIPHERAL), BleMethod),
    ],
)
def test_it_chooses_what_the_reader_has(offered: bytes, prefers: tuple[Choice, ...], chosen: type | None) -> None:
    phone = TapPhone(WALLET, TapBehaviour(negotiates=NegotiationBehaviour(prefers)))
    select = handover.parse_select(Client(phone).negotiate(offered))
    if chosen is None:
        assert select.carriers == ()
        assert not phone.next_handover().done()
    else:
        assert [type(method) for method in select.methods] == [chosen]


@pytest.mark.parametrize("empty_record", [False, True])
def test_it_may_need_time(empty_record: bool) -> None:
    behaviour = TapBehaviour(negotiates=NegotiationBehaviour(not_ready=2, empty_record=empty_record))
    client = Client(TapPhone(WALLET, behaviour))
    client.open()
    client.message()
    client.write(TS_HANDOVER)
    empty = b"\xd0\0\0" if empty_record else b""
    assert [client.message() for _ in range(3)] == [empty, empty, b"\xd1\x02\x01Te\x00"]
    client.write(REQUEST)
    assert [client.message() for _ in range(2)] == [empty, empty]
    assert handover.parse_select(client.message()).methods


def test_it_may_say_no() -> None:
    def negotiating(declines: Declines) -> Client:
        return Client(TapPhone(WALLET, TapBehaviour(negotiates=NegotiationBehaviour(declines=declines))))

    client = negotiating(Declines.SERVICE)
    client.open()
    client.message()
    client.write(TS_HANDOVER)
    assert client.message() == b"\xd1\x02\x01Te\x80"
    assert handover.parse_select(negotiating(Declines.EMPTY_SELECT).negotiate(REQUEST)).carriers == ()
    assert negotiating(Declines.STATUS).negotiate(REQUEST) == b"\xd1\x02\x01Te\x80"
    with pytest.raises(AssertionError, match="not ready"):
        negotiating(Declines.SILENCE).negotiate(REQUEST, 20)


@pytest.mark.parametrize(
    "wrong",
    [
        b"\xd1\x02\x05Ts\x05abcd",
        b"not NDEF at all",
        REQUEST[:-1],
        REQUEST.replace(b"Hr", b"Hx", 1),
        REQUEST.replace(b"cr", b"cx", 1),
        REQUEST.replace(b"mdocreader", b"mdocwriter", 1),
    ],
)
def test_what_it_does_not_understand_is_a_protocol_error(wrong: bytes) -> None:
    assert Client(TapPhone(WALLET, NEGOTIATED)).negotiate(wrong) == b"\xd1\x02\x01Te\x01"


def test_a_request_before_its_service_is_a_protocol_error() -> None:
    client = Client(TapPhone(WALLET, NEGOTIATED))
    client.open()
    first = client.message()
    client.write(REQUEST)
    assert client.message() == b"\xd1\x02\x01Te\x01"
    client.write(b"\xd1\x02\x01Ts\x00")
    assert client.message() == first


def test_the_first_message_may_hold_other_services_and_records() -> None:
    behaviour = TapBehaviour(
        negotiates=NegotiationBehaviour(other_services=("urn:nfc:sn:sms",)),
        messages=MessageBehaviour(before=(URI_RECORD,), after=(TEXT_RECORD,)),
    )
    client = Client(TapPhone(WALLET, behaviour))
    client.open()
    kinds = [record.type for record in ndef.message_decoder(client.message(), "strict")]
    assert kinds == ["urn:nfc:wkt:U", "urn:nfc:wkt:Tp", "urn:nfc:wkt:Tp", "urn:nfc:wkt:T"]


@given(st.lists(st.binary(max_size=40) | st.sampled_from(PIECES), max_size=12))
def test_any_commands_are_answered(commands: list[bytes]) -> None:
    for behaviour in (STATIC_NFC, NEGOTIATED):
        phone = TapPhone(WALLET, behaviour)
        for each in commands:
            assert len(phone.on_apdu(each).data) >= 2
        phone.on_deselected()


def test_a_tap_takes_little_time() -> None:
    began = time.monotonic()
    for _ in range(20):
        tap(NEGOTIATED)
    assert time.monotonic() - began < 5
