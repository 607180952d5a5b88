"""mdoc data transfer over NFC, with a phone that is strict about commands and one that counts as phones in use do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_tag import NOT_FOUND, OK, ScriptedCard, Walked, take_apart, walk

from mdoc_reader.model.connection import NfcMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import transfer
from mdoc_reader.nfc.apdu import Refused, Way
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.transfer import Limits

APPLICATION = bytes.fromhex("a0000002480400")
SHORT = Limits(255, 256)
CAP = 4096


class Phone:
    """The phone's side, by the letter of clause 8.3.3.1.2; what it answers is `reply`, already in its data object."""

    def __init__(self, reply: bytes, *, command: int = 255, response: int = 256, as_in_use: bool = False) -> None:
        self.received = b""
        self.commands = 0
        self._incoming = bytearray()
        self._left = reply
        self._command, self._response = command, response
        self._as_in_use = as_in_use
        self._first_le = 0

    def __call__(self, raw: bytes) -> bytes:
        command = take_apart(raw)
        self.commands += 1
        assert len(command.data) <= self._command
        assert (command.p1, command.p2) == (0, 0)
        assert command.extended == (len(command.data) > 255 or (command.le or 0) > 256)
        assert command.extended <= (self._command > 255 or self._response > 256)
        if command.ins == 0xC3:
            self._incoming += command.data
            if command.cla == 0x10:
                assert command.le is None
                return OK
            self.received, self._incoming = bytes(self._incoming), bytearray()
            self._first_le = command.le or 0
        else:
            assert (command.cla, command.ins, command.data) == (0, 0xC0, b"")
        assert command.le is not None
        assert command.le <= self._response
        return self._part(self._first_le if self._as_in_use else command.le)

    def _part(self, le: int) -> bytes:
        part, self._left = self._left[:le], self._left[le:]
        left = len(self._left)
        if not left:
            return part + OK
        if self._as_in_use:
            # What it says is left is not what it will give next.
            return part + bytes((0x61, (left - self._first_le) & 0xFF if left <= self._first_le + 255 else 0))
        return part + bytes((0x61, left if left <= 255 else 0))


def deliver(answer: Callable[[bytes], bytes], message: bytes = b"request", limits: Limits = SHORT) -> bytes:
    card = ScriptedCard(answer, command=65544, response=65538)
    return walk(transfer.deliver(message, limits, cap=CAP), card)[0]


def do53(content: bytes, form: str = "") -> bytes:
    """Return a data object, its length written in as many octets as `form` says: "", 81, 82, 83 or 84."""
    width = int(form or "80", 16) & 0x7F
    return b"\x53" + bytes.fromhex(form) + len(content).to_bytes(width or 1, "big") + content


def test_the_application_is_selected_without_file_control_information() -> None:
    card = ScriptedCard(lambda _: OK)
    walk(transfer.select(), card)
    assert [command.hex() for command in card.sent] == ["00a4040c07a0000002480400"]


def test_a_phone_that_knows_only_the_other_form_is_selected_too() -> None:
    card = ScriptedCard(lambda command: OK if command[3] == 0 else b"\x6a\x86")
    walk(transfer.select(), card)
    assert card.sent[-1].hex() == "00a4040007a0000002480400"
    card = ScriptedCard(lambda _: b"\x61\x10")
    walk(transfer.select(), card)
    assert len(card.sent) == 1


def test_a_phone_without_the_application_says_so() -> None:
    with pytest.raises(Refused, match="6A82"):
        walk(transfer.select(), ScriptedCard(lambda _: NOT_FOUND))


