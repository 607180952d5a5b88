"""A panel of another hand: PyPI's `osdp`, in a process of its own. Arguments: serial port, address, master key.

Lines on standard output are JSON: what it heard of the reader. Lines on standard input are the octets of texts to
have shown, hexadecimal.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import osdp


def tell(**said: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


class Text(osdp.Command):  # type: ignore[misc]
    """A text command whose text is any octets."""

    def __init__(self, address: int, octets: bytes) -> None:
        super().__init__()
        self.address = address
        self._octets = octets

    @property
    def command_code(self) -> int:
        """osdp_TEXT."""
        return 0x6B

    def security_control_block(self) -> bytes:
        """Encrypted, with a MAC."""
        return bytes([0x02, 0x17])

    def data(self) -> bytes:
        """Reader 0, to stay, at row 1 and column 1."""
        return bytes([0, 1, 0, 1, 1, len(self._octets)]) + self._octets

    def custom_command_update(self, command_buffer: bytearray) -> None:
        """Leave it as it is."""


class Panel(osdp.ControlPanel):  # type: ignore[misc]
    """Tells of cards and refusals."""

    def on_raw_card_data_reply_received(self, address: int, raw_card_data: Any) -> None:
        """Tell the bits of a card."""
        octets = raw_card_data.data
        tell(card=octets.hex() if isinstance(octets, bytes) else str(octets), bits=raw_card_data.bit_count)

    def on_nak_reply_received(self, address: int, nak: Any) -> None:
        """Tell of a refusal."""
        tell(nak=str(nak))


def main() -> None:
    """Poll until standard input ends."""
    port, address, key = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
    panel = Panel(key)
    bus = panel.start_connection(osdp.SerialPortOsdpConnection(port=port, baud_rate=115200))
    panel.add_device(bus, address, use_crc=True, use_secure_channel=True)
    device = panel._buses[bus]._configured_devices[address]

    def watch() -> None:
        while not device.is_security_established:
            time.sleep(0.02)
        tell(secure=not device.is_scbkd, cuid=device.cuid.hex())

    threading.Thread(target=watch, daemon=True).start()
    for line in sys.stdin:
        octets = bytes.fromhex(line)
        reply = panel.send_command(bus, Text(address, octets))
        tell(text=reply.type.name)
    panel.shutdown()


if __name__ == "__main__":
    main()
