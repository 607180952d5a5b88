"""Session messages on a stream: a 4-byte big-endian length, then the message (BLE L2CAP transmission). Sans-I/O.

ISO 18013-5 says "4-byte integer" of the length; that it is big-endian is what wallets do.
"""

from __future__ import annotations

from collections.abc import Iterator

from mdoc_reader.transport.ports import LinkCode, LinkError

_HEADER = 4


def frame(message: bytes, piece: int) -> Iterator[bytes]:
    """Yield a message with its length in pieces of at most `piece` bytes.

    Raises ValueError for an empty message, which no session has.
    """
    if not message:
        raise ValueError("a session message is never empty")
    framed = memoryview(len(message).to_bytes(_HEADER, "big") + message)
    for start in range(0, len(framed), piece):
        yield bytes(framed[start : start + piece])


class Deframer:
    """Puts the messages of one peer together. Bounded; unusable after it has raised."""

    def __init__(self, message_cap: int) -> None:
        """Accept messages of at most `message_cap` bytes."""
        self._message_cap = message_cap
        self._held = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished message are held, without its length."""
        return max(len(self._held) - _HEADER, 0)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the stream; yield the messages they complete, in order, and be exhausted.

        Raises LinkError: BAD_CHUNK for an empty message, TOO_LARGE as soon as a length says so.
        """
        held = self._held
        held += data
        while len(held) >= _HEADER:
            length = int.from_bytes(held[:_HEADER], "big")
            if length == 0:
                raise self._refuse(LinkCode.BAD_CHUNK, "an empty message")
            if length > self._message_cap:
                raise self._refuse(LinkCode.TOO_LARGE, f"a message of more than {self._message_cap} bytes")
            end = _HEADER + length
            if len(held) < end:
                return
            message = bytes(held[_HEADER:end])
            del held[:end]
            yield message

    def drop(self) -> None:
        """Forget an unfinished message."""
        self._held.clear()

    def _refuse(self, code: LinkCode, detail: str) -> LinkError:
        self.drop()
        return LinkError(code, detail)
