"""Counts the D-Bus calls of our own driver and transport a phase. Runs in the guest, without the rest of the daemon.

It takes one command a line, as `bare_bluez.py` does, moves the same bytes with them, and answers with the calls of each
phase: made by us by member, made to us by bluetoothd as `<Member`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any
from uuid import UUID

from mdoc_reader.drivers import bluez_radio
from mdoc_reader.transport.ble import BleLimits, connect_to_peripheral, serve_for_central
from mdoc_reader.transport.ports import GattClient, GattClientEvents, Link

_FORGOTTEN_S = 0.8


class MarkedRadio:
    """Our radio, with a mark between the connection and the start."""

    def __init__(self, radio: bluez_radio.BluezRadio) -> None:
        """Take an open radio."""
        self.phases: dict[str, dict[str, int]] = {}
        self._radio = radio
        self._before: Counter[str] = Counter()
        self.open_channel = radio.open_channel
        self.serve = radio.serve
        self.on_availability = radio.on_availability
        self.close = radio.close

    @property
    def available(self) -> bool:
        """As the radio says."""
        return self._radio.available

    @property
    def trouble(self) -> Any:
        """As the radio says."""
        return self._radio.trouble

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Connect, and mark."""
        client = await self._radio.connect(service, events, address)
        self.mark("link")
        return client

    def begin(self) -> None:
        """Count from now on."""
        self.phases = {}
        self._before = Counter(self._radio.calls)

    def mark(self, phase: str) -> None:
        """Note what was called since the last mark."""
        now = Counter(self._radio.calls)
        since = now - self._before
        self._before = now
        self.phases[phase] = dict(Counter(self.phases.get(phase, {})) + since)


async def run(radio: MarkedRadio, command: dict[str, Any]) -> dict[str, Any]:
    """Do one command."""
    limits = BleLimits()
    service = UUID(command["service"])
    radio.begin()
    server = None
    link: Link
    if command["way"].startswith("phone"):
        psm = command["psm"] if command["way"] == "phone-channel" else None
        link = await connect_to_peripheral(radio, service, psm=psm, limits=limits)
    else:
        server = await serve_for_central(radio, service, bytes.fromhex(command["ident"]), limits=limits)
        radio.mark("link")
        link = await server.accepted()
    radio.mark("link" if command["way"] == "phone-channel" else "start")
    await link.send(bytes(command["request"]))
    radio.mark("request")
    length = len(await link.receive())
    radio.mark("response")
    print(json.dumps({"whole": True}), flush=True)
    await link.close()
    if server is not None:
        await server.close()
    await asyncio.sleep(_FORGOTTEN_S)
    radio.mark("end")
    return {"calls": radio.phases, "response": length}


async def main() -> None:
    """Take commands until there are no more."""
    radio = bluez_radio.BluezRadio(bluez_radio.Options())
    radio.start()
    while not radio.available:  # noqa: ASYNC110 -- for a moment, once
        await asyncio.sleep(0.05)
    marked = MarkedRadio(radio)
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await run(marked, json.loads(line))), flush=True)
    await radio.close()


if __name__ == "__main__":
    asyncio.run(main())
