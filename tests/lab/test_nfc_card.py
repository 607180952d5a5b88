"""The emulated card keeps to its side of ISO/IEC 14443-3 and -4, frame by frame, and does wrong only as told."""

from __future__ import annotations

import pytest
from nfc_bench import Echo, say, select

from mdoc_reader.lab.nfc_air import ETU_S, Damage, Kind, RfFrame, air_time, crc_a, crc_b, crc_f, with_crc
from mdoc_reader.lab.nfc_blocks import Wtx, frame_waiting_time
from mdoc_reader.lab.nfc_card import ECP_IDENTITY, Ats, Fault, FaultKind, Picc, Way, make_ats, read_ats
from mdoc_reader.lab.nfc_field import RfField

RATS_256 = b"\xe0\x80"


def activated(picc: Picc, rats: bytes = RATS_256) -> RfField:
    field = RfField(picc)
    field.switch(on=True)
    select(field)
    assert say(field, rats) == picc.ats
    return field


def test_checksums() -> None:
    # ISO/IEC 14443-3 annex B; the polling frame's is known from traces.
    assert crc_a(bytes.fromhex("0000")) == bytes.fromhex("a01e")
    assert crc_a(bytes.fromhex("1234")) == bytes.fromhex("26cf")
    assert crc_a(ECP_IDENTITY) == bytes.fromhex("3551")
    assert crc_b(bytes.fromhex("000000")) == bytes.fromhex("ccc6")
    assert crc_b(bytes.fromhex("0faaff")) == bytes.fromhex("fcd1")
    assert crc_f(b"123456789") == bytes.fromhex("31c3")


def test_air_time_is_that_of_the_bits() -> None:
    assert air_time(1, Kind.A, 1, 7) == pytest.approx(9 * ETU_S)
    assert air_time(256, Kind.A, 1) == pytest.approx(21.77e-3, rel=1e-2)
    assert air_time(256, Kind.A, 4) == pytest.approx(air_time(256, Kind.A, 1) / 4)


@pytest.mark.parametrize("length", [4, 7, 10])
def test_selection_by_cascade(length: int) -> None:
    uid = bytes(range(1, length + 1))
    picc = Picc(Echo(), uid=uid)
    field = activated(picc)
    assert picc.uid == uid
    assert say(field, b"\x02\x00\xa4") == b"\x02\x00\xa4\x90\x00"


def test_a_phone_draws_a_new_identifier_at_each_power_up() -> None:
    picc = Picc(Echo())
    field = RfField(picc)
    seen = set()
    for _ in range(5):
        field.switch(on=True)
        seen.add(picc.uid)
        field.switch(on=False)
    assert len(seen) == 5
    assert all(uid[0] == 8 and len(uid) == 4 for uid in seen)


def test_chaining_both_ways() -> None:
    echo = Echo()
    field = activated(Picc(echo, fsci=2, ats=None), b"\xe0\x20")  # 32 bytes both ways
    assert say(field, b"\x12" + b"a" * 29) == b"\xa2"
    assert say(field, b"\x13" + b"b" * 29) == b"\xa3"
    assert say(field, b"\x02" + b"c") == b"\x12" + b"a" * 29
    assert say(field, b"\xa3") == b"\x13" + b"b" * 29
    assert say(field, b"\xa2") == b"\x02" + b"c\x90\x00"
    assert echo.commands == [b"a" * 29 + b"b" * 29 + b"c"]


def test_blocks_are_said_again_or_asked_for_again() -> None:
    picc = Picc(Echo())
    field = activated(picc)
    assert say(field, b"\xb2") == b"\xa3"  # rule 12: no block 0 came yet
    assert say(field, b"\x02x") == b"\x02x\x90\x00"
    assert say(field, b"\xb2") == b"\x02x\x90\x00"  # rule 11
    assert say(field, b"\xb2") == b"\x02x\x90\x00"
    assert say(field, b"\xb3") == b"\xa2"
    assert say(field, b"\x03y") == b"\x03y\x90\x00"
    assert picc.complaints == []


