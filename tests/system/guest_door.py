"""The reader's daemon in a guest with a real bluetoothd, and phones outside on the simulated air."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from guest_machine import vm

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.phone_app import Manner, Mode, offer, present
from mdoc_reader.lab.phone_behaviour import ORDINARY, PhoneRadioBehaviour
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.lab.wallet import Engagement, Holding, Wallet

KB = 1000
PSM = 0xC1
AT_ONCE = Manner(consent_s=0.0)
CONFIG = "/tmp/reader.toml"  # noqa: S108 -- in the guest
ANCHORS = "/tmp/anchors.pem"  # noqa: S108 -- in the guest


ASKED = (
    "family_name",
    "given_name",
    "birth_date",
    "issue_date",
    "expiry_date",
    "issuing_country",
    "issuing_authority",
    "document_number",
    "driving_privileges",
    "un_distinguishing_sign",
    "administrative_number",
    "sex",
    "height",
    "weight",
    "eye_colour",
    "hair_colour",
    "birth_place",
    "resident_address",
    "portrait_capture_date",
    "age_in_years",
    "age_birth_year",
    "issuing_jurisdiction",
    "nationality",
    "resident_city",
    "resident_state",
    "resident_postal_code",
    "resident_country",
    "family_name_national_character",
    "given_name_national_character",
    "signature_usual_mark",
)
"""Elements that make a request too long for one chunk of any size."""


def configuration(
    *,
    l2cap: bool = True,
    connecting: int = 20,
    receiving: int = 60,
    message_cap: int = 1048576,
    ahead: bool = False,
    total: int = 90,
    asked: Iterable[str] = (),
) -> str:
    """A product's configuration, with deadlines that suit a test's patience; elements to ask for beside its own."""
    return f"""
[reader]
trust_anchors = ["{ANCHORS}"]

[deadlines]
connecting = {connecting}
requesting = 10
consent = 4
receiving = {receiving}
showing = 0.1
closing = 3
total = {total}

[ble]
message_cap = {message_cap}
l2cap = {str(l2cap).lower()}
advertise_ahead = {str(ahead).lower()}

[bluetooth]
driver = "bluez"
options.longest_pause_s = 2.0

[profile]
name = "over 18"
age_over = 18
required = [["org.iso.18013.5.1", "portrait"]]

