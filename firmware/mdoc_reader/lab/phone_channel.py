"""The phone's end of one started BLE session: whole messages, or pieces of them for a phone that misbehaves.

The pieces are GATT chunks with a flag byte (`Chunks`) or a stream with a length before each message (`Frames`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol
from uuid import UUID

from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour, VanishAt


class PhoneGone(ConnectionError):  # noqa: N818 -- it says what happened to the phone
    """The session is over on the phone's side: it vanished as told, or the reader went."""


class WrongIdent(PhoneGone):
    """The reader's Ident is not what the engagement promises; the phone left."""


def mdoc_uuid(number: int) -> UUID:
    """Return the UUID of an mdoc GATT characteristic by its short number."""
    return UUID(fields=(number, 0xA123, 0x48CE, 0x89, 0x6B, 0x4C76973373E6))


class Form(Protocol):
    """How messages become pieces and pieces messages."""

    over: str
    """What carries them: `GATT` or `L2CAP`."""

    def cut(self, message: bytes) -> list[bytes]:
        """Return the pieces of a message."""

    def part(self, beginning: bytes, whole: int) -> bytes:
        """Return one piece with the beginning of a message of `whole` bytes."""

    def endless(self, size: int) -> Iterator[bytes]:
        """Yield pieces of a message that never ends, `size` bytes in all."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece from the reader; return the messages it completes."""


