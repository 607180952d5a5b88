"""Several notifications in one PDU, which a phone may ask for as GATT client, as bluetoothd does; Bumble knows none.

Core specification 6.0: Vol 3 Part G 7.2 (Client Supported Features), Part F 3.4.7.4 (Multiple Handle Value
Notification: handle, length and value of each).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from bumble import att, gatt
from bumble.device import Peer
from bumble.gatt_client import Client

log = logging.getLogger(__name__)

MULTIPLE_NOTIFICATION = 0x23
"""The ATT opcode."""

_TAKES_SEVERAL = b"\x04"


class SeveralClient(Client):
    """A GATT client that takes several notifications in one PDU, each as if it came alone."""

    def on_gatt_pdu(self, att_pdu: att.ATT_PDU) -> None:
        """Take a PDU from the reader."""
        if att_pdu.op_code != MULTIPLE_NOTIFICATION:
            super().on_gatt_pdu(att_pdu)
            return
        for handle, value in notified(att_pdu.payload):
            self.on_att_handle_value_notification(
                att.ATT_Handle_Value_Notification(attribute_handle=handle, attribute_value=value)
            )


def notified(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield handle and value of each notification; what is left where one ends too early is dropped with a word."""
    start = 0
    while start < len(payload):
        handle, length = (int.from_bytes(payload[at : at + 2], "little") for at in (start, start + 2))
        start += 4 + length
        if start > len(payload):
            log.warning("a notification among several ends %d bytes too early", start - len(payload))
            return
        yield handle, payload[start - length : start]


async def ask_for_several(peer: Peer) -> None:
    """Tell the reader that several notifications may come in one PDU, where it can be told."""
    for service in await peer.discover_service(gatt.GATT_GENERIC_ATTRIBUTE_SERVICE):
        features = await service.discover_characteristics((gatt.GATT_CLIENT_SUPPORTED_FEATURES_CHARACTERISTIC,))
        for proxy in features:
            await proxy.write_value(_TAKES_SEVERAL, with_response=True)