[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
portrait = false
{"".join(f"{name} = false{chr(10)}" for name in asked)}"""


@dataclass(frozen=True)
class Way:
    """How a session travels: which modes and PSM the phone offers, and what the reader should call the link."""

    name: str
    mode: Mode
    link: str
    psm: int | None = None
    behaviour: PhoneRadioBehaviour = ORDINARY


WAYS = {
    way.name: way
    for way in (
        Way("phone is server", Mode.PERIPHERAL, "BLE, phone is server"),
        Way("reader is server", Mode.CENTRAL, "BLE, reader is server"),
        Way("L2CAP, PSM engaged", Mode.PERIPHERAL, "BLE L2CAP, phone is server", PSM),
        Way(
            "L2CAP, PSM read",
            Mode.PERIPHERAL,
            "BLE L2CAP, phone is server",
            None,
            PhoneRadioBehaviour(l2cap=True, psm=PSM),
        ),
        Way(
            "L2CAP, reader is server",
            Mode.CENTRAL,
            "BLE L2CAP, reader is server",
            None,
            PhoneRadioBehaviour(l2cap=True),
        ),
    )
}


@dataclass
class Visit:
    """What one visit came to: the daemon's word, and the seconds from showing the code to it."""

    outcome: str
    reasons: list[str]
    transport: str
    phases: list[tuple[str, float]]
    seconds: float
    answered: int
    phone: str
    """What became of the phone: empty where it came to its own end."""

    @property
    def granted(self) -> bool:
        return self.outcome == "granted"


@dataclass
class GuestDoor:
    """A daemon that runs in a guest."""

    guest: vm.Guest
    air: Air
    process: vm.Process
    iaca: certificates.Credential
    signer: certificates.Credential
    events: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    faults: list[dict[str, Any]] = field(default_factory=list)
    phase: str = "idle"
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    fault_changed: asyncio.Event = field(default_factory=asyncio.Event)
    log: list[str] = field(default_factory=list)

    def wallet(self, size: int = 1 * KB) -> Wallet:
        """A grown-up whose answer is about `size` bytes long; its portrait is noise: no byte is like another."""
        today = certificates.now().date()
        key = issuer.generate_device_key("P-256")
        portrait = secrets.token_bytes(max(size - 2200, 40))
        elements = people.mdl_elements(people.adult(today), today, portrait_jpeg=portrait)
        document = issuer.issue(
            self.signer,
            key.public_key(),
            people.MDL_DOCTYPE,
            elements,
            signed=certificates.now() - timedelta(days=1),
        )
        return Wallet([Holding(document, key)])

    async def visit(
        self,
        way: Way,
        size: int = 1 * KB,
        *,
        behaviour: PhoneRadioBehaviour | None = None,
        manner: Manner = AT_ONCE,
        seconds: float = 110.0,
    ) -> Visit:
        """Show a code to the reader and play the phone until the reader is idle again."""
        wallet = self.wallet(size)
        engagement = offer(wallet, way.mode, psm=way.psm)
        async with PhoneRadio(self.air) as radio:
            phone = asyncio.create_task(present(radio, wallet, engagement, manner, behaviour or way.behaviour))
            try:
                return await self.read(engagement, phone, seconds=seconds)
            finally:
                phone.cancel()
                await asyncio.wait({phone}, timeout=5)

    async def read(
        self, engagement: Engagement, phone: asyncio.Task[int] | None = None, *, seconds: float = 110.0
    ) -> Visit:
        """Show a code; return what the daemon says once it is idle again."""
        await self.until_idle()
        while not self.events.empty():
            self.events.get_nowait()
        self.idle.clear()
        began = time.monotonic()
        await self.process.write(engagement.qr_text + "\n")
        try:
            async with asyncio.timeout(seconds):
                record = await self.events.get()
                took = time.monotonic() - began
                await self.idle.wait()
        except TimeoutError:
            raise RuntimeError(f"nothing came of it; phase {self.phase}:\n{self.told()}") from None
        if phone is not None:
            await asyncio.wait({phone}, timeout=3)
        answered, became = _fate(phone)
        return Visit(
            record["outcome"],
            record["reasons"],
            record["transport"],
            [(name, float(ms)) for name, ms in record["phases"]],
            took,
            answered,
            became,
        )

    async def until_idle(self, seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            await self.idle.wait()

    async def until_fault(self, code: str | None, seconds: float = 30.0) -> None:
        """Wait until Bluetooth is away for this reason; None: until it is back."""
        async with asyncio.timeout(seconds):
            while True:
                now = self.faults[-1] if self.faults else {"raised": False, "code": None}
                if (now["code"] if now["raised"] else None) == code:
                    return
                self.fault_changed.clear()
                await self.fault_changed.wait()

    async def listen(self) -> None:
        """Take the daemon's lines as they come."""
        async for stream, text in self.process.lines:
            if stream != "out":
                self.log.append(text)
                continue
            event = json.loads(text)
            kind = event["event"]
            if kind == "concluded":
                self.events.put_nowait(event)
            elif kind == "fault":
                self.faults.append(event)
                self.fault_changed.set()
            elif kind == "phase":
                self.phase = event["phase"]
            if kind in {"ready", "phase"}:
                self.idle.set() if self.phase == "idle" else self.idle.clear()

    def told(self) -> str:
        """The daemon's last words, for a failing test."""
        return "\n".join(self.log[-60:])


def _fate(phone: asyncio.Task[int] | None) -> tuple[int, str]:
    if phone is None:
        return 0, ""
    if not phone.done():
        return 0, "still there"
    if phone.cancelled():
        return 0, "cancelled"
    error = phone.exception()
    return (phone.result(), "") if error is None else (0, repr(error))


@contextlib.asynccontextmanager
async def daemon(guest: vm.Guest, air: Air, config: str, *, wait_idle: bool = True) -> AsyncIterator[GuestDoor]:
    """Run the daemon in the guest until the context is left."""
    iaca = certificates.make_iaca()
    await guest.write_file(ANCHORS, iaca.pem)
    await guest.write_file(CONFIG, config.encode())
    process = await guest.start(
        ["python3", "-m", "mdoc_reader.app.cli", "run", "--config", CONFIG, "--codes", "-", "--events", "-"]
    )
    door = GuestDoor(guest, air, process, iaca, certificates.make_document_signer(iaca))
    listening = asyncio.create_task(door.listen())
    try:
        try:
            if wait_idle:
                await door.until_idle(60)
        except TimeoutError:
            raise RuntimeError(f"the daemon did not start:\n{door.told()}") from None
        yield door
    finally:
        await process.signal(15)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                await process.wait()
        listening.cancel()
        await asyncio.wait({listening})
