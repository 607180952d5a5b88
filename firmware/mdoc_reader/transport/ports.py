"""What travels messages (Link), and what the BLE transport needs from a Bluetooth driver (BleRadio)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from mdoc_reader.model.reasons import ReasonCode


class LinkCode(ReasonCode):
    """Why a link could not be made, or ended."""

    NO_METHOD = "link_no_method", "The phone offers no connection this reader can use."
    RADIO_OFF = "link_radio_off", "Bluetooth is not available."
    NOT_FOUND = "link_not_found", "The phone was not found over Bluetooth."
    CONNECT_FAILED = "link_connect_failed", "Connecting to the phone failed."
    NO_SERVICE = "link_no_service", "The phone does not offer the expected Bluetooth service."
    NO_START = "link_no_start", "The phone connected but never started the session."
    LOST = "link_lost", "The connection to the phone was lost."
    PEER_ENDED = "link_peer_ended", "The phone ended the session."
    BAD_CHUNK = "link_bad_chunk", "The phone broke the message format on the air."
    TOO_LARGE = "link_too_large", "The phone sent more than this reader accepts."
    PROTOCOL = "link_protocol", "The phone broke the Bluetooth protocol."
    CLOSED = "link_closed", "The connection is closed."


class RadioTrouble(ReasonCode):
    """Why Bluetooth is not available."""

    DISABLED = "radio_disabled", "Bluetooth is switched off in the configuration."
    NO_BUS = "radio_no_bus", "The system's message bus (D-Bus) does not answer."
    NO_DAEMON = "radio_no_daemon", "The Bluetooth service (bluetoothd) does not run."
    NO_ADAPTER = "radio_no_adapter", "No Bluetooth adapter is plugged in."
    BLOCKED = "radio_blocked", "The Bluetooth adapter is blocked (rfkill)."
    POWERED_OFF = "radio_powered_off", "The Bluetooth adapter is powered off."
    STUCK = "radio_stuck", "The Bluetooth adapter does not answer and is being reset."


class LinkError(Exception):
    """A link could not be made or used."""

    def __init__(self, code: LinkCode, detail: str = "") -> None:
        """Keep the reason; `detail` is for the log and holds no bytes of the peer."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


class Link(Protocol):
    """An open channel for whole session messages, in order, one presentation long."""

    @property
    def name(self) -> str:
        """What carries it, for people: `BLE, phone is server`."""

    on_progress: Callable[[int], None] | None
    """Called on the event loop with the bytes of the arriving message so far, as they come."""

    async def send(self, message: bytes) -> None:
        """Send one whole message. Raises LinkError."""

    async def receive(self) -> bytes:
        """Return the next whole message. Raises LinkError when none can come any more."""

    async def close(self) -> None:
        """End the session cleanly towards the phone (State=02), then disconnect. Bounded in time; never raises."""


# What a Bluetooth driver provides. The mdoc GATT profile above it (transport/ble.py) is the same for every driver.


@dataclass(frozen=True, slots=True)
class GattCharacteristic:
    """One characteristic of a service we serve. `write` is Write Without Response, and plain Write too."""

    uuid: UUID
    notify: bool = False
    write: bool = False
    read: bool = False


class Channel(Protocol):
    """An L2CAP credit-based channel to the phone: a stream of bytes each way (Core specification, Vol 3 Part A 10.1).

    The driver cuts what is sent into SDUs the phone takes; what arrives comes in pieces of any size.
    """

    async def send(self, data: bytes) -> None:
        """Send bytes; returns when the driver can take more. Raises LinkError LOST."""

    async def receive(self) -> bytes:
        """Return the next bytes, at least one. Raises LinkError LOST once the channel has ended."""

    async def drain(self) -> None:
        """Wait until everything sent has left for the phone. Raises LinkError."""

    async def close(self) -> None:
        """Close the channel, and the connection if it was made for this channel alone. Bounded; never raises."""


class GattClientEvents(Protocol):
    """What a client connection reports. Called on the event loop; must not block."""

    def on_notification(self, characteristic: UUID, value: bytes) -> None:
        """Take one notified value, in the order of arrival."""

    def on_disconnected(self, detail: str) -> None:
        """The connection is gone; nothing follows."""


