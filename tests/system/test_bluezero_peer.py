"""A phone made of bluezero on a bluetoothd of its own: not only our own lab phone agrees with the reader.

It runs in a second guest of the other release, with Debian's own bluetoothd settings. Only this role is played:
bluezero as GATT client blocks for the whole of its discovery and begins to listen without waiting for the answer, so
what the reader notifies right after the start is lost.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from guest_door import KB, GuestDoor, Visit, configuration, daemon
from guest_machine import Machine, chosen, vm

from mdoc_reader.lab.phone_app import Mode, offer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = Path(__file__).with_name("bluezero_phone.py")
IN_GUEST = "/root/bluezero_phone.py"


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """The reader."""
    yield from machine.held(daemon(machine.guest, machine.air, configuration(connecting=30)))


@pytest.fixture(scope="module")
def peer(machine: Machine, project_disk: Path) -> Iterator[vm.Guest]:
    """A second guest within reach of the first."""
    yield from machine.held(_second(machine, project_disk))


@contextlib.asynccontextmanager
async def _second(machine: Machine, disk: Path) -> AsyncIterator[vm.Guest]:
    (other,) = set(vm.DISTS) - {machine.dist}
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "hci"
        await machine.air.listen(socket)
        async with vm.Guest(vm.build(other), disk, [socket], name="phone") as guest:
            await guest.attach_hci()
            await guest.start_bluetoothd()
            await guest.hci_up()
            await guest.write_file(IN_GUEST, PROGRAM.read_bytes())
            yield guest


@dataclass
class Bluezero:
    """The program in the second guest, and what it has told."""

    process: vm.Process
    told: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for stream, text in self.process.lines:
            if stream == "out" and text.startswith("{"):  # bluezero prints words of its own
                self.told.append(json.loads(text))
                self.changed.set()
            else:
                self.errors.append(text)

    async def until(self, count: int = 1, **wanted: object) -> dict[str, Any]:
        """Wait until so many lines with these fields were told; return the last of them."""
        try:
            async with asyncio.timeout(60):
                while len(found := [each for each in self.told if wanted.items() <= each.items()]) < count:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise RuntimeError(f"no {wanted}: {self.told} {self.errors[-20:]}") from None
        return found[-1]


async def present(door: GuestDoor, peer: vm.Guest, size: int) -> tuple[Visit, Bluezero, int]:
    """One presentation; the daemon's word, the phone's account, and the reader's last session status."""
    wallet = door.wallet(size)
    engagement = offer(wallet, Mode.PERIPHERAL)
    assert engagement.ble is not None
    phone = Bluezero(await peer.start(["python3", IN_GUEST, str(engagement.ble.peripheral_uuid)]))
    listening = asyncio.create_task(phone.listen())
    try:
        await phone.until(event="published")
        reading = asyncio.create_task(door.read(engagement))
        message = await phone.until(event="message")
        begun, asked = wallet.handle_establishment(engagement, base64.b64decode(message["data"]))
        await phone.process.write(base64.b64encode(wallet.reply(begun, asked)).decode() + "\n")
        last = await phone.until(2, event="message")
        assert begun.handle_message(base64.b64decode(last["data"])) is None
        visit = await reading
        await phone.until(event="state", value="02")
        await phone.until(event="disconnected")
        return visit, phone, begun.status or 0
    finally:
        await phone.process.signal(15)
        listening.cancel()
        await asyncio.wait({listening})


@pytest.mark.parametrize("size", [1 * KB, 30 * KB])
def test_a_bluezero_phone_is_served(machine: Machine, size: int, request: pytest.FixtureRequest) -> None:
    if not chosen(0, machine.dist):
        pytest.skip("the first release reads, the other is the phone; --whole-matrix tries it the other way round too")
    door: GuestDoor = request.getfixturevalue("door")
    peer: vm.Guest = request.getfixturevalue("peer")

    async def play() -> None:
        visit, phone, status = await present(door, peer, size)
        assert visit.granted, (visit, door.told(), phone.told, phone.errors)
        assert visit.transport == "BLE, phone is server"
        assert status == 20, "the session's own end"
        order = [(each["event"], each.get("value")) for each in phone.told if each["event"] in {"state", "message"}]
        assert order == [("state", "01"), ("message", None), ("message", None), ("state", "02")]
        notified = [each["number"] for each in phone.told if each["event"] == "notify" and each["on"]]
        assert set(notified) == {1, 3}

    machine.loop.run(play())
