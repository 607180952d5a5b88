"""Whole taps: phones of every make, as far as the specifications allow them to differ, and what is no phone at all."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import ndef
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nfc"))
from scripted_tag import (
    ENGAGEMENT,
    NDEF_APPLICATION,
    NOT_FOUND,
    OK,
    UUID_PHONE,
    UUID_READER,
    ScriptedCard,
    TagCard,
    Walked,
    bluetooth,
    container,
    encoded,
    engagement_record,
    nfc_carrier,
    select_message,
    service_message,
    service_record,
    status_message,
    take_apart,
    walk,
)

from mdoc_reader.engagement.tap import TapCode, TapEnded, TapOffer, Tapped, engage
from mdoc_reader.mdoc import cbor, handover
from mdoc_reader.model.connection import BleMethod, NfcMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import CardError, FieldCode

OFFER = TapOffer(b"\xbe\xef", UUID_READER)
BOTH = BleMethod(True, True, UUID_PHONE, UUID_PHONE)
TO_US = BleMethod(False, True, central_uuid=UUID_PHONE)
TO_PHONE = BleMethod(True, False, peripheral_uuid=UUID_PHONE)
BY_NFC = NfcMethod(0xFFFF, 0x10000)
PASSPORT, PAYMENT = bytes.fromhex("a0000002471001"), b"2PAY.SYS.DDF01"


def tapped(card: ScriptedCard | Callable[[bytes], bytes], offer: TapOffer = OFFER) -> tuple[Tapped, Walked]:
    card = card if isinstance(card, ScriptedCard) else ScriptedCard(card)
    return walk(engage(offer, Way.to(card)), card)


def ended(card: ScriptedCard | Callable[[bytes], bytes], offer: TapOffer = OFFER) -> TapCode:
    with pytest.raises(TapEnded) as caught:
        tapped(card, offer)
    return caught.value.code


def negotiator(*shown: bytes, first: bytes | None = None, status: int = 0, mlc: int = 255) -> TagCard:
    """A phone that negotiates: `shown` is what it shows once it has read the request."""

    def on_message(message: bytes) -> list[bytes]:
        (record, *_) = ndef.message_decoder(message)
        return [status_message(status)] if record.type == "urn:nfc:wkt:Ts" else list(shown)

    return TagCard(first or service_message(), on_message=on_message, mlc=mlc)


# Static handover.


@pytest.mark.parametrize(
    ("carrier", "method"),
    [
        (bluetooth(0, UUID_PHONE), TO_PHONE),
        (bluetooth(1, UUID_PHONE), TO_US),
        (bluetooth(2, UUID_PHONE), BOTH),
        (bluetooth(3, UUID_PHONE), BOTH),
        (
            bluetooth(0, None, address="28:37:8B:12:28:28"),
            BleMethod(True, False, address=bytes.fromhex("28378b122828")),
        ),
        (nfc_carrier(), BY_NFC),
        (nfc_carrier(255, 256), NfcMethod(255, 256)),
    ],
)
def test_a_static_handover_takes_six_commands(carrier: ndef.Record, method: object) -> None:
    message = select_message(carrier)
    said, walked = tapped(TagCard(message))
    assert said.methods == (method,)
    assert (said.negotiated, said.handover.select, said.handover.request) == (False, message, None)
    assert said.select.engagement.raw == ENGAGEMENT
    assert len(walked.sent) == 6 + (len(message) > 255)
    assert walked.pauses == []


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4", "1.5"])
@pytest.mark.parametrize(("file", "mle"), [(0xE104, 255), (0xE1ED, 15), (0x0001, 59), (0xE105, 0xFFFF)])
def test_phones_differ(version: str, file: int, mle: int) -> None:
    message = select_message(bluetooth(1, UUID_PHONE), version=version)
    said, _ = tapped(TagCard(message, file=file, mle=mle))
    assert said.methods == (TO_US,)
    assert said.select.version == (1, int(version[-1]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_the_ac_records_is_the_phones_preference(order: tuple[int, ...]) -> None:
    carriers = [
        bluetooth(0, UUID_PHONE, "b"),
        nfc_carrier(),
        ndef.Record("application/vnd.wfa.nan", "W", b"\x02\x04\x14"),
    ]
    methods = [TO_PHONE, BY_NFC, None]
    said, _ = tapped(TagCard(select_message(*carriers, order=order)))
    assert list(said.methods) == [methods[index] for index in order if methods[index]]
    assert len(said.select.methods) == 3


def test_records_of_others_are_passed_over() -> None:
    extra = [ndef.UriRecord("https://example.com"), ndef.Record("application/x-other", "o", bytes(300))]
    said, _ = tapped(TagCard(select_message(bluetooth(1, UUID_PHONE), extra=extra)))
    assert said.methods == (TO_US,)


def engagement_with(*methods: object) -> bytes:
    inner = cbor.as_map(cbor.decode(ENGAGEMENT), "")
    head = b"\xa3" + ENGAGEMENT[1:]
    assert set(inner) == {0, 1}
    return head + b"\x02" + cbor.encode(list(methods))


IN_ENGAGEMENT = [2, 1, {0: True, 1: True, 10: UUID_PHONE.bytes, 11: UUID_PHONE.bytes}]


def test_uuids_the_carrier_leaves_out_may_stand_in_the_engagement() -> None:
    content = engagement_with(IN_ENGAGEMENT)
    for role, method in ((0, TO_PHONE), (1, TO_US), (2, BOTH)):
        said, _ = tapped(TagCard(select_message(bluetooth(role), content=content)))
        assert said.methods == (method,)


def test_without_usable_carriers_the_engagements_methods_hold() -> None:
    content = engagement_with([1, 1, {0: 255, 1: 256}], IN_ENGAGEMENT)
    other = ndef.Record("application/vnd.wfa.nan", "W", b"\x02\x04\x14")
    for carriers in ([], [other]):
        said, _ = tapped(TagCard(select_message(*carriers, content=content)))
        assert said.methods == (NfcMethod(255, 256), BOTH)


def test_a_static_carrier_that_names_no_uuid_cannot_be_reached() -> None:
    for role in (0, 1, 2):
        assert ended(TagCard(select_message(bluetooth(role)))) is TapCode.NO_COMMON_METHOD
    said, _ = tapped(TagCard(select_message(bluetooth(2, address="28:37:8B:12:28:28"))))
    assert said.methods == (BleMethod(True, False, address=bytes.fromhex("28378b122828")),)


def test_only_what_the_reader_can_use_is_kept() -> None:
    message = select_message(bluetooth(2, UUID_PHONE), nfc_carrier())
    assert tapped(TagCard(message), replace(OFFER, nfc=False))[0].methods == (BOTH,)
    assert tapped(TagCard(message), replace(OFFER, ble=False))[0].methods == (BY_NFC,)
    assert ended(TagCard(message), replace(OFFER, ble=False, nfc=False)) is TapCode.NO_COMMON_METHOD
    assert ended(TagCard(select_message(nfc_carrier())), replace(OFFER, nfc=False)) is TapCode.NO_COMMON_METHOD
    assert ended(TagCard(select_message())) is TapCode.NO_COMMON_METHOD


# Negotiated handover.


def test_a_negotiated_handover_keeps_both_messages_to_the_byte() -> None:
    answer = select_message(bluetooth(1))
    phone = negotiator(b"", b"", answer)
    said, walked = tapped(phone)
    assert said.methods == (replace(TO_US, central_uuid=UUID_READER),)
    assert said.negotiated
    assert said.handover.select == answer
    assert said.handover.request == phone.written[1]
    request = handover.parse_request(phone.written[1])
    assert (request.collision, len(request.carriers)) == (b"\xbe\xef", 2)
    assert request.carriers[0].method == BleMethod(True, True, UUID_READER, UUID_READER)
    assert len(walked.sent) == 6 + 3 + 1 + 2 + 2
    assert len(walked.pauses) == 4


@pytest.mark.parametrize(
    ("carrier", "method"),
    [
        (bluetooth(1), BleMethod(False, True, central_uuid=UUID_READER)),
        (bluetooth(1, UUID_READER), BleMethod(False, True, central_uuid=UUID_READER)),
        (bluetooth(1, UUID_PHONE), TO_US),
        (bluetooth(0, UUID_PHONE), TO_PHONE),
        (bluetooth(0), BleMethod(True, False, peripheral_uuid=UUID_READER)),
        (bluetooth(0, address="28:37:8B:12:28:28"), BleMethod(True, False, address=bytes.fromhex("28378b122828"))),
        (bluetooth(2), BleMethod(True, True, UUID_READER, UUID_READER)),
        (bluetooth(2, UUID_PHONE), BleMethod(True, True, UUID_PHONE, UUID_READER)),
        (nfc_carrier(), BY_NFC),
    ],
)
def test_the_uuid_is_ours_unless_the_phone_shows_itself_under_its_own(carrier: ndef.Record, method: object) -> None:
    assert tapped(negotiator(select_message(carrier)))[0].methods == (method,)


def test_what_is_not_there_is_not_offered() -> None:
    phone = negotiator(select_message(bluetooth(0, UUID_PHONE)))
    said, _ = tapped(phone, TapOffer(b"ab"))
    assert said.methods == (TO_PHONE,)
    ble, _ = handover.parse_request(phone.written[1]).carriers
    assert ble.method == BleMethod(True, False)  # the reader is central only: the phone has to show itself
    assert ended(negotiator(select_message(bluetooth(1))), TapOffer(b"ab")) is TapCode.NO_COMMON_METHOD
    phone = negotiator(select_message(nfc_carrier()))
    assert tapped(phone, replace(OFFER, ble=False))[0].methods == (BY_NFC,)
    assert len(handover.parse_request(phone.written[1]).carriers) == 1
    assert ended(negotiator(b""), replace(OFFER, ble=False, nfc=False)) is TapCode.NO_COMMON_METHOD


@pytest.mark.parametrize("mlc", [1, 2, 13, 54, 253, 255, 0xFFFF])
def test_a_phone_that_takes_little_at_once_is_negotiated_with(mlc: int) -> None:
    assert tapped(negotiator(select_message(bluetooth(1)), mlc=mlc))[0].negotiated


def both_kinds() -> bytes:
    opening = ndef.HandoverSelectRecord("1.5")
    carrier = bluetooth(0, UUID_PHONE)
    opening.add_alternative_carrier("active", carrier.name, "mdoc")
    return encoded([opening, service_record(), engagement_record(), carrier])


def test_a_phone_that_shows_both_is_negotiated_with_where_it_can_be() -> None:
    first = both_kinds()
    phone = negotiator(select_message(bluetooth(1)), first=first)
    assert tapped(phone)[0].negotiated
    said, _ = tapped(TagCard(first))  # not writable
    assert (said.methods, said.negotiated, said.handover.select) == ((TO_PHONE,), False, first)
    said, _ = tapped(negotiator(select_message(nfc_carrier()), first=first), replace(OFFER, ble=False))
    assert said.negotiated
    assert ended(TagCard(service_message())) is TapCode.NO_COMMON_METHOD  # nothing else, and not writable


def test_a_service_nobody_understands_does_not_spoil_a_static_handover() -> None:
    opening = ndef.HandoverSelectRecord("1.5")
    carrier = bluetooth(0, UUID_PHONE)
    opening.add_alternative_carrier("active", carrier.name, "mdoc")
    later = service_record(version=0x20)
    assert tapped(negotiator(first=encoded([opening, later, engagement_record(), carrier])))[0].methods == (TO_PHONE,)
    with pytest.raises(Malformed) as caught:
        tapped(negotiator(first=encoded([later])))
    assert caught.value.code is MalformedCode.UNSUPPORTED


def test_negotiation_may_be_refused_or_never_come_to_an_end() -> None:
    assert ended(negotiator(status=1)) is TapCode.REFUSED_SERVICE
    assert ended(negotiator(b"")) is TapCode.NOT_READY
    assert ended(negotiator(b"", first=service_message(wait=63))) is TapCode.NOT_READY


@pytest.mark.parametrize(
    "answer", [b"\xd1\x01\x00T", encoded([ndef.TextRecord("no")]), b"garbage", service_message(), status_message()]
)
def test_an_answer_that_is_no_handover_select_is_malformed(answer: bytes) -> None:
    with pytest.raises(Malformed):
        tapped(negotiator(answer))


def test_a_service_for_small_messages_is_not_overrun() -> None:
    phone = negotiator(b"", first=service_message(largest=100))
    with pytest.raises(Malformed) as caught:
        tapped(phone)
    assert (caught.value.code, len(phone.written)) == (MalformedCode.TOO_LARGE, 1)


# What is no phone with a document.


def applications(*names: bytes) -> Callable[[bytes], bytes]:
    return lambda command: b"\x6f\x00" + OK if take_apart(command).data in names else NOT_FOUND


@pytest.mark.parametrize(
    ("names", "random_uid", "code", "commands"),
    [
        ((), True, TapCode.LOCKED, 2),
        ((PAYMENT,), True, TapCode.LOCKED, 2),
        ((PASSPORT,), True, TapCode.PASSPORT, 2),
        ((PASSPORT,), False, TapCode.PASSPORT, 2),
        ((PAYMENT,), False, TapCode.BANK_CARD, 3),
        ((PASSPORT, PAYMENT), False, TapCode.PASSPORT, 2),
        ((), False, TapCode.NOT_A_PHONE, 3),
    ],
)
def test_what_has_no_ndef_application_is_named(
    names: tuple[bytes, ...], random_uid: bool, code: TapCode, commands: int
) -> None:
    card = ScriptedCard(applications(*names), random_uid=random_uid)
    assert ended(card) is code
    assert len(card.sent) == commands
    assert take_apart(card.sent[0]).data == NDEF_APPLICATION


@pytest.mark.parametrize("status", [b"\x6a\x82", b"\x69\x85", b"\x69\x99", b"\x6d\x00", b"\x67\x00"])
def test_a_phone_may_say_in_several_ways_that_it_is_locked(status: bytes) -> None:
    assert ended(lambda _: status) is TapCode.LOCKED


@pytest.mark.parametrize(
    "message",
    [
        b"",
        encoded([ndef.UriRecord("https://example.com")]),
        encoded([ndef.HandoverSelectRecord("1.5")]),  # a loudspeaker, to be paired with
        service_message(b"urn:nfc:sn:other"),
        encoded([engagement_record()]),
    ],
)
def test_a_tag_without_a_handover_says_so(message: bytes) -> None:
    assert ended(TagCard(message)) is TapCode.NO_HANDOVER


def test_what_cannot_be_read_says_so() -> None:
    closed = container()[:13] + b"\x80\xff"
    assert ended(TagCard(select_message(nfc_carrier()), cc=closed)) is TapCode.NOT_READABLE
    for step in range(2, 7):
        tag = TagCard(select_message(nfc_carrier()))
        seen: list[bytes] = []

        def failing(command: bytes, step: int = step, tag: TagCard = tag, seen: list[bytes] = seen) -> bytes:
            seen.append(command)
            return b"\x69\x82" if len(seen) >= step else tag(command)

        assert ended(failing) is TapCode.NOT_READABLE


def test_a_write_that_is_refused_says_so() -> None:
    tag = negotiator(b"")
    assert ended(lambda command: b"\x69\x82" if command[1] == 0xD6 else tag(command)) is TapCode.NOT_READABLE


def test_garbage_is_malformed() -> None:
    with pytest.raises(Malformed):
        tapped(TagCard(b"garbage"))
    with pytest.raises(Malformed):
        tapped(TagCard(select_message(nfc_carrier(), content=b"\xa0")))


@pytest.mark.parametrize("negotiated", [False, True])
def test_a_phone_taken_away_at_any_step_is_lost(negotiated: bool) -> None:
    def phone() -> TagCard:
        return negotiator(select_message(bluetooth(1))) if negotiated else TagCard(select_message(nfc_carrier()))

    steps = len(tapped(phone())[1].sent)
    assert steps == (12 if negotiated else 6)
    for lives in range(steps):
        with pytest.raises(CardError) as caught:
            tapped(ScriptedCard(phone(), lives=lives))
        assert caught.value.code is FieldCode.LOST


@given(st.data())
def test_whatever_a_phone_answers_there_is_an_end_and_a_reason(data: st.DataObject) -> None:
    """Answers of a good phone, some of them changed."""
    phone = negotiator(select_message(bluetooth(1), nfc_carrier()))
    spoilt = data.draw(st.dictionaries(st.integers(0, 20), st.binary(min_size=2, max_size=20), max_size=3))
    seen = itertools.count()

    def answer(command: bytes) -> bytes:
        given, index = phone(command), next(seen)
        return spoilt.get(index, given)

    try:
        said, _ = tapped(answer)
    except (CardError, Malformed, TapEnded):
        return
    assert said.methods
    for method in said.methods:
        if isinstance(method, BleMethod):
            assert isinstance(method.central_uuid, UUID) or not method.central_client
