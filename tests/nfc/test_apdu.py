"""Command and response APDUs: every case of encoding, and exchanges that take more than one command."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scripted_tag import ScriptedCard, take_apart, walk

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import apdu
from mdoc_reader.nfc.apdu import Parsed, Refused, Way
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Response


def scripted(*answers: str, **limits: int) -> ScriptedCard:
    waiting = [bytes.fromhex(answer) for answer in answers]
    return ScriptedCard(lambda _: waiting.pop(0), **limits)  # type: ignore[arg-type]


def sent(card: ScriptedCard) -> list[str]:
    return [command.hex() for command in card.sent]


@pytest.mark.parametrize(
    ("data", "le", "text"),
    [
        (b"", None, "00b08405"),
        (b"", 1, "00b0840501"),
        (b"", 255, "00b08405ff"),
        (b"", 256, "00b0840500"),
        (b"", 257, "00b08405000101"),
        (b"", 65535, "00b0840500ffff"),
        (b"", 65536, "00b08405000000"),
        (b"ab", None, "00b08405026162"),
        (b"ab", 256, "00b0840502616200"),
        (b"ab", 257, "00b0840500000261620101"),
        (bytes(255), None, "00b08405ff" + "00" * 255),
        (bytes(256), None, "00b08405000100" + "00" * 256),
        (bytes(256), 1, "00b08405000100" + "00" * 256 + "0001"),
        (b"ab", 65536, "00b0840500000261620000"),
    ],
)
def test_each_case_is_encoded_short_or_extended(data: bytes, le: int | None, text: str) -> None:
    assert apdu.encode(0xB0, 0x84, 5, data, le).encoded.hex() == text


@pytest.mark.parametrize(("data", "le"), [(bytes(65536), None), (b"", 0), (b"", 65537)])
def test_what_no_apdu_holds_is_a_mistake(data: bytes, le: int | None) -> None:
    with pytest.raises(ValueError, match="65535"):
        apdu.encode(0xB0, 0, 0, data, le)


@given(st.binary(max_size=600), st.none() | st.integers(1, 65536), st.integers(0, 255))
def test_what_is_encoded_is_read_back_by_two_readers(data: bytes, le: int | None, cla: int) -> None:
    command = apdu.encode(0xC3, 1, 2, data, le, cla=cla).encoded
    extended = len(data) > 255 or (le or 0) > 256
    assert apdu.parse(command) == Parsed(cla, 0xC3, 1, 2, data, le, extended)
    taken = take_apart(command)
    assert (taken.cla, taken.ins, taken.p1, taken.p2, taken.data, taken.le) == (cla, 0xC3, 1, 2, data, le)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", MalformedCode.TRUNCATED),
        ("00a404", MalformedCode.TRUNCATED),
        ("00a4040005aabb", MalformedCode.TRUNCATED),
        ("00a40400000005aabb", MalformedCode.TRUNCATED),
        ("00a4040002aabb0000", MalformedCode.TRAILING_BYTES),
        ("00a40400000002aabb00", MalformedCode.TRAILING_BYTES),
        ("00a404000000000000", MalformedCode.BAD_VALUE),
        ("00a404000001", MalformedCode.BAD_VALUE),
        ("00" * 65545, MalformedCode.TOO_LARGE),
    ],
)
def test_a_defective_command_is_refused(text: str, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        apdu.parse(bytes.fromhex(text))
    assert caught.value.code is code


@given(st.binary(max_size=40))
@example(bytes.fromhex("00a4040007d276000085010100"))
def test_any_bytes_are_a_command_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        parsed = apdu.parse(data)
        again = apdu.encode(parsed.ins, parsed.p1, parsed.p2, parsed.data, parsed.le, cla=parsed.cla).encoded
        assert again == data or parsed.extended


def test_status_words_are_told_in_words() -> None:
    assert apdu.status(0x9000) == "9000, done"
    assert apdu.status(0x6A82) == "6A82, file or application not found"
    assert apdu.status(0x6110) == "6110, 16 bytes wait"
    assert apdu.status(0x6100) == "6100, 256 or more bytes wait"
    assert apdu.status(0x6C00) == "6C00, 256 bytes would be right"
    assert apdu.status(0x6742) == "6742, wrong length"
    assert apdu.status(0x1234) == "1234, not a status this reader knows"


@pytest.mark.parametrize(
    ("command", "response", "data", "answer"),
    [
        (261, 258, 255, 256),
        (65544, 65538, 65535, 65536),
        (65544, 258, 65535, 256),
        (261, 65538, 255, 256),  # nothing extended goes out, so nothing extended can be asked for
        (264, 266, 255, 264),
        (300, 300, 291, 298),
        (64, 64, 58, 62),
    ],
)
def test_a_way_carries_so_much_and_no_more(command: int, response: int, data: int, answer: int) -> None:
    way = Way(command, response)
    assert (way.data(65535), way.answer(65536)) == (data, answer)
    assert (way.data(16), way.answer(15)) == (16, 15)
    le = way.answer(65536)
    assert len(apdu.encode(0xC3, 0, 0, bytes(way.data(65535)), le).encoded) <= command
    assert le + 2 <= response


def read(card: ScriptedCard, le: int = 4, cap: int | None = None) -> Response:
    return walk(apdu.exchange(Way.to(card), 0xB0, 0, 0, le=le, cap=cap), card)[0]


def test_an_answer_in_parts_is_put_together() -> None:
    card = scripted("01026102", "0304" + "6101", "059000")
    assert read(card, cap=5) == Response(bytes((1, 2, 3, 4, 5)), 0x9000)
    assert sent(card) == ["00b0000004", "00c0000002", "00c0000001"]


def test_when_more_than_can_be_told_waits_the_most_is_asked_for() -> None:
    card = scripted("6100", "aa" * 256 + "6100", "bb9000")
    assert len(read(card, cap=300).data) == 257
    assert sent(card)[1:] == ["00c0000000", "00c0000000"]


def test_more_than_was_asked_for_is_kept() -> None:
    """Some phones cut their message as the first command asked and then say 61xx by another rule."""
    card = scripted("aa" * 256 + "6190", "bb" * 256 + "6164", "cc" * 100 + "9000")
    assert len(read(card, le=256, cap=4096).data) == 612
    assert sent(card)[1:] == ["00c0000090", "00c0000064"]


def test_the_length_a_card_wants_is_tried_once() -> None:
    card = scripted("6c02", "01029000")
    assert read(card, le=9).data == b"\x01\x02"
    assert sent(card) == ["00b0000009", "00b0000002"]
    assert read(scripted("6c02", "6c03")).sw == 0x6C03
    card = scripted("6105", "6c02", "01029000")
    assert read(card).data == b"\x01\x02"
    assert sent(card)[1:] == ["00c0000005", "00c0000002"]


def failing(answers: Sequence[str], cap: int = 1000) -> FieldCode:
    waiting = [bytes.fromhex(answer) for answer in answers]
    card = ScriptedCard(lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0])
    with pytest.raises(CardError) as caught:
        read(card, cap=cap)
    assert len(card.sent) < 1100
    return caught.value.code


def test_an_endless_answer_ends_at_the_cap() -> None:
    assert failing(["006100"]) is FieldCode.TOO_LARGE
    assert failing(["aa" * 250 + "6100"]) is FieldCode.TOO_LARGE


def test_the_cap_is_the_most_that_is_accepted() -> None:
    assert len(read(scripted("aa" * 50 + "610a", "bb" * 10 + "9000"), cap=60).data) == 60
    assert failing(["aa" * 50 + "610b", "bb" * 11 + "9000"], cap=60) is FieldCode.TOO_LARGE


def test_a_promise_that_brings_nothing_is_not_believed_twice() -> None:
    assert failing(["6100"]) is FieldCode.PROTOCOL
    assert failing(["6105", "6c05", "6105"]) is FieldCode.PROTOCOL


def test_a_response_without_a_status_word_breaks_the_protocol() -> None:
    assert failing(["90"]) is FieldCode.PROTOCOL


def test_long_data_goes_out_in_a_chain() -> None:
    card = scripted("9000", "9000", "019000")
    assert walk(apdu.exchange(Way.to(card), 0xDB, 0x3F, 0xFF, data=bytes(600), le=1), card)[0].data == b"\x01"
    parts = [take_apart(command) for command in card.sent]
    assert [(part.cla, len(part.data), part.le) for part in parts] == [(16, 255, None), (16, 255, None), (0, 90, 1)]
    assert {(part.ins, part.p1, part.p2, part.extended) for part in parts} == {(0xDB, 0x3F, 0xFF, False)}
    with pytest.raises(Refused, match="6884") as caught:
        walk(apdu.exchange(Way(), 0xDB, 0, 0, data=bytes(600)), scripted("6884"))
    assert (caught.value.code, caught.value.sw) == (FieldCode.REFUSED, 0x6884)


def test_a_way_for_extended_commands_needs_no_chain() -> None:
    card = scripted("9000", command=700, response=65538)
    walk(apdu.exchange(Way.to(card), 0xDB, 0, 0, data=bytes(600), le=300), card)
    (only,) = (take_apart(command) for command in card.sent)
    assert (len(only.data), only.le, only.extended) == (600, 300, True)