class Chunks:
    """One flag byte before each piece: 01 when more follows, 00 for the last."""

    over = "GATT"

    def __init__(self, size: Callable[[], int], behaviour: PhoneRadioBehaviour) -> None:
        """Cut to what `size` says when a message is cut."""
        self._size = size
        self._behaviour = behaviour
        self._partial = b""

    def cut(self, message: bytes) -> list[bytes]:
        """Return the chunks. Raises ValueError when there is no chunk to swap or to send twice."""
        room = self._size() - 1
        parts: list[bytes] = []
        rest = message
        while len(rest) > room:
            take = max(room // 2, 1) if self._behaviour.short_chunks and len(parts) % 2 else room
            parts.append(b"\x01" + rest[:take])
            rest = rest[take:]
        parts.append(b"\x00" + rest)
        return self._disordered(parts)

    def _disordered(self, parts: list[bytes]) -> list[bytes]:
        swap, twice = self._behaviour.swap_chunk, self._behaviour.duplicate_chunk
        if swap is not None:
            if swap + 1 >= len(parts):
                raise ValueError(f"a message of {len(parts)} chunks has none to swap at {swap}")
            parts[swap], parts[swap + 1] = parts[swap + 1], parts[swap]
        if twice is not None:
            if twice >= len(parts):
                raise ValueError(f"a message of {len(parts)} chunks has none at {twice}")
            parts.insert(twice, parts[twice])
        return parts

    def part(self, beginning: bytes, whole: int) -> bytes:
        """Return one chunk that says more follows."""
        del whole
        return b"\x01" + beginning

    def endless(self, size: int) -> Iterator[bytes]:
        """Yield chunks that all say more follows."""
        room = self._size() - 1
        for start in range(0, size, room):
            yield b"\x01" + bytes(min(room, size - start))

    def feed(self, piece: bytes) -> list[bytes]:
        """Take one chunk."""
        self._partial += piece[1:]
        if piece[0] != 0:
            return []
        message, self._partial = self._partial, b""
        return [message]


class Frames:
    """The length of each message in four bytes, most significant first, then the message."""

    over = "L2CAP"

    def __init__(self, size: Callable[[], int]) -> None:
        """Cut to what `size` says when a message is cut."""
        self._size = size
        self._partial = b""

    def cut(self, message: bytes) -> list[bytes]:
        """Return pieces of the framed message."""
        framed, step = len(message).to_bytes(4, "big") + message, self._size()
        return [framed[start : start + step] for start in range(0, len(framed), step)]

    def part(self, beginning: bytes, whole: int) -> bytes:
        """Return the length of the whole message and its beginning."""
        return whole.to_bytes(4, "big") + beginning

    def endless(self, size: int) -> Iterator[bytes]:
        """Yield a message said to be longer than it ever becomes."""
        yield (size + 1).to_bytes(4, "big")
        step = self._size()
        for start in range(0, size, step):
            yield bytes(min(step, size - start))

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes of the stream."""
        self._partial += piece
        messages: list[bytes] = []
        while len(self._partial) >= 4:
            end = 4 + int.from_bytes(self._partial[:4], "big")
            if len(self._partial) < end:
                break
            messages.append(self._partial[4:end])
            self._partial = self._partial[end:]
        return messages


class PhoneChannel:
    """Sends and receives messages. `gone` is done when the way to the reader is."""

    def __init__(
        self,
        put: Callable[[bytes], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        disconnect: Callable[[], Awaitable[None]],
        form: Form,
        behaviour: PhoneRadioBehaviour,
    ) -> None:
        """Join the ways to reach the reader with the manners of this phone."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = form.over
        self.reader_ended = False
        self.chunks_received = 0
        self._put = put
        self._end = end
        self._disconnect = disconnect
        self._form = form
        self._behaviour = behaviour
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._leaving: asyncio.Future[None] | None = None

    def on_chunk(self, chunk: bytes) -> None:
        """Take a piece from the reader."""
        self.chunks_received += 1
        if self._behaviour.vanish_at is VanishAt.MID_RECEIVE and self._leaving is None:
            self._leaving = asyncio.ensure_future(self.drop())
            return
        for message in self._form.feed(chunk):
            self._messages.put_nowait(message)

    def on_state(self, value: bytes) -> None:
        """Take a State value from the reader."""
        if value == b"\x02":
            self.reader_ended = True
            self._messages.put_nowait(None)

    def on_gone(self, *_: object) -> None:
        """Take the end of the connection."""
        if not self.gone.done():
            # A write that arrived just before is still on its way through the stack's own tasks.
            asyncio.get_running_loop().call_soon(self._messages.put_nowait, None)
            self.gone.set_result(None)

    async def receive(self) -> bytes:
        """Return the reader's next message. Raises PhoneGone after State=02 or when the reader went."""
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
            raise PhoneGone("the reader ended the session" if self.reader_ended else "the reader went")
        return message

    async def send(self, message: bytes) -> None:
        """Send a message in pieces, as this phone does it. Raises PhoneGone."""
        if self._behaviour.endless is not None:
            for piece in self._form.endless(self._behaviour.endless):
                await self._paced(piece)
            return
        vanish_at = self._behaviour.vanish_at
        pieces = self._form.cut(message)
        if vanish_at is VanishAt.MID_SEND:
            half = self._form.part(message[: len(message) // 2], len(message))
            pieces = pieces[: (len(pieces) + 1) // 2] if len(pieces) > 1 else [half]
        for count, piece in enumerate(pieces):
            await self._paced(piece, first=count == 0)
        if vanish_at in (VanishAt.MID_SEND, VanishAt.AFTER_SEND):
            await asyncio.sleep(self._behaviour.vanish_delay_s)
            await self.drop()
            raise PhoneGone(f"vanished: {vanish_at}")

    async def _paced(self, piece: bytes, *, first: bool = False) -> None:
        if not first and self._behaviour.chunk_delay_s:
            await asyncio.sleep(self._behaviour.chunk_delay_s)
        await self.send_raw_chunk(piece)

    async def send_part(self, message: bytes, size: int) -> None:
        """Send the first `size` bytes of a message as one piece, and never the rest. Raises PhoneGone."""
        await self.send_raw_chunk(self._form.part(message[:size], len(message)))

    async def send_raw_chunk(self, chunk: bytes) -> None:
        """Send any bytes as one piece. Raises PhoneGone."""
        if self.gone.done():
            raise PhoneGone("the reader went")
        await self._put(chunk)

    async def end(self) -> None:
        """End the session: State=02, which L2CAP does not have. As client the phone should disconnect next (`drop`)."""
        if not self.gone.done():
            await self._end()

    async def drop(self) -> None:
        """Disconnect without a word."""
        await self._disconnect()
