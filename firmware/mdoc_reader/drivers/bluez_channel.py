"""L2CAP credit-based channels on the kernel's own sockets (Core specification 6.0, Vol 3 Part A 10.1).

Python's `socket` cannot say that an address is a Low Energy one, so bind, connect and the names of both ends go through
the C library, with `struct sockaddr_l2` of <bluetooth/l2cap.h>.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable

from mdoc_reader.drivers import bluez_sockets
from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_objects import address_bytes
from mdoc_reader.transport.ports import LinkCode, LinkError

log = logging.getLogger(__name__)

# A Python built without Bluetooth headers lacks the names; the kernel knows the numbers all the same.
_AF_BLUETOOTH: int = getattr(socket, "AF_BLUETOOTH", 31)
_BTPROTO_L2CAP = 0
_SOL_BLUETOOTH = 274
_BT_SNDMTU = 12
_BT_RCVMTU = 13
_LE_PUBLIC = 1
_LE_RANDOM = 2
_SOCKADDR_L2 = struct.Struct("<HH6sHBx")

_OUR_MTU = 16384
"""The largest SDU taken from a phone: a kernel gives credits for about one SDU at a time, so larger ones are faster."""
_LEAST_MTU = 23
_CONNECT_S = 6.0
_WAITING = 4

_libc = ctypes.CDLL(None, use_errno=True)


def _named(function: str, end: socket.socket, address: bytes) -> None:
    """Call bind or connect. Raises OSError."""
    if getattr(_libc, function)(end.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _name_of(function: str, end: socket.socket) -> tuple[int, bytes]:
    """Call getsockname or getpeername: the PSM, and the address most significant byte first. Raises OSError."""
    room = ctypes.create_string_buffer(_SOCKADDR_L2.size)
    size = ctypes.c_uint32(_SOCKADDR_L2.size)
    if getattr(_libc, function)(end.fileno(), room, ctypes.byref(size)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _, psm, address, _, _ = _SOCKADDR_L2.unpack(room.raw)
    return psm, address[::-1]


def _address(psm: int, address: bytes, *, random: bool) -> bytes:
    kind = _LE_RANDOM if random else _LE_PUBLIC
    return _SOCKADDR_L2.pack(_AF_BLUETOOTH, psm, address[::-1], 0, kind)


def _socket(adapter: Adapter) -> socket.socket:
    """Make a socket of this adapter. Raises OSError."""
    end = socket.socket(_AF_BLUETOOTH, socket.SOCK_SEQPACKET, _BTPROTO_L2CAP)
    bound = False
    try:
        end.setblocking(False)
        own = address_bytes(str(adapter.properties.get("Address", "")))
        _named("bind", end, _address(0, own, random=adapter.properties.get("AddressType") == "random"))
        end.setsockopt(_SOL_BLUETOOTH, _BT_RCVMTU, struct.pack("<H", _OUR_MTU))
        bound = True
    finally:
        if not bound:
            end.close()
    return end


class BluezChannel:
    """An open channel; a `transport.ports.Channel`."""

    def __init__(self, end: socket.socket, gone: asyncio.Future[str]) -> None:
        """Take over a connected socket. `gone` is done when its connection is."""
        self._end = end
        self._gone = gone
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closed = False
        (mtu,) = struct.unpack("<H", end.getsockopt(_SOL_BLUETOOTH, _BT_SNDMTU, 2))
        self._mtu = max(mtu, _LEAST_MTU)
        gone.add_done_callback(self._on_gone)

    def _on_gone(self, gone: asyncio.Future[str]) -> None:
        if not self._over.done():
            self._over.set_result(gone.result())

    async def send(self, data: bytes) -> None:
        """Send bytes; returns when the kernel can take more. Raises LinkError LOST."""
        for start in range(0, len(data), self._mtu):
            self._check()
            await bluez_sockets.send(self._end, data[start : start + self._mtu], self._over)

    async def receive(self) -> bytes:
        """Return the next bytes. Raises LinkError LOST once the channel has ended."""
        while True:
            self._check()
            try:
                data = self._end.recv(_OUR_MTU)
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as error:
                raise LinkError(LinkCode.LOST, f"the channel ended: {type(error).__name__}") from error
            if not data:
                raise LinkError(LinkCode.LOST, "the phone closed the channel")
            return data

    async def _readable(self) -> None:
        try:
            await bluez_sockets.readable(self._end, self._over)
        except LinkError:
            # What came before the connection went is still to be read.
            if self._closed or not bluez_sockets.waits(self._end):
                raise

    async def drain(self) -> None:
        """Wait until the kernel has handed everything to the adapter. Raises LinkError LOST."""
        self._check()
        await bluez_sockets.drained(self._end, self._over, _unsent)

    async def close(self) -> None:
        """Close the channel; never raises."""
        if self._closed:
            return
        self._closed = True
        self._gone.remove_done_callback(self._on_gone)
        if not self._over.done():
            self._over.set_result("the channel is closed")
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("the channel was closed already: %s", type(error).__name__)
        bluez_sockets.close(self._end)

    def _check(self) -> None:
        if self._closed:
            raise LinkError(LinkCode.LOST, "the channel is closed")


def _unsent(end: socket.socket) -> int:
    """Return how many bytes of buffer wait to be sent: Bluetooth sockets answer SIOCOUTQ with the room that is left."""
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - bluez_sockets.unread(end)


async def connect_channel(adapter: Adapter, device: str, psm: int, gone: asyncio.Future[str]) -> BluezChannel:
    """Open a channel to a device, over its connection or making one. Bounded. Raises LinkError CONNECT_FAILED, LOST."""
    known = adapter.objects.devices.get(device)
    if known is None:
        raise LinkError(LinkCode.LOST, "the phone was forgotten")
    end: socket.socket | None = None
    made: BluezChannel | None = None
    try:
        end = _socket(adapter)
        async with asyncio.timeout(_CONNECT_S):
            await _connected(end, _address(psm, known.address, random=known.random), gone)
        made = BluezChannel(end, gone)
    except TimeoutError:
        raise LinkError(LinkCode.CONNECT_FAILED, "the channel was not answered in time") from None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "no reason")
        raise LinkError(LinkCode.CONNECT_FAILED, f"the channel could not be opened: {name}") from error
    finally:
        if end is not None and made is None:
            end.close()
    return made


async def _connected(end: socket.socket, address: bytes, gone: asyncio.Future[str]) -> None:
    try:
        _named("connect", end, address)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
        await bluez_sockets.writable(end, gone)
    number = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


class Listener:
    """A PSM at which phones may open channels to us."""

    def __init__(self, adapter: Adapter, on_channel: Callable[[bytes, socket.socket], None]) -> None:
        """Listen. `on_channel` is given the phone's address and a socket to keep or close. Raises OSError."""
        self._on_channel = on_channel
        self._end = _socket(adapter)
        listening = False
        try:
            self._end.listen(_WAITING)
            self.psm, _ = _name_of("getsockname", self._end)
            asyncio.get_running_loop().add_reader(self._end.fileno(), self._on_readable)
            listening = True
        finally:
            if not listening:
                self._end.close()

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._end.fileno())
        self._end.close()

    def _on_readable(self) -> None:
        for _ in range(_WAITING):
            descriptor = _libc.accept4(self._end.fileno(), None, None, socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            if descriptor < 0:
                return
            end = socket.socket(_AF_BLUETOOTH, socket.SOCK_SEQPACKET, _BTPROTO_L2CAP, fileno=descriptor)
            try:
                _, address = _name_of("getpeername", end)
            except OSError:
                end.close()
                continue
            self._on_channel(address, end)
