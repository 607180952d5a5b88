"""The PC/SC driver on the real smart card service: cards and phones come, talk and go at every step; so does it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pcsc_bench import Echo, InThread, card_on, found, needs_pcscd, opened, until

from mdoc_reader.drivers import pcsc_device
from mdoc_reader.drivers.pcsc_device import Options, open_nfc
from mdoc_reader.drivers.pcsc_service import Service
from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.pcsc_card import FELICA, MIFARE_CLASSIC, ULTRALIGHT, answer_to_reset
from mdoc_reader.lab.pcsc_daemon import PcscDaemon
from mdoc_reader.nfc.apdu import Way, exchange
from mdoc_reader.nfc.ports import CardError, FieldCode, FieldKind, NfcDeviceError, NfcTrouble
from mdoc_reader.nfc.procedure import perform

pytestmark = needs_pcscd
SELECT = bytes.fromhex("00a4040007d276000085010100")


@pytest.fixture
def daemon() -> Iterator[PcscDaemon]:
    with PcscDaemon() as running:
        yield running


def connections() -> int:
    """How many connections to the service this process has, duplicates and all."""
    count = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            count += "socket:" in str(path.readlink())
        except OSError:
            continue
    return count


def test_options() -> None:
    assert msgspec.convert({}, Options) == Options()
    assert msgspec.convert({"reader": "ACR", "extended_apdus": True}, Options).reader == "ACR"
    for wrong in ({"name": "auto"}, {"reader": ""}, {"extended_apdus": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Options)


def test_without_the_service(daemon: PcscDaemon) -> None:
    daemon.stop()
    began = time.monotonic()
    with pytest.raises(NfcDeviceError) as told:
        open_nfc(Options())
    assert told.value.code is NfcTrouble.NO_SERVICE
    assert time.monotonic() - began < 2


def test_without_a_reader(daemon: PcscDaemon) -> None:
    daemon.readers = 0
    daemon.start()
    with pytest.raises(NfcDeviceError) as told:
        open_nfc(Options())
    assert told.value.code is NfcTrouble.NO_DEVICE


def test_without_the_reader_that_is_named(daemon: PcscDaemon) -> None:
    with pytest.raises(NfcDeviceError) as told:
        open_nfc(Options(reader="ACR1252"))
    assert told.value.code is NfcTrouble.NO_DEVICE
    assert "ACR1252" in str(told.value)
    with opened(Options(reader="pcd 00 00")) as device:
        assert device.reader == "Virtual PCD 00 00"
    assert daemon.running


def test_an_empty_field(daemon: PcscDaemon) -> None:
    del daemon
    with opened() as device:
        assert device.reader == "Virtual PCD 00 01"
        took = []
        for _ in range(50):
            began = time.monotonic()
            assert device.look().kind is FieldKind.EMPTY
            took.append(time.monotonic() - began)
            assert not device.occupied()
            device.rest()
        assert sorted(took)[25] < 0.01


def test_a_phone_is_found_and_let_go(daemon: PcscDaemon) -> None:
    echo = Echo()
    with opened() as device, card_on(daemon, echo) as phone:
        card = found(device)
        assert card.random_uid
        assert (card.longest_command, card.longest_response) == (261, 258)
        assert card.transmit(SELECT) == SELECT + b"\x90\x00"
        powerings = phone.powerings
        card.leave()
        device.rest()
        until(lambda: not phone.powered)
        assert echo.deselected
        assert device.occupied()
        with pytest.raises(CardError) as told:
            card.transmit(SELECT)
        assert told.value.code is FieldCode.LOST
        assert found(device).transmit(SELECT) == SELECT + b"\x90\x00"
        assert phone.powerings == powerings + 1
        phone.take()
        until(lambda: not device.occupied())
        assert device.look().kind is FieldKind.EMPTY


def test_identifiers_of_cards_are_told_from_those_of_phones(daemon: PcscDaemon) -> None:
    for uid in (bytes.fromhex("04a1b2c3"), bytes.fromhex("0801020304a5a6"), b""):
        with opened() as device, card_on(daemon, Echo(), uid=uid):
            assert not found(device).random_uid


@pytest.mark.parametrize(
    ("atr", "words"), [(MIFARE_CLASSIC, "MIFARE Classic"), (ULTRALIGHT, "Ultralight"), (FELICA, "FeliCa")]
)
def test_cards_that_are_no_phones(daemon: PcscDaemon, atr: bytes, words: str) -> None:
    with opened() as device, card_on(daemon, None, atr=atr):
        until(device.occupied)
        seen = device.look()
        assert seen.kind is FieldKind.FOREIGN
        assert seen.card is None
        assert words in seen.words


def test_apdus_of_every_length(daemon: PcscDaemon) -> None:
    echo = Echo()
    with opened() as device, card_on(daemon, echo):
        card = found(device)
        for size in (4, 5, 6, 127, 128, 255, 256, 260, 261):
            command = b"\x00" + bytes(range(1, 128)) * 3
            assert card.transmit(command[:size]) == command[:size][:256] + b"\x90\x00"
            assert echo.heard[-1] == command[:size]
        for size in (0, 3, 262):
            with pytest.raises(ValueError, match="length"):
                card.transmit(bytes(size))


class LongAnswers:
    """Takes chained commands, and gives a long answer a piece at a time."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked = b""
        self._left = b""

    def on_apdu(self, command: bytes) -> ApduAnswer:
        if command[1] == 0xC0:
            return ApduAnswer(self._piece(command[4] or 256))
        self.asked += command[5 : 5 + command[4]]
        if command[0] & 0x10:
            return ApduAnswer(b"\x90\x00")
        self._left = self.answer
        return ApduAnswer(self._piece(command[-1] or 256))

    def on_deselected(self) -> None:
        """There is nothing to forget."""

    def _piece(self, most: int) -> bytes:
        piece, self._left = self._left[:most], self._left[most:]
        left = min(len(self._left), 255)
        return piece + (bytes((0x61, left)) if left else b"\x90\x00")


