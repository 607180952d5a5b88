"""Exchanges with a tag that answers: waits as the service asked for them, and an end to every wait."""

from __future__ import annotations

from collections.abc import Callable

import ndef
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_tag import ScriptedCard, TagCard, Walked, encoded, service_record, status_message, walk

from mdoc_reader.mdoc import ndef as ours
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import tnep, type4
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.procedure import Procedure
from mdoc_reader.nfc.tnep import NotReady, Service, ServiceRefused

QUESTION, REPLY = b"\xd0\x00\x00question", b"reply"


def parsed(*records: ndef.Record) -> tuple[Service, ...]:
    return tnep.services(ours.parse(encoded(records)))


def talk(tag: TagCard, service: Service, *, select: bool = False) -> tuple[bytes, Walked]:
    card = ScriptedCard(tag)

    def procedure(way: Way) -> Procedure[bytes]:
        yield from type4.select_application()
        opened = yield from type4.open_tag(way)
        if select:
            yield from tnep.select(opened, service)
        return (yield from tnep.exchange(opened, service, QUESTION))

    return walk(procedure(Way.to(card)), card)


def answering(*shown: bytes) -> TagCard:
    return TagCard(on_message=lambda _: list(shown))


def test_services_are_read_in_their_order() -> None:
    other = service_record(b"urn:nfc:sn:other", wait=20, extensions=3, largest=512)
    first, second = parsed(other, ndef.TextRecord("hello"), service_record())
    assert first == Service(b"urn:nfc:sn:other", 2**4 / 1000, 3, 512)
    assert second == Service(tnep.HANDOVER, 0.0005, 15, 0xFFFF)


@pytest.mark.parametrize(("code", "wait_ms"), [(0, 0.5), (4, 1), (6, 2**0.5), (12, 4), (40, 512), (63, 2**14.75)])
def test_the_waiting_time_is_a_power_of_two(code: int, wait_ms: float) -> None:
    (service,) = parsed(service_record(wait=code))
    assert service.wait_s == pytest.approx(wait_ms / 1000)


def test_reserved_bits_and_later_minor_versions_are_passed_over() -> None:
    (service,) = parsed(service_record(wait=0xC4, version=0x1F))
    assert (service.wait_s, service.extensions) == (0.001, 15)


def test_more_extensions_than_four_bits_can_say_are_granted() -> None:
    (service,) = parsed(service_record(wait=20, extensions=31, largest=2048))
    reply, walked = talk(answering(*[b""] * 31, REPLY), service)
    assert (reply, walked.pauses) == (REPLY, [0.016] * 32)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", MalformedCode.TRUNCATED),
        (b"\x10", MalformedCode.TRUNCATED),
        (b"\x20\x01a\x00\x00\x0f\xff\xff", MalformedCode.UNSUPPORTED),
        (b"\x10\x00\x00\x00\x0f\xff\xff", MalformedCode.TRUNCATED),
        (b"\x10\x02a\x00\x00\x0f\xff", MalformedCode.TRUNCATED),
        (b"\x10\xffa\x00\x00\x0f\xff\xff", MalformedCode.TRUNCATED),
    ],
)
def test_a_defective_service_is_refused(payload: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(ndef.Record("urn:nfc:wkt:Tp", "", payload))
    assert caught.value.code is code


def test_a_service_is_selected_by_its_name() -> None:
    tag = TagCard(on_message=lambda message: [REPLY] if message == QUESTION else [status_message()])
    reply, walked = talk(tag, Service(tnep.HANDOVER, 0.001, 15, 100), select=True)
    assert reply == REPLY
    assert walked.pauses == [0.001, 0.001]
    (record,) = ndef.message_decoder(tag.written[0])
    assert (record.type, record.data) == ("urn:nfc:wkt:Ts", b"\x13" + tnep.HANDOVER)


@pytest.mark.parametrize("status", [1, 2, 255])
def test_a_tag_may_refuse_a_service(status: int) -> None:
    with pytest.raises(ServiceRefused) as caught:
        talk(answering(status_message(status)), Service(tnep.HANDOVER, 0.001, 15, 100), select=True)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "shown",
    [
        encoded([ndef.TextRecord("hello")]),
        encoded([ndef.Record("urn:nfc:wkt:Te", "", b"")]),
        status_message()[:-1],
        encoded([ndef.Record("urn:nfc:wkt:Te", "", b"\x00")] * 2),
    ],
)
def test_an_answer_without_one_status_is_none(shown: bytes) -> None:
    with pytest.raises(Malformed):
        talk(answering(shown), Service(tnep.HANDOVER, 0.001, 15, 100), select=True)


@pytest.mark.parametrize("empty", [b"", b"\xd0\x00\x00"])
@pytest.mark.parametrize("times", [0, 1, 15])
def test_a_service_may_ask_for_time_as_often_as_it_announced(times: int, empty: bytes) -> None:
    reply, walked = talk(answering(*[empty] * times, REPLY), Service(b"s", 0.016, 15, 100))
    assert reply == REPLY
    assert walked.pauses == [0.016] * (1 + times)


@pytest.mark.parametrize(("extensions", "times"), [(0, 1), (3, 4), (15, 16)])
def test_and_no_more_often(extensions: int, times: int) -> None:
    tag = answering(b"")
    with pytest.raises(NotReady):
        talk(tag, Service(b"s", 0.001, extensions, 100))
    assert tag.reads == 1 + times  # the container, then the length


def test_all_waits_together_have_an_end() -> None:
    assert tnep.MAX_WAIT_S == 10
    (service,) = parsed(service_record(wait=51, extensions=15))  # 3.4 s, sixteen times
    tag = answering(b"")
    with pytest.raises(NotReady):
        talk(tag, service)
    assert tag.reads == 1 + 2
    (service,) = parsed(service_record(wait=63))  # 27 s at once
    tag = answering(REPLY)
    with pytest.raises(NotReady):
        talk(tag, service)
    assert tag.reads == 1


def test_no_message_is_longer_than_the_service_takes() -> None:
    tag = answering(REPLY)
    with pytest.raises(Malformed) as caught:
        talk(tag, Service(b"s", 0.001, 15, len(QUESTION) - 1))
    assert (caught.value.code, tag.written) == (MalformedCode.TOO_LARGE, [])
    talk(tag, Service(b"s", 0.001, 15, len(QUESTION)))


@given(st.binary(max_size=64))
def test_any_parameters_are_a_bounded_service_or_malformed(payload: bytes) -> None:
    take: Callable[[bytes], tuple[Service, ...]] = lambda data: parsed(ndef.Record("urn:nfc:wkt:Tp", "", data))  # noqa: E731
    try:
        (service,) = take(payload)
    except Malformed:
        return
    assert 0 < service.wait_s < 28
    assert 0 <= service.extensions <= 255
