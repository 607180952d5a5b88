"""The rig of the Bluetooth benchmark: a guest with bluetoothd, our daemon and the bare program in it, phones outside.

Both programs stay for the whole run and take turns; the one that waits hears the same D-Bus signals as the one that
works. The phone is the same: advertising or scanning alike, the same MTU, no time for consent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from air_model import Way
from bluetooth_figures import Run
from bluetooth_listen import Listened, Lookout, listened
from figures import ROOT

for folder in ("tools", "tests/system"):
    sys.path.insert(0, str(ROOT / folder))

import vm  # noqa: E402
from guest_door import PSM, GuestDoor, configuration, daemon  # noqa: E402
from guest_machine import MAIN_CONF, SYSCTL  # noqa: E402

from mdoc_reader.lab.air import Air  # noqa: E402
from mdoc_reader.lab.ear import Ear, Heard  # noqa: E402
from mdoc_reader.lab.phone_app import Mode, meet, offer  # noqa: E402
from mdoc_reader.lab.phone_channel import PhoneGone  # noqa: E402
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour, random_uuid  # noqa: E402
from mdoc_reader.lab.wallet import Engagement, Wallet  # noqa: E402

Door = GuestDoor
BLUEZ = {name: dist.bluez for name, dist in vm.DISTS.items()}
HERE = Path(__file__).resolve().parent
PHONE_MTU = 517
_REST_S = 0.7
_VISIT_S = 25.0
_MAIN_CONF_MTU = "ExchangeMTU = 512"


@dataclass
class Sizes:
    """What one presentation moved, in bytes, and how long the phone thought."""

    request: int = 0
    response: int = 0
    thought_s: float = 0.0


@dataclass
class Program:
    """A program in the guest that takes commands and answers each with one line."""

    process: vm.Process
    answers: asyncio.Queue[dict[str, Any] | None] = field(default_factory=asyncio.Queue)
    told: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        """Take its lines."""
        async for stream, text in self.process.lines:
            if stream == "out":
                self.answers.put_nowait(json.loads(text))
            else:
                self.told.append(text)
        self.answers.put_nowait(None)

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Give a command; return the answer. Raises RuntimeError with the program's words when none comes."""
        await self.process.write(json.dumps(command) + "\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return its next line."""
        try:
            async with asyncio.timeout(_VISIT_S):
                answer = await self.answers.get()
        except TimeoutError:
            answer = None
        if answer is None:
            raise RuntimeError("no answer:\n" + "\n".join(self.told[-30:]))
        return answer


@contextlib.asynccontextmanager
async def program(guest: vm.Guest, name: str) -> AsyncIterator[Program]:
    """Run a script of this folder in the guest."""
    path = f"/tmp/{name}"  # noqa: S108 -- in the guest
    await guest.write_file(path, (HERE / name).read_bytes())
    running = Program(await guest.start(["python3", path]))
    listening = asyncio.create_task(running.listen())
    try:
        await running.answer()
        yield running
    finally:
        await running.process.write(None)
        await running.process.signal(9)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                await running.process.wait()
        listening.cancel()
        await asyncio.wait({listening})


@dataclass
class Rig:
    """A guest that is up, and the air around it."""

    guest: vm.Guest
    air: Air
    kernel: str


@contextlib.asynccontextmanager
async def rig(dist: str, *, mtu: int = 512) -> AsyncIterator[Rig]:
    """Bring a guest up with what we ship; `mtu` is the ExchangeMTU of its main.conf."""
    image = vm.build(dist)
    conf = MAIN_CONF.replace(_MAIN_CONF_MTU, f"ExchangeMTU = {mtu}")
    if f"ExchangeMTU = {mtu}\n" not in conf:
        raise RuntimeError(f"main.conf has no {_MAIN_CONF_MTU!r} any more")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = await asyncio.to_thread(vm.project, folder)
        air = await stack.enter_async_context(Air())
        await air.listen(folder / "hci")
        guest = await stack.enter_async_context(vm.Guest(image, disk, [folder / "hci"]))
        await guest.write_file("/etc/sysctl.d/mdoc-reader.conf", SYSCTL)
        await guest.run(["sysctl", "-p", "/etc/sysctl.d/mdoc-reader.conf"])
        await guest.attach_hci()
        await guest.start_bluetoothd(conf, arguments=["--noplugin=*"], again_s=0.5)
        await guest.hci_up()
        kernel = (await guest.run(["uname", "-r"])).out.strip()
        yield Rig(guest, air, kernel)


@contextlib.asynccontextmanager
async def door(rig: Rig) -> AsyncIterator[GuestDoor]:
    """Run our daemon in the guest."""
    async with daemon(rig.guest, rig.air, configuration()) as running:
        yield running


def _behaviour(way: Way) -> PhoneRadioBehaviour:
    return PhoneRadioBehaviour(mtu=PHONE_MTU, l2cap=way in {Way.PHONE_CHANNEL, Way.READER_CHANNEL}, psm=PSM)


def _engaged(wallet: Wallet, way: Way) -> Engagement:
    mode = Mode.PERIPHERAL if way.central.value == "reader" else Mode.CENTRAL
    return offer(wallet, mode, psm=PSM if way is Way.PHONE_CHANNEL else None)


async def _answer(radio: PhoneRadio, wallet: Wallet, engagement: Engagement, way: Way, sizes: Sizes) -> int:
    """Be a wallet that answers one request at once, and tell what it took."""
    channel = await meet(radio, engagement, behaviour=_behaviour(way))
    request = await channel.receive()
    began = time.monotonic()
    begun, asked = wallet.handle_establishment(engagement, request)
    message = wallet.reply(begun, asked)
    sizes.request, sizes.response, sizes.thought_s = len(request), len(message), time.monotonic() - began
    await channel.send(message)
    with contextlib.suppress(PhoneGone):
        begun.handle_message(await channel.receive())
    await channel.drop()
    return 1


async def _move(radio: PhoneRadio, service: UUID, ident: bytes, way: Way, response: int) -> None:
    """Be a phone that takes any bytes and sends others."""
    if way.central.value == "reader":
        channel = await radio.serve(service, behaviour=_behaviour(way))
    else:
        channel = await radio.join(service, ident, behaviour=_behaviour(way))
    await channel.receive()
    with contextlib.suppress(PhoneGone):
        await channel.send(secrets.token_bytes(response))
    await asyncio.wait({channel.gone})


def _end_ms(heard: Sequence[Heard], ear_began: float, concluded: float) -> float:
    """Return milliseconds from the verdict, or from the whole answer, to the end of the connection on the air."""
    over = [each.at for each in heard if each.control == "LL_TERMINATE_IND"]
    return max(ear_began + over[-1] - concluded, 0.0) * 1000 if over else float("nan")


async def visit_ours(rig: Rig, door: GuestDoor, way: Way, size: int) -> tuple[Run, Listened]:
    """Show a code to our daemon and play the phone; return what it took. Raises RuntimeError when it is not granted."""
    wallet = door.wallet(size)
    engagement = _engaged(wallet, way)
    sizes = Sizes()
    await door.until_idle()
    with Ear(rig.air, keep_payload=True) as ear, Lookout(rig.air) as lookout:
        ear_began = asyncio.get_running_loop().time()
        async with PhoneRadio(rig.air) as radio:
            phone = asyncio.create_task(_answer(radio, wallet, engagement, way, sizes))
            await asyncio.sleep(0.1 + secrets.randbelow(60) / 1000)
            began = asyncio.get_running_loop().time()
            visit = await door.read(engagement, phone, seconds=_VISIT_S)
        if not visit.granted:
            raise RuntimeError(f"{way}: {visit}\n{door.told()}")
        heard = ear.heard
    await asyncio.sleep(_REST_S)
    ms: dict[str, float] = {}
    for name, took in visit.phases:
        ms[name] = ms.get(name, 0.0) + took
    run = Run(
        way=way,
        who="ours",
        size=size,
        request=sizes.request,
        response=sizes.response,
        prepare_ms=ms.get("engaged", 0.0),
        connect_ms=ms["connecting"],
        exchange_ms=sum(ms.get(name, 0.0) for name in ("requesting", "consent", "receiving")),
        verify_ms=ms.get("verifying", 0.0),
        phone_ms=sizes.thought_s * 1000,
        end_ms=_end_ms(heard, ear_began, began + visit.seconds),
    )
    return run, listened(way, heard, sizes.request, sizes.response, lookout)


async def visit_bare(rig: Rig, bare: Program, way: Way, like: Run) -> tuple[Run, dict[str, Any]]:
    """Have the bare program move as many bytes as one of our runs did."""
    answer = await _raw(rig, bare, way, like.request, like.response)
    ms = answer["ms"]
    run = Run(
        way=way,
        who="bare",
        size=like.size,
        request=like.request,
        response=like.response,
        connect_ms=ms["link"] + ms["start"],
        exchange_ms=ms["request"] + ms["response"],
        end_ms=answer["end_ms"],
    )
    return run, answer["calls"]


async def count_calls(rig: Rig, counting: Program, way: Way, like: Run) -> dict[str, dict[str, int]]:
    """Return the D-Bus calls of our driver and transport a phase."""
    answer = await _raw(rig, counting, way, like.request, like.response)
    calls: dict[str, dict[str, int]] = answer["calls"]
    return calls


async def _raw(rig: Rig, running: Program, way: Way, request: int, response: int) -> dict[str, Any]:
    service, ident = random_uuid(), secrets.token_bytes(16)
    command = {"way": way.value, "service": str(service), "ident": ident.hex(), "psm": PSM, "request": request}
    with Ear(rig.air) as ear:
        ear_began = asyncio.get_running_loop().time()
        async with PhoneRadio(rig.air) as radio:
            phone = asyncio.create_task(_move(radio, service, ident, way, response))
            await asyncio.sleep(0.1 + secrets.randbelow(60) / 1000)
            try:
                await running.ask(command)
                concluded = asyncio.get_running_loop().time()
                answer = await running.answer()
                await asyncio.wait({phone}, timeout=5)
            except RuntimeError as error:
                told = phone.exception() if phone.done() and not phone.cancelled() else "still waiting"
                raise RuntimeError(f"{way}: {error}; the phone: {told!r}; on the air {len(ear.heard)}") from error
            finally:
                phone.cancel()
                await asyncio.wait({phone})
        if answer["response"] != response:
            raise RuntimeError(f"{way}: {answer['response']} bytes came of {response}")
        answer["end_ms"] = _end_ms(ear.heard, ear_began, concluded)
    await asyncio.sleep(_REST_S)
    return answer