class GattClient(Protocol):
    """A connection we made to a phone that is the GATT server: connected, MTU exchanged, one service discovered."""

    mtu: int

    def has(self, characteristic: UUID) -> bool:
        """Say whether the discovered service has this characteristic."""

    async def subscribe(self, characteristic: UUID) -> None:
        """Enable notifications. Raises LinkError."""

    async def read(self, characteristic: UUID) -> bytes:
        """Read a value. Raises LinkError."""

    async def write(self, characteristic: UUID, value: bytes) -> None:
        """Write without response; returns when the driver can take the next one. Raises LinkError."""

    async def drain(self) -> None:
        """Wait until everything written has left for the phone. Raises LinkError."""

    async def open_channel(self, psm: int) -> Channel:
        """Open an L2CAP channel over this connection. Bounded in time. Raises LinkError."""

    async def disconnect(self) -> None:
        """Disconnect; never raises."""


class LoneChannel(Channel, Protocol):
    """A channel on a connection of its own, without GATT so far."""

    async def go_on_by_gatt(self, service: UUID, events: GattClientEvents) -> GattClient:
        """Close the channel and discover `service` on the same connection. Raises LinkError, and then all is closed."""


class GattServerEvents(Protocol):
    """What a served service reports. Called on the event loop; must not block."""

    def on_connected(self) -> None:
        """A phone connected to our advertisement."""

    def on_read(self, characteristic: UUID) -> bytes | Awaitable[bytes | None] | None:
        """Return the value a phone reads, or None where there is none; later, where it has yet to be known."""

    def on_write(self, characteristic: UUID, value: bytes) -> None:
        """Take one written value, in the order of arrival."""

    def on_subscribed(self, characteristic: UUID, enabled: bool) -> None:
        """The phone enabled or disabled notifications."""

    def on_channel(self, channel: Channel) -> None:
        """The phone opened an L2CAP channel to `GattServer.psm`. Whoever takes it closes it."""

    def on_disconnected(self, detail: str) -> None:
        """The phone is gone; or the adapter is, connected or not, and then `BleRadio.available` is already False."""


class GattServer(Protocol):
    """A service we serve and advertise, for at most one phone."""

    @property
    def notification_room(self) -> int:
        """How many octets a notified value may have and still arrive whole; at least 18.

        The ATT MTU less 3 at most (Core specification, Vol 3 Part F 3.4.7.1), less where the driver's stack needs more
        of it. As for an MTU of 23 until that of the connected phone is known.
        """

    @property
    def psm(self) -> int | None:
        """The L2CAP PSM at which the phone may open a channel; None where none is offered."""

    async def stop_advertising(self) -> None:
        """Stop being visible; the connection stays. Never raises."""

    async def notify(self, characteristic: UUID, value: bytes) -> None:
        """Notify the phone; returns when the driver can take the next one. Raises LinkError.

        Values leave in the order of the calls, those of several characteristics too.
        """

    async def drain(self) -> None:
        """Wait until everything notified has left for the phone. Raises LinkError."""

    async def disconnect(self) -> None:
        """Disconnect the phone if it is still there; never raises."""

    async def close(self) -> None:
        """Stop advertising, disconnect, take the service down; never raises."""


class BleRadio(Protocol):
    """A Bluetooth adapter. Opened by its driver's `open_bluetooth`; outlives presentations."""

    @property
    def available(self) -> bool:
        """Whether the adapter can be used now."""

    @property
    def trouble(self) -> RadioTrouble | None:
        """Why it is not available; None when it is."""

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Call back on the event loop whenever `available` or `trouble` changes."""

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Find the phone that advertises `service` (or has `address`, most significant byte first) and connect.

        Exchanges the largest MTU and discovers that service only. Runs until it succeeds, fails or is cancelled;
        cancelling stops the scan and drops a half-made connection. Raises LinkError.
        """

    async def open_channel(self, psm: int, service: UUID, address: bytes | None = None) -> LoneChannel:
        """Find the phone as `connect` does and open an L2CAP channel at once, without any GATT. Cancel it as `connect`.

        Raises LinkError; CONNECT_FAILED also where this radio has no L2CAP channels.
        """

    async def serve(
        self,
        service: UUID,
        characteristics: tuple[GattCharacteristic, ...],
        events: GattServerEvents,
        *,
        channels: bool = False,
    ) -> GattServer:
        """Register `service` and advertise it, connectable, until closed. Raises LinkError.

        `channels` asks for L2CAP channels beside it; `GattServer.psm` says whether there are any.
        """

    async def close(self) -> None:
        """Release the adapter; never raises."""
