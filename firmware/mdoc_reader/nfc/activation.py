"""Activating a selected card of type A: RATS, its answer, and the bit rate both sides can do (ISO/IEC 14443-4).

The answer to select (ATS) comes in every shape: the length octet alone, any subset of its interface octets, historical
octets or none. What it leaves out has the standard's default.

A card that was selected hears one RATS and one PPS (clauses 5.6.1.2 and 5.6.2.2). So where the ATS does not come or
makes no sense, the card is sent to rest with S(DESELECT) and has to be selected anew. Where the answer to PPS does not
come, nobody knows at which bit rate the card is: it is looked for at both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from mdoc_reader.nfc.isodep import CARRIER_HZ, FRAME_SIZES, FWI_MAX, Limits, Parameters, waiting_time
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import CardError, FieldCode, FrameBroken, FrameLost, Frames

RATES = (106, 212, 424, 848)
"""Bit rates in kbit/s, by their divisor's exponent (DSI and DRI)."""
_RATS, _PPSS, _PPS0 = 0xE0, 0xD0, 0x11
_RATS_WAIT_S = 0.03  # the standard gives a card 4.8 ms; the slow ones are phones waking up
_GUARD_UNIT, _GUARD_DELTA = 4096 / CARRIER_HZ, 384 / CARRIER_HZ  # SFGT and what a reader adds to it (clause 5.2.5)
_PPS_WAIT_S = 0.03
_TRIES = 2
_DEFAULT_FSCI, _DEFAULT_FWI, _LARGEST_FSDI = 2, 4, 8
_SFGI_MAX = 14


@dataclass(frozen=True, slots=True)
class AnswerToSelect:
    """What an ATS says.

    Attributes:
        fsc: bytes of the largest frame the card takes, with CRC.
        fwi, sfgi: indices of the frame waiting time and of the guard time after the ATS.
        to_card, from_card: the bit rates the card can do in each direction beside 106 kbit/s.
        same_rates: whether both directions must have the same.
        cid, nad: whether it knows card identifiers and node addresses.
        historical: how many historical octets there were; what they are is nobody's business here.
    """

    fsc: int = FRAME_SIZES[_DEFAULT_FSCI]
    fwi: int = _DEFAULT_FWI
    sfgi: int = 0
    to_card: tuple[int, ...] = ()
    from_card: tuple[int, ...] = ()
    same_rates: bool = False
    cid: bool = True
    nad: bool = False
    historical: int = 0

    @property
    def guard_s(self) -> float:
        """How long the card wants to be left alone after its ATS, in seconds: at most 5.5."""
        return (_GUARD_UNIT + _GUARD_DELTA) * (1 << self.sfgi) if self.sfgi else 0.0


def parse_ats(ats: bytes) -> AnswerToSelect:
    """Read an ATS, without its CRC. Raises CardError PROTOCOL where it is cut short.

    Values reserved for future use are taken as the standard says a reader must: FSCI above 12 as 12, FWI 15 as 4, SFGI
    15 as 0, and a TA with its reserved bit as no other rate.
    """
    if not ats or not 1 <= ats[0] <= len(ats):
        raise CardError(FieldCode.PROTOCOL, "an answer to select shorter than it says")
    octets = ats[: ats[0]]
    if len(octets) == 1:
        return AnswerToSelect()
    format_octet = octets[1]
    at = 2
    present: list[int | None] = []
    for bit in (0x10, 0x20, 0x40):
        if not format_octet & bit:
            present.append(None)
            continue
        if at >= len(octets):
            raise CardError(FieldCode.PROTOCOL, "an answer to select without the octets it announces")
        present.append(octets[at])
        at += 1
    ta, tb, tc = present
    fwi, sfgi = (_DEFAULT_FWI, 0) if tb is None else (tb >> 4, tb & 15)
    rates = 0 if ta is None or ta & 0x08 else ta
    return AnswerToSelect(
        FRAME_SIZES[min(format_octet & 15, len(FRAME_SIZES) - 1)],
        fwi if fwi <= FWI_MAX else _DEFAULT_FWI,
        sfgi if sfgi <= _SFGI_MAX else 0,
        _rates(rates),
        _rates(rates >> 4),
        bool(rates & 0x80),
        cid=True if tc is None else bool(tc & 2),
        nad=False if tc is None else bool(tc & 1),
        historical=len(octets) - at,
    )


