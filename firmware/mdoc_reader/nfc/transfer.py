"""mdoc data transfer over NFC: session messages in ENVELOPE commands (ISO 18013-5 clause 8.3.3.1.2).

Each message travels in a data object of tag 53, cut into a chain of ENVELOPE commands; the phone's message comes back
the same way, in answer to the last of them and to as many GET RESPONSE as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdoc_reader.model.connection import NfcMethod
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import apdu
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure

APPLICATION = bytes.fromhex("a0000002480400")
TAG = 0x53
_LONGEST_RESPONSE = 4096  # so much may come before anybody is told that it comes: it costs half a percent
_LONGEST_HEADER = 6  # tag, 84 and four octets


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of data in one command and in one response: what phone, front end and this reader all take."""

    command: int
    response: int

    @classmethod
    def of(cls, method: NfcMethod, way: Way) -> Limits:
        """Combine the phone's limits with those of the way to it. 255 and 256 of a phone mean the short form only."""
        return cls(way.data(method.max_command_data), min(way.answer(method.max_response_data), _LONGEST_RESPONSE))


def select() -> Procedure[None]:
    """Select the phone's data transfer application. Raises CardError, `apdu.Refused` among them.

    The standard asks for no file control information (P2 0C); phones in use also answer to P2 00, some only to that.
    """
    for p2 in (0x0C, 0x00):
        # No Le in either form, and whatever comes back is of no use here.
        response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x04, p2, APPLICATION))
        if response.sw == apdu.OK or response.sw >> 8 == 0x61:
            return
    raise apdu.Refused("SELECT mdoc data transfer", response.sw)


def deliver(
    message: bytes,
    limits: Limits,
    *,
    cap: int,
    on_sent: Callable[[], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Procedure[bytes]:
    """Send a session message and return the phone's, without its data object; it may be empty.

    Args:
        message: what to send; it may be empty.
        limits: bytes of data in one command and one response.
        cap: the most bytes of message to accept.
        on_sent: called just before the last command goes out: its answer may wait for the person's consent.
        on_progress: called with the bytes received so far, whenever there are more.

    Raises CardError (TOO_LARGE beyond `cap`, `apdu.Refused` on any other status word) and Malformed.
    """
    commands = apdu.chain(apdu.ENVELOPE, 0, 0, wrap(message), limits.command, limits.response)
    yield from apdu.begin(commands, "ENVELOPE")
    if on_sent is not None:
        on_sent()

    def on_more(received: bytes | bytearray) -> None:
        _look(received, cap)
        if on_progress is not None:
            on_progress(len(received))

    response = yield from apdu.one(commands[-1])
    response = yield from apdu.rest(response, limits.response, cap + _LONGEST_HEADER, on_more)
    if response.sw != apdu.OK:
        raise apdu.Refused("ENVELOPE", response.sw)
    return unwrap(response.data)


def wrap(message: bytes) -> bytes:
    """Return the data object: tag 53, the shortest length form, the message."""
    size = len(message)
    if size < 0x80:
        return bytes((TAG, size)) + message
    width = (size.bit_length() + 7) // 8
    return bytes((TAG, 0x80 | width)) + size.to_bytes(width, "big") + message


def unwrap(received: bytes) -> bytes:
    """Return what a data object of tag 53 holds. Any length form is accepted, the shortest or not. Raises Malformed."""
    header = _header(received)
    if header is None or len(received) < sum(header):
        raise Malformed(MalformedCode.TRUNCATED, "do53", len(received))
    if len(received) > sum(header):
        raise Malformed(MalformedCode.TRAILING_BYTES, "do53", sum(header))
    return received[header[0] :]


def _header(received: bytes | bytearray) -> tuple[int, int] | None:
    """Return where the content begins and how long it says it is, once that is there to be read."""
    if received and received[0] != TAG:
        raise Malformed(MalformedCode.BAD_VALUE, "do53", 0, "tag 53 is expected")
    if len(received) < 2:
        return None
    first = received[1]
    if first < 0x80:
        return 2, first
    width = first & 0x7F
    if width == 0:
        raise Malformed(MalformedCode.INDEFINITE_LENGTH, "do53", 1)
    if width > _LONGEST_HEADER - 2:
        raise Malformed(MalformedCode.UNSUPPORTED, "do53", 1, "a length of more than four octets")
    if len(received) < 2 + width:
        return None
    return 2 + width, int.from_bytes(received[2 : 2 + width], "big")


def _look(received: bytes | bytearray, cap: int) -> None:
    """Refuse a message that says it will be too long, or is longer than it says, as soon as that is known."""
    header = _header(received)
    if header is None:
        return
    if header[1] > cap:
        raise CardError(FieldCode.TOO_LARGE, f"a message of more than {cap} bytes")
    if len(received) > sum(header):
        raise Malformed(MalformedCode.TRAILING_BYTES, "do53", sum(header))
