"""The air: simulated Bluetooth controllers that hear each other, one of them offered to a reader as an HCI socket.

The reader opens it by Bumble's ordinary transport name, `unix:<path>`, and sees a controller like any other. Each
connection to the socket gets a fresh controller, which leaves the air with it, so a reader may die and come back.
The controllers and the link are Bumble's, corrected where a real pair behaves otherwise (each correction says so).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

from bumble import core, hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

from mdoc_reader.drivers.bumble_wire import quiet

log = logging.getLogger(__name__)

_LARGEST_PDU = 251
_MOST_UNREAD = 8 * 1024 * 1024
_SHORTEST_INTERVAL_S = 0.02
_FIRST_ADDRESS = 0x00AA01000000


class Listener(Protocol):
    """Who hears everything on the air. Called on the event loop as it is sent; must not block or raise."""

    def on_advertising(self, sender: Controller, packet: ll.AdvertisingPdu) -> None:
        """An advertisement, or a request for a connection."""

    def on_data(self, sender: Controller, receiver: Controller, data: bytes) -> None:
        """One L2CAP frame with its header."""

    def on_control(self, sender: Controller, receiver: Controller, packet: ll.ControlPdu) -> None:
        """A control packet of the link layer."""


class AirLink(LocalLink):
    """Bumble's link between controllers, delivering by connection instead of by address."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.listeners: list[Listener] = []

    def find_advertiser(self, address: hci.Address) -> bool:
        """Say whether a controller advertises under this address now and answers connection requests."""
        for controller in cast("set[AirController]", self.controllers):
            if address in controller.advertised_addresses():
                if controller.ignores_connections is None:
                    return True
                controller.ignores_connections()
        return False

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """Deliver data labelled with the address the connection was made with.

        The original labels it with the sender's random address of the moment, so a host that connected with another
        one, or has changed it since, loses every packet.
        """
        del transport
        connection = sender_controller.le_connections.get(destination_address)
        peer = None if connection is None else self._other_end(sender_controller, connection)
        if connection is not None and peer is not None:
            for listener in self.listeners:
                listener.on_data(sender_controller, peer, data)
            asyncio.get_running_loop().call_soon(
                peer.on_link_acl_data, connection.self_address, core.PhysicalTransport.LE, data
            )

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """Deliver a connection request at once, so that of two phones that answer one advertisement one gets it."""
        for listener in self.listeners:
            listener.on_advertising(sender_controller, packet)
        if not isinstance(packet, ll.ConnectInd):
            super().send_advertising_pdu(sender_controller, packet)
            return
        for controller in tuple(self.controllers):
            if controller is not sender_controller:
                controller.on_ll_advertising_pdu(packet)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Deliver to the other end of the connection; silence answers where it has left."""
        for controller in self.controllers:
            connection = controller.le_connections.get(sender_address)
            if connection is not None and connection.self_address == receiver_address:
                sender = self._other_end(controller, connection)
                if sender is not None:
                    for listener in self.listeners:
                        listener.on_control(sender, controller, packet)
                asyncio.get_running_loop().call_soon(_deliver_control, controller, sender_address, packet)
                return

    def _other_end(self, sender: Controller, connection: Connection) -> Controller | None:
        for controller in self.controllers:
            other = controller.le_connections.get(connection.self_address)
            if controller is not sender and other is not None and other.self_address == connection.peer_address:
                return controller
        return None


def _deliver_control(controller: Controller, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
    # Both ends may have said goodbye at the same time.
    if sender_address in controller.le_connections:
        controller.on_ll_control_pdu(sender_address, packet)


class _Advertiser(LegacyAdvertiser):
    """Bumble's advertiser, its interval in units of 0.625 ms (Vol 4 Part E 7.8.5); the original takes it for ms."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        pause = max(self.advertising_interval_min * 0.000625, _SHORTEST_INTERVAL_S)
        self.timer_handle = asyncio.get_running_loop().call_later(pause, self._on_timer_fired)


