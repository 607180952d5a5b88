"""The block protocol against a card written from the rules alone, which takes every I-block for a new one.

So nothing but the reader's care keeps a command from being heard with a part of it twice. Faults at every exchange, at
every pair of them, and around every request for time: the data is right both ways, or there is a reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_card import RADIO, Air, Bad, RuleCard

from mdoc_reader.nfc.isodep import FWT_MAX, Limits, Parameters, waiting_time
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import CardError, FieldCode

SMALL = Parameters(fsc=16, fsd=256, fwt_s=waiting_time(4))
COMMANDS = (bytes(range(30)), bytes(range(40, 75)), b"\x00\xa4\x04\x00")
"""Three blocks each way, then four there and six back in pieces of 13, then one."""


def answered(command: bytes) -> bytes:
    return bytes(octet ^ 0x55 for octet in command) + command + b"\x90\x00"


@dataclass
class Told:
    """What came of COMMANDS until one failed."""

    answers: list[bytes | FieldCode]
    card: RuleCard
    air: Air

    @property
    def right(self) -> bool:
        return self.answers == [answered(command) for command in COMMANDS] and self.card.heard == list(COMMANDS)

    @property
    def sound(self) -> bool:
        """Say whether nobody was told anything wrong, and a failure has its reason."""
        heard = self.card.heard == list(COMMANDS[: len(self.card.heard)])
        *whole, last = self.answers
        expected = [answered(command) for command in COMMANDS[: len(self.answers)]]
        return heard and whole == expected[:-1] and (last == expected[-1] or isinstance(last, FieldCode))


def tell(
    faults: Mapping[int, Bad] | None = None,
    *,
    wtx: Container[int] = (),
    times: int = 1,
    factor: int = 3,
    wary: bool = False,
    part: int = 13,
    limits: Limits | None = None,
) -> Told:
    picc = RuleCard(answered, wtx=wtx, times=times, factor=factor, wary=wary, part=part)
    air = Air(picc, faults)
    card = IsoDepCard(air, SMALL, random_uid=True, words="card", limits=limits)
    answers: list[bytes | FieldCode] = []
    try:
        for command in COMMANDS:
            answers.append(card.transmit(command))  # noqa: PERF401 -- what was answered before a failure counts
    except CardError as error:
        answers.append(error.code)
    return Told(answers, picc, air)


PLAIN = tell()
EXCHANGES = len(PLAIN.air.sent)


def test_nothing_goes_wrong() -> None:
    assert PLAIN.right
    assert PLAIN.card.breaches == []
    assert EXCHANGES == 16


@pytest.mark.parametrize("bad", Bad)
def test_any_one_fault_is_mended(bad: Bad) -> None:
    for at in range(EXCHANGES):
        told = tell({at: bad})
        assert told.right, (at, told.answers)
        assert "an I-block twice" not in told.card.breaches
        assert len(told.air.sent) <= (EXCHANGES + 4) * (2 if "QUEUED" in bad.name else 1)


def test_any_two_faults() -> None:
    """All of radio's weather is mended, but for one case that no reader can tell from a block that was lost.

    A frame that came twice, and the second time too late: its double is heard in answer to R(NAK), as a denial is. A
    card that looks at block numbers is not deceived then; and what arrives is right even so.
    """
    for (one, other), (bad, worse) in itertools.product(
        itertools.combinations(range(EXCHANGES), 2), itertools.product(RADIO, RADIO)
    ):
        deceives = bad is Bad.TWICE and worse is Bad.LATE and other == one + 1
        assert tell({one: bad, other: worse}, wary=deceives).right, (one, bad, other, worse)


def test_any_two_faults_of_a_front_end_that_queues() -> None:
    for (one, other), (bad, worse) in itertools.product(
        itertools.combinations(range(EXCHANGES), 2), itertools.product(Bad, Bad)
    ):
        assert tell({one: bad, other: worse}, wary=True).sound, (one, bad, other, worse)


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("factor", [1, 59])
def test_time_asked_for_at_any_place(times: int, factor: int) -> None:
    for at in range(EXCHANGES):
        told = tell(wtx={at}, times=times, factor=factor)
        assert told.right, at
        assert told.card.breaches == []
        granted = [index for index, frame in enumerate(told.air.sent) if frame == bytes((0xF2, factor))]
        assert len(granted) == times
        longer = {round(wait, 9) for index, wait in enumerate(told.air.waits) if index in granted}
        usual = {round(wait, 9) for index, wait in enumerate(told.air.waits) if index not in granted}
        assert len(longer) == len(usual) == 1  # the grant is for one block, and the next has the usual time
        if factor > 1:
            assert longer > usual or min(longer) > max(usual)
    assert tell(wtx=range(1000), times=times, factor=factor).right


@pytest.mark.parametrize("bad", Bad)
@pytest.mark.parametrize("times", [1, 2])
def test_time_asked_for_and_a_fault_around_it(bad: Bad, times: int) -> None:
    for at, after in itertools.product(range(EXCHANGES), range(-2, 5)):
        if at + after >= 0:
            told = tell({at + after: bad}, wtx={at}, times=times)
            assert told.right, (at, after, told.answers)


@pytest.mark.parametrize(("bad", "worse"), list(itertools.product((Bad.UNHEARD, Bad.LOST, Bad.BROKEN), repeat=2)))
def test_time_asked_for_and_faults_on_both_sides_of_it(bad: Bad, worse: Bad) -> None:
    for at, after in itertools.product(range(EXCHANGES), range(4)):
        assert tell({at: bad, at + 1 + after: worse}, wtx={at}).right, (at, after)


def test_as_many_tries_as_were_promised_and_then_a_reason() -> None:
    for at in range(EXCHANGES):
        for length in range(1, 9):
            told = tell({at + index: Bad.LOST for index in range(length)}, limits=Limits(tries=4))
            assert told.sound
            assert told.right == (length <= 4), (at, length)
            if not told.right:
                assert told.answers[-1] is FieldCode.LOST
                assert len(told.air.sent) == at + 5
            garbled = tell({at + index: Bad.FOREIGN for index in range(length)}, limits=Limits(tries=4))
            assert garbled.right == (length <= 4)
            if not garbled.right:
                assert garbled.answers[-1] is FieldCode.PROTOCOL


@settings(max_examples=600, deadline=None)
@given(
    st.dictionaries(st.integers(0, 60), st.sampled_from((Bad.UNHEARD, Bad.LOST, Bad.BROKEN, Bad.FOREIGN)), max_size=30),
    st.sets(st.integers(0, 40)),
    st.integers(1, 3),
    st.integers(1, 13),
)
def test_any_weather_a_trusting_card(faults: dict[int, Bad], wtx: set[int], times: int, part: int) -> None:
    assert tell(faults, wtx=wtx, times=times, part=part).sound


@settings(max_examples=600, deadline=None)
@given(
    st.dictionaries(st.integers(0, 60), st.sampled_from(Bad), max_size=4),
    st.sets(st.integers(0, 40)),
    st.integers(1, 13),
)
def test_any_queue_a_wary_card(faults: dict[int, Bad], wtx: set[int], part: int) -> None:
    told = tell(faults, wtx=wtx, part=part, wary=True)
    assert all(wait <= FWT_MAX + 0.01 for wait in told.air.waits)
    assert told.sound


@settings(max_examples=200, deadline=None)
@given(
    st.integers(16, 64),
    st.integers(1, 253),
    st.lists(st.tuples(st.binary(min_size=1, max_size=400), st.binary(max_size=700)), min_size=1, max_size=4),
)
def test_any_sizes(fsc: int, part: int, talk: list[tuple[bytes, bytes]]) -> None:
    responses = iter([response for _, response in talk])
    picc = RuleCard(lambda _: next(responses), fsc=fsc, part=part)
    card = IsoDepCard(Air(picc), Parameters(fsc, 256, 0.01), random_uid=True, words="card")
    assert [card.transmit(command) for command, _ in talk] == [response for _, response in talk]
    assert picc.heard == [command for command, _ in talk]
    assert picc.breaches == []


def test_the_longest_apdus_there_are() -> None:
    picc = RuleCard(lambda command: command[:65536] + b"\x90\x00", fsc=256, part=253)
    air = Air(picc)
    card = IsoDepCard(air, Parameters(256, 256, 0.01), random_uid=True, words="card")
    command = bytes(range(251)) * 262
    assert card.longest_command == 65544
    assert len(card.transmit(command[: card.longest_command])) == card.longest_response == 65538
    assert len(air.sent) == 260 + 259  # each way as few as there can be; the last there and the first back are one
    for length in (0, card.longest_command + 1):
        with pytest.raises(ValueError, match="length"):
            card.transmit(bytes(length))


def test_a_response_too_large_is_given_up_as_soon_as_that_is_known() -> None:
    air = Air(RuleCard(lambda _: bytes(70_000), fsc=256, part=253))
    card = IsoDepCard(air, Parameters(256, 256, 0.01), random_uid=True, words="card", limits=Limits(response=1000))
    with pytest.raises(CardError) as error:
        card.transmit(b"\x00\xb0")
    assert error.value.code is FieldCode.TOO_LARGE
    assert len(air.sent) == 4
    with pytest.raises(CardError) as error:
        card.transmit(b"\x00\xb0")
    assert error.value.code is FieldCode.LOST
    assert len(air.sent) == 4
