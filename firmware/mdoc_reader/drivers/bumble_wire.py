"""What both roles need of Bumble: bounded requests, flow control, a quiet log, private addresses, advertising data.

Bumble waits without bounds, cancels its caller's futures when a connection is lost, raises whatever a malformed packet
provokes, and logs packets with their content. Everything of it is therefore awaited through `bounded` or `Wire.ask`,
which turn all of that into LinkError, and its log is cut down to the place of each message.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar
from uuid import UUID

from bumble import core, hci
from bumble.device import Connection, Device

from mdoc_reader.transport.ports import LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_T = TypeVar("_T")

COMMAND_S = 3.0
"""How long an HCI command, or the few that belong together, may take."""
REQUEST_S = 10.0
"""How long a phone may take to answer one ATT request."""
DISCONNECT_S = 3.0
"""How long a disconnection may take before the adapter counts as stuck."""

AD_UUID128 = (0x06, 0x07)
"""Advertising data types that list 128-bit service UUIDs (Core Supplement, part A, 1.1)."""

_SMP_CHANNEL = 0x0006
_PAIRING_NOT_SUPPORTED = b"\x05\x05"


class _PlacesOnly(logging.Handler):
    """Re-tells Bumble's warnings without their text, which may hold what a phone sent; each place at 1, 2, 4, 8..."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._seen: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        place = f"{record.module}:{record.lineno}"
        count = self._seen.get(place, 0) + 1
        self._seen[place] = count
        if count & (count - 1) == 0:
            log.warning("Bumble complains at %s (%d times so far)", place, count)


def quiet() -> None:
    """Keep content out of the log, for the whole process, as Bumble's loggers are. Repeating it is harmless."""
    logger = logging.getLogger("bumble")
    if not any(isinstance(handler, _PlacesOnly) for handler in logger.handlers):
        logger.addHandler(_PlacesOnly())
    logger.setLevel(logging.WARNING)
    logger.propagate = False


async def bounded(
    work: Coroutine[Any, Any, _T],
    seconds: float,
    failure: LinkCode,
    *,
    gone: asyncio.Future[str] | None = None,
) -> _T:
    """Await Bumble's `work` for at most `seconds`, or until `gone` is done.

    Raises LinkError with `failure` for whatever it raises and when time is up, LOST when the connection went. What it
    raised is the cause. When the caller is cancelled, so is `work`.
    """
    task = asyncio.ensure_future(work)
    waited: set[asyncio.Future[Any]] = {task} if gone is None else {task, gone}
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
    if gone is not None and gone.done() and (not task.done() or task.cancelled() or task.exception() is not None):
        raise LinkError(LinkCode.LOST, gone.result())
    if not task.done() or task.cancelled():
        raise LinkError(failure, "no answer in time")
    error = task.exception()
    if error is not None:
        raise LinkError(failure, _kind(error)) from error
    return task.result()


async def command(work: Coroutine[Any, Any, _T]) -> _T:
    """Await HCI commands to their end, cancelled or not: Bumble loses count when one is abandoned half-way.

    Raises LinkError RADIO_OFF.
    """
    return await to_its_end(bounded(work, COMMAND_S, LinkCode.RADIO_OFF))


def _kind(error: BaseException) -> str:
    """Name an error without its text, which may quote a packet."""
    number = getattr(error, "error_code", None)
    return type(error).__name__ + (f" 0x{number:02x}" if isinstance(number, int) else "")


async def use_fresh_address(device: Device) -> None:
    """Take a new resolvable private address that nobody holds the key to, so that presentations cannot be linked.

    Phones also remember services by address: a new one spares them a stale memory. Raises LinkError.
    """
    address = hci.Address.generate_private_address(secrets.token_bytes(16))
    await command(device.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=address)))
    device.random_address = address


def refuse_pairing(device: Device) -> None:
    """Answer every pairing request with `pairing not supported`: the session has its own encryption."""

    def answer(handle: int, pdu: bytes) -> None:
        if pdu[:1] == b"\x01":
            device.send_l2cap_pdu(handle, _SMP_CHANNEL, _PAIRING_NOT_SUPPORTED)

    device.l2cap_channel_manager.register_fixed_channel(_SMP_CHANNEL, answer)


def bumble_uuid(uuid: UUID) -> core.UUID:
    """Return Bumble's form of a UUID."""
    return core.UUID(str(uuid))


def advertised_uuids(data: bytes) -> Iterator[UUID]:
    """Yield the 128-bit service UUIDs in advertising data; whatever is malformed ends it."""
    at = 0
    while at + 1 < len(data):
        length = data[at]
        if length == 0 or at + 1 + length > len(data):
            return
        if data[at + 1] in AD_UUID128:
            values = data[at + 2 : at + 1 + length]
            for start in range(0, len(values) - 15, 16):
                yield UUID(bytes=values[start : start + 16][::-1])
        at += 1 + length


class Wire:
    """One LE connection: whether it is still there, room for the next packet, and its end."""

    def __init__(self, device: Device, connection: Connection, stuck: Callable[[], None]) -> None:
        """Watch a connection. `stuck` is called when it cannot be ended: only a reset of the adapter helps then."""
        self.connection = connection
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._device = device
        self._stuck = stuck
        self._flow = asyncio.Event()
        queue = device.host.le_acl_packet_queue
        if queue is None:
            raise LinkError(LinkCode.RADIO_OFF, "the adapter has no LE data buffers")
        self._queue = queue
        queue.on("flow", self._flow.set)
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        if device.connections.get(connection.handle) is not connection:
            self._on_disconnection(None)  # it went before we looked

    @property
    def mtu(self) -> int:
        """The ATT MTU in bytes."""
        return max(int(self.connection.att_mtu), 23)

    def _on_disconnection(self, reason: object) -> None:
        if not self.gone.done():
            self.gone.set_result(f"reason 0x{reason:02x}" if isinstance(reason, int) else "adapter lost")
            self._queue.remove_listener("flow", self._flow.set)
            self._flow.set()

    async def ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await one exchange with the phone. Raises LinkError: LOST, or PROTOCOL with what failed as its cause."""
        return await bounded(work, REQUEST_S, LinkCode.PROTOCOL, gone=self.gone)

    async def room(self) -> None:
        """Wait until everything queued fits the adapter's own buffers. Raises LinkError LOST."""
        await self._below(self._queue.max_in_flight)

    async def drain(self) -> None:
        """Wait until everything queued has left for the phone. Raises LinkError LOST."""
        await self._below(0)

    async def _below(self, packets: int) -> None:
        while True:
            if self.gone.done():
                raise LinkError(LinkCode.LOST, self.gone.result())
            if self._queue.pending <= packets:
                return
            self._flow.clear()
            await self._flow.wait()

    async def disconnect(self) -> None:
        """End the connection if it is still there. Bounded; never raises."""
        if self.gone.done():
            return
        reason = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)
        try:
            work = self._device.disconnect(self.connection, reason)
            await bounded(work, DISCONNECT_S, LinkCode.RADIO_OFF, gone=self.gone)
        except LinkError as error:
            if not self.gone.done():
                log.warning("a connection could not be ended, resetting the adapter: %s", error.detail)
                self._stuck()
