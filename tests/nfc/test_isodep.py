"""The block protocol and the answer to select, octet by octet: as the standard has it, and as it has not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.nfc.activation import AnswerToSelect, parse_ats
from mdoc_reader.nfc.isodep import Done, IsoDep, Limits, Parameters, Send, waiting_time
from mdoc_reader.nfc.ports import CardError, FieldCode

SMALL = Parameters(fsc=16, fsd=32, fwt_s=0.1)


def sent(step: Send | Done) -> bytes:
    assert isinstance(step, Send)
    return step.frame


def test_one_block_each_way() -> None:
    engine = IsoDep(SMALL)
    assert sent(engine.start(b"\x00\xa4")) == b"\x02\x00\xa4"
    assert engine.on_frame(b"\x02\x90\x00") == Done(b"\x90\x00")
    assert sent(engine.start(b"\x00\xb0")) == b"\x03\x00\xb0"
    assert engine.on_frame(b"\x03\x90\x00") == Done(b"\x90\x00")
    assert sent(engine.start(b"\x00\xb0"))[:1] == b"\x02"


def test_chains_both_ways() -> None:
    engine = IsoDep(SMALL)
    assert sent(engine.start(bytes(30))) == b"\x12" + bytes(13)
    assert sent(engine.on_frame(b"\xa2")) == b"\x13" + bytes(13)
    assert sent(engine.on_frame(b"\xa3")) == b"\x02" + bytes(4)
    assert sent(engine.on_frame(b"\x12abc")) == b"\xa3"
    assert sent(engine.on_frame(b"\x13def")) == b"\xa2"
    assert engine.on_frame(b"\x02ghi") == Done(b"abcdefghi")


def test_waiting_times() -> None:
    engine = IsoDep(Parameters(fwt_s=waiting_time(8)))
    step = engine.start(b"\x00\xa4")
    assert step.wait_s == pytest.approx(waiting_time(8), abs=0.005)
    more = engine.on_frame(b"\xf2\x03")
    assert isinstance(more, Send)
    assert more.frame == b"\xf2\x03"
    assert more.wait_s == pytest.approx(3 * waiting_time(8), abs=0.005)
    most = engine.on_frame(b"\xf2\xff")  # the power level is not repeated, and 60 to 63 are reserved
    assert isinstance(most, Send)
    assert most.frame == b"\xf2\x3f"
    assert most.wait_s == pytest.approx(59 * waiting_time(8), abs=0.005)
    assert engine.on_silence().wait_s == pytest.approx(waiting_time(8), abs=0.005)
    slow = IsoDep(Parameters(fwt_s=waiting_time(10)))
    slow.start(b"\x00\xa4")
    longest = slow.on_frame(b"\xf2\x3b")
    assert isinstance(longest, Send)
    assert longest.wait_s == pytest.approx(waiting_time(14), abs=0.005)
    assert waiting_time(14) == pytest.approx(4.95, abs=0.01)


def test_what_never_arrived_is_sent_again() -> None:
    engine = IsoDep(SMALL)
    first = sent(engine.start(bytes(20)))
    assert sent(engine.on_silence()) == b"\xb2"
    assert sent(engine.on_frame(b"\xa3")) == first  # rule 6: the card has had block 1 last
    second = sent(engine.on_frame(b"\xa2"))
    assert sent(engine.on_noise()) == b"\xb3"
    assert sent(engine.on_frame(b"\xa2")) == second
    assert sent(engine.on_frame(b"\x13x")) == b"\xa2"
    assert sent(engine.on_silence()) == b"\xa2"
    assert engine.on_frame(b"\x02y") == Done(b"xy")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x03x",  # the other number
        b"\x0a\x00x",  # a card identifier nobody agreed on
        b"\x06\x00x",  # a node address
        b"\x00x",
        b"\x42x",
        b"\x82x",
        b"\xa2",  # leave to go on, where there is nothing left
        b"\xa2x",
        b"\xb2",  # only readers say so
        b"\xc2",
        b"\xf2",
        b"\xf2\x00",
        b"\xf2\x01\x01",
        b"\xfa\x00\x01",
        b"\xe2",
        b"\xff",
        b"\x02" + bytes(40),  # more than the reader's frame
    ],
)
def test_what_makes_no_sense_is_asked_for_again_and_then_given_up(frame: bytes) -> None:
    engine = IsoDep(SMALL, Limits(tries=3))
    engine.start(b"\x00\xa4")
    for _ in range(3):
        assert sent(engine.on_frame(frame)) == b"\xb2"
    with pytest.raises(CardError) as error:
        engine.on_frame(frame)
    assert error.value.code is FieldCode.PROTOCOL
    recovering = IsoDep(SMALL, Limits(tries=3))
    recovering.start(b"\x00\xa4")
    recovering.on_frame(frame)
    assert recovering.on_frame(b"\x02\x90\x00") == Done(b"\x90\x00")


def test_silence_is_not_a_broken_protocol() -> None:
    engine = IsoDep(SMALL, Limits(tries=2))
    engine.start(b"\x00\xa4")
    engine.on_silence()
    engine.on_noise()
    with pytest.raises(CardError) as error:
        engine.on_silence()
    assert error.value.code is FieldCode.LOST


def endless(engine: IsoDep, *frames: bytes) -> FieldCode:
    engine.start(b"\x00\xa4")
    for _ in range(300_000):
        for frame in frames:
            try:
                step = engine.on_frame(frame)
            except CardError as error:
                return error.code
            assert isinstance(step, Send)
    raise AssertionError("it never ends")


def test_nothing_goes_on_for_ever() -> None:
    limits = Limits(response=1000, blocks=5000)
    assert endless(IsoDep(SMALL, limits), b"\x12abc", b"\x13def") is FieldCode.TOO_LARGE
    assert endless(IsoDep(SMALL, limits), b"\x12", b"\x13") is FieldCode.PROTOCOL
    assert endless(IsoDep(SMALL, limits), b"\xf2\x01") is FieldCode.PROTOCOL
    assert endless(IsoDep(SMALL, limits), b"\xa3") is FieldCode.PROTOCOL
    assert endless(IsoDep(SMALL, limits), b"\xf2\x01", b"\x03x") is FieldCode.PROTOCOL


def test_deselecting() -> None:
    engine = IsoDep(SMALL, Limits(tries=1))
    assert sent(engine.deselect()) == b"\xc2"
    assert sent(engine.on_frame(b"\x02late")) == b"\xc2"
    assert engine.on_frame(b"\xc2") == Done(b"")


def test_nobody_asked() -> None:
    engine = IsoDep(SMALL)
    with pytest.raises(CardError):
        engine.on_frame(b"\x02\x90\x00")
    engine.start(b"\x00\xa4")
    with pytest.raises(CardError):
        engine.start(b"\x00\xa4")


@pytest.mark.parametrize(
    ("ats", "says"),
    [
        ("01", AnswerToSelect()),
        ("0200", AnswerToSelect(fsc=16)),
        ("0278", None),
        ("0208", AnswerToSelect(fsc=256)),
        ("020c", AnswerToSelect(fsc=4096)),
        ("020f", AnswerToSelect(fsc=4096)),
        ("031833", AnswerToSelect(fsc=256, to_card=(212, 424), from_card=(212, 424))),
        ("0318b3", AnswerToSelect(fsc=256, to_card=(212, 424), from_card=(212, 424), same_rates=True)),
        ("031813", AnswerToSelect(fsc=256, to_card=(212, 424), from_card=(212,))),
        ("03183b", AnswerToSelect(fsc=256)),  # a reserved bit: no other rate
        ("0328e4", AnswerToSelect(fsc=256, fwi=14, sfgi=4)),
        ("0328ff", AnswerToSelect(fsc=256, fwi=4, sfgi=0)),
        ("034803", AnswerToSelect(fsc=256, cid=True, nad=True)),
        ("034800", AnswerToSelect(fsc=256, cid=False, nad=False)),
        ("0578807002", AnswerToSelect(fsc=256, fwi=7, same_rates=True)),
        ("057833810002", None),
        ("0678778102802a", AnswerToSelect(256, 8, 1, (212, 424, 848), (212, 424, 848), historical=1)),
        ("04088073", AnswerToSelect(fsc=256, historical=2)),
        ("0378", None),
        ("047880", None),
        ("", None),
        ("00", None),
        ("ff78", None),
    ],
)
def test_answers_to_select(ats: str, says: AnswerToSelect | None) -> None:
    if says is None:
        if ats == "057833810002":  # longer than it says: the rest is nobody's
            assert parse_ats(bytes.fromhex(ats)).fwi == 8
            return
        with pytest.raises(CardError) as error:
            parse_ats(bytes.fromhex(ats))
        assert error.value.code is FieldCode.PROTOCOL
    else:
        assert parse_ats(bytes.fromhex(ats)) == says


@given(st.binary(max_size=30))
def test_any_answer_to_select(ats: bytes) -> None:
    try:
        said = parse_ats(ats)
    except CardError:
        return
    assert 16 <= said.fsc <= 4096
    assert 0 <= said.fwi <= 14
    assert 0 <= said.guard_s < 5


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=60), st.binary(min_size=1, max_size=60))
def test_any_card(said: list[bytes | None], command: bytes) -> None:
    engine = IsoDep(SMALL)
    try:
        step: Send | Done = engine.start(command)
        for frame in said:
            if isinstance(step, Done):
                step = engine.start(command)
                continue
            assert 1 <= len(step.frame) <= SMALL.fsc - 2
            assert 0 < step.wait_s < 6
            step = engine.on_silence() if frame is None else engine.on_frame(frame)
    except CardError:
        pass
