"""The block protocol and the activation as parsers: bytes become what comes back from the field, frame by frame.

An input is a row of events, each behind one octet: 0 is silence, 255 noise, and anything else the length of a frame.
After the last one there is silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mdoc_reader.nfc.activation import activate, parse_ats
from mdoc_reader.nfc.isodep import FRAME_SIZES, FWT_MAX, Limits, Parameters
from mdoc_reader.nfc.isodep_card import IsoDepCard
from mdoc_reader.nfc.ports import FrameBroken, FrameLost

_CAP = 600
_LIMITS = Limits(response=_CAP, wtx_s=30.0)
_SILENCE, _NOISE = 0, 255
_MORE_THAN_SAID = 60
"""Frames a reader may send into silence: all its tries for all it wants."""


class _Field:
    """`ports.Frames` that give the events one after the other, and look at what is sent."""

    def __init__(self, data: bytes, longest: int) -> None:
        self.longest = longest
        self.takes = longest
        self._events = _events(data)
        self._left = _MORE_THAN_SAID

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        if not 1 <= len(frame) <= self.takes:
            raise AssertionError("a frame the card does not take")
        if not 0 < timeout_s < FWT_MAX + 0.01:
            raise AssertionError("a wait beyond all bounds")
        event = next(self._events, None)
        if event is None:
            self._left -= 1
            if not self._left:
                raise AssertionError("it never ends")
        if isinstance(event, bytes):
            return event
        raise FrameBroken if event else FrameLost

    def set_rate(self, kbits: int, /) -> None:
        if kbits not in {106, 212, 424, 848}:
            raise AssertionError("no bit rate")


def _events(data: bytes) -> Iterator[bytes | bool]:
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length in {_SILENCE, _NOISE}:
            yield length == _NOISE
        else:
            yield data[at : at + length]
            at += length


def _talk(card: IsoDepCard) -> None:
    for command in (bytes(30), b"\x00\xb0"):
        if len(card.transmit(command)) > _CAP:
            raise AssertionError("more than was allowed")
    card.alive()
    card.leave()


def _isodep(data: bytes) -> None:
    """Talk to a card; the first octet says how large its frames are."""
    fsc = FRAME_SIZES[(data[0] if data else 0) % len(FRAME_SIZES)]
    field = _Field(data[1:], 254)
    field.takes = fsc - 2
    _talk(IsoDepCard(field, Parameters(fsc, 256, 0.01), random_uid=True, words="", limits=_LIMITS))


def _activation(data: bytes) -> None:
    pauses: list[float] = []
    field = _Field(data, 254)
    card = activate(field, random_uid=True, words="", max_rate=848, pause=pauses.append, limits=_LIMITS)
    if sum(pauses) > 5.5:
        raise AssertionError("waited beyond all bounds")
    _talk(card)


PARSERS: dict[str, Callable[[bytes], object]] = {"ats": parse_ats, "isodep": _isodep, "activation": _activation}


def _row(*events: bytes | None, first: bytes = b"") -> bytes:
    return first + b"".join(b"\x00" if event is None else bytes((len(event),)) + event for event in events)


def examples() -> list[bytes]:
    """Return valid examples for each of them."""
    ok = b"\x90\x00"
    chained = (b"\xa2", b"\xf2\x01", b"\xa3", b"\x12ab", None, b"\x13cd", b"\x02" + ok, b"\x03" + ok, b"\xa3", b"\xc2")
    denied = (None, b"\xa3", b"\xa2", b"\xa2", b"\xa3", b"\xf2\x3b", b"\x02" + ok, b"\x03" + ok, None, b"\xa3", b"\xc2")
    short = (b"\x02" + ok, b"\x03" + ok, b"\xa3", b"\xc2")
    ats = bytes.fromhex("067877810280")
    return [
        b"\x01",
        ats,
        bytes.fromhex("031833"),
        _row(*chained, first=b"\x00"),
        _row(*denied, first=b"\x00"),
        _row(*short, first=b"\x08"),
        _row(ats, b"\xd0", *short),
        _row(ats, None, None, None, b"\xa3", *short),
        _row(ats, b"\xd1", *[None] * 5, b"\xa3", *short),
        _row(bytes.fromhex("0208"), *short),
    ]