def test_more_time_where_told_and_said_again() -> None:
    picc = Picc(Echo(), wtx=Wtx(at=(0, 2), times=2, multiplier=5))
    field = activated(picc)
    assert say(field, b"\x02x") == b"\xf2\x05"
    assert say(field, b"\xb2") == b"\xf2\x05"
    assert say(field, b"\xf2\x05") == b"\xf2\x05"
    assert say(field, b"\xf2\x05") == b"\x02x\x90\x00"
    assert say(field, b"\x03x") == b"\x03x\x90\x00"
    assert say(field, b"\x12x") == b"\xf2\x05"
    assert say(field, b"\xf2\x05") == b"\xf2\x05"
    assert say(field, b"\xf2\x05") == b"\xa2"
    assert picc.complaints == []
    assert say(field, b"\xf2\x05") is None
    assert picc.complaints != []


def test_thinking_becomes_requests_for_more_time() -> None:
    picc = Picc(Echo(after_s=1.0), fwi=8)
    field = activated(picc)
    fwt = frame_waiting_time(8)
    at = 1.0
    total = 0.0
    met = field.send(RfFrame(with_crc(Kind.A, b"\x02x"), at=at))
    for _ in range(100):
        assert met is not None
        assert met.answer.after_s <= fwt
        total += met.answer.after_s
        at += met.answer.after_s + 0.001
        if met.answer.data[0] != 0xF2:
            break
        met = field.send(RfFrame(with_crc(Kind.A, b"\xf2\x01"), at=at))
    assert total == pytest.approx(1.0)
    assert met is not None
    assert met.answer.data[:2] == b"\x02x"
    assert picc.complaints == []


def test_a_card_that_thinks_hears_nothing() -> None:
    picc = Picc(Echo(after_s=0.05), fwi=8)
    field = activated(picc)
    assert field.send(RfFrame(with_crc(Kind.A, b"\x02x"), at=1.0)) is not None
    assert say(field, b"\xb2", at=1.01) is None
    assert picc.complaints == ["a frame while the card's waiting time still ran"]
    assert say(field, b"\xb2", at=1.06) == b"\x02x\x90\x00"


def test_deselected_cards_want_a_wake_up() -> None:
    echo = Echo()
    picc = Picc(echo)
    field = activated(picc)
    assert say(field, b"\xc2") == b"\xc2"
    assert echo.ended == 1
    assert field.send(RfFrame(b"\x26", last_bits=7)) is None
    assert field.send(RfFrame(b"\x52", last_bits=7)) is not None
    field.switch(on=False)
    assert echo.ended == 1


def test_the_end_of_the_field_ends_the_applications() -> None:
    echo = Echo()
    picc = Picc(echo)
    field = activated(picc)
    field.take(picc)
    assert echo.ended == 1
    assert not picc.active
    assert field.send(RfFrame(b"\x26", last_bits=7)) is None


def test_bit_rates() -> None:
    picc = Picc(Echo(), ta=0x33)
    field = activated(picc)
    assert say(field, b"\xd0\x11\x0a") == b"\xd0"
    assert picc.rates == (4, 4)
    met = field.send(RfFrame(with_crc(Kind.A, b"\x02x"), rate=4))
    assert met is not None
    assert met.answer.rate == 4
    assert say(field, b"\xb2") is None  # at 106 kbit/s it hears nothing any more
    field.switch(on=False)
    assert picc.rates == (1, 1)


@pytest.mark.parametrize("pps1", [0x0F, 0x01])
def test_bit_rates_that_were_not_offered(pps1: int) -> None:
    picc = Picc(Echo(), ta=0xB3)
    field = activated(picc)
    assert say(field, bytes((0xD0, 0x11, pps1))) is None
    assert picc.complaints


def test_complaints_of_a_reader_that_breaks_the_rules() -> None:
    picc = Picc(Echo(), fsci=2)
    field = activated(picc)
    assert say(field, b"\x03x") is None
    assert say(field, b"\x02" + bytes(30)) is None
    assert say(field, b"\xa2") is None
    assert say(field, b"\xf2\x01") is None
    assert say(field, b"\xd0\x11\x00") is None
    assert say(field, b"\x06\x00x") is None
    assert say(field, b"\x22") is None
    assert len(picc.complaints) == 7


def test_guard_time_after_the_answer_to_select() -> None:
    picc = Picc(Echo(), sfgi=8)
    field = activated(picc)
    assert say(field, b"\x02x", at=0.05) is None
    assert say(field, b"\x02x", at=0.1) == b"\x02x\x90\x00"
    assert len(picc.complaints) == 1


