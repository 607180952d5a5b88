"""Type 4 tags: what a tag says of itself is kept to, to the byte, and what it gets wrong has a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_tag import OK, ScriptedCard, TagCard, Walked, container, take_apart, walk

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import type4
from mdoc_reader.nfc.apdu import Refused, Way
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure

MESSAGE = bytes(range(256)) * 3


def whole(way: Way) -> Procedure[bytes]:
    yield from type4.select_application()
    tag = yield from type4.open_tag(way)
    return (yield from type4.read_message(tag))


def read(answer: Callable[[bytes], bytes], **limits: int) -> tuple[bytes, Walked]:
    card = ScriptedCard(answer, **limits)  # type: ignore[arg-type]
    return walk(whole(Way.to(card)), card)


def refused(answer: Callable[[bytes], bytes]) -> Malformed:
    with pytest.raises(Malformed) as caught:
        read(answer)
    return caught.value


def test_a_short_message_takes_six_commands() -> None:
    message, walked = read(TagCard(MESSAGE[:255]))
    assert message == MESSAGE[:255]
    assert [command.hex() for command in walked.sent] == [
        "00a4040007d276000085010100",
        "00a4000c02e103",
        "00b000000f",
        "00a4000c02e104",
        "00b0000002",
        "00b00002ff",
    ]


@pytest.mark.parametrize("mle", [15, 16, 59, 254, 255, 256, 1000, 0xFFFF])
@pytest.mark.parametrize("size", [1, 14, 15, 16, 17, 254, 255, 256, 257, 768])
def test_no_read_asks_for_more_than_the_tag_gives_or_has(mle: int, size: int) -> None:
    message, walked = read(TagCard(MESSAGE[:size], mle=mle))
    assert message == MESSAGE[:size]
    reads = [take_apart(command) for command in walked.sent[5:]]
    assert all(command.le is not None and command.le <= min(mle, 255) for command in reads)
    assert len(reads) == -(-size // min(mle, 255))


def test_extended_lengths_need_the_tag_the_front_end_and_a_use_for_them() -> None:
    message, walked = read(TagCard(MESSAGE, mle=0x7FFF), command=65544, response=65538)
    assert message == MESSAGE
    assert walked.sent[-1].hex() == "00b00002000300"
    for tag, size, limits in (
        (TagCard(MESSAGE, mle=255), 768, (65544, 65538)),
        (TagCard(MESSAGE[:255], mle=0x7FFF), 255, (65544, 65538)),
        (TagCard(MESSAGE, mle=0x7FFF), 768, (261, 65538)),
        (TagCard(MESSAGE, mle=0x7FFF), 768, (65544, 258)),
    ):
        message, walked = read(tag, command=limits[0], response=limits[1])
        assert message == MESSAGE[:size]
        assert not any(take_apart(command).extended for command in walked.sent)


def test_a_front_end_of_few_bytes_is_kept_to() -> None:
    assert read(TagCard(MESSAGE), response=64)[0] == MESSAGE
    assert read(TagCard(MESSAGE, mle=0x7FFF), command=65544, response=400)[0] == MESSAGE


def test_a_tag_that_only_says_it_takes_extended_lengths_is_read_in_short_ones() -> None:
    tag = TagCard(MESSAGE, mle=0x7FFF)

    def hasty(command: bytes) -> bytes:
        return b"\x67\x00" if take_apart(command).extended else tag(command)

    assert read(hasty, command=65544, response=65538)[0] == MESSAGE


@pytest.mark.parametrize("most", [1, 7, 14, 100])
def test_a_tag_may_give_less_than_was_asked_for(most: int) -> None:
    assert read(TagCard(MESSAGE[:300], most_at_once=most))[0] == MESSAGE[:300]


@pytest.mark.parametrize("file", [0x0001, 0xE101, 0xE104, 0xE1ED, 0xE105, 0xFFFE, 0x0FEE])
def test_the_file_is_the_one_the_container_names(file: int) -> None:
    message, walked = read(TagCard(b"hello", file=file))
    assert (message, walked.sent[3].hex()) == (b"hello", f"00a4000c02{file:04x}")


def test_an_extended_file_control_has_a_length_of_four_octets() -> None:
    control = b"\x06\x08\xe1\x04\x00\x01\x00\x00\x00\xff"
    cc = b"\x00\x11\x30\x00\xff\x00\xff" + control
    message, walked = read(TagCard(MESSAGE, cc=cc, octets=4))
    assert message == MESSAGE
    assert [command.hex() for command in walked.sent[2:6]] == [
        "00b000000f",
        "00b0000f02",
        "00a4000c02e104",
        "00b0000004",
    ]


def test_the_file_control_is_found_behind_other_blocks() -> None:
    other = b"\x05\x06\xe1\x05\x0f\xff\x00\x00"
    control = b"\x04\x06\xe1\x04\x0f\xff\x00\x00"
    cc = b"\x00\x17\x20\x00\xff\x00\xff" + other + control
    assert read(TagCard(b"hello", cc=cc))[0] == b"hello"
    cc = b"\x00\x17\x20\x00\xff\x00\xff" + control + other
    message, walked = read(TagCard(b"hello", cc=cc))
    assert (message, len(walked.sent)) == (b"hello", 6)  # what comes behind is not fetched


def test_an_empty_message_is_empty() -> None:
    message, walked = read(TagCard(b""))
    assert (message, len(walked.sent)) == (b"", 5)


def test_access_is_told() -> None:
    cc = type4.parse_cc(container())
    assert (cc.readable, cc.writable, cc.version, cc.file_size) == (True, True, (2, 0), 0x7FFF)
    assert not type4.parse_cc(container(write=0xFF)).writable
    assert not type4.parse_cc(container(mlc=0)).writable
    assert not type4.parse_cc(container()[:13] + b"\x80\x00").readable


@pytest.mark.parametrize(
    ("cc", "code"),
    [
        (container()[:14], MalformedCode.TRUNCATED),
        (b"\x00\x0e" + container()[2:], MalformedCode.TRUNCATED),
        (container(version=0x10), MalformedCode.UNSUPPORTED),
        (container(version=0x40), MalformedCode.UNSUPPORTED),
        (container(mle=14), MalformedCode.BAD_VALUE),
        (container(file=0xE103), MalformedCode.BAD_VALUE),
        (container(file=0xFFFF), MalformedCode.BAD_VALUE),
        (container(file=0x3F00), MalformedCode.BAD_VALUE),
        (container(size=2), MalformedCode.BAD_VALUE),
        (container()[:7] + b"\x04\x05" + bytes(6), MalformedCode.BAD_VALUE),
        (container()[:7] + b"\x05" + container()[8:], MalformedCode.MISSING_KEY),
        (container()[:8] + b"\xff" + container()[9:], MalformedCode.MISSING_KEY),
    ],
)
def test_a_defective_container_is_refused(cc: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        type4.parse_cc(cc)
    assert caught.value.code is code


@given(st.binary(max_size=40))
def test_any_container_is_read_or_malformed(raw: bytes) -> None:
    try:
        cc = type4.parse_cc(b"\x00\x0f\x20" + raw)
    except Malformed:
        return
    assert cc.longest_read >= 15
    assert cc.file_size > cc.length_octets


def test_a_container_of_any_length_is_bounded() -> None:
    assert refused(TagCard(b"", cc=b"\x01\x00\x20\x00\xff\x00\xff" + bytes(300))).code is MalformedCode.TOO_LARGE


@pytest.mark.parametrize(
    ("said", "size", "octets"), [(0x7FFE, 0x7FFF, 2), (0xFFFF, 0xFFFF, 2), (600, 601, 2), (0x10000, 0xFFFFFF, 4)]
)
def test_a_length_beyond_the_file_or_the_reader_is_refused_before_anything_is_read(
    said: int, size: int, octets: int
) -> None:
    cc = b"\x00\x11\x30\x00\xff\x00\xff\x06\x08\xe1\x04" + size.to_bytes(4, "big") + b"\x00\xff"
    if octets == 2:
        cc = container(size=size)
    tag = TagCard(b"x", cc=cc, octets=octets)

    def lying(command: bytes) -> bytes:
        answer = tag(command)
        return said.to_bytes(octets, "big") + OK if command[:5] == bytes((0, 0xB0, 0, 0, octets)) else answer

    error = refused(lying)
    assert (error.code, error.path) == (MalformedCode.TOO_LARGE, "ndef_file")


def test_a_file_is_selected_the_other_way_when_the_first_is_refused() -> None:
    tag = TagCard(b"hello")

    def old(command: bytes) -> bytes:
        taken = take_apart(command)
        if taken.ins != 0xA4 or taken.p1 != 0:
            return tag(command)
        if (taken.p2, taken.le) != (0, 256):
            return b"\x6a\x86"
        return b"\x6f\x00" + tag(command[:3] + b"\x0c" + command[4:-1])

    assert read(old)[0] == b"hello"


def test_the_application_is_selected_without_le_where_that_is_wanted() -> None:
    tag = TagCard(b"hello")

    def old(command: bytes) -> bytes:
        taken = take_apart(command)
        return b"\x67\x00" if taken.p1 == 4 and taken.le is not None else tag(command)

    message, walked = read(old)
    assert (message, walked.sent[1].hex()) == (b"hello", "00a4040007d2760000850101")


def test_what_is_refused_says_which_step_and_why() -> None:
    with pytest.raises(Refused, match="SELECT NDEF application: 6A82") as caught:
        read(lambda _: b"\x6a\x82")
    assert (caught.value.code, caught.value.sw) == (FieldCode.REFUSED, 0x6A82)
    tag = TagCard(b"hello")
    with pytest.raises(Refused, match="READ length: 6982"):
        read(lambda command: b"\x69\x82" if command[1] == 0xB0 and command[4] == 2 else tag(command))


@pytest.mark.parametrize("answer", [OK, b"\x62\x82", b"abc" + OK])
def test_a_read_that_brings_nothing_or_too_much_breaks_the_protocol(answer: bytes) -> None:
    tag = TagCard(b"hello")
    with pytest.raises(CardError) as caught:
        read(lambda command: answer if command[1] == 0xB0 and command[4] == 2 else tag(command))
    assert caught.value.code is FieldCode.PROTOCOL


def test_the_end_of_the_file_is_a_warning_only() -> None:
    tag = TagCard(b"hello")
    assert read(lambda command: tag(command)[:-2] + b"\x62\x82" if command[1] == 0xB0 else tag(command))[0] == b"hello"


def write(tag: TagCard, message: bytes) -> list[str]:
    card = ScriptedCard(tag)

    def procedure(way: Way) -> Procedure[None]:
        yield from type4.select_application()
        opened = yield from type4.open_tag(way)
        yield from type4.write_message(opened, message)

    walk(procedure(Way.to(card)), card)
    return [command.hex() for command in card.sent[4:]]


def test_what_fits_one_command_is_written_in_one() -> None:
    tag = TagCard(on_message=lambda _: [b""])
    assert write(tag, MESSAGE[:253]) == ["00d60000ff00fd" + MESSAGE[:253].hex()]
    assert tag.written == [MESSAGE[:253]]


def test_what_does_not_is_written_between_two_lengths() -> None:
    tag = TagCard(on_message=lambda _: [b""])
    first, *data, last = write(tag, MESSAGE[:254])
    assert (first, data, last) == ("00d60000020000", ["00d60002fe" + MESSAGE[:254].hex()], "00d600000200fe")
    assert tag.written == [MESSAGE[:254]]


@pytest.mark.parametrize("octets", [2, 4])
@given(st.integers(1, 300), st.binary(min_size=1, max_size=700))
@settings(max_examples=40, deadline=None)
def test_a_tag_that_takes_little_at_once_gets_little(octets: int, mlc: int, message: bytes) -> None:
    cc = container(mlc=mlc)
    if octets == 4:
        cc = b"\x00\x11\x30\x00\xff" + mlc.to_bytes(2, "big") + b"\x06\x08\xe1\x04\x00\x00\x7f\xff\x00\x00"
    tag = TagCard(cc=cc, mlc=mlc, octets=octets, on_message=lambda _: [b""])
    write(tag, message)
    assert tag.written == [message]


def test_no_more_is_written_than_the_file_holds() -> None:
    tag = TagCard(cc=container(size=100), on_message=lambda _: [b""])
    with pytest.raises(Malformed) as caught:
        write(tag, bytes(99))
    assert (caught.value.code, tag.updates) == (MalformedCode.TOO_LARGE, 0)
    write(TagCard(cc=container(size=100), on_message=lambda _: [b""]), bytes(98))


@given(st.lists(st.binary(max_size=20), max_size=12))
def test_whatever_a_card_answers_there_is_an_end_and_a_reason(answers: list[bytes]) -> None:
    waiting = list(answers)
    try:
        read(lambda _: (waiting.pop(0) if waiting else b"") + OK)
    except (CardError, Malformed):
        return
