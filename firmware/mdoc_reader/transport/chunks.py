"""Session messages in GATT-sized pieces, and back (ISO 18013-5 11.1.3, BLE data retrieval). Sans-I/O.

Each write or notification is one flag byte and a part of the message: 01 when more follows, 00 for the last part. A
chunk is at most the ATT MTU less 3 bytes of ATT header, or as long as the driver says that a notification may be, and
never above 512 bytes, the longest attribute value GATT knows. Peers that send chunks shorter than they could are
accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from mdoc_reader.transport.ports import LinkCode, LinkError

DEFAULT_ATT_MTU = 23
"""The ATT MTU of a connection that has not exchanged one, in bytes."""

LONGEST_ATTRIBUTE = 512
"""The longest attribute value GATT allows, in bytes."""

_ATT_HEADER = 3
_MORE = 0x01
_LAST = 0x00

# At the smallest MTU a chunk holds 19 bytes: a peer that averages below 16 is wasting our time.
_SHORTEST_AVERAGE = 16
_CHUNK_ALLOWANCE = 64


def chunk_size(mtu: int | None) -> int:
    """Return the largest chunk to write, flag byte included, for an ATT MTU.

    None or a value below the minimum counts as 23.
    """
    return chunk_within(max(mtu or DEFAULT_ATT_MTU, DEFAULT_ATT_MTU) - _ATT_HEADER)


def chunk_within(room: int) -> int:
    """Return the largest chunk, flag byte included, where a value may have `room` bytes."""
    return min(room, LONGEST_ATTRIBUTE)


def split(message: bytes, size: int) -> Iterator[bytes]:
    """Yield the chunks of one message, each at most `size` bytes with its flag byte.

    Raises ValueError for an empty message, which no session has, and for a size that leaves no room for payload.
    """
    if not message:
        raise ValueError("a session message is never empty")
    step = size - 1
    if step < 1:
        raise ValueError("a chunk needs room for its flag byte and some payload")
    view = memoryview(message)
    last = len(view) - 1 - (len(view) - 1) % step
    for start in range(0, len(view), step):
        yield bytes((_LAST if start == last else _MORE,)) + view[start : start + step]


class Reassembler:
    """Puts the messages of one peer together. Bounded in bytes and in chunks; unusable after it has raised."""

    def __init__(self, message_cap: int, chunk_cap: int | None = None) -> None:
        """Accept messages of at most `message_cap` bytes in at most `chunk_cap` chunks (generous by default)."""
        self._message_cap = message_cap
        self._chunk_cap = chunk_cap if chunk_cap is not None else message_cap // _SHORTEST_AVERAGE + _CHUNK_ALLOWANCE
        self._parts = bytearray()
        self._chunks = 0

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished message are held."""
        return len(self._parts)

    def feed(self, chunk: bytes) -> tuple[bytes, ...]:
        """Take one chunk; return the message it completes, if any.

        Raises LinkError: BAD_CHUNK for an empty chunk, an unknown flag or an empty message, TOO_LARGE past a bound.
        """
        if not chunk:
            raise self._refuse(LinkCode.BAD_CHUNK, "a chunk without its flag byte")
        flag = chunk[0]
        if flag not in (_MORE, _LAST):
            raise self._refuse(LinkCode.BAD_CHUNK, "a chunk with an unknown flag byte")
        self._chunks += 1
        if self._chunks > self._chunk_cap:
            raise self._refuse(LinkCode.TOO_LARGE, f"a message in more than {self._chunk_cap} chunks")
        if len(self._parts) + len(chunk) - 1 > self._message_cap:
            raise self._refuse(LinkCode.TOO_LARGE, f"a message of more than {self._message_cap} bytes")
        self._parts += memoryview(chunk)[1:]
        if flag == _MORE:
            return ()
        if not self._parts:
            raise self._refuse(LinkCode.BAD_CHUNK, "an empty message")
        message = bytes(self._parts)
        self.drop()
        return (message,)

    def drop(self) -> None:
        """Forget an unfinished message."""
        self._parts.clear()
        self._chunks = 0

    def _refuse(self, code: LinkCode, detail: str) -> LinkError:
        self.drop()
        return LinkError(code, detail)