def _rates(bits: int) -> tuple[int, ...]:
    return tuple(rate for bit, rate in enumerate(RATES[1:]) if bits >> bit & 1)


def best_rate(answer: AnswerToSelect, max_rate: int) -> int:
    """Return the highest bit rate both directions can do, at most `max_rate`; 106 where there is none.

    One rate for both directions: chips gain little from two, and every card that can do it at all can do this.
    """
    return max((rate for rate in answer.to_card if rate in answer.from_card and rate <= max_rate), default=RATES[0])


def activate(
    frames: Frames,
    *,
    random_uid: bool,
    words: str,
    pause: Callable[[float], None],
    max_rate: int = RATES[0],
    limits: Limits | None = None,
) -> IsoDepCard:
    """Begin the block protocol with a card that has just been selected, at 106 kbit/s.

    Raises CardError, NfcDeviceError, and what `pause` raises; the chip is at 106 kbit/s then, unless it is gone.

    Args:
        frames: the way to the card.
        random_uid: for the card's `ports.Card`.
        words: what the card is, for people; the bit rate is added.
        pause: waits so many seconds, for cards that want to be left alone at first; at most 5.5.
        max_rate: the highest bit rate wanted, in kbit/s; 106 asks for no other.
        limits: the bounds of the block protocol.
    """
    fsdi = max(index for index in range(_LARGEST_FSDI + 1) if FRAME_SIZES[index] - 2 <= frames.longest or not index)
    try:
        answer = parse_ats(_ask(frames, bytes((_RATS, fsdi << 4)), _RATS_WAIT_S))
    except CardError:
        _card(frames, Parameters()).leave()
        raise
    if answer.guard_s:
        pause(answer.guard_s)
    # A frame the card would take is of no use if the chip cannot send it.
    fsc = min(answer.fsc, frames.longest + 2)
    parameters = Parameters(fsc, FRAME_SIZES[fsdi], waiting_time(answer.fwi))
    rate = best_rate(answer, max_rate)
    if rate != RATES[0]:
        rate = _select_rate(frames, rate, parameters)
    card = IsoDepCard(frames, parameters, random_uid=random_uid, words=f"{words}, {rate} kbit/s", limits=limits)
    card.answer = answer
    return card


def _select_rate(frames: Frames, rate: int, parameters: Parameters) -> int:
    """Agree on a bit rate for both directions (clause 5.3) and return the one the card is at then."""
    index = RATES.index(rate)
    try:
        agreed = _ask(frames, bytes((_PPSS, _PPS0, index << 2 | index)), _PPS_WAIT_S) == bytes((_PPSS,))
    except CardError as error:
        if error.code is not FieldCode.LOST:
            raise
        agreed = False
    if agreed:
        frames.set_rate(rate)
        return rate
    if _card(frames, parameters).alive():
        return RATES[0]  # it did not hear, or does not care
    # It agreed, and its saying so was lost.
    frames.set_rate(rate)
    if _card(frames, parameters).alive():
        return rate
    frames.set_rate(RATES[0])
    raise CardError(FieldCode.LOST, "no answer at any bit rate")


def _card(frames: Frames, parameters: Parameters) -> IsoDepCard:
    """Return a card for a word or two, not to be kept: its block numbers are those of the beginning."""
    return IsoDepCard(frames, parameters, random_uid=False, words="")


def _ask(frames: Frames, frame: bytes, wait_s: float) -> bytes:
    for _ in range(_TRIES):
        with contextlib.suppress(FrameLost, FrameBroken):
            return frames.exchange(frame, wait_s)
    raise CardError(FieldCode.LOST, "no answer to the activation")
