"""Procedures as parsers: bytes become the answers of a card, and whatever it answers, there is an end and a reason.

An input is a row of answers, each behind two octets of its length; after the last one the card is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar
from uuid import UUID

from mdoc_reader.engagement import tap
from mdoc_reader.mdoc import ndef
from mdoc_reader.nfc import apdu, tnep, transfer, type4
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure, perform

T = TypeVar("T")
_OFFER = tap.TapOffer(b"\xbe\xef", UUID(int=1))
_CAP = 4096
_OK = b"\x90\x00"


class _Card:
    """A `ports.Card` that gives answers one after the other."""

    words = "answers"
    longest_silence_s = 1.0

    def __init__(self, answers: Iterator[bytes], longest_command: int, longest_response: int, random_uid: bool) -> None:
        self.longest_command = longest_command
        self.longest_response = longest_response
        self.random_uid = random_uid
        self.on_frame: Callable[[], None] = lambda: None
        self._answers = answers

    def transmit(self, command: bytes) -> bytes:
        if len(command) > self.longest_command:
            raise AssertionError("more than the way carries")
        apdu.parse(command)
        answer = next(self._answers, None)
        if answer is None:
            raise CardError(FieldCode.LOST)
        return answer

    def give_up(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""


def _answers(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


def _walk(make: Callable[[apdu.Way], Procedure[T]], data: bytes) -> T:
    """Walk a procedure; the first octet says what the way to the card carries."""
    first = data[0] if data else 0
    carries = (65544, 65538) if first & 1 else (64, 80) if first & 2 else (261, 258)
    card = _Card(_answers(data[1:]), *carries, random_uid=not first & 4)
    waits: list[float] = []
    result = perform(make(apdu.Way.to(card)), card, waits.append)
    if sum(waits) > 3 * tnep.MAX_WAIT_S:
        raise AssertionError("waited beyond all bounds")
    return result


def _tap(data: bytes) -> None:
    said = _walk(lambda way: tap.engage(_OFFER, way), data)
    if not said.methods or len(said.handover.select) > ndef.MAX_MESSAGE:
        raise AssertionError("a tap that leads nowhere")


def _delivery(data: bytes) -> None:
    message = _walk(
        lambda way: transfer.deliver(bytes(300), transfer.Limits(way.data(255), way.answer(256)), cap=_CAP), data
    )
    if len(message) > _CAP:
        raise AssertionError("more than was allowed")


PARSERS: dict[str, Callable[[bytes], object]] = {
    "apdu": apdu.parse,
    "capability_container": type4.parse_cc,
    "do53": transfer.unwrap,
    "services": lambda data: tnep.services(ndef.parse(data)),
    "tap": _tap,
    "delivery": _delivery,
}
REFUSALS = (CardError, tap.TapEnded)
"""What they may raise beyond the errors of every parser."""


def _row(*answers: bytes, first: int = 0) -> bytes:
    return bytes((first,)) + b"".join(len(answer).to_bytes(2, "big") + answer for answer in answers)


def _shown(message: bytes, most: int) -> list[bytes]:
    """Return the answers to reading a message: its length, then its parts."""
    parts = [message[at : at + most] + _OK for at in range(0, len(message), most)]
    return [len(message).to_bytes(2, "big") + _OK, *parts]


def examples(select: bytes) -> list[bytes]:
    """Return a valid example for each of them, around a Handover Select message."""
    service = bytes.fromhex("1013") + tnep.HANDOVER + bytes.fromhex("00000fffff")
    offered = b"\xd1\x02" + bytes((len(service),)) + b"Tp" + service
    container = bytes.fromhex("000f2000ff00ff0406e1047fff0000")
    opened = [_OK, _OK, container + _OK, _OK]
    wide = [_OK, _OK, bytes.fromhex("001130ffff00ff0608e10400007fff0000")[:15] + _OK, b"\x00\x00" + _OK, _OK]
    data = b"\x53\x82\x01\x00" + bytes(256)
    return [
        bytes.fromhex("00a4040007d276000085010100"),
        bytes.fromhex("00c30000000003aabbcc0000"),
        container,
        bytes.fromhex("001130ffff00ff0608e10400007fff0000"),
        b"\x53\x03abc",
        data,
        offered,
        _row(*opened, *_shown(select, 255)),
        _row(*opened, *_shown(select, 78), first=2),
        _row(*wide, b"\x00\x00" + len(select).to_bytes(2, "big") + _OK, select + _OK, first=1),
        _row(
            *opened, *_shown(offered, 255), _OK, b"\0\0" + _OK, *_shown(b"\xd1\x02\x01Te\x00", 255), _OK,
            *_shown(select, 255),
        ),
        _row(_OK, data[:256] + b"\x61\x04", data[256:] + _OK),
        _row(*[_OK] * 5, data[:78] + b"\x61\x00", data[78:] + b"\x61\x08", b"\x6c\x00", _OK, first=2),
    ]  # fmt: skip