def test_long_data_in_chains_of_short_apdus(daemon: PcscDaemon) -> None:
    asked, answer = os.urandom(1000), os.urandom(5000)
    phone = LongAnswers(answer)
    with opened() as device, card_on(daemon, phone):
        card = found(device)
        response = perform(exchange(Way.to(card), 0xC3, 0, 0, data=asked, le=256, cap=65536), card, time.sleep)
        assert response.data == answer
        assert phone.asked == asked


class Long:
    """Answers an extended command with as much as it carried."""

    def on_apdu(self, command: bytes) -> ApduAnswer:
        return ApduAnswer(command[7:] + b"\x90\x00")

    def on_deselected(self) -> None:
        """There is nothing to forget."""


def test_extended_apdus_where_they_are_wanted(daemon: PcscDaemon) -> None:
    with opened(Options(extended_apdus=True)) as device, card_on(daemon, Long()):
        card = found(device)
        assert (card.longest_command, card.longest_response) == (65544, 65538)
        for size in (300, 20000, 65000):
            data = os.urandom(size)
            command = b"\x00\xc3\x00\x00\x00" + size.to_bytes(2, "big") + data
            assert card.transmit(command) == data + b"\x90\x00"


def test_a_driver_may_carry_less_than_was_wished(daemon: PcscDaemon) -> None:
    with opened() as device, card_on(daemon, Echo()):
        card = found(device)
        card.extend(256)
        assert (card.longest_command, card.longest_response) == (261, 258)
        card.extend(2048)
        assert (card.longest_command, card.longest_response) == (2057, 2050)


