"""Command and response APDUs (ISO/IEC 7816-4 clause 5.1), and how one exchange becomes several.

A command is encoded short, or extended where its data or its answer needs that; then both lengths are. A card may
answer in parts (61xx, GET RESPONSE) or name the length it wants to be asked for (6Cxx), and data too long for one
command is sent in a chain (class bit 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc.ports import Card, CardError, FieldCode
from mdoc_reader.nfc.procedure import Command, Procedure, Response

SELECT, READ_BINARY, UPDATE_BINARY, ENVELOPE, GET_RESPONSE = 0xA4, 0xB0, 0xD6, 0xC3, 0xC0
CHAINED = 0x10
OK = 0x9000
NOT_FOUND, WRONG_LENGTH, END_OF_FILE = 0x6A82, 0x6700, 0x6282
SHORT_DATA, SHORT_ANSWER = 255, 256
LONGEST_DATA, LONGEST_ANSWER = 65535, 65536
_SHORT_EXTRA, _EXTENDED_EXTRA = 6, 9  # header, Lc and Le around the data

_WORDS = {
    0x9000: "done",
    0x6281: "part of the data may be wrong",
    0x6282: "the file ended early",
    0x6283: "the file is deactivated",
    0x6700: "wrong length",
    0x6881: "logical channel not supported",
    0x6882: "secure messaging not supported",
    0x6883: "last command of the chain expected",
    0x6884: "command chaining not supported",
    0x6981: "command does not suit the file",
    0x6982: "not allowed: security status",
    0x6983: "authentication is blocked",
    0x6984: "data no longer usable",
    0x6985: "not allowed now",
    0x6986: "not allowed: no file is selected",
    0x6999: "the application cannot be selected now",
    0x6A80: "wrong data",
    0x6A81: "function not supported",
    0x6A82: "file or application not found",
    0x6A83: "record not found",
    0x6A84: "not enough memory",
    0x6A86: "wrong P1 or P2",
    0x6A87: "length does not suit P1 and P2",
    0x6B00: "wrong P1 or P2: outside the file",
    0x6D00: "instruction not supported",
    0x6E00: "class not supported",
    0x6F00: "no diagnosis",
}


class Refused(CardError):  # noqa: N818 -- what the card said
    """A command was answered with a status word that does not let the procedure go on."""

    def __init__(self, step: str, sw: int) -> None:
        """Keep the status word; `step` names the command in our own words."""
        self.step = step
        self.sw = sw
        super().__init__(FieldCode.REFUSED, f"{step}: {status(sw)}")


@dataclass(frozen=True, slots=True)
class Way:
    """What the way to a card carries, in bytes of encoded APDUs, and whether the card drew its identifier anew.

    261 and 258 are the largest short forms; nothing extended goes over such a way.
    """

    longest_command: int = 261
    longest_response: int = 258
    random_uid: bool = False

    @classmethod
    def to(cls, card: Card) -> Way:
        """Return what is known of the way to a card."""
        return cls(card.longest_command, card.longest_response, card.random_uid)

    @property
    def extended(self) -> bool:
        """Say whether anything extended goes over this way: more than the largest short command does."""
        return self.longest_command - _EXTENDED_EXTRA >= SHORT_DATA

    def data(self, most: int) -> int:
        """Return how many bytes of data one command carries, of `most` that the card takes. At least 1.

        What an extended command needs around them is left free wherever one may be needed.
        """
        if self.extended:
            return max(min(most, self.longest_command - _EXTENDED_EXTRA, LONGEST_DATA), 1)
        return max(min(most, self.longest_command - _SHORT_EXTRA, SHORT_DATA), 1)

    def answer(self, most: int) -> int:
        """Return how many bytes of data one response carries, of `most` that the card gives. At least 1."""
        return max(min(most, self.longest_response - 2, LONGEST_ANSWER if self.extended else SHORT_ANSWER), 1)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command APDU taken apart. `le`: None where no answer is asked for. `extended`: how lengths were written."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    le: int | None = None
    extended: bool = False


def encode(ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None, *, cla: int = 0) -> Command:
    """Return a command APDU: case 1 to 4, short where it can be. `le`: bytes asked for, 1 to 65536.

    Raises ValueError on what no APDU can hold: a mistake of the caller.
    """
    if len(data) > LONGEST_DATA or (le is not None and not 1 <= le <= LONGEST_ANSWER):
        raise ValueError("an APDU takes 65535 bytes and asks for 1 to 65536")
    extended = len(data) > SHORT_DATA or (le is not None and le > SHORT_ANSWER)
    encoded = bytes((cla, ins, p1, p2))
    if extended:
        # Lc of three octets opens with zero; Le has two behind Lc, and three where there is none.
        encoded += (b"\0" + len(data).to_bytes(2, "big") + data) if data else b"\0"
        encoded += b"" if le is None else (le & 0xFFFF).to_bytes(2, "big")
    else:
        encoded += bytes((len(data),)) + data if data else b""
        encoded += b"" if le is None else bytes((le & 0xFF,))
    return Command(encoded)


def parse(command: bytes) -> Parsed:
    """Take a command APDU apart. Raises Malformed."""
    size = len(command)
    if size < 4:
        raise Malformed(MalformedCode.TRUNCATED, "apdu", size, "a command has four octets at least")
    if size > 4 + 3 + LONGEST_DATA + 2:
        raise Malformed(MalformedCode.TOO_LARGE, "apdu")
    cla, ins, p1, p2 = command[:4]
    body = command[4:]
    if not body:
        return Parsed(cla, ins, p1, p2)
    if len(body) == 1:
        return Parsed(cla, ins, p1, p2, le=body[0] or SHORT_ANSWER)
    extended = body[0] == 0 and len(body) >= 3
    if extended and len(body) == 3:
        return Parsed(cla, ins, p1, p2, le=int.from_bytes(body[1:], "big") or LONGEST_ANSWER, extended=True)
    at, width = (3, 2) if extended else (1, 1)
    length = int.from_bytes(body[1:3], "big") if extended else body[0]
    data, tail = body[at : at + length], body[at + length :]
    if not length:
        raise Malformed(MalformedCode.BAD_VALUE, "apdu", 4, "a length of zero with data behind it")
    if len(data) != length:
        raise Malformed(MalformedCode.TRUNCATED, "apdu", size)
    if not tail:
        return Parsed(cla, ins, p1, p2, data, extended=extended)
    if len(tail) != width:
        raise Malformed(MalformedCode.TRAILING_BYTES, "apdu", size - len(tail))
    asked = int.from_bytes(tail, "big") or (LONGEST_ANSWER if extended else SHORT_ANSWER)
    return Parsed(cla, ins, p1, p2, data, asked, extended)


def status(sw: int) -> str:
    """Return a status word with its meaning, for logs."""
    if sw >> 8 in {0x61, 0x6C}:
        count = sw & 0xFF
        meaning = f"{count or '256 or more'} bytes wait" if sw >> 8 == 0x61 else f"{count or 256} bytes would be right"
    else:
        meaning = _WORDS.get(sw) or _WORDS.get(sw & 0xFF00, "not a status this reader knows")
    return f"{sw:04X}, {meaning}"


def one(command: Command) -> Procedure[Response]:
    """Send one command as it is."""
    response = yield command
    if response is None:
        raise CardError(FieldCode.PROTOCOL, "a command without a response")
    return response


def rest(
    response: Response, longest: int, cap: int, on_more: Callable[[bytes | bytearray], None] | None = None
) -> Procedure[Response]:
    """Fetch what a response left behind (61xx) and return all of it, with the last status word.

    `longest` is the most to ask for at once, `cap` the most to accept in all, both in bytes. `on_more` is shown all
    that has come whenever there is more, and may raise. More than was asked for is accepted: phones in use cut their
    message as the first command asked, whatever 61xx and GET RESPONSE then say. Raises CardError.
    """
    received = bytearray()
    while True:
        received += response.data
        if len(received) > cap:
            raise CardError(FieldCode.TOO_LARGE, f"more than {cap} bytes in answer to one command")
        if response.data and on_more is not None:
            on_more(received)
        if response.sw >> 8 != 0x61:
            return Response(bytes(received), response.sw)
        response = yield from one(encode(GET_RESPONSE, 0, 0, le=min(response.sw & 0xFF or longest, longest)))
        if response.sw >> 8 == 0x6C:
            wanted = response.sw & 0xFF or SHORT_ANSWER
            response = yield from one(encode(GET_RESPONSE, 0, 0, le=min(wanted, longest)))
        if not response.data and response.sw >> 8 == 0x61:
            raise CardError(FieldCode.PROTOCOL, "GET RESPONSE brings nothing and promises more")


def chain(ins: int, p1: int, p2: int, data: bytes, longest: int, le: int | None = None) -> tuple[Command, ...]:  # noqa: PLR0917
    """Cut data into as many commands as it takes, `longest` bytes in each. Only the last asks for an answer."""
    cuts = [data[at : at + longest] for at in range(0, len(data), longest)] or [b""]
    return (*(encode(ins, p1, p2, cut, cla=CHAINED) for cut in cuts[:-1]), encode(ins, p1, p2, cuts[-1], le))


def begin(commands: tuple[Command, ...], step: str) -> Procedure[None]:
    """Send all of a chain but its last command. Raises CardError, `Refused` among them."""
    for command in commands[:-1]:
        response = yield from one(command)
        if response.sw != OK or response.data:
            raise Refused(step, response.sw)


def exchange(
    way: Way, ins: int, p1: int, p2: int, *, data: bytes = b"", le: int | None = None, cap: int | None = None
) -> Procedure[Response]:
    """Send a command, in a chain where it is too long for the way, and return its whole response, whatever its status.

    `cap` is the most to accept in bytes; by default what was asked for, at least 256. Raises CardError.
    """
    commands = chain(ins, p1, p2, data, way.data(LONGEST_DATA), le)
    yield from begin(commands, f"chain of {ins:02X}")
    response = yield from one(commands[-1])
    if response.sw >> 8 == 0x6C and le is not None and len(commands) == 1:
        response = yield from one(encode(ins, p1, p2, data, way.answer(response.sw & 0xFF or SHORT_ANSWER)))
    most = max(le or 0, SHORT_ANSWER)
    return (yield from rest(response, way.answer(most), most if cap is None else cap))
