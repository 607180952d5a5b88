"""Procedures: what is said to a card, written down as generators that know nothing of threads, clocks or drivers.

A procedure yields a `Command` and is sent the card's `Response`, or yields a `Pause` and is sent None when that time
has passed. It returns its result, and raises `CardError` or `Malformed`. `perform` walks one against a `Card`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

from mdoc_reader.nfc.ports import Card, CardError, FieldCode

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU (ISO/IEC 7816-4 clause 5.1), as it will be sent; `encoded` is what travels."""

    encoded: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A response APDU: its data, and the status word as a number."""

    data: bytes = field(repr=False)
    sw: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave the card alone for a while."""

    seconds: float


Procedure = Generator[Command | Pause, Response | None, T]


def perform(procedure: Procedure[T], card: Card, pause: Callable[[float], None]) -> T:
    """Walk a procedure to its result. `pause` waits, and may raise CardError to give up.

    Raises what the procedure and the card raise. The procedure is closed on every way out.
    """
    try:
        step = next(procedure)
        while True:
            if isinstance(step, Pause):
                pause(step.seconds)
                answer: Response | None = None
            else:
                raw = card.transmit(step.encoded)
                if len(raw) < 2:
                    raise CardError(FieldCode.PROTOCOL, "a response without a status word")
                answer = Response(raw[:-2], int.from_bytes(raw[-2:], "big"))
            step = procedure.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        procedure.close()
