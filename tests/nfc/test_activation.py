"""The activation: answers to select of every shape, what is sent for them, and bit rates that get lost on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_card import Fault, FaultKind, Picc, Way
from mdoc_reader.lab.nfc_direct import DirectFrames
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.nfc.activation import RATES, AnswerToSelect, activate, best_rate, parse_ats
from mdoc_reader.nfc.ports import CardError, FieldCode, FrameBroken, FrameLost, NfcDeviceError, NfcTrouble

SIZES = [16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096, 4096, 4096, 4096]


class Echo:
    """Answers with what it was asked."""

    def on_apdu(self, command: bytes) -> ApduAnswer:
        return ApduAnswer(command + b"\x90\x00")

    def on_deselected(self) -> None:
        pass


@dataclass
class Script:
    """`Frames` that answer by a script: bytes, or what is raised; silence after its end. Keeps what was said."""

    says: list[bytes | Exception | type[Exception]]
    longest: int = 254
    sent: list[bytes] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        self.sent.append(frame)
        self.waits.append(timeout_s)
        said = self.says.pop(0) if self.says else FrameLost()
        if isinstance(said, bytes):
            return said
        raise said

    def set_rate(self, kbits: int, /) -> None:
        self.rates.append(kbits)


def never(_: float) -> None:
    raise AssertionError("nobody asked to be left alone")


def test_every_interface_octet_there_is() -> None:
    """By brute force: every format octet, with every value of one interface octet after the other."""
    for format_octet in range(256):
        there = [bit for bit in (0x10, 0x20, 0x40) if format_octet & bit]
        for varied in there or [0]:
            for value in range(256):
                given_ = {bit: value if bit == varied else 0x00 for bit in there}
                said = parse_ats(bytes((2 + len(there), format_octet, *given_.values())))
                assert said.fsc == SIZES[format_octet & 15]
                ta, tb, tc = given_.get(0x10, 0), given_.get(0x20, 0x40), given_.get(0x40, 2)
                usable = 0 if ta & 8 else ta
                assert said.to_card == tuple(r for bit, r in ((1, 212), (2, 424), (4, 848)) if usable & bit)
                assert said.from_card == tuple(r for bit, r in ((16, 212), (32, 424), (64, 848)) if usable & bit)
                assert said.same_rates == bool(usable & 0x80)
                assert said.fwi == (4 if tb >> 4 == 15 else tb >> 4)
                assert said.sfgi == (0 if tb & 15 == 15 else tb & 15)
                assert (said.cid, said.nad) == (bool(tc & 2), bool(tc & 1))
                assert said.historical == 0


@pytest.mark.parametrize("historical", [0, 1, 15, 200])
def test_historical_octets_are_counted_and_cut_short_ones_refused(historical: int) -> None:
    whole = bytes((5 + historical, 0x78, 0x80, 0x70, 0x02)) + bytes(historical)
    assert parse_ats(whole) == AnswerToSelect(256, 7, same_rates=True, historical=historical)
    assert parse_ats(whole + b"beyond its length") == parse_ats(whole)
    for end in range(len(whole)):
        with pytest.raises(CardError) as error:
            parse_ats(whole[:end])
        assert error.value.code is FieldCode.PROTOCOL
    for length in range(2, 5):  # a length that ends among the octets that are announced
        with pytest.raises(CardError):
            parse_ats(bytes((length,)) + whole[1:])


@given(st.binary(max_size=60), st.sampled_from((0, 106, 300, *RATES)))
def test_the_best_rate_is_one_that_both_can(ats: bytes, most: int) -> None:
    try:
        said = parse_ats(ats)
    except CardError:
        return
    rate = best_rate(said, most)
    assert rate in RATES
    assert rate == 106 or (rate <= most and rate in said.to_card and rate in said.from_card)


@pytest.mark.parametrize(
    ("longest", "fsdi"), [(10, 0), (14, 0), (22, 1), (126, 7), (253, 7), (254, 8), (262, 8), (4094, 8)]
)
def test_the_reader_asks_for_frames_its_chip_can_take(longest: int, fsdi: int) -> None:
    frames = Script([b"\x02\x0c", b"\x12" + bytes(100), b"\xa2"], longest)
    card = activate(frames, random_uid=False, words="card", pause=never)
    assert frames.sent == [bytes((0xE0, fsdi << 4))]
    assert card.parameters.fsc == min(4096, longest + 2)
    assert card.parameters.fsd == SIZES[fsdi]
    with pytest.raises(CardError):
        card.transmit(bytes(5000))
    assert all(len(frame) <= longest for frame in frames.sent)


@pytest.mark.parametrize("sfgi", range(16))
def test_a_card_is_left_alone_for_as_long_as_it_wants(sfgi: int) -> None:
    """Before the next frame of any kind: the card complains otherwise."""
    picc = Picc(Echo(), sfgi=sfgi, ta=0x33)
    frames = DirectFrames(RfField(picc))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        frames.wait(seconds)

    card = activate(frames, random_uid=True, words="card", max_rate=424, pause=pause)
    assert card.transmit(b"x") == b"x\x90\x00"
    assert picc.complaints == []
    assert len(pauses) == (0 < sfgi < 15)
    assert sum(pauses) < 5.5


@pytest.mark.parametrize("sets_out", [[], [FrameLost], [FrameBroken]])
def test_without_an_answer_the_card_is_sent_to_rest(sets_out: list[type[Exception]]) -> None:
    frames = Script([*sets_out, FrameLost])
    with pytest.raises(CardError) as error:
        activate(frames, random_uid=True, words="card", pause=never)
    assert error.value.code is FieldCode.LOST
    assert frames.sent[:3] == [b"\xe0\x80", b"\xe0\x80", b"\xc2"]
    assert set(frames.sent[3:]) == {b"\xc2"}
    assert sum(frames.waits) < 0.15


@pytest.mark.parametrize("ats", [b"", b"\x00", b"\x09\x78", b"\x02\x78"])
def test_without_a_sensible_answer_too(ats: bytes) -> None:
    frames = Script([ats, b"\xc2"])
    with pytest.raises(CardError) as error:
        activate(frames, random_uid=True, words="card", pause=never)
    assert error.value.code is FieldCode.PROTOCOL
    assert frames.sent == [b"\xe0\x80", b"\xc2"]


def test_a_device_that_is_gone_is_no_card_that_is_lost() -> None:
    gone = NfcDeviceError(NfcTrouble.LOST)
    with pytest.raises(NfcDeviceError):
        activate(Script([gone]), random_uid=True, words="card", pause=never)
    with pytest.raises(CardError):  # even where it goes while a card is sent to rest
        activate(Script([b"\x00", gone]), random_uid=True, words="card", pause=never)
    with pytest.raises(CardError) as error:
        activate(Script([CardError(FieldCode.ABORTED)]), random_uid=True, words="card", pause=never)
    assert error.value.code is FieldCode.ABORTED


@pytest.mark.parametrize(("kind", "way"), list(itertools.product((FaultKind.DROP, FaultKind.CORRUPT), Way)))
@pytest.mark.parametrize("at", [(1,), (2,), (1, 2), (1, 2, 3), (2, 3, 4), (3, 4)])
def test_the_reader_finds_the_rate_the_card_is_at(kind: FaultKind, way: Way, at: tuple[int, ...]) -> None:
    """PPS is exchange 1, and 2 if need be. Whatever gets lost of it or of the search, they speak at one rate then."""
    picc = Picc(Echo(), ta=0x33, faults=[Fault(index, kind, way) for index in at])
    frames = DirectFrames(RfField(picc))
    card = activate(frames, random_uid=True, words="card", max_rate=424, pause=frames.wait)
    assert card.transmit(bytes(range(200))) == bytes(range(200)) + b"\x90\x00"
    rate = 106 * picc.rates[0]
    assert card.words == f"card, {rate} kbit/s"
    assert rate == (106 if way is Way.TO_CARD and {1, 2} <= set(at) else 424)  # it hears one of two


@pytest.mark.parametrize(
    ("says", "rates", "sent"),
    [
        ([b"\xd0"], [212], 2),
        ([FrameLost, b"\xd0"], [212], 3),
        ([b"\xd1", b"\xa3"], [], 3),  # for another card, it seems
        ([b"\xd0\x11", b"\xa3"], [], 3),
        ([FrameLost, FrameBroken, b"\xa3"], [], 4),
        ([FrameLost, b"\xff", FrameBroken, b"\xd0", b"\xa3"], [], 6),
        ([FrameLost] * 7 + [b"\xa3"], [212], 9),
    ],
)
def test_answers_to_a_request_for_a_rate(says: list[bytes], rates: list[int], sent: int) -> None:
    frames = Script([b"\x03\x18\x11", *says])
    card = activate(frames, random_uid=True, words="card", max_rate=848, pause=never)
    assert frames.rates == rates
    assert len(frames.sent) == sent
    assert frames.sent[1] == b"\xd0\x11\x05"
    assert set(frames.sent[2:]) <= {b"\xd0\x11\x05", b"\xb2"}
    assert card.words == f"card, {rates[0] if rates else 106} kbit/s"
    frames.says = [b"\x02\x90\x00"]  # block numbers begin with 0 after all that
    assert card.transmit(b"\x00") == b"\x90\x00"


def test_a_card_that_is_at_no_rate_is_lost_and_the_chip_back_at_the_first() -> None:
    frames = Script([b"\x03\x18\x33"])
    with pytest.raises(CardError) as error:
        activate(frames, random_uid=True, words="card", max_rate=424, pause=never)
    assert error.value.code is FieldCode.LOST
    assert frames.rates == [424, 106]
    assert len(frames.sent) < 15


def test_aborted_while_a_rate_is_looked_for() -> None:
    says: list[Callable[[], list[bytes | Exception | type[Exception]]]] = [
        lambda: [b"\x03\x18\x33", CardError(FieldCode.ABORTED)],
        lambda: [b"\x03\x18\x33", FrameLost, FrameLost, CardError(FieldCode.ABORTED)],
    ]
    for make in says:
        with pytest.raises(CardError) as error:
            activate(Script(make()), random_uid=True, words="card", max_rate=424, pause=never)
        assert error.value.code is FieldCode.ABORTED
