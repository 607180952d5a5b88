"""A phone made of bluezero on a bluetoothd of its own: not only our own lab phone agrees with the reader.

It runs in a second guest of the other release, with Debian's own bluetoothd settings. The wallet is the lab's; the
phone's Bluetooth, its chunks and their assembly are not. As GATT client bluezero says to listen and does not wait for
the answer: the phone starts once bluetoothd has told of it, or what the reader notifies first would be lost.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from guest_door import ASKED, KB, GuestDoor, Visit, configuration, daemon
from guest_machine import Machine, chosen, record, vm

from mdoc_reader.lab.phone_app import Mode, offer
from mdoc_reader.mdoc.session import DecryptionFailed
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.model.reasons import Malformed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = Path(__file__).with_name("bluezero_phone.py")
IN_GUEST = "/root/bluezero_phone.py"
SIZES = (1 * KB, 30 * KB, 1 * KB)
"""Answers, one after the other."""

ORDERED = {"state", "started", "message"}
"""What must come in one order."""


@dataclass(frozen=True)
class Role:
    """What the phone is, and the numbers of its values."""

    mode: Mode
    program: str
    link: str
    state: int
    to_phone_notified: int

    def service(self, ble: BleMethod) -> str:
        """Return the UUID of the service it serves or looks for."""
        return str(ble.peripheral_uuid or ble.central_uuid)


SERVER = Role(Mode.PERIPHERAL, "server", "BLE, phone is server", 1, 3)
CLIENT = Role(Mode.CENTRAL, "client", "BLE, reader is server", 5, 7)


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """The reader."""
    config = configuration(connecting=30, asked=ASKED)
    yield from machine.held(daemon(machine.guest, machine.air, config))


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
    began: float = field(default_factory=time.monotonic)

    async def listen(self) -> None:
        async for stream, text in self.process.lines:
            if stream == "out" and text.startswith("{"):  # bluezero prints words of its own
                self.told.append({**json.loads(text), "at": round(time.monotonic() - self.began, 2)})
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
            raise RuntimeError(f"no {wanted}: {self.account()}") from None
        return found[-1]

    def account(self) -> str:
        """What it has told, without what it was sent."""
        lines = [{name: value for name, value in each.items() if name != "data"} for each in self.told]
        return "\n".join(map(str, [*lines, *self.errors[-20:]]))


@dataclass
class Presented:
    """A presentation: the daemon's word, the phone's account, what was asked, and how the session ended."""

    visit: Visit
    phone: Bluezero
    asked: set[str]
    status: int | None


async def present(door: GuestDoor, peer: vm.Guest, role: Role, size: int) -> Presented:
    """Play one presentation to the end on both sides."""
    wallet = door.wallet(size)
    engagement = offer(wallet, role.mode)
    assert engagement.ble is not None
    phone = Bluezero(await peer.start(["python3", IN_GUEST, role.program, role.service(engagement.ble)]))
    tasks = [listening := asyncio.create_task(phone.listen())]
    try:
        await phone.until(event="ready")
        tasks.append(reading := asyncio.create_task(door.read(engagement)))
        message = await phone.until(event="message")
        # Raises where a byte is wrong or missing.
        begun, request = wallet.handle_establishment(engagement, base64.b64decode(message["data"]))
        await phone.process.write(base64.b64encode(wallet.reply(begun, request)).decode() + "\n")
        last = await phone.until(2, event="message")
        assert begun.handle_message(base64.b64decode(last["data"])) is None
        visit = await reading
        await phone.until(event="state", value="02")
        await phone.until(event="disconnected")
        if role is CLIENT:
            assert (await phone.until(event="ident"))["value"] == engagement.ident.hex()
        (wanted,) = request.doc_requests
        asked = {name for elements in wanted.items.elements.values() for name in elements}
        return Presented(visit, phone, asked, begun.status)
    except (Malformed, DecryptionFailed, AssertionError) as error:
        error.add_note(f"the phone:\n{phone.account()}\nthe reader:\n{door.told()}")
        raise
    finally:
        await phone.process.signal(15)
        await asyncio.wait({listening}, timeout=10)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


ROLES = (pytest.param(SERVER, id="phone is server"), pytest.param(CLIENT, id="phone is client"))


@pytest.mark.parametrize("role", ROLES)
def test_a_bluezero_phone_is_let_in(machine: Machine, role: Role, request: pytest.FixtureRequest) -> None:
    if not chosen(0, machine.dist):
        pytest.skip("the first release reads, the other is the phone; --whole-matrix tries it the other way round too")
    door: GuestDoor = request.getfixturevalue("door")
    peer: vm.Guest = request.getfixturevalue("peer")

    async def play(size: int) -> None:
        done = await present(door, peer, role, size)
        visit, phone = done.visit, done.phone
        assert visit.granted, (visit, door.told(), phone.account())
        assert visit.transport == role.link
        assert {*ASKED, "portrait", "age_over_18"} == done.asked
        assert done.status == 20, "the session's own end"
        order = [(each["event"], each.get("value")) for each in phone.told if each["event"] in ORDERED]
        begin = ("state", "01") if role is SERVER else ("started", None)
        assert order == [begin, ("message", None), ("message", None), ("state", "02")]
        chunks = next(each["chunks"] for each in phone.told if each["event"] == "message")
        assert len(chunks) > 1
        notified = {each["number"] for each in phone.told if each["event"] == "notify" and each["on"]}
        assert notified == {role.state, role.to_phone_notified}
        record(
            vm.DISTS[machine.dist].bluez,
            f"bluezero, phone is {role.program}, {size // KB} KB",
            visit.seconds,
            visit.phases,
        )

    for size in SIZES:
        machine.loop.run(play(size))
