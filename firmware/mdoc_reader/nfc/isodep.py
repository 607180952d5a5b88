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
- R(ACK) of the other number means that the last I-block never arrived: it is sent again (rule 6).

A block that the rules do not allow where it comes is treated as noise, and as a broken protocol once the tries are used
up: data is whole, or there is a reason. Neither card identifiers (CID) nor node addresses (NAD) are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mdoc_reader.nfc.ports import CardError, FieldCode

CARRIER_HZ = 13.56e6
FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
"""Bytes of a frame with its CRC, by FSDI or FSCI."""
FWI_MAX = 14

# Protocol control bytes. Bit 2 is always set but in S-blocks' R(…) forms; bit 4 announces a CID, bit 3 a NAD.
_I, _R, _S = 0x02, 0xA2, 0xC2
_MORE, _NAK = 0x10, 0x10
_DESELECT, _WTX = 0xC2, 0xF2
_OVERHEAD = 3  # protocol control byte and CRC
_WTXM_MAX = 59


def waiting_time(fwi: int) -> float:
    """Return the frame waiting time of an index, in seconds (clause 7.2): 302 µs to 4.95 s."""
    return 4096 / CARRIER_HZ * (1 << fwi)


FWT_MAX = waiting_time(FWI_MAX)
_DELTA = 49152 / CARRIER_HZ  # what a reader waits beyond the card's time (clause 7.2)


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
        wtx_s: seconds of waiting that one command may be granted in all; a person may be reading the question.
        blocks: blocks exchanged for one command: a bound on all that the others leave open.
        empty: I-blocks without data in a row.
    """

    tries: int = 4
    response: int = 65538
    wtx_s: float = 400.0
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
    DESELECTED = "the answer to DESELECT"


class IsoDep:
    """One activated card. `start` and `deselect` begin an exchange; `on_*` go on with it. All raise CardError."""

    def __init__(self, parameters: Parameters, limits: Limits | None = None) -> None:
        """Begin right after the activation."""
        self._parameters = parameters
        self._limits = limits or Limits()
        self._room = parameters.fsc - _OVERHEAD
        self._number = 0
        self._at = _At.REST
        self._left = b""
        self._last = b""
        """The last I-block or S(DESELECT) sent: what is repeated when the card has not had it."""
        self._received = bytearray()
        self._tries = 0
        self._again = 0
        self._blocks = 0
        self._empty = 0
        self._granted_s = 0.0
        self._spoiled = False
        """Whether the last try ended with a block that makes no sense, rather than with nothing."""

    def start(self, command: bytes) -> Send:
        """Begin to send a command APDU."""
        if self._at is not _At.REST:
            raise CardError(FieldCode.PROTOCOL, "an exchange is going on")
        self._left = command
        self._received.clear()
        self._blocks = self._empty = 0
        self._granted_s = 0.0
        return self._next_of_command()

    def deselect(self) -> Send:
        """Begin to end it all (clause 8), whatever was going on."""
        self._at = _At.DESELECTED
        self._tries = self._blocks = 0
        self._last = bytes((_DESELECT,))
        return Send(self._last, self._parameters.fwt_s + _DELTA)

    def on_frame(self, frame: bytes) -> Send | Done:
        """Take a whole frame, without its CRC."""
        if self._at is _At.REST:
            raise CardError(FieldCode.PROTOCOL, "a block that nobody waited for")
        self._blocks += 1
        if self._blocks > self._limits.blocks:
            raise CardError(FieldCode.PROTOCOL, "too many blocks for one command")
        if not frame or len(frame) > self._parameters.fsd - 2:
            return self._unfit()
        control, data = frame[0], frame[1:]
        if self._at is _At.DESELECTED:
            return Done(b"") if frame == self._last else self._unfit()
        if control & 0xEE == _I:
            return self._on_i(control, data)
        if control & 0xEE == _R and not data:
            return self._on_r(control)
        if control == _WTX and len(data) == 1:
            return self._on_wtx(data[0])
        return self._unfit()

    def on_silence(self) -> Send:
        """Nothing came in time."""
        return self._retry(spoiled=False)

    def on_noise(self) -> Send:
        """Something came that was not whole."""
        return self._retry(spoiled=False)

    # The command.

    def _next_of_command(self) -> Send:
        data, self._left = self._left[: self._room], self._left[self._room :]
        self._at = _At.ACK if self._left else _At.ANSWER
        self._last = bytes((_I | (_MORE if self._left else 0) | self._number,)) + data
        self._again = 0
        return self._fresh(self._last)

    def _on_r(self, control: int) -> Send | Done:
        if control & _NAK:
            return self._unfit()  # only readers say so
        if control & 1 != self._number:
            if self._at is _At.MORE:
                return self._unfit()
            # Rule 6: the card has not had the last block. A card that never has it has no protocol.
            self._again += 1
            if self._again > self._limits.tries:
                raise CardError(FieldCode.PROTOCOL, "the card keeps asking for the same block")
            return Send(self._last, self._parameters.fwt_s + _DELTA)
        if self._at is not _At.ACK:
            return self._unfit()
        self._number ^= 1
        return self._next_of_command()

    # The response.

    def _on_i(self, control: int, data: bytes) -> Send | Done:
        if self._at is _At.ACK or control & 1 != self._number:
            return self._unfit()
        more = bool(control & _MORE)
        self._empty = 0 if data else self._empty + 1
        if self._empty > self._limits.empty:
            raise CardError(FieldCode.PROTOCOL, "blocks without data")
        self._received += data
        if len(self._received) > self._limits.response:
            raise CardError(FieldCode.TOO_LARGE, f"a response of more than {self._limits.response} bytes")
        self._number ^= 1
        if more:
            self._at = _At.MORE
            return self._fresh(bytes((_R | self._number,)))
        self._at = _At.REST
        received = bytes(self._received)
        self._received.clear()
        return Done(received)

    def _on_wtx(self, asked: int) -> Send | Done:
        factor = min(asked & 0x3F, _WTXM_MAX)
        if not factor:
            return self._unfit()
        wait_s = min(self._parameters.fwt_s * factor, FWT_MAX)
        self._granted_s += wait_s
        if self._granted_s > self._limits.wtx_s:
            raise CardError(FieldCode.PROTOCOL, "the card keeps asking for time")
        self._tries = 0
        # The power level in the two high bits is the card's to tell and not for the reader to repeat.
        return Send(bytes((_WTX, asked & 0x3F)), wait_s + _DELTA)

    # When something went wrong.

    def _fresh(self, frame: bytes) -> Send:
        self._tries = 0
        self._spoiled = False
        return Send(frame, self._parameters.fwt_s + _DELTA)

    def _unfit(self) -> Send:
        return self._retry(spoiled=True)

    def _retry(self, *, spoiled: bool) -> Send:
        self._spoiled = self._spoiled or spoiled
        self._tries += 1
        if self._tries > self._limits.tries:
            if self._spoiled:
                raise CardError(FieldCode.PROTOCOL, f"no block that makes sense while waiting for {self._at.value}")
            raise CardError(FieldCode.LOST, f"silence while waiting for {self._at.value}")
        if self._at is _At.DESELECTED:
            frame = self._last
        elif self._at is _At.MORE:
            frame = bytes((_R | self._number,))
        else:
            frame = bytes((_R | _NAK | self._number,))
        return Send(frame, self._parameters.fwt_s + _DELTA)
