"""The mdoc BLE profile in both roles, over any Bluetooth driver (ISO 18013-5 11.1.3).

`connect_to_peripheral`: the phone is GATT server (mdoc peripheral server mode); we find it, subscribe and start.
`serve_for_central`: the phone is GATT client (mdoc central client mode); we advertise, show Ident and wait for its
start. Either gives a `Link`, over GATT or an L2CAP channel. A connection lost before its start is made again; one lost
after it is never resumed.
"""

from mdoc_reader.transport.ble_client import connect_to_peripheral
from mdoc_reader.transport.ble_link import BleLimits, BleLink
from mdoc_reader.transport.ble_server import CentralServer, serve_for_central

__all__ = ["BleLimits", "BleLink", "CentralServer", "connect_to_peripheral", "serve_for_central"]
