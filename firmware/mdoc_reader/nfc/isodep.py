"""ISO-DEP, the half-duplex block protocol of ISO/IEC 14443-4, from the reader's side (PCD). Sans-I/O.

Theory of operation. The reader speaks, the card answers, one block at a time; the engine says what to send and how long
to wait, and is told of what came, or that nothing or nothing whole came. Three kinds of blocks: I-blocks carry the
APDU, cut to frames with a "more" bit; R-blocks acknowledge one (ACK) or ask for the last once more (NAK); S-blocks ask
for more time (WTX) or end it all (DESELECT). Rules, as numbered in clause 7.5.4 and 7.5.5 of the standard:

- both sides keep a block number; the reader's begins at 0 and is toggled whenever an I-block or an R(ACK) of that
  number has come (rules A and B);
- the reader chains: each I-block with "more" is answered by R(ACK) (rule 7); the last by the answer's first I-block;
- the card chains: each of its I-blocks with "more" is answered by R(ACK) of the toggled number (rule 2);
- S(WTX) is answered at once by the same, and lengthens the wait for the next block alone (rule 3);
- after silence or noise the reader sends R(NAK), or repeats its R(ACK) where the card chains (rules 4 and 5), and so
  learns what the card has had;
- R(ACK) of the other number, in answer to R(NAK), means that the last I-block never arrived: it is sent again (rule 6).

Rule 6 is the dangerous one, because a card takes every I-block for a new one (rule D): one that is repeated although
the card has had it makes a wrong command, and nobody notices. A card by the rules never says R(ACK) of the other number
to an I-block itself. Where that comes it is a frame of before, late or doubled by the front end; so the card is asked
with R(NAK) first, and from then on has to deny a block once more for each such frame (`_doubts`). What is left is an
acknowledgement that comes two exchanges late after silence: it answers R(NAK) as a denial would. Half-duplex radio does
not do that to a front end that empties its buffer before it sends; and a card that looks at numbers is not deceived.

A block that the rules do not allow where it comes is treated as noise, and as a broken protocol once the tries are used
up: data is whole, or there is a reason. After a failure the engine is good for `deselect` alone. Neither card
identifiers (CID) nor node addresses (NAD) are used, so a block with either is none of ours.

There is no clock here: blocks and granted waits are bounded, time as such is the caller's to bound, between frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mdoc_reader.nfc.ports import CardError, FieldCode

CARRIER_HZ = 13.56e6
FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
"""Bytes of a frame with its CRC, by FSDI or FSCI."""
FWI_MAX = 14

# Protocol control bytes (clause 7.1.2). Bit 1 is the number, bit 3 announces a NAD, bit 4 a CID.
_I, _R = 0x02, 0xA2
_MORE, _NAK = 0x10, 0x10
_DESELECT, _WTX = 0xC2, 0xF2
_OVERHEAD = 3  # protocol control byte and CRC
_WTXM_MAX = 59


def waiting_time(fwi: int) -> float:
    """Return the frame waiting time of an index, in seconds (clause 7.2): 302 µs to 4.95 s."""
    return 4096 / CARRIER_HZ * (1 << fwi)


FWT_MAX = waiting_time(FWI_MAX)
_DELTA = 49152 / CARRIER_HZ  # what a reader waits beyond the card's time (clause 7.2)
_DESELECT_WAIT_S = 65536 / CARRIER_HZ + _DELTA  # a card's time for this is fixed (clause 8), whatever its FWT
_PRESENCE_WAIT_S = 0.3
"""Most that is waited for a sign of life. FWT is for cards that compute, and this asks for nothing."""
_DOUBTS_MAX = 2


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was agreed on: the frames each side takes, in bytes with CRC, and the frame waiting time in seconds."""

    fsc: int = 32
    fsd: int = 256
    fwt_s: float = waiting_time(4)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a card may do before it is given up.

    Args:
        tries: times a block is asked for again before the card counts as lost.
        response: bytes of one response APDU.
        wtx_s: seconds of waiting that one command may be granted in all. A person may be reading the question for five
            minutes, and cards ask again long before a grant is over: so it is three times that.
        blocks: blocks exchanged for one command: a bound on all that the others leave open.
        empty: I-blocks without data in a row.
    """

    tries: int = 4
    response: int = 65538
    wtx_s: float = 900.0
    blocks: int = 200_000
    empty: int = 4


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame, and wait for the answer to begin for so many seconds."""

    frame: bytes = field(repr=False)
    wait_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """The response is complete."""

    data: bytes = field(repr=False)


