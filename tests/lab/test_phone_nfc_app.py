"""A lab phone that is tapped and goes on over its Bluetooth, or stays on NFC: as its app plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from nfc_client import SELECT_TRANSFER, Client, command
from nfc_session import END, Reader

from mdoc_reader.drivers import bumble_radio
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.certificates import make_document_signer, make_iaca
from mdoc_reader.lab.nfc_behaviour import (
    NEGOTIATED,
    NEGOTIATED_NFC,
    NEGOTIATED_PERIPHERAL,
    STATIC,
    STATIC_BOTH,
    STATIC_CENTRAL,
    STATIC_NFC,
    BleOffer,
    NfcOffer,
    Offer,
    TapBehaviour,
    TransferBehaviour,
)
from mdoc_reader.lab.phone_app import Manner
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_app import tap_and_present
from mdoc_reader.lab.phone_radio import PhoneRadio, random_uuid
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.mdoc import handover, handover_request, session
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.transport.ble import BleLimits, connect_to_peripheral, serve_for_central
from mdoc_reader.transport.ports import BleRadio, Link

QUICK = BleLimits(close_grace_s=0.2, start_grace_s=0.5, retry_pause_s=0.05)
SOON = Manner(consent_s=0.01)
IACA = make_iaca()
WALLET = SITUATIONS["adult"].wallet(IACA, make_document_signer(IACA))
EITHER = TapBehaviour((BleOffer(), NfcOffer()))
Visit = Callable[[BleRadio, TapPhone], Coroutine[Any, Any, None]]
Runner = Callable[[Coroutine[Any, Any, Any]], Any]


def touch(phone: TapPhone, request: bytes) -> handover.HandoverSelect:
    """Tap, in the thread of whatever holds the card, and take the phone away."""
    client = Client(phone)
    if phone.behaviour.negotiates is None:
        client.open()
        select = handover.parse_select(client.message())
    else:
        select = handover.parse_select(client.negotiate(request))
    phone.on_deselected()
    return select


async def play(folder: Path, behaviour: TapBehaviour, visit: Visit) -> int:
    """Put a phone and a reader side by side; return how many requests the phone answered."""
    phone = TapPhone(WALLET, behaviour)
    async with Air() as air, PhoneRadio(air) as phone_radio, asyncio.timeout(60):
        await air.listen(folder / "hci")
        options = bumble_radio.Options(transport=f"unix:{folder / 'hci'}", longest_pause_s=0.5)
        radio = await bumble_radio.open_bluetooth(options)
        there = asyncio.Event()
        radio.on_availability(lambda available: there.set() if available else None)
        if not radio.available:
            await there.wait()
        playing = asyncio.create_task(tap_and_present(phone_radio, phone, SOON))
        try:
            await visit(radio, phone)
            return await playing
        finally:
            playing.cancel()
            await asyncio.wait((playing,))
            await radio.close()


@pytest.mark.parametrize("behaviour", [STATIC, STATIC_CENTRAL, STATIC_BOTH, NEGOTIATED, NEGOTIATED_PERIPHERAL, EITHER])
def test_a_tap_that_goes_on_over_bluetooth(behaviour: TapBehaviour, tmp_path: Path, run: Runner) -> None:
    async def visit(radio: BleRadio, phone: TapPhone) -> None:
        uuid = random_uuid()
        request = handover_request.build(b"ab", uuid=uuid)
        said = await asyncio.to_thread(touch, phone, request)
        negotiated = behaviour.negotiates is not None
        (ble, *_) = [method for method in said.methods if isinstance(method, BleMethod)]
        ident = session.ble_ident(said.engagement.e_device_key_bytes)
        link: Link
        if ble.central_client:
            server = await serve_for_central(radio, uuid if negotiated else _named(ble), ident, limits=QUICK)
            link = await server.accepted()
        else:
            link = await connect_to_peripheral(radio, _named(ble), limits=QUICK)
        reader = Reader(said, request if negotiated else None)
        await link.send(reader.establish("family_name"))
        assert reader.read(await link.receive()) == {"family_name"}
        await link.send(END)
        await link.close()
        if ble.central_client:
            await server.close()

    assert run(play(tmp_path, behaviour, visit)) == 1


@pytest.mark.parametrize("behaviour", [STATIC_NFC, NEGOTIATED_NFC, EITHER])
def test_a_tap_that_stays_on_nfc(behaviour: TapBehaviour, tmp_path: Path, run: Runner) -> None:
    def stay(phone: TapPhone) -> None:
        client = Client(phone)
        request = None if behaviour.negotiates is None else handover_request.build(b"ab", uuid=random_uuid())
        if request is None:
            client.open()
        said = handover.parse_select(client.message() if request is None else client.negotiate(request))
        client.done(SELECT_TRANSFER)
        reader = Reader(said, request)
        for identifier in ("family_name", "given_name"):
            message = reader.establish(identifier) if identifier == "family_name" else reader.again(identifier)
            assert reader.read(client.deliver(message)) == {identifier}
        client.deliver(END)

    async def visit(radio: BleRadio, phone: TapPhone) -> None:
        await asyncio.to_thread(stay, phone)

    assert run(play(tmp_path, behaviour, visit)) == 2


@pytest.mark.parametrize("carriers", [(NfcOffer(),), (NfcOffer(), BleOffer())])
def test_a_phone_that_needs_a_second_tap(carriers: tuple[Offer, ...], tmp_path: Path, run: Runner) -> None:
    def once(phone: TapPhone) -> int:
        client = Client(phone)
        client.open()
        reader = Reader(handover.parse_select(client.message()))
        client.done(SELECT_TRANSFER)
        message = reader.establish("age_over_18")
        whole = b"\x53\x81" + bytes((len(message),)) + message
        sw = client.send(command(0, 0xC3, whole, 256))[1]
        phone.on_deselected()
        return sw

    async def visit(radio: BleRadio, phone: TapPhone) -> None:
        assert await asyncio.to_thread(once, phone) == 0x6985
        phone.approve()
        assert await asyncio.to_thread(once, phone) == 0x6100

    transfer = TransferBehaviour(consent_s=None, needs_second_tap=True)
    assert run(play(tmp_path, TapBehaviour(carriers, transfer=transfer), visit)) == 1


def test_a_phone_taken_away_before_it_was_asked_anything(tmp_path: Path, run: Runner) -> None:
    async def visit(radio: BleRadio, phone: TapPhone) -> None:
        await asyncio.to_thread(touch, phone, b"")

    assert run(play(tmp_path, STATIC_NFC, visit)) == 0


def _named(ble: BleMethod) -> UUID:
    uuid = ble.central_uuid or ble.peripheral_uuid
    assert uuid is not None
    return uuid
