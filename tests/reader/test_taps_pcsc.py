"""A tap on a USB reader: the daemon's own parts on the real smart card service, a lab phone as the card in its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from reader_door import AT_ONCE, Door

from mdoc_reader.drivers import pcsc_device
from mdoc_reader.engagement.tap import TapCode
from mdoc_reader.engagement.tapper import Tapper, TapperLimits
from mdoc_reader.lab.nfc_behaviour import NEGOTIATED, STATIC, STATIC_NFC, TapBehaviour
from mdoc_reader.lab.nfc_others import BankCard
from mdoc_reader.lab.pcsc_card import MIFARE_CLASSIC, VirtualCard
from mdoc_reader.lab.pcsc_daemon import PcscDaemon, claim
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_app import tap_and_present
from mdoc_reader.lab.phone_radio import PhoneRadio
from mdoc_reader.model.decision import Outcome
from mdoc_reader.reader.engine import PresentationRecord
from mdoc_reader.reader.taps import Said, Taps

claim()
pytestmark = pytest.mark.skipif(bool(PcscDaemon.missing()), reason=PcscDaemon.missing())


async def served(door: Door, card: VirtualCard, phone: TapPhone | None = None) -> PresentationRecord:
    """Put a card into the slot until the reader has decided."""
    async with PhoneRadio(door.air) as radio:
        playing = None if phone is None else asyncio.create_task(tap_and_present(radio, phone, AT_ONCE))
        await asyncio.to_thread(card.put)
        try:
            async with asyncio.timeout(20):
                record = await door.watcher.concluded.get()
        finally:
            await asyncio.to_thread(card.take)
            if playing is not None:
                playing.cancel()
                await asyncio.wait({playing}, timeout=5)
        await door.idle()
    await asyncio.sleep(1.2)  # the service looks for cards every 0.4 s, and the reader wants it gone twice
    return record


def test_phones_and_cards_in_a_usb_reader(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        daemon = PcscDaemon()
        await asyncio.to_thread(daemon.start)
        slot = daemon.ports[0] + 1
        taps = Taps(door.engine.equipment, door.engine, transfer=True)
        tapper: Tapper[Said] = Tapper(
            lambda: pcsc_device.open_nfc(pcsc_device.Options()),
            taps.engage,
            taps.on_tap,
            taps.on_refused,
            limits=TapperLimits(period_s=0.05, watch_period_s=0.1),
        )
        door.engine.on_receptive(lambda receptive: tapper.resume() if receptive else tapper.pause())
        tapper.start()
        try:
            behaviours: list[tuple[TapBehaviour, str]] = [(STATIC, "BLE"), (NEGOTIATED, "BLE"), (STATIC_NFC, "NFC")]
            for behaviour, transport in behaviours:
                phone = TapPhone(door.wallet("adult"), behaviour)
                record = await served(door, VirtualCard(phone, port=slot), phone)
                assert record.decision.outcome is Outcome.GRANTED, (behaviour, record)
                assert record.transport.startswith(transport)
            bank = await served(door, VirtualCard(BankCard(), uid=bytes.fromhex("04a1b2c3"), port=slot))
            assert bank.decision.reasons == (TapCode.BANK_CARD,)
            transit = await served(door, VirtualCard(None, atr=MIFARE_CLASSIC, port=slot))
            assert transit.decision.reasons == (TapCode.NOT_A_PHONE,)
        finally:
            await tapper.close()
            await asyncio.to_thread(daemon.stop)

    at_the_door(play, armed=True)
