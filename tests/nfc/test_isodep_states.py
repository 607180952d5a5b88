"""The engine's lesser exchanges, its failures, and the card around it: presence, DESELECT, and what is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rule_card import Air, Bad, RuleCard

from mdoc_reader.nfc.isodep import FWT_MAX, Done, IsoDep, Limits, Parameters, Send, waiting_time
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import CardError, FieldCode, NfcDeviceError, NfcTrouble

SMALL = Parameters(fsc=16, fsd=32, fwt_s=0.1)


def sent(step: Send | Done) -> bytes:
    assert isinstance(step, Send)
    return step.frame


def refusal(call: Callable[[], object]) -> FieldCode:
    with pytest.raises(CardError) as error:
        call()
    return error.value.code


def test_a_denial_is_believed_in_answer_to_a_question_alone() -> None:
    engine = IsoDep(SMALL)
    block = sent(engine.start(b"\x00\xa4"))
    assert sent(engine.on_frame(b"\xa3")) == b"\xb2"  # never what a card says to a block: it is of before
    assert sent(engine.on_frame(b"\xa3")) == b"\xb2"  # so the next may be, too
    assert sent(engine.on_frame(b"\xa3")) == block
    assert engine.on_frame(b"\x02\x90\x00") == Done(b"\x90\x00")


def test_a_denial_right_after_a_grant_of_time_is_not_believed() -> None:
    engine = IsoDep(SMALL)
    engine.start(b"\x00\xa4")
    engine.on_silence()
    assert sent(engine.on_frame(b"\xf2\x01")) == b"\xf2\x01"
    assert sent(engine.on_frame(b"\xa3")) == b"\xb2"


def test_a_granted_time_outlasts_noise_and_no_block() -> None:
    engine = IsoDep(Parameters(fwt_s=waiting_time(4)))
    usual = engine.start(b"\x00\xa4").wait_s
    granted = engine.on_frame(b"\xf2\x3b")
    assert isinstance(granted, Send)
    assert granted.wait_s > 30 * usual
    assert engine.on_noise() == Send(b"\xb2", granted.wait_s)
    assert engine.on_silence() == Send(b"\xb2", usual)
    assert engine.on_noise() == Send(b"\xb2", usual)


def test_presence() -> None:
    engine = IsoDep(Parameters(fwt_s=FWT_MAX))
    for number in (0, 1, 0):
        asked = engine.presence()
        assert asked.frame == bytes((0xB2 | number,))
        assert asked.wait_s < 1
        assert engine.on_silence() == asked
        assert engine.on_noise() == asked
        assert engine.on_frame(bytes((0xA3 ^ number,))) == Done(b"")
        assert sent(engine.start(b"x")) == bytes((0x02 | number,)) + b"x"
        assert engine.on_frame(bytes((0x02 | number,))) == Done(b"")


@pytest.mark.parametrize("frame", [b"", b"\xa2", b"\xb3", b"\x02\x90\x00", b"\x03\x90\x00", b"\xf2\x01", b"\xc2"])
def test_signs_of_life_that_are_none(frame: bytes) -> None:
    engine = IsoDep(SMALL, Limits(tries=2))
    engine.presence()
    assert sent(engine.on_frame(frame)) == b"\xb2"
    assert sent(engine.on_frame(frame)) == b"\xb2"
    assert refusal(lambda: engine.on_frame(frame)) is FieldCode.PROTOCOL


def test_what_the_last_try_came_to_is_the_reason() -> None:
    senseless, silent = IsoDep(SMALL, Limits(tries=1)), IsoDep(SMALL, Limits(tries=1))
    for engine in (senseless, silent):
        engine.start(b"x")
        engine.on_frame(b"\x5a")
    assert refusal(lambda: senseless.on_frame(b"\x5a")) is FieldCode.PROTOCOL
    assert refusal(silent.on_silence) is FieldCode.LOST


def test_deselect_takes_no_waiting_time_of_computing_cards() -> None:
    engine = IsoDep(Parameters(fwt_s=FWT_MAX))
    engine.start(b"x")
    assert engine.deselect().wait_s < 0.02
    assert engine.on_silence().wait_s < 0.02
    assert engine.on_frame(b"\xc2") == Done(b"")
    assert refusal(lambda: engine.on_frame(b"\xc2")) is FieldCode.LOST


def test_after_a_failure_deselect_alone() -> None:
    engine = IsoDep(SMALL, Limits(tries=0))
    engine.start(b"x")
    assert refusal(engine.on_silence) is FieldCode.LOST
    calls: list[Callable[[], object]] = [engine.on_silence, engine.on_noise, engine.presence]
    calls += [lambda: engine.start(b"y"), lambda: engine.on_frame(b"\x02")]
    assert [refusal(call) for call in calls] == [FieldCode.LOST] * 5
    assert sent(engine.deselect()) == b"\xc2"


def test_nothing_comes_where_nothing_was_sent() -> None:
    engine = IsoDep(SMALL)
    calls: list[Callable[[], object]] = [engine.on_silence, engine.on_noise, lambda: engine.on_frame(b"\x02")]
    assert [refusal(call) for call in calls] == [FieldCode.PROTOCOL] * 3
    engine.presence()
    assert refusal(lambda: engine.start(b"x")) is FieldCode.PROTOCOL
    assert engine.on_frame(b"\xa3") == Done(b"")  # and did no harm


def made(faults: dict[int, Bad] | None = None) -> tuple[IsoDepCard, Air]:
    air = Air(RuleCard(lambda command: command + b"\x90\x00"), faults)
    return IsoDepCard(air, SMALL, random_uid=True, words="card"), air


def test_a_held_card_is_asked_whether_it_is_there() -> None:
    card, air = made({1: Bad.LOST, 2: Bad.BROKEN, 3: Bad.FOREIGN})
    assert card.alive()
    for command in (b"one", b"two and then some more of it"):
        assert card.alive()
        assert card.transmit(command) == command + b"\x90\x00"
        assert card.alive()
    assert air.card.breaches == []
    air.card.gone = True
    assert not card.alive()
    said = len(air.sent)
    assert not card.alive()
    assert refusal(lambda: card.transmit(b"three")) is FieldCode.LOST
    assert len(air.sent) == said


def test_a_card_given_up_is_not_asked() -> None:
    card, air = made()
    card.give_up()
    assert refusal(card.alive) is FieldCode.ABORTED
    assert air.sent == []
    card, air = made()
    card.on_frame = card.give_up
    air.faults = {0: Bad.LOST}
    assert refusal(card.alive) is FieldCode.ABORTED


class _Gone(Air):
    """A front end that is unplugged at once."""

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        raise NfcDeviceError(NfcTrouble.LOST)


def test_leaving_never_raises_and_says_it_once() -> None:
    card, air = made()
    card.transmit(b"one")
    card.leave()
    card.leave()
    assert air.sent[1:] == [b"\xc2"]
    assert air.card.gone
    card, air = made(dict.fromkeys(range(20), Bad.LOST))
    card.leave()
    assert set(air.sent) == {b"\xc2"}
    assert sum(air.waits) < 0.1
    gone = IsoDepCard(_Gone(RuleCard(bytes)), SMALL, random_uid=True, words="card")
    with pytest.raises(NfcDeviceError):
        gone.transmit(b"one")
    assert refusal(lambda: gone.transmit(b"two")) is FieldCode.LOST
    gone.leave()


def turns(engine: IsoDep, *events: bytes | None) -> tuple[int, FieldCode]:
    """Return after how many events, said over and over, there was a failure, and which."""
    count = 0
    while count < 1000:
        for event in events:
            count += 1
            try:
                engine.on_silence() if event is None else engine.on_frame(event)
            except CardError as error:
                return count, error.code
    raise AssertionError("it never ends")


def test_an_answer_to_half_a_command_is_none() -> None:
    engine = IsoDep(SMALL)
    engine.start(bytes(20))
    assert sent(engine.on_frame(b"\x02\x90\x00")) == b"\xb2"
    assert sent(engine.on_frame(b"\xa2")) == b"\x03" + bytes(7)
    assert engine.on_frame(b"\x03\x90\x00") == Done(b"\x90\x00")


def test_blocks_without_data_come_to_an_end_and_some_are_fine() -> None:
    engine = IsoDep(SMALL, Limits(empty=4))
    engine.start(b"x")
    assert turns(engine, b"\x12", b"\x13") == (5, FieldCode.PROTOCOL)
    engine = IsoDep(SMALL, Limits(empty=4))
    engine.start(b"x")
    for _ in range(50):
        for frame in (b"\x12", b"\x13", b"\x12", b"\x13a"):
            engine.on_frame(frame)
    assert engine.on_frame(b"\x02") == Done(b"a" * 50)


def test_a_card_that_never_has_a_block_but_always_wants_time() -> None:
    engine = IsoDep(SMALL, Limits(tries=4))
    engine.start(b"x")
    assert turns(engine, None, b"\xa3", b"\xf2\x01") == (14, FieldCode.PROTOCOL)


@pytest.mark.parametrize("asks_at", [0.4, 0.75, 1.0])
@pytest.mark.parametrize(("fwi", "factor"), [(4, 1), (4, 59), (8, 1), (8, 10), (14, 59)])
def test_five_minutes_of_consent_however_early_a_card_asks_again(asks_at: float, fwi: int, factor: int) -> None:
    engine = IsoDep(Parameters(fwt_s=waiting_time(fwi)))
    engine.start(b"x")
    passed_s = 0.0
    while passed_s < 300:
        granted = engine.on_frame(bytes((0xF2, factor)))
        assert isinstance(granted, Send)
        passed_s += asks_at * min(waiting_time(fwi) * factor, FWT_MAX)
    assert engine.on_frame(b"\x02y") == Done(b"y")


def test_a_card_that_wants_time_gets_all_its_tries_again() -> None:
    engine = IsoDep(SMALL, Limits(tries=2))
    engine.start(b"x")
    for _ in range(10):
        engine.on_silence()
        engine.on_noise()
        assert sent(engine.on_frame(b"\xf2\x01")) == b"\xf2\x01"
    assert engine.on_frame(b"\x02y") == Done(b"y")
