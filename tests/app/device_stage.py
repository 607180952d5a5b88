"""The daemon as a process: a simulated panel and display around it, real Bluetooth frames, and codes typed to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from mdoc_reader.lab import certificates
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.lab.phone_app import Manner, Mode, offer, present
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.lab.wallet import Wallet

Told = dict[str, object]

COMMON = """
[reader]
name = "under test"
product = false
trust_anchors = ["{runtime}/iaca.pem"]

[trust]
clock = "kept"

[bluetooth]
driver = "bumble"
options.transport = "unix:{runtime}/hci.sock"

[pins]
driver = "simulated"
options.wire = "{runtime}/pins.sock"

[display]
driver = "simulated"
options.folder = "{runtime}/display"
options.size = "240x240"
options.colour = true
"""


@dataclass
class Device:
    """A running reader, and what it told so far."""

    process: asyncio.subprocess.Process
    air: Air
    bench: Bench
    folder: Path
    iaca: certificates.Credential
    signer: certificates.Credential
    told: list[Told] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def screen(self) -> Path:
        return self.folder / "display" / "latest.png"

    async def listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            async with self.changed:
                self.told.append(json.loads(line))
                self.changed.notify_all()
        async with self.changed:
            self.told.append({"event": "gone"})
            self.changed.notify_all()

    async def until(self, event: str, *, seconds: float = 20, **values: object) -> Told:
        """Wait for an event not waited for before; those before it are passed over."""

        def found() -> int | None:
            for place, told in enumerate(self.told):
                assert told["event"] != "gone" or event == "gone", "the reader ended"
                if told["event"] == event and all(told.get(key) == value for key, value in values.items()):
                    return place
            return None

        async with asyncio.timeout(seconds), self.changed:
            while (place := found()) is None:
                await self.changed.wait()
            wanted = self.told[place]
            del self.told[: place + 1]
            return wanted

    @contextlib.asynccontextmanager
    async def visitor(self, wallet: Wallet) -> AsyncIterator[None]:
        """Somebody types the code of a phone, and the phone plays its part."""
        engagement = offer(wallet, Mode.PERIPHERAL)
        async with PhoneRadio(self.air) as radio:
            phone = asyncio.create_task(present(radio, wallet, engagement, Manner(0.01)))
            assert self.process.stdin is not None
            self.process.stdin.write(engagement.qr_text.encode() + b"\n")
            try:
                yield
            finally:
                phone.cancel()
                await asyncio.wait({phone})


@contextlib.asynccontextmanager
async def device(folder: Path, settings: str) -> AsyncIterator[Device]:
    """Start a reader by these settings; it ends well, or the test fails."""
    config = folder / "reader.toml"
    config.write_text(COMMON + settings)
    iaca = certificates.make_iaca()
    (folder / "iaca.pem").write_bytes(iaca.pem)
    async with Air() as air, Bench(folder / "pins.sock") as bench, contextlib.AsyncExitStack() as stack:
        await air.listen(folder / "hci.sock")
        log = stack.enter_context((folder / "log").open("wb"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mdoc_reader.app.cli", "run", "--config", str(config)),
            *("--codes", "-", "--events", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, "RUNTIME_DIRECTORY": str(folder), "STATE_DIRECTORY": str(folder)},
        )
        reader = Device(process, air, bench, folder, iaca, certificates.make_document_signer(iaca))
        listening = asyncio.create_task(reader.listen())
        try:
            await reader.until("ready")
            yield reader
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await listening