class AirController(Controller):
    """Bumble's controller, with what a 4.2 controller with long packets does and it does not."""

    acl_data_packet_length = 1021
    le_acl_data_packet_length = _LARGEST_PDU
    total_num_le_acl_data_packets = 16
    supported_max_tx_octets = _LARGEST_PDU
    supported_max_rx_octets = _LARGEST_PDU
    suggested_max_tx_octets = _LARGEST_PDU
    # Features it declares and does not carry through: a host that believes them waits for events that never come.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LL_PRIVACY
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    ignores_connections: Callable[[], None] | None = None
    """Where set, the controller advertises and answers no connection request; called at each."""

    def __init__(self, name: str, *, link: AirLink, public_address: str) -> None:
        """Join the air."""
        super().__init__(name, link=link, public_address=public_address)
        self.le_legacy_advertiser = _Advertiser(self)
        self._asked: ll.ConnectInd | None = None

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Take a connection with the timing the central asked for; the original tells its host made-up figures."""
        self._asked = packet
        super().on_le_connect_ind(packet)
        self._asked = None

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send to the host."""
        if self._asked is not None and isinstance(packet, hci.HCI_LE_Connection_Complete_Event):
            packet = replace(
                packet,
                connection_interval=self._asked.interval,
                peripheral_latency=self._asked.latency,
                supervision_timeout=self._asked.timeout,
            )
        super().send_hci_packet(packet)

    def advertised_addresses(self) -> set[hci.Address]:
        """Return the addresses this controller advertises under now."""
        addresses: set[hci.Address] = set()
        if self.le_legacy_advertiser.enabled:
            addresses.add(self.le_legacy_advertiser.address)
        for advertising_set in self.advertising_sets.values():
            if advertising_set.enabled and advertising_set.address is not None:
                addresses.add(advertising_set.address)
        return addresses

    def stop_all(self) -> None:
        """Stop advertising, scanning and connecting."""
        self.le_legacy_advertiser.stop()
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self.advertising_sets.clear()
        self.le_scan_enable = False
        self.pending_le_connection = None

    def on_hci_reset_command(self, command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Forget everything, as Vol 4 Part E 7.3.2 asks; the original does nothing."""
        self.leave_connections(hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR)
        self.stop_all()
        return super().on_hci_reset_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Take a connection request back and tell so (Vol 4 Part E 7.8.13); the original keeps it."""
        pending = self.pending_le_connection
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        asyncio.get_running_loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return super().on_hci_le_create_connection_cancel_command(command)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Connect only to what still advertises; the original believes itself connected to whoever was there once."""
        if cast("AirLink", self.link).find_advertiser(peer_address):
            super().create_le_connection(peer_address)

    def on_link_acl_data(self, sender_address: hci.Address, transport: core.PhysicalTransport, data: bytes) -> None:
        """Hand data to the host in packets no longer than the air carries; the original sends any length at once."""
        del transport
        connection = self.le_connections.get(sender_address)
        if connection is None:
            return
        for start in range(0, len(data), _LARGEST_PDU):
            part = data[start : start + _LARGEST_PDU]
            first_or_more = 1 if start else 2
            self.send_hci_packet(hci.HCI_AclDataPacket(connection.handle, first_or_more, 0, len(part), part))

    def leave_connections(self, reason: int) -> None:
        """Drop every connection; the other ends notice."""
        for connection in tuple(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
        self.le_connections.clear()

    def leave(self) -> None:
        """Leave the air for good."""
        self.host = None
        self.stop_all()
        self.leave_connections(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        if self in self.link.controllers:
            self.link.remove_controller(self)


class ExtendedAirController(AirController):
    """A controller as of Bluetooth 5: hosts advertise and scan with its extended commands."""

    le_features = AirController.le_features | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING


class _HciSocket(asyncio.Protocol):
    """One host at the socket, with a controller of its own."""

    def __init__(self, air: Air, kind: type[AirController]) -> None:
        self._air = air
        self._kind = kind
        self._parser = PacketParser()
        self._controller: AirController | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._controller = self._air.controller("reader", self._kind)
        self._controller.host = self
        self._parser.set_packet_sink(self._controller)
        self._air.hosts.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError:
            log.warning("the HCI socket carried something else than HCI")
            self.drop()

    def on_packet(self, packet: bytes) -> None:
        """Pass a packet of the controller to the host."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > _MOST_UNREAD:
            self.drop()
            return
        self._transport.write(packet)

    def connection_lost(self, error: Exception | None) -> None:
        self._air.hosts.discard(self)
        if self._controller is not None:
            self._controller.leave()

    def drop(self) -> None:
        """Unplug this host."""
        if self._transport is not None:
            self._transport.abort()


class Air:
    """Controllers within reach of each other. Use it as an async context manager, or call `close`."""

    def __init__(self) -> None:
        """Start with nobody in reach. Needs a running event loop."""
        quiet()
        self.link = AirLink()
        self.hosts: set[_HciSocket] = set()
        self._servers: list[asyncio.Server] = []
        self._made = 0

    def controller(self, name: str, kind: type[AirController] = AirController) -> AirController:
        """Return a new controller on the air, for a host in this process."""
        self._made += 1
        octets = (_FIRST_ADDRESS + self._made).to_bytes(6, "big")
        return kind(name, link=self.link, public_address=octets.hex(":"))

    async def listen(self, path: Path, kind: type[AirController] = AirController) -> None:
        """Offer controllers at a Unix socket, one for each host that connects. Raises OSError."""
        server = await asyncio.get_running_loop().create_unix_server(lambda: _HciSocket(self, kind), str(path))
        self._servers.append(server)

    def unplug(self) -> None:
        """Disconnect every host at the sockets, as when a dongle is pulled; they may come back."""
        for host in tuple(self.hosts):
            host.drop()

    async def close(self) -> None:
        """Close the sockets; every controller leaves."""
        for server in self._servers:
            server.close()
        self.unplug()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        await asyncio.sleep(0)
        for controller in tuple(self.link.controllers):
            cast("AirController", controller).leave()

    async def __aenter__(self) -> Self:
        """Return self."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