def test_an_answer_longer_than_was_agreed(daemon: PcscDaemon) -> None:
    class TooLong(Long):
        def on_apdu(self, command: bytes) -> ApduAnswer:
            return ApduAnswer(bytes(len(command) + 300))

    with opened() as device, card_on(daemon, TooLong()):
        with pytest.raises(CardError) as told:
            found(device).transmit(SELECT)
        assert told.value.code is FieldCode.TOO_LARGE


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_phone_taken_away_at_every_step_and_brought_back(daemon: PcscDaemon, step: int) -> None:
    echo = Echo()
    with opened() as device:
        phone = card_on(daemon, echo)
        phone.put(vanish_at=step)
        card = found(device)
        for _ in range(step - 1):
            card.transmit(SELECT)
        began = time.monotonic()
        with pytest.raises(CardError) as told:
            card.transmit(SELECT)
        assert told.value.code is FieldCode.LOST
        assert time.monotonic() - began < 2
        with pytest.raises(CardError):
            card.transmit(SELECT)
        card.leave()
        device.rest()
        until(lambda: not device.occupied())
        assert device.look().kind is FieldKind.EMPTY
        phone.put()
        assert found(device).transmit(SELECT) == SELECT + b"\x90\x00"
        phone.take()


def test_a_phone_taken_away_between_two_commands(daemon: PcscDaemon) -> None:
    with opened() as device:
        for wait_s in (0.0, 0.6):  # before and after the service has noticed
            with card_on(daemon, Echo()) as phone:
                card = found(device)
                card.transmit(SELECT)
                phone.take(wait=False)
                time.sleep(wait_s)
                with pytest.raises(CardError) as told:
                    card.transmit(SELECT)
                assert told.value.code is FieldCode.LOST
                card.leave()
                device.rest()
            until(lambda: not device.occupied())


def test_a_phone_taken_away_before_the_look(daemon: PcscDaemon) -> None:
    with opened() as device:
        phone = card_on(daemon, Echo())
        phone.put()
        until(device.occupied)
        phone.take(wait=False)
        seen = device.look()
        assert seen.kind in {FieldKind.EMPTY, FieldKind.CARD}
        until(lambda: device.look().kind is FieldKind.EMPTY)


def test_something_that_does_not_answer(daemon: PcscDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_device, "_MOST_STUMBLES", 3)
    with opened() as device, card_on(daemon, Echo()) as phone:
        until(device.occupied)
        phone.atr = b"\x00\x00"  # a card the reader can make nothing of, from the next powering on
        until(lambda: device.look().kind is FieldKind.EMPTY)
        until(lambda: device.look().kind is FieldKind.FOREIGN)
        phone.take()
        phone.atr = answer_to_reset()
        phone.put()
        until(lambda: device.look().kind is FieldKind.CARD)


def test_a_phone_that_thinks_and_is_given_up(daemon: PcscDaemon) -> None:
    frames = []
    with opened() as device, card_on(daemon, Echo(after_s=0.5)):
        card = found(device)
        card.on_frame = lambda: frames.append(time.monotonic())
        assert card.transmit(SELECT) == SELECT + b"\x90\x00"
        assert len(frames) == 1
        work = InThread(lambda: card.transmit(SELECT))
        time.sleep(0.1)
        card.give_up()
        outcome = work.ended()
        assert isinstance(outcome, CardError)
        assert outcome.code is FieldCode.ABORTED
        began = time.monotonic()
        with pytest.raises(CardError) as told:
            card.transmit(SELECT)
        assert told.value.code is FieldCode.ABORTED
        assert time.monotonic() - began < 0.1
        card.leave()
        assert device.look().kind is FieldKind.CARD


