"""APDUs as a phone sees them: commands taken apart, applications chosen, answers in parts (ISO/IEC 7816-4).

It shares no code with the reader's side, and is as strict as phones are, so that a mistake there does not meet its own
mirror image here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_behaviour import Delay, Failure, Step

SELECT, GET_RESPONSE, READ_BINARY, UPDATE_BINARY, ENVELOPE = 0xA4, 0xC0, 0xB0, 0xD6, 0xC3
OK = 0x9000
END_OF_FILE = 0x6282
WRONG_LENGTH, CHAINING_UNKNOWN, SECURITY, CONDITIONS, NO_FILE = 0x6700, 0x6884, 0x6982, 0x6985, 0x6986
WRONG_DATA, NOT_FOUND, NO_MEMORY, WRONG_P1P2 = 0x6A80, 0x6A82, 0x6A84, 0x6A86
OUTSIDE, WRONG_INS, WRONG_CLA = 0x6B00, 0x6D00, 0x6E00
_EVERYTHING = 65536


class Refused(Exception):  # noqa: N818 -- an answer, not a defect
    """A command is answered with this status word and no data."""

    def __init__(self, sw: int) -> None:
        """Keep the status word."""
        self.sw = sw
        super().__init__(f"{sw:04X}")


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command. `le` is how many bytes it asks for, None for no data at all."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    le: int | None = None
    extended: bool = False

    @property
    def offset(self) -> int:
        """Return P1 and P2 as one number."""
        return self.p1 << 8 | self.p2


def read_apdu(command: bytes) -> Apdu:
    """Take a command apart; every length must fit. Raises Refused(6700)."""
    if len(command) < 4:
        raise Refused(WRONG_LENGTH)
    cla, ins, p1, p2, *body = command
    match body:
        case []:
            return Apdu(cla, ins, p1, p2)
        case [le]:
            return Apdu(cla, ins, p1, p2, le=le or 256)
        case [0, high, low]:
            return Apdu(cla, ins, p1, p2, le=(high << 8 | low) or _EVERYTHING, extended=True)
        case [0, high, low, *rest] if (size := high << 8 | low) and len(rest) in {size, size + 2}:
            asked = (int.from_bytes(bytes(rest[size:]), "big") or _EVERYTHING) if len(rest) > size else None
            return Apdu(cla, ins, p1, p2, bytes(rest[:size]), asked, extended=True)
        case [size, *rest] if size and len(rest) in {size, size + 1}:
            asked = (rest[size] or 256) if len(rest) > size else None
            return Apdu(cla, ins, p1, p2, bytes(rest[:size]), asked)
    raise Refused(WRONG_LENGTH)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an application answers, whole; how it travels is told with it.

    Args:
        data: without status word.
        sw: the last status word.
        after_s: how long it takes.
        most: the most data in one response.
        first_empty: the first response carries none of it.
        six_c: a GET RESPONSE for more than there is gets 6Cxx.
    """

    data: bytes = field(default=b"", repr=False)
    sw: int = OK
    after_s: float = 0.0
    most: int = _EVERYTHING
    first_empty: bool = False
    six_c: bool = False


class Steps:
    """Counts the steps of a reader; fails and delays those it is told to."""

    def __init__(self, failures: Sequence[Failure] = (), delays: Sequence[Delay] = ()) -> None:
        """Take what is to go wrong."""
        self._failures = tuple(failures)
        self._delays = tuple(delays)
        self._delay_s = 0.0
        self.seen: Counter[Step] = Counter()

    def enter(self, step: Step) -> None:
        """Note a step. Raises Refused when it is one that fails."""
        count = self.seen[step]
        self.seen[step] += 1
        self._delay_s += sum(one.seconds for one in self._delays if one.step is step and one.at in {None, count})
        for failure in self._failures:
            after = count - failure.at
            if failure.step is step and after >= 0 and (failure.times is None or after < failure.times):
                raise Refused(failure.sw)

    def take_delay(self) -> float:
        """Return what the steps since the last call take, in seconds."""
        delay, self._delay_s = self._delay_s, 0.0
        return delay


