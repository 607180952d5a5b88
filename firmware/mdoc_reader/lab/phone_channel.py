"""The phone's end of one started BLE session: whole messages, or pieces of them for a phone that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID


class PhoneGone(ConnectionError):  # noqa: N818 -- it says what happened to the phone
    """The session is over on the phone's side: it vanished as told, or the reader went."""


class WrongIdent(PhoneGone):
    """The reader's Ident is not what the engagement promises; the phone left."""


def mdoc_uuid(number: int) -> UUID:
    """Return the UUID of an mdoc GATT characteristic by its short number."""
    return UUID(fields=(number, 0xA123, 0x48CE, 0x89, 0x6B, 0x4C76973373E6))


class PhoneChannel:
    """Sends and receives messages in chunks. `gone` is done when the connection is."""

    def __init__(
        self,
        put: Callable[[bytes], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        disconnect: Callable[[], Awaitable[None]],
        size: Callable[[], int],
        *,
        chunk_delay_s: float = 0.0,
        short_chunks: bool = False,
        vanish_mid_send: bool = False,
        vanish_after_send: bool = False,
        vanish_mid_receive: bool = False,
    ) -> None:
        """Join the ways to reach the reader with the manners of this phone."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reader_ended = False
        self.chunks_received = 0
        self._put = put
        self._end = end
        self._disconnect = disconnect
        self._size = size
        self._chunk_delay_s = chunk_delay_s
        self._short_chunks = short_chunks
        self._vanish_mid_send = vanish_mid_send
        self._vanish_after_send = vanish_after_send
        self._vanish_mid_receive = vanish_mid_receive
        self._partial = b""
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._leaving: asyncio.Future[None] | None = None

    def on_chunk(self, chunk: bytes) -> None:
        """Take a chunk from the reader."""
        self.chunks_received += 1
        if self._vanish_mid_receive and self._leaving is None:
            self._leaving = asyncio.ensure_future(self.drop())
            return
        self._partial += chunk[1:]
        if chunk[0] == 0:
            self._messages.put_nowait(self._partial)
            self._partial = b""

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
        """Send a message in chunks, as this phone does it. Raises PhoneGone."""
        chunks = self._cut(message)
        for count, chunk in enumerate(chunks):
            if self._vanish_mid_send and count >= (len(chunks) + 1) // 2:
                await self.drop()
                raise PhoneGone("vanished in the middle of a message")
            if count and self._chunk_delay_s:
                await asyncio.sleep(self._chunk_delay_s)
            await self.send_raw_chunk(chunk)
        if self._vanish_after_send:
            await self.drop()
            raise PhoneGone("vanished after a message")

    async def send_raw_chunk(self, chunk: bytes) -> None:
        """Send any bytes as one chunk. Raises PhoneGone."""
        if self.gone.done():
            raise PhoneGone("the reader went")
        await self._put(chunk)

    async def end(self) -> None:
        """End the session: State=02. As GATT client the phone should disconnect next (`drop`)."""
        if not self.gone.done():
            await self._end()

    async def drop(self) -> None:
        """Disconnect without a word."""
        await self._disconnect()

    def _cut(self, message: bytes) -> list[bytes]:
        room = self._size() - 1
        parts: list[bytes] = []
        rest = message
        while len(rest) > room:
            take = max(room // 2, 1) if self._short_chunks and len(parts) % 2 else room
            parts.append(b"\x01" + rest[:take])
            rest = rest[take:]
        parts.append(b"\x00" + rest)
        return parts
