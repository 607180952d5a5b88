"""Reader is GATT client: find the phone, subscribe, start (mdoc peripheral server mode, ISO 18013-5 11.1.3).

Where the phone offers an L2CAP channel, in its engagement or as a characteristic, that is taken first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from uuid import UUID

from mdoc_reader.transport import ble_link
from mdoc_reader.transport.ble_channel import ChannelCarrier, ChannelLink, psm_of
from mdoc_reader.transport.ble_link import STATE_END, STATE_START, BleLimits, BleLink, Inbox
from mdoc_reader.transport.chunks import chunk_size, split
from mdoc_reader.transport.ports import BleRadio, Channel, GattClient, Link, LinkCode, LinkError, LoneChannel
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_DEFAULT = BleLimits()
_RETRIED = frozenset({LinkCode.LOST, LinkCode.CONNECT_FAILED})
_CHANNEL_NAME = "BLE L2CAP, phone is server"


async def connect_to_peripheral(
    radio: BleRadio,
    service_uuid: UUID,
    *,
    address: bytes | None = None,
    psm: int | None = None,
    limits: BleLimits = _DEFAULT,
) -> Link:
    """Connect to a phone that is GATT server and start the session there (mdoc peripheral server mode).

    `address` is 6 bytes, most significant first, and `psm` an L2CAP PSM, where the engagement named one. Tries until
    the caller cancels; raises LinkError for what trying again cannot mend (RADIO_OFF, NO_SERVICE, PEER_ENDED,
    PROTOCOL).
    """
    way = _Way(radio, service_uuid, address, limits)
    if psm is None or not limits.l2cap:
        return await way.connect(channels=limits.l2cap)
    try:
        channel = await radio.open_channel(psm, service_uuid, address)
    except LinkError as error:
        if error.code is LinkCode.RADIO_OFF:
            raise
        log.info("no L2CAP channel, going on over GATT: %s", error)
        return await way.by_gatt()

    async def instead() -> Link:
        return await way.by_gatt_on(channel)

    return ChannelLink(ChannelCarrier(channel, limits, _nothing, _CHANNEL_NAME), limits, instead)


async def _nothing() -> None:
    """Let go of nothing: the channel was all there was."""


class _Way:
    """How to reach one phone, as often as it takes."""

    def __init__(self, radio: BleRadio, service_uuid: UUID, address: bytes | None, limits: BleLimits) -> None:
        self._radio = radio
        self._service_uuid = service_uuid
        self._address = address
        self._limits = limits

    async def connect(self, *, channels: bool) -> Link:
        """Connect, again after a connection that was lost before its start. Raises LinkError."""
        while True:
            try:
                return await self._once(channels=channels)
            except LinkError as error:
                if error.code not in _RETRIED:
                    raise
                log.info("connecting again: %s", error)
            await asyncio.sleep(self._limits.retry_pause_s)

    async def by_gatt(self) -> Link:
        """Connect and start over GATT alone. Raises LinkError."""
        return await self.connect(channels=False)

    async def by_gatt_on(self, channel: LoneChannel) -> Link:
        """Start over GATT on a channel's connection, or on a new one where that is gone. Raises LinkError."""
        inbox = Inbox(self._limits)
        try:
            gatt = await channel.go_on_by_gatt(self._service_uuid, _ClientEvents(inbox))
            return await self._started(gatt, inbox, channels=False)
        except LinkError as error:
            if error.code not in _RETRIED:
                raise
            log.info("connecting again: %s", error)
        return await self.by_gatt()

    async def _once(self, *, channels: bool) -> Link:
        inbox = Inbox(self._limits)
        gatt = await self._radio.connect(self._service_uuid, _ClientEvents(inbox), self._address)
        return await self._started(gatt, inbox, channels=channels)

    async def _started(self, gatt: GattClient, inbox: Inbox, *, channels: bool) -> Link:
        channel: Channel | None = None
        settled = False
        try:
            if channels and gatt.has(ble_link.PHONE_PSM):
                channel = await _open_channel(gatt)
            if channel is None:
                await _start(gatt, inbox)
            settled = True
        finally:
            if not settled:
                await to_its_end(gatt.disconnect())
        if channel is None:
            return BleLink(_ClientCarrier(gatt, self._limits), inbox, self._limits)
        failed = channel

        async def instead() -> Link:
            await failed.close()
            if inbox.ended is not None:
                await gatt.disconnect()
                return await self.by_gatt()
            await _start(gatt, inbox)
            return BleLink(_ClientCarrier(gatt, self._limits), inbox, self._limits)

        return ChannelLink(ChannelCarrier(channel, self._limits, gatt.disconnect, _CHANNEL_NAME), self._limits, instead)


async def _open_channel(gatt: GattClient) -> Channel | None:
    """Open a channel to the PSM the phone shows; None where that does not work and GATT is left."""
    try:
        psm = psm_of(await gatt.read(ble_link.PHONE_PSM))
        return None if psm is None else await gatt.open_channel(psm)
    except LinkError as error:
        if error.code in {LinkCode.LOST, LinkCode.RADIO_OFF}:
            raise
        log.info("no L2CAP channel, going on over GATT: %s", error)
        return None


async def _start(gatt: GattClient, inbox: Inbox) -> None:
    """Subscribe and write State=01. Raises LinkError."""
    wanted = (ble_link.PHONE_STATE, ble_link.PHONE_CLIENT_TO_SERVER, ble_link.PHONE_SERVER_TO_CLIENT)
    if not all(gatt.has(characteristic) for characteristic in wanted):
        raise LinkError(LinkCode.NO_SERVICE, "the service lacks a characteristic")
    await gatt.subscribe(ble_link.PHONE_STATE)
    await gatt.subscribe(ble_link.PHONE_SERVER_TO_CLIENT)
    if inbox.ended is not None:
        raise LinkError(inbox.ended.code, inbox.ended.detail)
    await gatt.write(ble_link.PHONE_STATE, STATE_START)


class _ClientEvents:
    """Fills the inbox from notifications."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def on_notification(self, characteristic: UUID, value: bytes) -> None:
        if characteristic == ble_link.PHONE_SERVER_TO_CLIENT:
            self._inbox.take(value)
        elif characteristic == ble_link.PHONE_STATE and value == STATE_END:
            self._inbox.end(LinkError(LinkCode.PEER_ENDED))

    def on_disconnected(self, detail: str) -> None:
        self._inbox.end(LinkError(LinkCode.LOST, detail))


class _ClientCarrier:
    """Reader is GATT client: writes without response, and it is ours to disconnect."""

    name = "BLE, phone is server"

    def __init__(self, gatt: GattClient, limits: BleLimits) -> None:
        self._gatt = gatt
        self._limits = limits

    def cut(self, message: bytes) -> Iterator[bytes]:
        return split(message, chunk_size(self._gatt.mtu))

    async def ready(self) -> None:
        """Be ready at once: the phone's service takes writes from the start on."""

    async def put(self, piece: bytes) -> None:
        await self._gatt.write(ble_link.PHONE_CLIENT_TO_SERVER, piece)

    async def finish(self, *, say_end: bool) -> None:
        if say_end:
            try:
                async with asyncio.timeout(self._limits.close_drain_s):
                    await self._gatt.write(ble_link.PHONE_STATE, STATE_END)
                    await self._gatt.drain()
            except (LinkError, TimeoutError) as error:
                log.info("the end could not be told: %s", type(error).__name__)
        await self._gatt.disconnect()
