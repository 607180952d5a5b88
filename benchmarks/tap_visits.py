"""Whole presentations by tap: the daemon as a process of its own, lab phones at the far end of its wires.

From the moment the phone is in the field to the lamp. The configuration is the demo's, with the camera beside it that
sees nothing, at one speed of line and air or another; approval takes no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mdoc_reader.lab import certificates, issuer, people
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.lab.camera import CameraScene
from mdoc_reader.lab.demo import CONFIG, Daemon
from mdoc_reader.lab.nfc_behaviour import (
    NEGOTIATED,
    NEGOTIATED_NFC,
    STATIC,
    STATIC_NFC,
    NfcOffer,
    TapBehaviour,
)
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.phone_app import Manner
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_app import tap_and_present
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.lab.wallet import Wallet, WalletSession
from mdoc_reader.lab.wallet_behaviour import WalletBehaviour
from mdoc_reader.lab.wallet_response import Holding
from mdoc_reader.mdoc.request import DeviceRequest
from tap_figures import Visit

SMALL, LARGE = 1000, 20_000
STATIC_TO_NFC, NEGOTIATED_TO_NFC = "static handover, NFC", "negotiated handover, NFC"
STATIC_TO_BLE, NEGOTIATED_TO_BLE = "static handover, Bluetooth", "negotiated handover, Bluetooth"
WAYS: dict[str, TapBehaviour] = {
    STATIC_TO_NFC: STATIC_NFC,
    NEGOTIATED_TO_NFC: NEGOTIATED_NFC,
    STATIC_TO_BLE: STATIC,
    NEGOTIATED_TO_BLE: NEGOTIATED,
}
LONG_WAY = STATIC_TO_NFC + ", extended lengths"
EXTENDED = TapBehaviour(carriers=(NfcOffer(65535, 65536),))
SETTINGS = ((106, 115200), (424, 921600))
_AT_ONCE = Manner(consent_s=0.0)
_OVERHEAD = 2400  # of an answer without its portrait: what the signed document and the proofs take
_FASTER = 0x33
_VISIT_S, _START_S = 40.0, 30.0


class CountingWallet(Wallet):
    """Notes how long its answer was, and how long it took to make."""

    response = 0

    def reply(self, begun: WalletSession, request: DeviceRequest, behaviour: WalletBehaviour | None = None) -> bytes:
        """Answer."""
        message = super().reply(begun, request, behaviour)
        self.response = len(message)
        return message


@dataclass
class _Stage:
    """One daemon, and everything around it."""

    daemon: Daemon
    air: Air
    field: RfField
    chip: Pn532Chip
    signer: certificates.Credential
    rate: int
    baud: int

    def wallet(self, size: int) -> CountingWallet:
        """A grown-up whose answer has about `size` bytes; the portrait is noise: no byte is like another."""
        today = certificates.now().date()
        key = issuer.generate_device_key("P-256")
        portrait = secrets.token_bytes(max(size - _OVERHEAD, 40))
        elements = people.mdl_elements(people.adult(today), today, portrait_jpeg=portrait)
        signed = certificates.now() - timedelta(days=1)
        document = issuer.issue(self.signer, key.public_key(), people.MDL_DOCTYPE, elements, signed=signed)
        return CountingWallet([Holding(document, key)])

    async def visit(self, way: str, size: int) -> Visit:
        """Hold a phone to the reader until it has decided."""
        wallet = self.wallet(size)
        phone = TapPhone(wallet, EXTENDED if way == LONG_WAY else WAYS[way])
        card = Picc(phone, ta=_FASTER)
        await self.daemon.idle()
        await asyncio.sleep(0.3 + secrets.randbelow(100) / 1000)
        async with PhoneRadio(self.air) as radio:
            playing = asyncio.create_task(tap_and_present(radio, phone, _AT_ONCE))
            try:
                floor, put = self.chip.spent.floor_s, time.monotonic()
                self.field.put(card)
                async with asyncio.timeout(_VISIT_S):
                    event = await self.daemon.concluded.get()
                floor = self.chip.spent.floor_s - floor
            finally:
                self.field.take(card)
                playing.cancel()
                await asyncio.wait({playing}, timeout=5)
        phases, light = event["phases"], event["decided_to_light_ms"]
        if event["outcome"] != "granted" or not isinstance(phases, list) or not isinstance(light, float):
            raise SystemExit(f"{way}: {event}")
        decided = (float(str(event["at"])) - put) * 1000
        return Visit(
            way=way,
            rate=self.rate,
            baud=self.baud,
            response=wallet.response,
            engaged_ms=decided - sum(float(ms) for name, ms in phases if name != "engaged"),
            decided_ms=decided,
            light_ms=decided + light,
            floor_ms=floor * 1000,
        )


@contextlib.asynccontextmanager
async def _standing(runtime: Path, rate: int, baud: int) -> AsyncIterator[_Stage]:
    """Start the daemon and the lab around it."""
    text = CONFIG.read_text()
    for setting, instead in (
        ("options.max_rate = 424", f"options.max_rate = {rate}\noptions.baud = {baud}"),
        # The demo has a phone that falls silent, and no patience with it. Where one response holds the whole answer,
        # the wait for approval ends with its last octet.
        ("consent = 4", "consent = 30"),
        ("receiving = 4", "receiving = 30"),
        ("total = 20", "total = 60"),
    ):
        assert setting in text
        text = text.replace(setting, instead)
    config = runtime / "door.toml"
    config.write_text(text)
    iaca, reader = certificates.make_iaca(), certificates.make_reader(certificates.make_reader_ca())
    (runtime / "anchors").mkdir()
    (runtime / "anchors" / "iaca.pem").write_bytes(iaca.pem)
    (runtime / "reader.chain.pem").write_bytes(reader.pem)
    key = runtime / "reader.key.pem"
    key.touch(0o600)
    key.write_bytes(reader.key_pem)
    async with contextlib.AsyncExitStack() as stack:
        air = await stack.enter_async_context(Air())
        await air.listen(runtime / "hci.sock")
        scene = CameraScene(runtime / "camera.sock")
        stack.push_async_callback(scene.close)
        await scene.start()
        field = RfField()
        chip = stack.enter_context(Pn532Chip(field, path=runtime / "nfc"))
        await stack.enter_async_context(Bench(runtime / "pins.sock"))
        daemon = await stack.enter_async_context(Daemon.started(config, runtime, runtime / "reader.log"))
        async with asyncio.timeout(_START_S):
            await daemon.idle()
        yield _Stage(daemon, air, field, chip, certificates.make_document_signer(iaca), rate, baud)


async def _visits(rounds: int, say: Callable[[str], None], *, quick: bool) -> list[Visit]:
    found: list[Visit] = []
    for rate, baud in SETTINGS[:1] if quick else SETTINGS:
        with tempfile.TemporaryDirectory(prefix="tap-bench-") as folder:
            async with _standing(Path(folder), rate, baud) as stage:
                for number in range(rounds):
                    for way in WAYS if quick else (*WAYS, LONG_WAY):
                        found += [await stage.visit(way, size) for size in ((SMALL,) if quick else (SMALL, LARGE))]
                    say(f"tap to light, {rate} at {baud}, round {number + 1} of {rounds}")
    return found


def measure(rounds: int, say: Callable[[str], None], *, quick: bool = False) -> list[Visit]:
    """Play all ways in turns, in `rounds` rounds for each speed."""
    return asyncio.run(_visits(rounds, say, quick=quick))
