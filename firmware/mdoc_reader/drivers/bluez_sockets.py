"""The sockets bluetoothd trades in: values to and from a phone without a D-Bus message for each."""

from __future__ import annotations

import array
import asyncio
import fcntl
import select
import socket
import termios
from collections.abc import Callable
from typing import Any

from mdoc_reader.transport.ports import LinkCode, LinkError

LARGEST_VALUE = 1024
"""No attribute value is longer than 512 bytes."""

_FIRST_LOOK_S = 0.0005
_LONGEST_LOOK_S = 0.02
_CLOSED_LOOK_S = 0.5


def take(descriptor: int) -> socket.socket:
    """Take over a descriptor bluetoothd gave; non-blocking."""
    taken = socket.socket(fileno=descriptor)
    taken.setblocking(False)
    return taken


def pair() -> tuple[socket.socket, int]:
    """Make our end, non-blocking, and the descriptor to give to bluetoothd."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs.detach()


def close(end: socket.socket) -> None:
    """Close our end, whoever waits for it."""
    if end.fileno() >= 0:
        loop = asyncio.get_running_loop()
        loop.remove_reader(end.fileno())
        loop.remove_writer(end.fileno())
        end.close()


def unread(end: socket.socket) -> int:
    """Return how much of what was sent the other end has not taken yet; 0 once it has taken all."""
    answer = array.array("i", [0])
    # SIOCOUTQ, which Linux numbers as TIOCOUTQ.
    fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, answer)
    return answer[0]


def values(end: socket.socket) -> tuple[list[bytes], bool]:
    """Return the values that wait, and whether the socket has ended."""
    waiting: list[bytes] = []
    while True:
        try:
            value = end.recv(LARGEST_VALUE)
        except BlockingIOError:
            return waiting, False
        except OSError:
            return waiting, True
        if not value and has_ended(end):
            return waiting, True
        waiting.append(value)  # a phone may well notify nothing at all


def has_ended(end: socket.socket) -> bool:
    """Say whether the other end has closed."""
    look = select.poll()
    look.register(end.fileno(), select.POLLRDHUP)
    return bool(look.poll(0))


def waits(end: socket.socket) -> bool:
    """Say whether something waits to be read, or the end of it."""
    look = select.poll()
    look.register(end.fileno(), select.POLLIN)
    return bool(look.poll(0))


async def until(ready: asyncio.Future[Any], gone: asyncio.Future[str], end: socket.socket | None = None) -> None:
    """Wait for `ready`. Raises LinkError LOST when the connection goes first, or `end` is closed on our side."""
    either: set[asyncio.Future[Any]] = {ready, gone}
    while not (ready.done() or gone.done()):
        _check_open(end)
        await asyncio.wait(either, timeout=_CLOSED_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        raise LinkError(LinkCode.LOST, gone.result())


def _check_open(end: socket.socket | None) -> None:
    if end is not None and end.fileno() < 0:
        raise LinkError(LinkCode.LOST, "the channel was closed")


async def send(end: socket.socket, data: bytes, gone: asyncio.Future[str]) -> None:
    """Send one packet, waiting for room. Raises LinkError LOST."""
    while True:
        if gone.done():
            raise LinkError(LinkCode.LOST, gone.result())
        try:
            end.send(data)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            raise LinkError(LinkCode.LOST, f"the channel ended: {type(error).__name__}") from error
        await writable(end, gone)


async def writable(end: socket.socket, gone: asyncio.Future[str]) -> None:
    """Wait for room to send, or for a connection to be made. Raises LinkError LOST."""
    _check_open(end)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = end.fileno()
    loop.add_writer(descriptor, _set, ready)
    try:
        await until(ready, gone, end)
    finally:
        if end.fileno() == descriptor:  # closed meanwhile, it may be another's already
            loop.remove_writer(descriptor)


async def readable(end: socket.socket, gone: asyncio.Future[str]) -> None:
    """Wait for something to read, or the end of it. Raises LinkError LOST."""
    _check_open(end)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = end.fileno()
    loop.add_reader(descriptor, _set, ready)
    try:
        await until(ready, gone, end)
    finally:
        if end.fileno() == descriptor:
            loop.remove_reader(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def drained(end: socket.socket, gone: asyncio.Future[str], left: Callable[[socket.socket], int] = unread) -> None:
    """Wait until nothing is `left`. The kernel does not tell when, so it is asked. Raises LinkError LOST."""
    pause = _FIRST_LOOK_S
    while True:
        if gone.done():
            raise LinkError(LinkCode.LOST, gone.result())
        _check_open(end)
        try:
            if not left(end):
                return
        except OSError as error:
            raise LinkError(LinkCode.LOST, f"the channel ended: {type(error).__name__}") from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_LOOK_S)