class _At(Enum):
    """What the engine waits for."""

    REST = "nothing"
    ACK = "the card's leave to go on with the command"
    ANSWER = "the first block of the response"
    MORE = "the next block of the response"
    LIFE = "a sign of life"
    GOODBYE = "the answer to DESELECT"
    END = "nothing any more"


class IsoDep:
    """One activated card. `start`, `presence` and `deselect` begin an exchange; `on_*` go on with it.

    All but `deselect` raise CardError; where no exchange goes on, or after a failure, that is PROTOCOL or LOST.
    """

    def __init__(self, parameters: Parameters, limits: Limits | None = None) -> None:
        """Begin right after the activation."""
        self._parameters = parameters
        self._limits = limits or Limits()
        self._room = parameters.fsc - _OVERHEAD
        self._at = _At.REST
        self._number = 0
        self._left = b""
        self._last = b""
        """The last I-block sent: what is repeated when the card has not had it."""
        self._received = bytearray()
        self._sent = Send(b"", 0.0)
        self._tries = 0
        self._again = 0
        self._blocks = 0
        self._empty = 0
        self._granted_s = 0.0
        self._denials = 0
        """How often in a row the card has said that it has not had the last I-block."""
        self._doubts = 0
        """Acknowledgements of before that came where they could not be meant: what the card says may be late."""

    def start(self, command: bytes) -> Send:
        """Begin to send a command APDU."""
        self._begin()
        self._left = command
        return self._next_of_command()

    def presence(self) -> Send:
        """Begin to ask whether the card is still there, which changes nothing there; `Done` is empty then.

        R(NAK) of the number to come is answered by R(ACK) of the last (rule 12).
        """
        self._begin()
        self._at = _At.LIFE
        return self._send(self._nak(), min(self._fwt_s, _PRESENCE_WAIT_S))

    def deselect(self) -> Send:
        """Begin to end it all (clause 8), whatever was going on; `Done` is empty when the card agrees."""
        self._at = _At.GOODBYE
        self._tries = self._blocks = 0
        return self._send(bytes((_DESELECT,)), _DESELECT_WAIT_S)

    def on_frame(self, frame: bytes) -> Send | Done:
        """Take a whole frame, without its CRC."""
        self._heed()
        self._blocks += 1
        if self._blocks > self._limits.blocks:
            raise self._failed(FieldCode.PROTOCOL, "too many blocks for one command")
        if not frame or len(frame) > self._parameters.fsd - 2:
            return self._unfit()
        if self._at is _At.GOODBYE:
            return self._done(_At.END) if frame == self._sent.frame else self._unfit()
        control, data = frame[0], frame[1:]
        if control & 0xEE == _R and not data:
            return self._on_r(control)
        if self._at is _At.LIFE:
            return self._unfit()
        if control & 0xEE == _I:
            return self._on_i(control, data)
        if control == _WTX and len(data) == 1:
            return self._on_wtx(data[0])
        return self._unfit()

    def on_silence(self) -> Send:
        """Nothing came in time."""
        self._heed()
        return self._retry(self._usual_wait_s())

    def on_noise(self) -> Send:
        """Something came that was not whole."""
        self._heed()
        # A granted time lasts until a block has come (clause 7.3), and noise is none: the card may be at work yet.
        return self._retry(self._sent.wait_s)

    def _begin(self) -> None:
        if self._at is not _At.REST:
            self._heed()
            raise CardError(FieldCode.PROTOCOL, "an exchange is going on")
        self._received.clear()
        self._tries = self._blocks = self._empty = 0
        self._granted_s = 0.0

    def _heed(self) -> None:
        if self._at is _At.REST:
            raise CardError(FieldCode.PROTOCOL, "a block that nobody waited for")
        if self._at is _At.END:
            raise CardError(FieldCode.LOST, "the card was given up before")

    # The command.

    def _next_of_command(self) -> Send:
        data, self._left = self._left[: self._room], self._left[self._room :]
        self._at = _At.ACK if self._left else _At.ANSWER
        self._last = bytes((_I | (_MORE if self._left else 0) | self._number,)) + data
        self._again = self._denials = 0
        return self._fresh(self._last)

    def _on_r(self, control: int) -> Send | Done:
        if control & _NAK:
            return self._unfit()  # only readers say so
        has_it = control & 1 == self._number
        if self._at is _At.LIFE:
            return self._unfit() if has_it else self._done(_At.REST)
        if has_it and self._at is _At.ACK:
            self._number ^= 1
            return self._next_of_command()
        if has_it or self._at is _At.MORE:
            return self._unfit()
        return self._on_denial()

    def _on_denial(self) -> Send:
        """Rule 6: the card says that it has not had the last I-block."""
        if self._sent.frame != self._nak():
            self._doubts = min(self._doubts + 1, _DOUBTS_MAX)
            return self._unfit()
        self._denials += 1
        if self._denials <= self._doubts:
            return self._send(self._nak(), self._fwt_s)
        self._denials = 0
        self._again += 1
        if self._again > self._limits.tries:
            raise self._failed(FieldCode.PROTOCOL, "the card keeps asking for the same block")
        return self._send(self._last, self._fwt_s)

    # The response.

    def _on_i(self, control: int, data: bytes) -> Send | Done:
        if self._at is _At.ACK or control & 1 != self._number:
            return self._unfit()
        self._empty = 0 if data else self._empty + 1
        if self._empty > self._limits.empty:
            raise self._failed(FieldCode.PROTOCOL, "blocks without data")
        self._received += data
        if len(self._received) > self._limits.response:
            raise self._failed(FieldCode.TOO_LARGE, f"a response of more than {self._limits.response} bytes")
        self._number ^= 1
        if not control & _MORE:
            return self._done(_At.REST)
        self._at = _At.MORE
        return self._fresh(self._ack())

    def _on_wtx(self, asked: int) -> Send | Done:
        factor = min(asked & 0x3F, _WTXM_MAX)
        if not factor:
            return self._unfit()
        wait_s = min(self._parameters.fwt_s * factor, FWT_MAX)
        self._granted_s += wait_s
        if self._granted_s > self._limits.wtx_s:
            raise self._failed(FieldCode.PROTOCOL, "the card keeps asking for time")
        self._tries = self._denials = 0
        # The power level in the two high bits is the card's to tell and not for the reader to repeat.
        return self._send(bytes((_WTX, asked & 0x3F)), wait_s + _DELTA)

    # What is sent, and what comes of it.

    @property
    def _fwt_s(self) -> float:
        return self._parameters.fwt_s + _DELTA

    def _ack(self) -> bytes:
        return bytes((_R | self._number,))

    def _nak(self) -> bytes:
        return bytes((_R | _NAK | self._number,))

    def _usual_wait_s(self) -> float:
        return self._sent.wait_s if self._at in {_At.LIFE, _At.GOODBYE} else self._fwt_s

    def _fresh(self, frame: bytes) -> Send:
        self._tries = 0
        return self._send(frame, self._fwt_s)

    def _send(self, frame: bytes, wait_s: float) -> Send:
        self._sent = Send(frame, wait_s)
        return self._sent

    def _done(self, at: _At) -> Done:
        self._at = at
        data = bytes(self._received) if at is _At.REST else b""
        self._received.clear()
        return Done(data)

    def _failed(self, code: FieldCode, detail: str) -> CardError:
        self._at = _At.END
        self._received.clear()
        return CardError(code, detail)

    def _unfit(self) -> Send:
        return self._retry(self._usual_wait_s(), spoiled=True)

    def _retry(self, wait_s: float, *, spoiled: bool = False) -> Send:
        """Try again. What is said in the end is what the last try came to: something senseless, or nothing whole."""
        self._tries += 1
        if self._tries > self._limits.tries:
            awaited = self._at.value
            if spoiled:
                raise self._failed(FieldCode.PROTOCOL, f"no block that makes sense while waiting for {awaited}")
            raise self._failed(FieldCode.LOST, f"silence while waiting for {awaited}")
        if self._at is _At.GOODBYE:
            return self._send(self._sent.frame, wait_s)
        return self._send(self._ack() if self._at is _At.MORE else self._nak(), wait_s)