@pytest.mark.parametrize(
    ("phone", "way", "limits"),
    [
        (NfcMethod(255, 256), (65544, 65538), Limits(255, 256)),
        (NfcMethod(65535, 65536), (261, 258), Limits(255, 256)),
        (NfcMethod(65535, 65536), (65544, 65538), Limits(65535, 4096)),
        (NfcMethod(65535, 256), (65544, 65538), Limits(65535, 256)),
        (NfcMethod(255, 65536), (65544, 65538), Limits(255, 4096)),
        (NfcMethod(65535, 65536), (261, 65538), Limits(255, 256)),
        (NfcMethod(65535, 65536), (300, 400), Limits(291, 398)),
        (NfcMethod(1000, 2000), (65544, 65538), Limits(1000, 2000)),
        (NfcMethod(65536, 65536), (80000, 80000), Limits(65535, 4096)),
        (NfcMethod(1, 1), (261, 258), Limits(1, 1)),
    ],
)
def test_the_limits_are_those_of_phone_and_front_end(phone: NfcMethod, way: tuple[int, int], limits: Limits) -> None:
    assert Limits.of(phone, Way(*way)) == limits


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 250, 251, 252, 253, 254, 255, 256, 510, 600, 4000])
@pytest.mark.parametrize("limits", [SHORT, Limits(255, 65536), Limits(1000, 256), Limits(65535, 65536), Limits(16, 20)])
@pytest.mark.parametrize("as_in_use", [False, True])
def test_messages_of_any_size_arrive_both_ways(size: int, limits: Limits, as_in_use: bool) -> None:
    message, reply = bytes(size), b"\xaa" * size
    phone = Phone(transfer.wrap(reply), command=limits.command, response=limits.response, as_in_use=as_in_use)
    assert deliver(phone, message, limits) == reply
    assert transfer.unwrap(phone.received) == message
    assert phone.commands <= 2 + (len(phone.received) // limits.command) + size // min(limits.response, 256) * 2


def test_the_data_object_has_the_shortest_length() -> None:
    sizes = {0: "5300", 127: "537f", 128: "538180", 255: "5381ff", 256: "53820100", 65536: "5383010000"}
    for size, head in sizes.items():
        assert transfer.wrap(bytes(size)).hex().startswith(head)
        assert len(transfer.wrap(bytes(size))) == len(head) // 2 + size


@pytest.mark.parametrize("form", ["", "81", "82", "83", "84"])
@pytest.mark.parametrize("size", [0, 1, 127])
def test_a_length_of_any_form_is_accepted(form: str, size: int) -> None:
    assert transfer.unwrap(do53(b"x" * size, form)) == b"x" * size


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (b"", MalformedCode.TRUNCATED),
        (b"\x53", MalformedCode.TRUNCATED),
        (b"\x53\x81", MalformedCode.TRUNCATED),
        (b"\x53\x02a", MalformedCode.TRUNCATED),
        (b"\x53\x83\x00\x00\x02a", MalformedCode.TRUNCATED),
        (b"\x53\x01ab", MalformedCode.TRAILING_BYTES),
        (b"\x53\x00\x00", MalformedCode.TRAILING_BYTES),
        (b"\x54\x01a", MalformedCode.BAD_VALUE),
        (b"\x53\x80a\x00\x00", MalformedCode.INDEFINITE_LENGTH),
        (b"\x53\x85\x00\x00\x00\x00\x01a", MalformedCode.UNSUPPORTED),
    ],
)
def test_a_defective_data_object_is_refused(received: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        transfer.unwrap(received)
    assert caught.value.code is code
    with pytest.raises(Malformed) as caught:
        deliver(Phone(received))
    assert caught.value.code is code


def test_the_last_command_and_every_part_are_told_of() -> None:
    phone = Phone(transfer.wrap(bytes(600)))
    told: list[object] = []
    card = ScriptedCard(lambda command: (told.append(command[0]), phone(command))[1])
    procedure = transfer.deliver(
        bytes(600), SHORT, cap=CAP, on_sent=lambda: told.append("sent"), on_progress=told.append
    )
    walk(procedure, card)
    assert told == [16, 16, "sent", 0, 256, 0, 512, 0, 604]


@pytest.mark.parametrize("refusal", [b"\x69\x85", b"\x6f\x00", b"\x67\x00", b"\x6c\x10"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_any_other_status_ends_it(refusal: bytes, at: int) -> None:
    phone = Phone(transfer.wrap(bytes(600)))
    card = ScriptedCard(lambda command: refusal if len(card.sent) == at + 1 else phone(command))
    if at == 3 and refusal[0] == 0x6C:
        return  # GET RESPONSE is asked again
    with pytest.raises(Refused):
        walk(transfer.deliver(bytes(600), SHORT, cap=CAP), card)
    assert len(card.sent) == at + 1


def test_a_chain_that_answers_too_early_is_refused() -> None:
    with pytest.raises(Refused):
        deliver(lambda _: b"\x61\x05", bytes(600))
    with pytest.raises(Refused):
        deliver(lambda _: b"early" + OK, bytes(600))


def test_a_message_that_says_it_is_too_long_is_not_waited_for() -> None:
    card = ScriptedCard(lambda _: b"\x53\x82\x10\x01" + bytes(200) + b"\x61\x00")
    with pytest.raises(CardError) as caught:
        walk(transfer.deliver(b"", SHORT, cap=CAP), card)
    assert (caught.value.code, len(card.sent)) == (FieldCode.TOO_LARGE, 1)
    assert deliver(Phone(transfer.wrap(bytes(CAP)))) == bytes(CAP)
    with pytest.raises(CardError):
        deliver(Phone(transfer.wrap(bytes(CAP + 1))))


def test_what_goes_on_beyond_its_length_ends_at_once() -> None:
    card = ScriptedCard(lambda _: b"\x53\x02" + b"abc" + b"\x61\x00")
    with pytest.raises(Malformed) as caught:
        walk(transfer.deliver(b"", SHORT, cap=CAP), card)
    assert (caught.value.code, len(card.sent)) == (MalformedCode.TRAILING_BYTES, 1)


@pytest.mark.parametrize("part", [b"", b"\x53", b"\x53\x83", b"a"])
def test_nothing_goes_on_for_ever(part: bytes) -> None:
    first = [b"\x53\x84"]
    card = ScriptedCard(lambda _: (first.pop() if first else part) + b"\x61\x00")
    with pytest.raises((CardError, Malformed)):
        walk(transfer.deliver(b"", SHORT, cap=CAP), card)
    assert len(card.sent) < 20


def test_one_octet_at_a_time_is_a_message_too() -> None:
    left = bytearray(transfer.wrap(b"x" * 300))

    def slow(_: bytes) -> bytes:
        part = bytes((left.pop(0),))
        return part + (b"\x61\x00" if left else OK)

    assert deliver(slow) == b"x" * 300


@given(st.binary(max_size=900), st.integers(1, 700), st.integers(1, 700))
@settings(deadline=None)
def test_every_message_arrives_under_every_limit(message: bytes, command: int, response: int) -> None:
    phone = Phone(transfer.wrap(message[::-1]), command=command, response=response)
    assert deliver(phone, message, Limits(command, response)) == message[::-1]
    assert transfer.unwrap(phone.received) == message


def walked(answers: list[bytes]) -> Walked:
    waiting = list(answers)
    card = ScriptedCard(lambda _: waiting.pop(0) if waiting else OK)
    return walk(transfer.deliver(bytes(300), SHORT, cap=100), card)[1]


@given(st.lists(st.binary(min_size=2, max_size=40), max_size=12))
def test_whatever_a_phone_answers_there_is_an_end_and_a_reason(answers: list[bytes]) -> None:
    try:
        walked([OK, *(answer[:-2] + b"\x61" + answer[-1:] for answer in answers)])
    except (CardError, Malformed):
        return