@pytest.mark.parametrize("how", ["abort", "close", "both"])
def test_a_phone_that_never_answers_does_not_hold_the_thread(daemon: PcscDaemon, how: str) -> None:
    before = connections()
    with card_on(daemon, Echo(after_s=60)) as phone:
        device = open_nfc(Options())
        until(device.occupied)
        card = device.look().card
        assert card is not None
        work = InThread(lambda: card.transmit(SELECT))
        time.sleep(0.3)
        assert work.running
        began = time.monotonic()
        if how != "close":
            device.abort()
        if how != "abort":
            device.close()
        assert time.monotonic() - began < 0.1
        outcome = work.ended(2.0)
        assert isinstance(outcome, NfcDeviceError)
        assert outcome.code is NfcTrouble.LOST
        for call in (device.look, device.occupied, lambda: card.transmit(SELECT)):
            with pytest.raises((NfcDeviceError, CardError)):
                call()
        card.leave()
        device.rest()
        device.close()
        # The service itself holds the reader until its driver lets go of the card.
        phone.take()
    until(lambda: isinstance(InThread(lambda: open_nfc(Options()).close()).ended(), type(None)))
    until(lambda: connections() <= before)


def test_a_service_that_hangs_does_not_hold_the_thread_either(daemon: PcscDaemon) -> None:
    device = open_nfc(Options())
    with daemon.frozen():
        work = InThread(device.look)
        time.sleep(0.2)
        assert work.running
        device.abort()
        assert isinstance(work.ended(2.0), NfcDeviceError)
        began = time.monotonic()
        device.close()
        assert time.monotonic() - began < 2
    with opened(), opened() as other:
        assert other.look().kind is FieldKind.EMPTY
        with daemon.frozen():
            began = time.monotonic()
            other.close()
            assert time.monotonic() - began < 2


@pytest.mark.parametrize("crash", [True, False])
def test_the_service_ends_in_the_middle_and_comes_back(daemon: PcscDaemon, crash: bool) -> None:
    before = connections()
    for use in ("look", "occupied", "transmit"):
        device = open_nfc(Options())
        phone = card_on(daemon, Echo(after_s=60 if use == "transmit" else 0))
        phone.put()
        until(device.occupied)
        card = device.look().card
        assert card is not None
        if use == "transmit":
            work = InThread(lambda card=card: card.transmit(SELECT))  # type: ignore[misc]
            time.sleep(0.2)
        (daemon.kill if crash else daemon.stop)()
        if use == "transmit":
            outcome = work.ended(5.0)
            assert isinstance(outcome, NfcDeviceError)
            assert outcome.code is NfcTrouble.NO_SERVICE
        with pytest.raises(NfcDeviceError) as told:
            device.occupied() if use == "occupied" else device.look()
        assert told.value.code is NfcTrouble.NO_SERVICE
        device.close()
        phone.take()
        with pytest.raises(NfcDeviceError):
            open_nfc(Options())
        daemon.start()
        with opened() as again, card_on(daemon, Echo()):
            assert found(again).transmit(SELECT) == SELECT + b"\x90\x00"
    until(lambda: connections() <= before)


def test_a_reader_that_is_unplugged(daemon: PcscDaemon) -> None:
    del daemon
    with opened() as device:
        device.reader = "Unplugged 00 00"  # the service answers for it as for one that has gone
        for call in (device.look, device.occupied):
            with pytest.raises(NfcDeviceError) as told:
                call()
            assert told.value.code is NfcTrouble.LOST


def test_another_program_with_the_card(daemon: PcscDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_device, "_SHARED_S", 0.3)
    other = Service()
    with opened() as device, card_on(daemon, Echo()):
        until(device.occupied)
        joined = other.join(device.reader)
        assert device.look().kind is FieldKind.EMPTY
        with pytest.raises(NfcDeviceError) as told:
            open_nfc(Options())
        assert told.value.code is NfcTrouble.BUSY
        other.leave(joined)
        assert found(device).transmit(SELECT) == SELECT + b"\x90\x00"
        device.rest()
        other.join(device.reader)
        assert device.look().kind is FieldKind.EMPTY
        time.sleep(0.4)
        with pytest.raises(NfcDeviceError) as told:
            device.look()
        assert told.value.code is NfcTrouble.BUSY
        other.close()
        assert found(device)


def test_nothing_is_left_open(daemon: PcscDaemon) -> None:
    before = connections()
    with card_on(daemon, Echo()):
        for _ in range(20):
            with opened() as device:
                assert found(device)
    until(lambda: connections() <= before)
