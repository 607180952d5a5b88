"""Whole presentations that begin with a tap: real driver, emulated chip, lab phone; then Bluetooth or NFC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
from reader_door import Door, Nfc

from mdoc_reader.engagement.tap import TapCode
from mdoc_reader.lab.nfc_behaviour import (
    STATIC,
    BleOffer,
    Choice,
    LeRole,
    NegotiationBehaviour,
    NfcOffer,
    Psm,
    TapBehaviour,
    TransferBehaviour,
)
from mdoc_reader.lab.nfc_card import ECP_IDENTITY, Picc
from mdoc_reader.lab.nfc_field import FieldCard
from mdoc_reader.lab.nfc_foreign import FeliCa, Mifare
from mdoc_reader.lab.nfc_others import BankCard, NdefSticker, Passport
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.sign import Sign
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.reader.engine import PresentationRecord
from mdoc_reader.transport.ports import LinkCode

NFC_ONLY = TapBehaviour(carriers=(NfcOffer(),))
BOTH = TapBehaviour(carriers=(BleOffer(LeRole.CENTRAL), NfcOffer()))


def granted(record: PresentationRecord) -> None:
    assert record.decision.outcome is Outcome.GRANTED, record.decision
    assert record.decision.reasons == (RuleCode.RULE_MET,)


def negotiating(*choices: Choice, **more: object) -> TapBehaviour:
    return TapBehaviour(negotiates=replace(NegotiationBehaviour(prefers=choices), **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", list(LeRole))
def test_static_handover_then_bluetooth(at_the_door: Callable[..., None], role: LeRole) -> None:
    async def play(door: Door) -> None:
        phone = TapPhone(door.wallet("adult"), TapBehaviour(carriers=(BleOffer(role),)))
        record = await door.tap(phone)
        granted(record)
        assert record.transport.startswith("BLE")
        assert [sign for _, sign in door.panel.signs][-4:] == [
            Sign.HOLD_STILL,
            Sign.CHECKING,
            Sign.GRANTED,
            Sign.READY,
        ]

    at_the_door(play, nfc=Nfc())


@pytest.mark.parametrize("form", list(Psm))
def test_static_handover_then_l2cap(at_the_door: Callable[..., None], form: Psm) -> None:
    async def play(door: Door) -> None:
        offer = BleOffer(LeRole.PERIPHERAL, psm=0x81, psm_as=form)
        record = await door.tap(TapPhone(door.wallet("adult"), TapBehaviour(carriers=(offer,))))
        granted(record)
        assert record.transport == "BLE L2CAP, phone is server"

    at_the_door(play, nfc=Nfc())


@pytest.mark.parametrize("choice", [Choice.CENTRAL, Choice.PERIPHERAL, Choice.BOTH])
def test_negotiated_handover_then_bluetooth(at_the_door: Callable[..., None], choice: Choice) -> None:
    async def play(door: Door) -> None:
        for _ in range(2):  # each tap is promised a fresh UUID
            record = await door.tap(TapPhone(door.wallet("adult"), negotiating(choice)))
            granted(record)
            assert record.transport.startswith("BLE")

    at_the_door(play, nfc=Nfc())


@pytest.mark.parametrize("max_rate", [106, 424])
@pytest.mark.parametrize("limits", [NfcOffer(), NfcOffer(max_command=1024, max_response=4096)])
def test_nfc_to_the_end(at_the_door: Callable[..., None], max_rate: Literal[106, 424], limits: NfcOffer) -> None:
    async def play(door: Door) -> None:
        phone = TapPhone(door.wallet("adult"), TapBehaviour(carriers=(limits,)))
        record = await door.tap(phone, card=Picc(phone, ta=0x33))
        granted(record)
        assert record.transport == "NFC"
        assert Sign.APPROVE_HERE in [sign for _, sign in door.panel.signs]

    at_the_door(play, nfc=Nfc(max_rate=max_rate))


def test_negotiated_for_nfc(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        record = await door.tap(TapPhone(door.wallet("adult"), negotiating(Choice.NFC)))
        granted(record)
        assert record.transport == "NFC"

    at_the_door(play, nfc=Nfc())


def test_of_both_bluetooth_carries_while_it_is_there(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        record = await door.tap(TapPhone(door.wallet("adult"), BOTH))
        granted(record)
        assert record.transport.startswith("BLE")

    at_the_door(play, nfc=Nfc())


@pytest.mark.parametrize("nfc", [Nfc(first=True), Nfc(bluetooth=False)])
def test_of_both_nfc_carries_where_it_is_wanted_or_alone(at_the_door: Callable[..., None], nfc: Nfc) -> None:
    async def play(door: Door) -> None:
        record = await door.tap(TapPhone(door.wallet("adult"), BOTH))
        granted(record)
        assert record.transport == "NFC"

    at_the_door(play, nfc=nfc)


def test_no_way_that_both_have(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        phone = TapPhone(door.wallet("adult"), NFC_ONLY)
        record = await door.put(Picc(phone))
        assert record.decision.reasons == (TapCode.NO_COMMON_METHOD,)

    at_the_door(play, nfc=Nfc(transfer=False))


def test_a_minor_is_refused_over_nfc_too(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        record = await door.tap(TapPhone(door.wallet("minor"), NFC_ONLY))
        assert record.decision.outcome is Outcome.REFUSED
        record = await door.tap(TapPhone(door.wallet("replayed"), NFC_ONLY))
        assert record.decision.outcome is Outcome.INVALID
        record = await door.tap(TapPhone(door.wallet("garbage"), NFC_ONLY))
        assert record.decision.outcome is Outcome.FAILED
        record = await door.tap(TapPhone(door.wallet("declined"), NFC_ONLY))
        assert record.decision.outcome is Outcome.DECLINED
        assert door.panel.grants == []

    at_the_door(play, nfc=Nfc())


def test_a_phone_that_needs_a_second_tap(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        behaviour = replace(NFC_ONLY, transfer=TransferBehaviour(consent_s=None, needs_second_tap=True))
        phone = TapPhone(door.wallet("adult"), behaviour)
        assert door.antenna is not None
        picc = Picc(phone)
        door.antenna.field.put(picc)
        async with asyncio.timeout(10):
            while Sign.APPROVE_HERE not in [sign for _, sign in door.panel.signs]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        door.antenna.field.take(picc)
        async with asyncio.timeout(10):
            first = await door.watcher.concluded.get()
        assert first.decision.reasons == (LinkCode.LOST,)
        assert door.panel.signs[-1][1] is Sign.TAP_AGAIN
        phone.approve()
        await asyncio.sleep(0.3)
        again = Picc(phone)
        door.antenna.field.put(again)
        async with asyncio.timeout(10):
            second = await door.watcher.concluded.get()
        granted(second)
        assert phone.fields == 2
        door.antenna.field.take(again)
        await door.idle()

    at_the_door(play, nfc=Nfc())


def test_a_locked_phone_is_asked_to_be_unlocked(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        phone = TapPhone(door.wallet("adult"), replace(NFC_ONLY, locked=True))
        assert door.antenna is not None
        picc = Picc(phone)
        door.antenna.field.put(picc)
        async with asyncio.timeout(10):
            record = await door.watcher.concluded.get()
        assert record.decision.reasons == (TapCode.LOCKED,)
        assert door.panel.signs[-1][1] is Sign.UNLOCK
        phone.unlock()  # without taking it away
        async with asyncio.timeout(10):
            granted(await door.watcher.concluded.get())
        door.antenna.field.take(picc)
        await door.idle()

    at_the_door(play, nfc=Nfc())


def sticker() -> Picc:
    return Picc(NdefSticker(), uid=bytes.fromhex("04a1b2c3"))


@pytest.mark.parametrize(
    ("make", "code", "sign"),
    [
        (lambda: Picc(BankCard(), uid=bytes.fromhex("04a1b2c3")), TapCode.BANK_CARD, Sign.NOT_READABLE),
        (lambda: Picc(Passport()), TapCode.PASSPORT, Sign.NOT_READABLE),
        (sticker, TapCode.NO_HANDOVER, Sign.NOT_READABLE),
        (Mifare, TapCode.NOT_A_PHONE, Sign.NOT_READABLE),
        (FeliCa, TapCode.NOT_A_PHONE, Sign.NOT_READABLE),
    ],
)
def test_what_is_no_phone_has_its_sign_and_the_next_phone_is_served(
    at_the_door: Callable[..., None], make: Callable[[], FieldCard], code: TapCode, sign: Sign
) -> None:
    async def play(door: Door) -> None:
        record = await door.put(make())
        assert record.decision.reasons == (code,)
        assert record.decision.outcome is Outcome.NOT_AN_MDOC
        assert sign in [shown for _, shown in door.panel.signs]
        granted(await door.tap(TapPhone(door.wallet("adult"), STATIC)))

    at_the_door(play, nfc=Nfc())


def test_two_at_once(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        assert door.antenna is not None
        assert door.antenna.tapper is not None
        both = (Picc(BankCard(), uid=bytes.fromhex("04a1b2c3")), Picc(TapPhone(door.wallet("adult"), STATIC)))
        door.antenna.tapper.pause()
        await asyncio.sleep(0.1)
        for one in both:
            door.antenna.field.put(one)
        door.antenna.tapper.resume()
        async with asyncio.timeout(10):
            record = await door.watcher.concluded.get()
        assert record.decision.reasons == (TapCode.SEVERAL,)
        assert Sign.ONE_ONLY in [shown for _, shown in door.panel.signs]
        for one in both:
            door.antenna.field.take(one)
        await door.antenna.empty()
        granted(await door.tap(TapPhone(door.wallet("adult"), STATIC)))

    at_the_door(play, nfc=Nfc())


def test_a_phone_that_waits_for_the_identity_frame(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        phone = TapPhone(door.wallet("adult"), STATIC)
        granted(await door.tap(phone, card=Picc(phone, ecp=ECP_IDENTITY)))

    at_the_door(play, nfc=Nfc())


def test_left_on_the_reader_it_starts_nothing_again(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        assert door.antenna is not None
        phone = TapPhone(door.wallet("adult"), NFC_ONLY)
        picc = Picc(phone)
        door.antenna.field.put(picc)
        async with asyncio.timeout(10):
            granted(await door.watcher.concluded.get())
        await door.idle()
        await asyncio.sleep(0.5)
        assert door.watcher.concluded.empty()
        assert phone.fields == 1
        door.antenna.field.take(picc)
        await door.antenna.empty()
        granted(await door.tap(phone))

    at_the_door(play, nfc=Nfc())


def test_many_in_a_row(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        for behaviour in (STATIC, NFC_ONLY, negotiating(Choice.CENTRAL), negotiating(Choice.NFC)) * 3:
            granted(await door.tap(TapPhone(door.wallet("adult"), behaviour)))
        assert door.engine.counters.reader_faults == 0

    at_the_door(play, nfc=Nfc())
