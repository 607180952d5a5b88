"""A reader with real Bluetooth on the simulated air, without camera and panel hardware."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mdoc_reader.drivers import bumble_radio
from mdoc_reader.lab import certificates, people
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.phone_app import Manner, Mode, offer, present
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.mdoc.request import ItemsRequest, ReaderIdentity
from mdoc_reader.model.decision import Decision
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.policy.profile import Profile, Question
from mdoc_reader.reader.armed import ArmedService
from mdoc_reader.reader.engine import Engine, PresentationRecord
from mdoc_reader.reader.keypool import KeyPool
from mdoc_reader.reader.machine import Deadlines, Phase
from mdoc_reader.reader.presentation import Equipment
from mdoc_reader.transport.ble import BleLimits
from mdoc_reader.trust import anchors
from mdoc_reader.verification.certificate import SignerCache

QUICK = Deadlines(
    connecting=8, requesting=4, consent=2, receiving=1.5, verifying=2, showing=0.15, closing=1.5, total=12
)
ASKED = Question.of(ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"age_over_18": False, "portrait": False}}))
AT_ONCE = Manner(consent_s=0.01)
OVER_18 = Profile("over 18", (ASKED,), age_over=18)


@dataclass
class Panel:
    """Remembers what it was told."""

    signs: list[tuple[float, Sign]] = field(default_factory=list)
    grants: list[Decision] = field(default_factory=list)
    last_light: float | None = None

    def signal(self, sign: Sign, parts: tuple[str, ...] = (), by: tuple[By, ...] = ()) -> None:
        self.last_light = time.monotonic()
        self.signs.append((self.last_light, sign))

    def grant(self, decision: Decision) -> None:
        self.grants.append(decision)


@dataclass
class Watcher:
    """Remembers what happened."""

    concluded: asyncio.Queue[PresentationRecord] = field(default_factory=asyncio.Queue)
    phases: list[tuple[float, Phase]] = field(default_factory=list)

    def on_phase(self, at: float, presentation: int, phase: Phase) -> None:
        self.phases.append((at, phase))

    def on_concluded(self, record: PresentationRecord) -> None:
        self.concluded.put_nowait(record)

    def on_fault(self, at: float, part: str, code: ReasonCode | None, *, raised: bool) -> None:
        pass


@dataclass
class Door:
    """The reader under test, and everything around it."""

    engine: Engine
    panel: Panel
    watcher: Watcher
    air: Air
    iaca: certificates.Credential
    signer: certificates.Credential

    def wallet(self, situation: str) -> Wallet:
        return SITUATIONS[situation].wallet(self.iaca, self.signer)

    async def idle(self) -> None:
        async with asyncio.timeout(20):
            await self.engine.idle.wait()

    async def visit(
        self,
        wallet: Wallet,
        mode: Mode = Mode.BOTH,
        *,
        manner: Manner = AT_ONCE,
        radio_behaviour: PhoneRadioBehaviour | None = None,
        curve: str = "P-256",
    ) -> PresentationRecord:
        """Show a code to the reader and play the phone until the reader is idle again."""
        engagement = offer(wallet, mode, curve)
        async with PhoneRadio(self.air) as radio:
            phone = asyncio.create_task(present(radio, wallet, engagement, manner, radio_behaviour))
            try:
                self.engine.offer_text(engagement.qr_text, time.monotonic())
                async with asyncio.timeout(20):
                    record = await self.watcher.concluded.get()
                await asyncio.sleep(0.01)
                await self.idle()
            finally:
                phone.cancel()
                await asyncio.wait({phone}, timeout=5)
        return record


Play = Callable[[Door], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def standing(
    folder: Path, profile: Profile, identity: ReaderIdentity | None, *, prefer_server: bool, armed: bool = False
) -> AsyncIterator[Door]:
    iaca = certificates.make_iaca()
    trusted, _ = anchors.build([("iaca", iaca.der)])
    cache = SignerCache(trusted)
    async with Air() as air:
        await air.listen(folder / "hci.sock")
        radio = await bumble_radio.open_bluetooth(bumble_radio.Options(f"unix:{folder / 'hci.sock'}"))
        ready = asyncio.Event()
        radio.on_availability(lambda available: ready.set() if available else None)
        if not radio.available:
            async with asyncio.timeout(10):
                await ready.wait()
        equipment = Equipment(
            profile,
            radio,
            KeyPool(),
            lambda: cache,
            lambda: datetime.now(UTC),
            time.monotonic,
            identity,
            prefer_server,
            armed=ArmedService(radio, BleLimits()) if armed else None,
        )
        panel, watcher = Panel(), Watcher()
        engine = Engine(equipment, panel, QUICK, [watcher])
        running = asyncio.create_task(engine.run())
        try:
            yield Door(engine, panel, watcher, air, iaca, certificates.make_document_signer(iaca))
        finally:
            running.cancel()
            await asyncio.wait({running})
            await radio.close()