class Applet(Protocol):
    """One application behind its AID."""

    def select(self, apdu: Apdu) -> Reply:
        """Begin anew. Raises Refused."""

    def answer(self, apdu: Apdu) -> Reply:
        """Answer a command that is neither a selection by name nor GET RESPONSE. Raises Refused."""


class Selector:
    """The applications of one phone or card, one of them selected, and the rest of an answer waiting to be fetched."""

    def __init__(self, applets: Mapping[bytes, Applet], steps: Steps | None = None, pieces: int | None = None) -> None:
        """Hold applications by AID. `pieces`: the most data in one response, whatever was asked for."""
        self._applets = dict(applets)
        self._steps = steps or Steps()
        self._pieces = pieces
        self._selected: Applet | None = None
        self._waiting: Reply | None = None

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer a command as it was received."""
        after_s = 0.0
        try:
            apdu = read_apdu(command)
            if apdu.cla == 0 and apdu.ins == GET_RESPONSE:
                data = self._more(apdu)
            else:
                reply = self._reply(apdu)
                after_s = reply.after_s
                data = self._first(reply, apdu.le)
        except Refused as refused:
            self._waiting = None
            data = refused.sw.to_bytes(2, "big")
        return ApduAnswer(data, after_s + self._steps.take_delay())

    def on_deselected(self) -> None:
        """Select nothing."""
        self._selected = None
        self._waiting = None

    def _reply(self, apdu: Apdu) -> Reply:
        if apdu.cla not in {0x00, 0x10}:
            raise Refused(WRONG_CLA)
        if apdu.cla == 0x10 and apdu.ins != ENVELOPE:
            raise Refused(CHAINING_UNKNOWN)
        if apdu.ins == SELECT and apdu.p1 == 0x04:
            return self._select(apdu)
        if self._selected is None:
            raise Refused(WRONG_INS)
        return self._selected.answer(apdu)

    def _select(self, apdu: Apdu) -> Reply:
        if apdu.p2 not in {0x00, 0x0C}:
            raise Refused(WRONG_P1P2)
        if not 5 <= len(apdu.data) <= 16:
            raise Refused(WRONG_LENGTH)
        # A part of a name selects nothing; what was selected before stays.
        applet = self._applets.get(apdu.data)
        if applet is None:
            raise Refused(NOT_FOUND)
        reply = applet.select(apdu)
        self._selected = applet
        return reply

    def _first(self, reply: Reply, le: int | None) -> bytes:
        room = 0 if reply.first_empty or le is None else self._room(reply, le)
        return self._part(reply, room)

    def _more(self, apdu: Apdu) -> bytes:
        self._steps.enter(Step.GET_RESPONSE)
        if apdu.offset:
            raise Refused(WRONG_P1P2)
        if apdu.data or apdu.le is None:
            raise Refused(WRONG_LENGTH)
        reply = self._waiting
        if reply is None:
            raise Refused(CONDITIONS)
        size = len(reply.data)
        if reply.six_c and apdu.le > size <= 256:
            return bytes((0x6C, size & 0xFF))
        return self._part(reply, self._room(reply, apdu.le))

    def _room(self, reply: Reply, le: int) -> int:
        return min(le, reply.most, self._pieces or _EVERYTHING)

    def _part(self, reply: Reply, room: int) -> bytes:
        """Return the next part; the rest waits, in place of whatever was not fetched before."""
        part, rest = reply.data[:room], reply.data[room:]
        if not rest:
            self._waiting = None
            return part + reply.sw.to_bytes(2, "big")
        self._waiting = Reply(rest, reply.sw, most=reply.most, six_c=reply.six_c)
        return part + bytes((0x61, len(rest) if len(rest) < 256 else 0))
