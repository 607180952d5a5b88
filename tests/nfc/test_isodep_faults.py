"""Every misfortune at every place of a chained exchange: the data is right, or there is a reason. Never anything else.

The card is the lab's, strict by the card's half of ISO/IEC 14443-4, on a clock of its own; `complaints` says what the
reader did against the rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_blocks import Wtx
from mdoc_reader.lab.nfc_card import Fault, FaultKind, Picc, Way
from mdoc_reader.lab.nfc_direct import DirectFrames
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.nfc.activation import activate
from mdoc_reader.nfc.isodep import Limits
from mdoc_reader.nfc.ports import CardError, FieldCode, FrameLost

COMMANDS = (bytes(range(45)), bytes(reversed(range(70))), b"\x00\xa4\x04\x00")
SMALL = 30  # frames of 32 octets either way: three blocks there, four back


@dataclass
class Echo:
    """Answers with what it was asked three times over, and remembers what that was."""

    heard: list[bytes] = field(default_factory=list)
    after_s: float = 0.0
    deselected: int = 0

    def on_apdu(self, command: bytes) -> ApduAnswer:
        self.heard.append(command)
        return ApduAnswer(command * 3 + b"\x90\x00", self.after_s)

    def on_deselected(self) -> None:
        self.deselected += 1


@dataclass
class Story:
    """What came of some commands sent to a card."""

    answers: list[bytes | FieldCode]
    heard: list[bytes]
    picc: Picc
    seconds: float

    @property
    def right(self) -> bool:
        return self.answers == [command * 3 + b"\x90\x00" for command in COMMANDS]


def tell(faults: Sequence[Fault] = (), wtx: Wtx | None = None, *, fsci: int = 2, limits: Limits | None = None) -> Story:
    """Send COMMANDS one after the other, until one fails."""
    echo = Echo()
    picc = Picc(echo, fsci=fsci, faults=faults, wtx=wtx, fwi=6)
    frames = DirectFrames(RfField(picc), longest=SMALL)
    answers: list[bytes | FieldCode] = []
    try:
        card = activate(frames, random_uid=True, words="card", pause=frames.wait, limits=limits)
        for command in COMMANDS:
            answers += [card.transmit(command)]
    except CardError as error:
        answers.append(error.code)
    return Story(answers, echo.heard, picc, frames.clock)


def insist(story: Story) -> None:
    """Right data, or a reason as the last word; and a card that never heard anything that was not said."""
    for answer, command in zip(story.answers, COMMANDS, strict=False):
        assert isinstance(answer, FieldCode) or answer == command * 3 + b"\x90\x00"
    for heard, command in zip(story.heard, COMMANDS, strict=False):
        assert heard == command
    assert story.right or isinstance(story.answers[-1], FieldCode)


PLAIN = tell()
EXCHANGES = PLAIN.picc.count
KINDS = [(kind, way) for kind in FaultKind for way in Way]


def test_nothing_goes_wrong() -> None:
    assert PLAIN.right
    assert PLAIN.picc.complaints == []
    assert EXCHANGES == 18


@pytest.mark.parametrize(("kind", "way"), KINDS)
def test_any_one_frame_spoiled_is_mended(kind: FaultKind, way: Way) -> None:
    for at in range(EXCHANGES):
        story = tell([Fault(at, kind, way, delay_s=0.05)])
        insist(story)
        assert story.right or (at == 0 and story.answers == [FieldCode.LOST]), (at, story.answers)
        assert story.seconds < 5


@pytest.mark.parametrize("times", [1, 3])
def test_more_time_asked_for_at_any_place(times: int) -> None:
    for at in range(EXCHANGES):
        story = tell(wtx=Wtx({at}, times, 7))
        assert story.right, at
        assert story.picc.complaints == []
    everywhere = tell(wtx=Wtx(range(1000), times, 59))
    assert everywhere.right
    assert everywhere.picc.complaints == []


@pytest.mark.parametrize(("kind", "way"), KINDS)
def test_more_time_asked_for_and_a_frame_spoiled_before_or_after(kind: FaultKind, way: Way) -> None:
    for at in range(EXCHANGES):
        for after in range(-1, 4):
            story = tell([Fault(at + after, kind, way, delay_s=0.05)], Wtx({at}))
            insist(story)
            # A card hears one request for answer to select in its life: without the answer it has to be selected anew.
            assert story.right or at + after == 0, (at, after, story.answers)


def test_any_two_frames_spoiled() -> None:
    kinds = [(FaultKind.DROP, Way.FROM_CARD), (FaultKind.DROP, Way.TO_CARD), (FaultKind.DUPLICATE, Way.FROM_CARD)]
    mended = total = 0
    for one, other in itertools.combinations(range(1, EXCHANGES), 2):
        for (kind, way), (more_kind, more_way) in itertools.product(kinds, repeat=2):
            story = tell([Fault(one, kind, way), Fault(other, more_kind, more_way)])
            insist(story)
            mended += story.right
            total += 1
    assert mended / total > 0.98, (mended, total)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.builds(
            Fault,
            st.integers(0, 60),
            st.sampled_from(FaultKind),
            st.sampled_from(Way),
            st.floats(0, 2),
        ),
        max_size=12,
        unique_by=lambda fault: (fault.at, fault.way),
    ),
    st.sets(st.integers(0, 40)),
    st.integers(0, 12),
)
def test_any_weather(faults: list[Fault], wtx: set[int], fsci: int) -> None:
    insist(tell(faults, Wtx(wtx), fsci=fsci))


def test_a_card_taken_away_at_any_frame() -> None:
    for at in range(EXCHANGES):
        faults = [Fault(index, FaultKind.DROP) for index in range(at, at + 40)]
        story = tell(faults)
        insist(story)
        assert story.answers[-1] is FieldCode.LOST
        assert story.seconds < 3


def test_a_person_who_reads_the_question_for_five_minutes() -> None:
    echo = Echo(after_s=300.0)
    frames = DirectFrames(RfField(Picc(echo, fwi=8)), longest=SMALL)
    card = activate(frames, random_uid=True, words="card", pause=frames.wait)
    beats = []
    card.on_frame = lambda: beats.append(frames.clock)
    assert card.transmit(COMMANDS[0]) == COMMANDS[0] * 3 + b"\x90\x00"
    assert frames.clock > 300
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert max(gaps) < card.longest_silence_s
    echo.after_s = 1500.0
    with pytest.raises(CardError) as error:
        card.transmit(COMMANDS[0])
    assert error.value.code is FieldCode.PROTOCOL


def test_the_longest_waiting_time_there_is() -> None:
    echo = Echo(after_s=4.0)
    picc = Picc(echo, fwi=14)
    frames = DirectFrames(RfField(picc), longest=SMALL)
    card = activate(frames, random_uid=True, words="card", pause=frames.wait)
    assert card.transmit(b"hello") == b"hello" * 3 + b"\x90\x00"
    assert not any(exchange.said and exchange.said[:1] == b"\xf2" for exchange in picc.exchanges)


def test_leaving_and_giving_up() -> None:
    echo = Echo()
    frames = DirectFrames(RfField(Picc(echo)), longest=254)
    card = activate(frames, random_uid=True, words="card", pause=frames.wait)
    assert card.transmit(b"one") == b"oneoneone\x90\x00"
    card.give_up()
    with pytest.raises(CardError) as error:
        card.transmit(b"two")
    assert error.value.code is FieldCode.ABORTED
    assert echo.heard == [b"one"]
    card.leave()
    assert echo.deselected == 1
    card.leave()
    with pytest.raises(CardError):
        card.transmit(b"three")


def test_giving_up_ends_an_exchange_at_its_next_frame() -> None:
    echo = Echo(after_s=100.0)
    frames = DirectFrames(RfField(Picc(echo, fwi=6)), longest=254)
    card = activate(frames, random_uid=True, words="card", pause=frames.wait)
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            card.give_up()

    card.on_frame = turn
    with pytest.raises(CardError) as error:
        card.transmit(b"one")
    assert error.value.code is FieldCode.ABORTED
    assert turns == 3
    card.leave()
    assert echo.deselected == 1


@pytest.mark.parametrize("max_rate", [106, 212, 424, 848])
@pytest.mark.parametrize("ta", [0x00, 0x11, 0x33, 0x77, 0x80, 0xB3, 0x91, 0x13, 0x31, 0x3B])
def test_bit_rates_as_far_as_both_can(max_rate: int, ta: int) -> None:
    picc = Picc(Echo(), ta=ta)
    frames = DirectFrames(RfField(picc), longest=254)
    card = activate(frames, random_uid=True, words="card", max_rate=max_rate, pause=frames.wait)
    assert card.transmit(COMMANDS[1]) == COMMANDS[1] * 3 + b"\x90\x00"
    both = ta & (ta >> 4) & 7 if not ta & 8 else 0
    best = max((rate for bit, rate in enumerate((212, 424, 848)) if both >> bit & 1 and rate <= max_rate), default=106)
    assert picc.rates == (best // 106, best // 106)
    assert f"{best} kbit/s" in card.words
    assert picc.complaints == []


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(("kind", "way"), [(FaultKind.DROP, Way.TO_CARD), (FaultKind.CORRUPT, Way.TO_CARD)])
def test_a_rate_request_that_did_not_arrive(at: int, kind: FaultKind, way: Way) -> None:
    picc = Picc(Echo(), ta=0x33, faults=[Fault(at, kind, way)])
    frames = DirectFrames(RfField(picc), longest=254)
    card = activate(frames, random_uid=True, words="card", max_rate=424, pause=frames.wait)
    assert card.transmit(b"x") == b"xxx\x90\x00"


def test_nobody_answers_the_activation() -> None:
    picc = Picc(Echo(), faults=[Fault(at, FaultKind.DROP) for at in range(10)])
    frames = DirectFrames(RfField(picc), longest=254)
    with pytest.raises(CardError) as error:
        activate(frames, random_uid=True, words="card", pause=frames.wait)
    assert error.value.code is FieldCode.LOST
    with pytest.raises(FrameLost):
        frames.exchange(b"\x02x", 0.1)
