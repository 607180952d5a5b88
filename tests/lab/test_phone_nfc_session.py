"""Sessions of the lab phone over NFC against a bare client and the reader's own language."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nfc_client import SELECT_TRANSFER, Client, command
from nfc_session import END, REQUEST, WALLET, Reader, claimed, make_wallet, tap

from mdoc_reader.lab import people
from mdoc_reader.lab.nfc_behaviour import (
    NEGOTIATED_NFC,
    STATIC,
    STATIC_NFC,
    NfcOffer,
    TagBehaviour,
    TapBehaviour,
    TransferBehaviour,
)
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_session import NEVER_S
from mdoc_reader.mdoc import handover, keys, request, response, session, transcript
from mdoc_reader.mdoc.handover import HandoverSelect
from mdoc_reader.model.connection import NfcMethod


@pytest.mark.parametrize("behaviour", [STATIC_NFC, NEGOTIATED_NFC])
def test_a_session_over_nfc(behaviour: TapBehaviour) -> None:
    phone, client, select, known = tap(behaviour)
    client.done(SELECT_TRANSFER)
    reader = Reader(select, None if behaviour.negotiates is None else REQUEST)
    assert not known.session_begun.done()
    assert reader.read(client.deliver(reader.establish("family_name"))) == {"family_name"}
    assert known.session_begun.done()
    assert phone.session is not None
    assert phone.session.transcript == reader.transcript
    again = reader.again("portrait", "given_name")
    assert reader.read(client.deliver(again)) == {"portrait", "given_name"}
    assert not known.over.done()
    assert client.deliver(END) == b""
    outcome = known.over.result(timeout=0)
    assert (outcome.answered, outcome.status) == (2, session.Status.TERMINATION)
    assert client.send(command(0, 0xC3, b"\x53\x01\xa0", 256))[1] == 0x6985


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("transfer", [TransferBehaviour(), TransferBehaviour(first_empty=True, six_c=True, part=77)])
def test_twenty_kilobytes(extended: bool, transfer: TransferBehaviour) -> None:
    limits = NfcOffer(0x0400, 0x1000) if extended else NfcOffer()
    phone = TapPhone(make_wallet(bytes(20_000)), TapBehaviour((limits,), transfer=transfer))
    client = Client(phone)
    client.open()
    select = handover.parse_select(client.message())
    assert select.methods == (NfcMethod(limits.max_command, limits.max_response),)
    client.done(SELECT_TRANSFER)
    reader = Reader(select)
    message = client.deliver(reader.establish("portrait"), limits.max_command, limits.max_response, extended=extended)
    assert len(message) > 20_000
    assert reader.read(message) == {"portrait"}


def test_the_limits_are_insisted_on() -> None:
    _, client, _, _ = tap(replace(STATIC_NFC, carriers=(NfcOffer(100, 120),)))
    client.done(SELECT_TRANSFER)
    for wrong, sw in (
        (command(0x10, 0xC3, bytes(101), None), 0x6700),
        (command(0x10, 0xC3, bytes(10), 10), 0x6700),
        (command(0x00, 0xC3, b"\x53\x00", 121), 0x6700),
        (command(0x00, 0xC3, b"\x53\x00", 120, extended=True), 0x6700),
        (command(0x00, 0xC3, b"", 120), 0x6700),
        (b"\x00\xc3\x00\x01\x02\x53\x00\x00", 0x6A86),
        (command(0x00, 0xC3, b"\x53\x81\x01\x00", 120), 0x6A80),  # not the shortest length
        (command(0x00, 0xC3, b"\x53\x02\x00", 120), 0x6A80),
        ("00B0000001", 0x6D00),
    ):
        assert client.send(wrong) == (b"", sw)


def test_a_message_half_sent_is_forgotten() -> None:
    _, client, select, _ = tap(STATIC_NFC)
    client.done(SELECT_TRANSFER)
    client.done(command(0x10, 0xC3, b"\x53\x20half", None))
    client.done(SELECT_TRANSFER)
    reader = Reader(select)
    assert reader.read(client.deliver(reader.establish("family_name"))) == {"family_name"}


def test_an_answer_without_le_is_fetched() -> None:
    _, client, select, _ = tap(STATIC_NFC)
    client.done(SELECT_TRANSFER)
    message = Reader(select).establish("family_name")
    whole = b"\x53\x81" + bytes((len(message),)) + message
    client.done(command(0x10, 0xC3, whole[:100], None))
    assert client.send(command(0, 0xC3, whole[100:], None)) == (b"", 0x6100)
    assert len(client.send("00C00000FF")[0]) == 255
    assert client.send("00C0000100") == (b"", 0x6A86)
    # What was not fetched in one go is gone.
    assert client.send("00C0000001") == (b"", 0x6985)


def test_what_is_not_fetched_at_once_is_gone() -> None:
    _, client, select, _ = tap(replace(STATIC_NFC, transfer=TransferBehaviour(part=100, six_c=True)))
    client.done(SELECT_TRANSFER)
    reader = Reader(select)
    assert reader.read(client.deliver(reader.establish("family_name"))) == {"family_name"}
    message = reader.again("given_name")
    whole = b"\x53\x81" + bytes((len(message),)) + message
    sw = client.send(command(0, 0xC3, whole, 256))[1]
    while sw == 0x6100:
        sw = client.send("00C0000000")[1]
    # The last of it: asked for too much, the phone says how much there is.
    while sw >> 8 == 0x61:
        left = sw & 0xFF
        assert client.send("00C0000000") == (b"", 0x6C00 | left)
        data, sw = client.send(bytes((0, 0xC0, 0, 0, left)))
        assert len(data) == min(left, 100)
    assert sw == 0x9000
    _, client, select, _ = tap(STATIC_NFC)
    client.done(SELECT_TRANSFER)
    message = Reader(select).establish("portrait")
    client.done(command(0x10, 0xC3, b"\x53\x81" + bytes((len(message),)) + message[:100], None))
    assert client.send(command(0, 0xC3, message[100:], 256))[1] == 0x6100
    client.done(SELECT_TRANSFER)
    assert client.send("00C0000064")[1] == 0x6985


def test_no_transfer_without_its_handover() -> None:
    phone = TapPhone(WALLET, STATIC_NFC)
    client = Client(phone)
    assert client.send(SELECT_TRANSFER)[1] == 0x6A82
    _, client, _, _ = tap(STATIC)
    assert client.send(SELECT_TRANSFER)[1] == 0x6A82


@pytest.mark.parametrize("p2", [0x00, 0x0C])
def test_a_phone_may_insist_on_one_form_of_selection(p2: int) -> None:
    _, client, _, _ = tap(replace(STATIC_NFC, transfer=TransferBehaviour((p2,), b"\x6f\x00")))
    assert client.send(SELECT_TRANSFER[:3] + bytes((p2 ^ 0x0C,)) + SELECT_TRANSFER[4:])[1] == 0x6A86
    assert client.send(SELECT_TRANSFER[:3] + bytes((p2,)) + SELECT_TRANSFER[4:])[1] == (0x9000 if p2 else 0x6102)


def test_what_does_not_decrypt_or_decode_ends_the_session() -> None:
    for message, status in ((b"\xa0", 11), (b"", 11)):
        _, client, select, known = tap(STATIC_NFC)
        client.done(SELECT_TRANSFER)
        assert session.parse_session_data(client.deliver(message)).status == status
        assert known.over.result(timeout=0).refused == status
    _, client, select, known = tap(NEGOTIATED_NFC)
    client.done(SELECT_TRANSFER)
    # Another transcript: the request is left out of it.
    assert session.parse_session_data(client.deliver(Reader(select).establish("portrait"))).status == 10
    assert known.over.result(timeout=0).refused == 10


def test_consent_takes_its_time() -> None:
    _, client, select, _ = tap(replace(STATIC_NFC, transfer=TransferBehaviour(consent_s=7.5, later_consent_s=1.5)))
    client.done(SELECT_TRANSFER)
    reader = Reader(select)
    reader.read(client.deliver(reader.establish("family_name")))
    reader.read(client.deliver(reader.again("given_name")))
    assert [each for each in client.thought_s if each] == [7.5, 1.5]


def test_approve_and_tap_again() -> None:
    now = [100.0]
    transfer = TransferBehaviour(consent_s=5.0, needs_second_tap=True)
    phone = TapPhone(WALLET, replace(STATIC_NFC, transfer=transfer), clock=lambda: now[0])
    client = Client(phone)

    def once() -> tuple[HandoverSelect, float, bytes]:
        client.open()
        select = handover.parse_select(client.message())
        client.done(SELECT_TRANSFER)
        reader = Reader(select)
        message = reader.establish("family_name")
        data, sw = client.send(command(0, 0xC3, b"\x53\x81" + bytes((len(message),)) + message, 256))
        thought = client.thought_s[-1]
        if sw != 0x6985:
            assert sw >> 8 == 0x61
        phone.on_deselected()
        return select, thought, data

    first, thought, data = once()
    assert (thought, data) == (NEVER_S, b"")
    assert claimed(phone).over.result(timeout=0).pending
    now[0] += 4.9
    assert once()[1] == NEVER_S
    now[0] += 0.2
    third, thought, data = once()
    assert thought == 0.0
    assert len(data) == 256
    assert first.engagement.e_device_key_bytes != third.engagement.e_device_key_bytes
    # Approval is for one answer.
    assert once()[1] == NEVER_S
    phone.approve()
    assert once()[1] == 0.0


def test_an_answer_that_lies() -> None:
    raw = b"\x53\x84\x7f\xff\xff\xff" + bytes(1000)
    transfer = TransferBehaviour(raw_answer=raw)
    _, client, select, _ = tap(replace(STATIC_NFC, transfer=transfer))
    client.done(SELECT_TRANSFER)
    with pytest.raises(AssertionError):
        client.deliver(Reader(select).establish("family_name"))
    tag = TagBehaviour(length_lie=0xFFF0, raw_message=b"\xd0\0\0")
    client = Client(TapPhone(WALLET, replace(STATIC, tag=tag)))
    client.open()
    assert client.read(0, 5) == b"\xff\xf0\xd0\0\0"


def test_a_session_that_began_with_a_code() -> None:
    phone = TapPhone(WALLET, STATIC_NFC)
    engagement = WALLET.engage(methods=[NfcMethod(255, 256)])
    phone.show_code(engagement, NfcOffer())
    client = Client(phone)
    client.done(SELECT_TRANSFER)
    key = keys.generate_agreement_key(keys.CURVES_BY_NAME["P-256"])
    public = keys.encode_cose_key(key.public_key())
    bare = transcript.session_transcript(engagement.encoded, public)
    cipher = session.SessionCipher(key, engagement.private_key.public_key(), bare)
    items = request.ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"sex": False}}).encode()
    data = cipher.encrypt(request.build_device_request([items], bare))
    answer = client.deliver(session.SessionEstablishment(public, data).encode())
    said = session.parse_session_data(answer).data
    assert said is not None
    assert len(response.parse(cipher.decrypt(said)).documents) == 1
