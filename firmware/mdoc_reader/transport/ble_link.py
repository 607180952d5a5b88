"""One BLE link, whichever side is GATT server: names, limits, what the phone has sent, whole messages both ways.

The characteristics and the State values are those of ISO 18013-5 11.1.3 (tables 5 and 6 of the first edition's clause
8.3.3.1.1): State tells the start (01) and the end (02) of a transmission, Client2Server and Server2Client carry it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from mdoc_reader.transport.chunks import Reassembler
from mdoc_reader.transport.ports import LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)


def _named(short: int) -> UUID:
    return UUID(f"{short:08x}-a123-48ce-896b-4c76973373e6")


PHONE_STATE = _named(1)
PHONE_CLIENT_TO_SERVER = _named(2)
PHONE_SERVER_TO_CLIENT = _named(3)
PHONE_PSM = _named(0xA)
"""The service of a phone that is GATT server (mdoc peripheral server mode)."""

READER_STATE = _named(5)
READER_CLIENT_TO_SERVER = _named(6)
READER_SERVER_TO_CLIENT = _named(7)
READER_IDENT = _named(8)
READER_PSM = _named(0xB)
"""The service of a reader that is GATT server (mdoc central client mode)."""

STATE_START = b"\x01"
STATE_END = b"\x02"


@dataclass(frozen=True, slots=True)
class BleLimits:
    """Bounds of one BLE link. Sizes in bytes, times in seconds."""

    message_cap: int = 4 * 1024 * 1024
    """The largest message accepted from a phone."""
    waiting_messages: int = 8
    """How many complete messages may wait to be received; a phone that sends more is cut off."""
    close_drain_s: float = 1.0
    """How long closing waits for the last bytes to leave."""
    close_grace_s: float = 1.0
    """How long closing waits for a phone that is GATT client to disconnect by itself, as it should."""
    early_grace_s: float = 1.0
    """A phone that begins before anybody expects it may have been tapped a moment ago: the news is on its way."""
    idle_grace_s: float = 4.0
    """How long a connected phone may do nothing at all before it is sent away for another."""
    start_grace_s: float = 10.0
    """How long a connected phone may take to write State=01 before it is sent away for another."""
    retry_pause_s: float = 0.5
    """The pause before connecting again after a connection was lost before its start."""
    l2cap: bool = True
    """Whether L2CAP channels are used where the phone offers one, and offered where we are GATT server."""
    channel_send_s: float = 5.0
    """How long the first message may take to leave through an L2CAP channel before GATT is tried instead."""
    channel_fallback_s: float = 8.0
    """How long starting over GATT may take then; a phone that is not there any more is lost."""


class Carrier(Protocol):
    """What differs between the ways: how a message is cut, how its pieces leave, and how a session ends."""

    name: str

    def cut(self, message: bytes) -> Iterator[bytes]:
        """Yield the pieces of a message as they leave, for the sizes that hold now."""

    async def ready(self) -> None:
        """Wait until the phone can take a message. Raises LinkError."""

    async def put(self, piece: bytes) -> None:
        """Send one piece. Raises LinkError."""

    async def finish(self, *, say_end: bool) -> None:
        """Tell the phone State=02 if `say_end`, disconnect, release the radio. Bounded in time; never raises."""


class Parts(Protocol):
    """What puts messages together from pieces."""

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished message are held."""

    def feed(self, piece: bytes) -> Iterable[bytes]:
        """Take a piece, yield the messages it completes. Raises LinkError."""

    def drop(self) -> None:
        """Forget an unfinished message."""


class Inbox:
    """What one phone has sent: complete messages in order, then the reason why none can follow. Bounded."""

    def __init__(self, limits: BleLimits, parts: Parts | None = None) -> None:
        """Start empty; `parts` puts messages together, by default from GATT chunks."""
        self.on_progress: Callable[[int], None] | None = None
        self._limits = limits
        self._parts = parts if parts is not None else Reassembler(limits.message_cap)
        self._messages: deque[bytes] = deque()
        self._waiting = 0
        self._ended: LinkError | None = None
        self._changed = asyncio.Event()

    @property
    def ended(self) -> LinkError | None:
        """Why nothing more can come, or None while something may."""
        return self._ended

    def take(self, piece: bytes) -> None:
        """Take one piece as it arrives; pieces after the end are ignored."""
        if self._ended is not None:
            return
        arrived = 0
        try:
            for message in self._parts.feed(piece):
                arrived = len(message)
                self._deliver(message)
        except LinkError as error:
            self.end(error)
            return
        if self.on_progress is not None and self._ended is None:
            self.on_progress(arrived or self._parts.pending)

    def _deliver(self, message: bytes) -> None:
        self._waiting += len(message)
        if len(self._messages) >= self._limits.waiting_messages or self._waiting > self._limits.message_cap:
            raise LinkError(LinkCode.TOO_LARGE, "more messages than were asked for")
        self._messages.append(message)
        self._changed.set()

    def end(self, error: LinkError) -> None:
        """Say that nothing more can come; the first reason stands, and complete messages are still delivered."""
        if self._ended is None:
            self._ended = error
            self._parts.drop()
        self._changed.set()

    def drop(self) -> None:
        """Forget everything received."""
        self._parts.drop()
        self._messages.clear()
        self._waiting = 0

    async def next(self) -> bytes:
        """Return the next complete message. Raises the LinkError of the end when there is none."""
        while not self._messages:
            if self._ended is not None:
                raise LinkError(self._ended.code, self._ended.detail)
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._waiting -= len(message)
        return message


_MUTE = frozenset({LinkCode.LOST, LinkCode.PEER_ENDED, LinkCode.CLOSED})


class BleLink:
    """A started session over BLE; a `transport.ports.Link`."""

    def __init__(self, carrier: Carrier, inbox: Inbox, limits: BleLimits) -> None:
        """Join a carrier and the inbox that its events fill."""
        self.name = carrier.name
        self._carrier = carrier
        self._inbox = inbox
        self._limits = limits
        self._sending = asyncio.Lock()
        self._torn = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def on_progress(self) -> Callable[[int], None] | None:
        """Called with the bytes of the arriving message so far, at its first piece and each that follows."""
        return self._inbox.on_progress

    @on_progress.setter
    def on_progress(self, callback: Callable[[int], None] | None) -> None:
        self._inbox.on_progress = callback

    async def send(self, message: bytes) -> None:
        """Send one whole message. Raises LinkError; a cancelled send leaves the link good for closing only."""
        async with self._sending:
            self._check()
            await self._carrier.ready()
            whole = False
            try:
                for piece in self._carrier.cut(message):
                    self._check()
                    await self._carrier.put(piece)
                whole = True
            finally:
                self._torn = not whole

    async def receive(self) -> bytes:
        """Return the next whole message. Raises LinkError when none can come any more."""
        return await self._inbox.next()

    async def close(self) -> None:
        """End the session towards the phone and disconnect. Bounded; never raises; a second call joins the first."""
        if self._closing is None:
            ended = self._inbox.ended
            say_end = ended is None or ended.code not in _MUTE
            self._inbox.end(LinkError(LinkCode.CLOSED))
            self._inbox.drop()
            self._inbox.on_progress = None
            self._closing = asyncio.ensure_future(self._carrier.finish(say_end=say_end))
        await to_its_end(_wait(self._closing))

    def _check(self) -> None:
        ended = self._inbox.ended
        if ended is not None and ended.code in _MUTE:
            raise LinkError(ended.code, ended.detail)
        if self._torn:
            raise LinkError(LinkCode.CLOSED, "an earlier message was cut short")


async def _wait(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
