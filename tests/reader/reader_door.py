"""A reader with real Bluetooth on the simulated air and the real driver of an emulated PN532; no camera, no panel."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from dataclasses import field as having
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mdoc_reader.drivers import bumble_radio, disabled_bluetooth, pn532_device
from mdoc_reader.engagement.tapper import Tapper, TapperLimits
from mdoc_reader.lab import certificates, people
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import FieldCard, RfField
from mdoc_reader.lab.phone_app import Manner, Mode, offer, present
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_app import tap_and_present
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.mdoc.engagement import Capabilities
from mdoc_reader.mdoc.request import ItemsRequest, ReaderIdentity
from mdoc_reader.model.decision import Decision
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.ports import Picture
from mdoc_reader.policy.profile import Profile, Question
from mdoc_reader.policy.rule import Rule
from mdoc_reader.reader.armed import ArmedService
from mdoc_reader.reader.engine import Engine, PresentationRecord
from mdoc_reader.reader.keypool import KeyPool
from mdoc_reader.reader.phases import Deadlines, Phase
from mdoc_reader.reader.presentation import Equipment
from mdoc_reader.reader.taps import Said, Taps
from mdoc_reader.transport.ble import BleLimits
from mdoc_reader.trust import anchors
from mdoc_reader.trust.clock import Moment
from mdoc_reader.verification.certificate import SignerCache

QUICK = Deadlines(
    connecting=8, requesting=4, consent=2, receiving=1.5, verifying=2, showing=0.15, closing=1.5, total=12
)
ASKED = Question.of(ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"age_over_18": False, "portrait": False}}))
AT_ONCE = Manner(consent_s=0.01)
OVER_18 = Profile("over 18", (ASKED,), Rule.parse("age_over(18)"))


@dataclass
class Panel:
    """Remembers what it was told."""

    signs: list[tuple[float, Sign]] = having(default_factory=list)
    grants: list[Decision] = having(default_factory=list)
    portraits: list[tuple[int, int]] = having(default_factory=list)
    last_light: float | None = None

    def signal(self, sign: Sign, parts: tuple[str, ...] = (), by: tuple[By, ...] = ()) -> None:
        self.last_light = time.monotonic()
        self.signs.append((self.last_light, sign))

    def grant(self, decision: Decision) -> None:
        self.grants.append(decision)

    def show_holder(self, picture: Picture) -> None:
        self.last_light = time.monotonic()
        self.portraits.append((picture.width, picture.height))


@dataclass
class Watcher:
    """Remembers what happened."""

    concluded: asyncio.Queue[PresentationRecord] = having(default_factory=asyncio.Queue)
    phases: list[tuple[float, Phase]] = having(default_factory=list)

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
    antenna: Antenna | None = None

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
        capabilities: Capabilities | None = None,
    ) -> PresentationRecord:
        """Show a code to the reader and play the phone until the reader is idle again."""
        engagement = offer(wallet, mode, curve, capabilities=capabilities)
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

    async def tap(
        self,
        phone: TapPhone,
        *,
        manner: Manner = AT_ONCE,
        radio_behaviour: PhoneRadioBehaviour | None = None,
        card: Picc | None = None,
    ) -> PresentationRecord:
        """Hold a phone to the reader and play it until the reader has decided; then take it away."""
        assert self.antenna is not None
        picc = card or Picc(phone)
        field = self.antenna.field
        async with PhoneRadio(self.air) as radio:
            playing = asyncio.create_task(tap_and_present(radio, phone, manner, radio_behaviour))
            try:
                field.put(picc)
                async with asyncio.timeout(20):
                    record = await self.watcher.concluded.get()
            finally:
                field.take(picc)
                playing.cancel()
                await asyncio.wait({playing}, timeout=5)
            await self.idle()
        await self.antenna.empty()
        assert picc.complaints == []
        return record

    async def put(self, thing: FieldCard) -> PresentationRecord:
        """Hold something else to the reader until it has been told of; then take it away."""
        assert self.antenna is not None
        self.antenna.field.put(thing)
        async with asyncio.timeout(10):
            record = await self.watcher.concluded.get()
        self.antenna.field.take(thing)
        await self.idle()
        await self.antenna.empty()
        return record


@dataclass
class Antenna:
    """The front end of a door: an emulated chip with a field, and what owns its real driver."""

    field: RfField
    chip: Pn532Chip
    tapper: Tapper[Said] | None = None

    async def empty(self) -> None:
        """Wait until the reader looks for new phones again."""
        assert self.tapper is not None
        looks = self.tapper.looks
        async with asyncio.timeout(10):
            while self.tapper.looks <= looks:  # noqa: ASYNC110 -- it tells nobody, nobody needs to know
                await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Nfc:
    """What kind of front end a door has."""

    transfer: bool = True
    first: bool = False
    max_rate: Literal[106, 212, 424] = 106
    ecp: bool = True
    bluetooth: bool = True


Play = Callable[[Door], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def standing(
    folder: Path,
    profile: Profile,
    identity: ReaderIdentity | None,
    *,
    prefer_server: bool,
    armed: bool = False,
    nfc: Nfc | None = None,
) -> AsyncIterator[Door]:
    iaca = certificates.make_iaca()
    trusted, _ = anchors.build([("iaca", iaca.der)])
    cache = SignerCache(trusted)
    async with Air() as air:
        await air.listen(folder / "hci.sock")
        if nfc is not None and not nfc.bluetooth:
            radio = await disabled_bluetooth.open_bluetooth(disabled_bluetooth.Options())
        else:
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
            lambda: Moment(datetime.now(UTC)),
            time.monotonic,
            identity,
            prefer_server,
            armed=ArmedService(radio, BleLimits()) if armed or nfc else None,
            nfc_first=nfc is not None and nfc.first,
        )
        panel, watcher = Panel(), Watcher()
        limits = QUICK if nfc is None else replace(QUICK, receiving=8)  # NFC is slow
        engine = Engine(equipment, panel, limits, [watcher])
        running = asyncio.create_task(engine.run())
        door = Door(engine, panel, watcher, air, iaca, certificates.make_document_signer(iaca))
        try:
            async with contextlib.AsyncExitStack() as stack:
                if nfc is not None:
                    door.antenna = await stack.enter_async_context(listening(equipment, engine, nfc))
                yield door
        finally:
            running.cancel()
            await asyncio.wait({running})
            await radio.close()


@contextlib.asynccontextmanager
async def listening(equipment: Equipment, engine: Engine, nfc: Nfc) -> AsyncIterator[Antenna]:
    """Put a front end at the door, as the daemon does."""
    field = RfField()
    with Pn532Chip(field) as chip:
        antenna = Antenna(field, chip)
        options = pn532_device.Options(path=str(chip.port), max_rate=nfc.max_rate, ecp=nfc.ecp)
        taps = Taps(equipment, engine, transfer=nfc.transfer)
        tapper = Tapper(
            lambda: pn532_device.open_nfc(options),
            taps.engage,
            taps.on_tap,
            taps.on_refused,
            limits=TapperLimits(period_s=0.05, watch_period_s=0.05),
        )
        antenna.tapper = tapper
        engine.on_receptive(lambda receptive: tapper.resume() if receptive else tapper.pause())
        tapper.start()
        try:
            if equipment.armed is not None and nfc.bluetooth:
                async with asyncio.timeout(10):
                    while equipment.armed.uuid is None:  # noqa: ASYNC110 -- it tells nobody, nobody needs to know
                        await asyncio.sleep(0.01)
            await antenna.empty()
            yield antenna
        finally:
            await tapper.close()