@pytest.mark.parametrize(
    ("ats", "means"),
    [
        ("01", Ats()),
        ("0208", Ats(fsci=8)),
        ("0578807002", Ats(8, 0x80, 7, 0, True)),
        ("034880", Ats(fsci=8, cid=False)),
        ("04688002", Ats(fsci=8, fwi=8)),
        ("0328e1", Ats(fsci=8, fwi=14, sfgi=1)),
        ("0a78000000313233343536", Ats(8, 0, 0, 0, False)),
        ("0578", Ats(8)),
        ("", Ats()),
    ],
)
def test_answers_to_select_of_every_shape(ats: str, means: Ats) -> None:
    assert read_ats(bytes.fromhex(ats)) == means


def test_made_answers_to_select() -> None:
    assert make_ats(historical=b"hi") == bytes.fromhex("07788080006869")


def test_faults_hit_their_frame_and_nothing_else() -> None:
    faults = (
        Fault(1, FaultKind.DROP),
        Fault(2, FaultKind.CORRUPT, damage=Damage.PARITY),
        Fault(3, FaultKind.DROP, Way.TO_CARD),
        Fault(4, FaultKind.DELAY, delay_s=0.5),
        Fault(5, FaultKind.DUPLICATE),
        Fault(7, FaultKind.DUPLICATE, Way.TO_CARD),
    )
    echo = Echo()
    picc = Picc(echo, faults=faults)
    field = activated(picc)
    assert say(field, b"\x02x") is None
    met = field.send(RfFrame(with_crc(Kind.A, b"\xb2")))
    assert met is not None
    assert met.answer.damage is Damage.PARITY
    assert say(field, b"\xb2") is None
    late = field.send(RfFrame(with_crc(Kind.A, b"\xb2")))
    assert late is not None
    assert late.answer.after_s == 0.5
    assert say(field, b"\xb2", at=1) == b"\x02x\x90\x00"
    assert say(field, b"\x03y", at=1) == b"\x02x\x90\x00"  # what it said before, once more
    assert say(field, b"\x03y", at=1) is None  # heard twice: the second is none of the protocol's
    assert say(field, b"\xb3", at=1) == b"\x03y\x90\x00"
    assert echo.commands == [b"x", b"y"]
    assert picc.complaints == []
    assert picc.count == 9
    assert [one.heard is None for one in picc.exchanges] == [index == 3 for index in range(9)]


def test_polling_frames_wake_a_phone_that_waits_for_them() -> None:
    picc = Picc(Echo(), ecp=ECP_IDENTITY)
    field = RfField(picc)
    field.switch(on=True)
    request = RfFrame(b"\x26", last_bits=7)
    frame = with_crc(Kind.A, ECP_IDENTITY)
    assert field.send(request) is None
    field.send(RfFrame(frame, last_bits=7))
    field.send(RfFrame(ECP_IDENTITY))
    assert field.send(request) is None
    field.send(RfFrame(frame))
    assert field.send(request) is not None
    assert [one.right for one in field.broadcasts] == [False, False, True]


def test_two_cards_collide_and_one_frame_chooses() -> None:
    one, other = Picc(Echo(), uid=bytes.fromhex("01020304")), Picc(Echo(), uid=bytes.fromhex("01020b04"))
    field = RfField(one, other)
    field.switch(on=True)
    assert field.send(RfFrame(b"\x26", last_bits=7)) is not None
    met = field.send(RfFrame(b"\x93\x20"))
    assert met is not None
    assert met.answer.collision == 16 + 3
    assert met.card is None
    met = field.send(RfFrame(b"\x93\x44\x01\x02\x0b", last_bits=4))
    assert met is not None
    assert met.card is other
    assert met.answer.bits == 20
    field.take(other, after_frames=1, unanswered=True)
    assert field.send(RfFrame(b"\x26", last_bits=7)) is not None
    assert field.cards == (one,)


def test_cards_go_after_so_many_frames() -> None:
    picc = Picc(Echo())
    field = activated(picc)
    field.take(picc, after_frames=2)
    assert say(field, b"\x02x") is not None
    assert say(field, b"\x03x") is not None
    assert field.holds(picc)
    assert say(field, b"\x02x") is None
    assert not field.holds(picc)
    field.put(picc)
    assert field.send(RfFrame(b"\x26", last_bits=7)) is not None
