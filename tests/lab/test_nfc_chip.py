"""The emulated PN532 at the far end of nfcpy's own driver: it opens, finds, exchanges, times out and keeps time."""

from __future__ import annotations

import errno
import logging
import threading
import time
from dataclasses import replace
from typing import Any

import nfc.clf
import nfc.tag
import pytest
from nfc.clf import RemoteTarget
from nfc_bench import FIRMWARE_SAID, GET_FIRMWARE, WAKE, Echo, nfcpy_device, nfcpy_frontend, raw_host

from mdoc_reader.lab.nfc_air import crc_a
from mdoc_reader.lab.nfc_card import ECP_IDENTITY, Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_foreign import FeliCa, Mifare, PiccB

ACK = bytes.fromhex("0000ff00ff00")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="nfc")


def thru(chipset: Any, data: bytes, timeout: float = 0.5) -> bytes:
    return bytes(chipset.in_communicate_thru(bytearray(data), timeout))


def status(chipset: Any, data: bytes, timeout: float = 0.5) -> int:
    with pytest.raises(Exception) as error:
        thru(chipset, data, timeout)
    return int(error.value.errno)


def transceive_often(tag: Any) -> None:
    for _ in range(10):
        tag.transceive(bytes(300))


def test_nfcpy_opens_senses_and_exchanges() -> None:
    echo = Echo()
    picc = Picc(echo)
    with Pn532Chip(RfField(picc)) as chip:
        with nfcpy_frontend(chip) as frontend:
            assert chip.baud == 921600
            target = frontend.sense(RemoteTarget("106A"))
            assert target.sdd_res == picc.uid
            tag = nfc.tag.activate(frontend, target)
            command = bytes.fromhex("00a4040000") + bytes(700)
            assert tag.transceive(command) == command + b"\x90\x00"
            assert tag.transceive(b"\x00\xb0\x00\x00") == b"\x00\xb0\x00\x00\x90\x00"
        end = time.monotonic() + 5  # nfcpy does not wait for the answer to its last command
        while chip.field.on and time.monotonic() < end:
            time.sleep(0.01)
        assert chip.baud == 115200
        assert not chip.field.on
        assert echo.ended >= 1
        assert picc.complaints == []
        with nfcpy_frontend(chip) as frontend:  # it slept and wakes
            assert frontend.sense(RemoteTarget("106A")) is not None


def test_foreign_cards() -> None:
    cards = Mifare(uid=bytes(range(1, 8))), FeliCa(), PiccB(Echo())
    with Pn532Chip(RfField(*cards), timing=False) as chip, nfcpy_frontend(chip) as frontend:
        assert frontend.sense(RemoteTarget("106A")).sel_res == b"\x08"
        assert frontend.sense(RemoteTarget("212F")).sensf_res[:2] == b"\x01\x01"
        assert frontend.sense(RemoteTarget("424F")) is not None
        target = frontend.sense(RemoteTarget("106B"))
        tag = nfc.tag.activate(frontend, target)
        assert tag.transceive(bytes(400)) == bytes(400) + b"\x90\x00"
        assert cards[2].complaints == []


def test_two_cards_are_told_apart() -> None:
    cards = [Picc(Echo(), uid=bytes((8, 1, 2, number))) for number in (3, 7)]
    with Pn532Chip(RfField(*cards, Mifare()), timing=False) as chip, nfcpy_device(chip) as device:
        for parameters in (0x14, 0x00):
            device.chipset.set_parameters(parameters)
            device.mute()
            found = bytes(device.chipset.command(0x4A, bytearray((2, 0)), 1.0))
            assert found[0] == 2
            for number in (1, 2, 1):
                assert device.chipset.command(0x54, bytearray((number,)), 1.0) == b"\x00"
        assert device.chipset.command(0x52, bytearray((0,)), 1.0) == b"\x00"


def test_one_card_where_two_were_looked_for_stays_selected() -> None:
    picc = Picc(Echo())
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        assert device.chipset.command(0x4A, bytearray((2, 0)), 1.0)[0] == 1
        assert thru(device.chipset, b"\xe0\x80") == picc.ats


def test_the_chips_own_block_protocol() -> None:
    picc = Picc(Echo())
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        chipset = device.chipset
        chipset.set_parameters(0x14)
        found = bytes(chipset.in_list_passive_target(1, 0, b""))
        assert found.endswith(picc.ats)
        command = bytes(range(250)) * 3
        for place in (0, 250):
            chipset.in_data_exchange(bytearray(command[place : place + 250]), 3, more=True)
        answer, more = chipset.in_data_exchange(bytearray(command[500:]), 3)
        while more:
            part, more = chipset.in_data_exchange(bytearray(), 3)
            answer += part
        assert answer == command + b"\x90\x00"
        assert chipset.diagnose(0x06, b"") == b"\x00"
        chip.field.take(picc)
        assert chipset.diagnose(0x06, b"") == b"\x01"
        assert picc.complaints == []


def test_registers_frame_checksums_and_status() -> None:
    picc = Picc(Echo())
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        chipset = device.chipset
        chipset.in_list_passive_target(1, 0, b"")
        assert chipset.read_register(0x6302, 0x6303, 0x633D) == [0x80, 0x80, 0]
        assert thru(chipset, b"\xe0\x80") == picc.ats
        chipset.write_register(0x6302, 0x00)  # checksums are ours from now on
        assert thru(chipset, b"\x02x" + crc_a(b"\x02x")) == b"\x02x\x90\x00"
        chipset.write_register(0x6303, 0x00)
        said = thru(chipset, b"\xb2" + crc_a(b"\xb2"))
        assert said == b"\x02x\x90\x00" + crc_a(b"\x02x\x90\x00")
        assert status(chipset, b"\xb2\x00\x00") == 0x01
        chipset.write_register(0x6303, 0x90)
        assert status(chipset, b"\xb2" + crc_a(b"\xb2")) == 0x01  # listens at another bit rate
        chipset.rf_configuration(0x01, b"\x00")
        chipset.rf_configuration(0x01, b"\x01")
        chipset.write_register((0x6302, 0x00), (0x6303, 0x80), (0x633D, 7))
        assert status(chipset, b"\x26") == 0x02  # an answer to request has no checksum
        chipset.rf_configuration(0x01, b"\x00")
        chipset.rf_configuration(0x01, b"\x01")
        chipset.write_register(0x6303, 0x00)
        assert thru(chipset, b"\x26") == b"\x04\x00"


def test_bit_rates_by_registers() -> None:
    picc = Picc(Echo(), ta=0x77)
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        chipset = device.chipset
        chipset.in_list_passive_target(1, 0, b"")
        assert thru(chipset, b"\xe0\x80") == picc.ats
        assert thru(chipset, b"\xd0\x11\x0a") == b"\xd0"
        chipset.write_register((0x6302, 0xA0), (0x6303, 0xA0))
        assert thru(chipset, b"\x02x") == b"\x02x\x90\x00"


def test_polling_frames_as_this_chip_has_to_send_them() -> None:
    picc = Picc(Echo(), ecp=ECP_IDENTITY)
    frame = ECP_IDENTITY + crc_a(ECP_IDENTITY)
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        chipset = device.chipset
        chipset.rf_configuration(0x05, b"\xff\x01\x00")
        assert chipset.in_list_passive_target(1, 0, b"") is None
        assert status(chipset, frame) == 0x01
        assert not chip.field.broadcasts[-1].right  # the request has left seven bits in the last byte
        assert chipset.in_list_passive_target(1, 0, b"") is None
        chipset.write_register(0x633D, 0)
        assert status(chipset, frame) == 0x01
        assert chip.field.broadcasts[-1].right
        assert chipset.in_list_passive_target(1, 0, b"") is not None


def test_frames_too_long_for_the_chip() -> None:
    picc = Picc(Echo(answer=lambda _: bytes(900)))
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        device.chipset.in_list_passive_target(1, 0, b"")
        thru(device.chipset, b"\xe0\xa0")
        assert status(device.chipset, b"\x02x") == 0x07


@pytest.mark.parametrize("code", [1, 10, 11])
def test_time_outs_are_the_chips(code: int) -> None:
    with Pn532Chip(RfField()) as chip, nfcpy_device(chip) as device:
        device.chipset.rf_configuration(0x01, b"\x01")
        device.chipset.rf_configuration(0x02, bytes((0, 11, code)))
        chip.spent.clear()
        began = time.perf_counter()
        assert status(device.chipset, b"\x26") == 0x01
        took = time.perf_counter() - began
        assert chip.spent.card_s == pytest.approx(100e-6 * 2 ** (code - 1))
        assert took >= chip.spent.card_s


def test_no_time_out_until_the_host_gives_up() -> None:
    with Pn532Chip(RfField(), timing=False) as chip, nfcpy_device(chip) as device:
        device.chipset.rf_configuration(0x01, b"\x01")
        device.chipset.rf_configuration(0x02, b"\x00\x0b\x00")
        assert status(device.chipset, b"\x26", 0.2) == errno.ETIMEDOUT  # nfcpy sends its ACK then
        assert device.chipset.get_firmware_version()[0] == 0x32
        assert chip.aborted == 1


def test_looking_for_ever_finds_a_card_put_there_later() -> None:
    picc = Picc(Echo())
    field = RfField()
    with Pn532Chip(field, timing=False) as chip, nfcpy_device(chip) as device:
        device.chipset.rf_configuration(0x05, b"\xff\x01\xff")
        timer = threading.Timer(0.1, field.put, (picc,))
        timer.start()
        assert device.chipset.in_list_passive_target(1, 0, b"") is not None
        timer.join()


@pytest.mark.parametrize("frames", range(1, 12))
def test_removed_at_any_step(frames: int) -> None:
    picc = Picc(Echo())
    field = RfField(picc)
    with Pn532Chip(field, timing=False) as chip, nfcpy_frontend(chip) as frontend:
        field.take(picc, after_frames=frames)
        target = frontend.sense(RemoteTarget("106A"))
        tag = nfc.tag.activate(frontend, target) if target is not None else None
        if tag is not None:
            with pytest.raises(nfc.tag.TagCommandError):
                transceive_often(tag)
        field.put(picc)
        frontend.device.mute()
        assert frontend.sense(RemoteTarget("106A")) is not None


def test_a_card_taken_away_while_it_thinks_does_not_answer() -> None:
    picc = Picc(Echo(after_s=0.3), fwi=11)
    field = RfField(picc)
    with Pn532Chip(field) as chip, nfcpy_device(chip) as device:
        device.chipset.in_list_passive_target(1, 0, b"")
        thru(device.chipset, b"\xe0\x80")
        device.chipset.rf_configuration(0x02, bytes((0, 11, 13)))
        timer = threading.Timer(0.1, field.take, (picc,))
        timer.start()
        assert status(device.chipset, b"\x02x", 1.0) == 0x01
        timer.join()


def test_a_thinking_card_given_up_holds_nothing_up() -> None:
    picc = Picc(Echo(after_s=30.0), fwi=14)
    with Pn532Chip(RfField(picc)) as chip, nfcpy_device(chip) as device:
        device.chipset.in_list_passive_target(1, 0, b"")
        thru(device.chipset, b"\xe0\x80")
        device.chipset.rf_configuration(0x02, b"\x00\x0b\x00")
        began = time.monotonic()
        assert status(device.chipset, b"\x02x", 0.2) == errno.ETIMEDOUT
        assert device.chipset.get_firmware_version()[0] == 0x32
        assert time.monotonic() - began < 2
        assert chip.spent.card_s < 1


def test_guard_times_pass_without_timing_too() -> None:
    picc = Picc(Echo(), sfgi=8)
    with Pn532Chip(RfField(picc), timing=False) as chip, nfcpy_device(chip) as device:
        device.chipset.in_list_passive_target(1, 0, b"")
        thru(device.chipset, b"\xe0\x80")
        assert status(device.chipset, b"\x02x") == 0x01
        assert len(picc.complaints) == 1
        time.sleep(0.09)
        assert thru(device.chipset, b"\x02x") == b"\x02x\x90\x00"


def test_what_a_transfer_costs_is_counted_and_kept() -> None:
    picc = Picc(Echo(answer=lambda _: bytes(2000)))
    with Pn532Chip(RfField(picc)) as chip, nfcpy_frontend(chip) as frontend:
        tag = nfc.tag.activate(frontend, frontend.sense(RemoteTarget("106A")))
        tag.transceive(b"first")
        chip.spent.clear()
        began = time.perf_counter()
        tag.transceive(b"\x00\xb0\x00\x00")
        took = time.perf_counter() - began
        spent = replace(chip.spent)
    blocks = -(-2002 // 253)
    assert spent.rf_frames == 2 * blocks
    assert spent.rf_bytes == (1 + 4 + 2) + (blocks - 1) * 3 + 2002 + blocks * 3
    assert spent.rf_s > spent.rf_bytes * 9 * 128 / 13.56e6
    assert spent.uart_s == pytest.approx(spent.uart_bytes * 10 / 921600)
    assert spent.floor_s + spent.chip_s <= took < 1.5 * (spent.floor_s + spent.chip_s) + 0.1


def test_without_timing_the_same_is_counted_and_nothing_waited_for() -> None:
    counted = []
    for timing in (True, False):
        picc = Picc(Echo(answer=lambda _: bytes(500), after_s=0.2), fwi=6)
        with Pn532Chip(RfField(picc), timing=timing) as chip, nfcpy_device(chip) as device:
            device.chipset.in_list_passive_target(1, 0, b"")
            thru(device.chipset, b"\xe0\x80")
            chip.spent.clear()
            said = thru(device.chipset, b"\x02x")
            while said[0] == 0xF2:
                said = thru(device.chipset, said)
            counted.append((chip.spent.rf_s, chip.spent.uart_bytes, chip.spent.card_s))
            assert picc.complaints == []
    assert counted[0] == pytest.approx(counted[1])
    assert counted[0][2] == pytest.approx(0.2)


def test_asleep_until_woken_and_deaf_at_another_bit_rate() -> None:
    with Pn532Chip(RfField()) as chip:
        with raw_host(chip) as line:
            line.write(GET_FIRMWARE)
            assert line.read(6) == b""
            line.write(WAKE + GET_FIRMWARE)
            assert line.read(6 + 13) == ACK + FIRMWARE_SAID
        with raw_host(chip, 9600) as line:
            line.write(bytes(20) + GET_FIRMWARE)
            assert line.read(6) == b""
        with raw_host(chip) as line:
            line.write(bytes.fromhex("0000ff03fdd410081400"))  # 1288000 baud, as no terminal can
            assert line.read(6 + 9) == ACK + bytes.fromhex("0000ff02fed5111a00")
            line.write(ACK)
            time.sleep(0.1)
            assert chip.baud == 1288000
            line.write(GET_FIRMWARE)
            assert line.read(6) == b""


def test_frames_of_the_host_that_are_not_right() -> None:
    with Pn532Chip(RfField(Picc(Echo()))) as chip, raw_host(chip) as line:
        line.write(WAKE + GET_FIRMWARE)
        assert line.read(19) == ACK + FIRMWARE_SAID
        line.write(bytes.fromhex("0000ffff0000"))  # NACK: once more
        assert line.read(13) == FIRMWARE_SAID
        line.write(bytes.fromhex("0000ff02fed4022b00"))  # a wrong checksum
        assert line.read(1) == b""
        line.write(bytes.fromhex("0000ff02fed4f73500"))  # no such command
        assert line.read(14) == ACK + bytes.fromhex("0000ff01ff7f8100")
        line.write(bytes.fromhex("0000ff04fcd44a01cb16") + b"\x00" + GET_FIRMWARE)
        assert line.read(19).endswith(FIRMWARE_SAID) or line.read(20).endswith(FIRMWARE_SAID)


def test_a_new_command_ends_the_one_that_runs() -> None:
    with Pn532Chip(RfField()) as chip, raw_host(chip) as line:
        line.write(WAKE + bytes.fromhex("0000ff04fcd44a0100e100"))
        assert line.read(6) == ACK
        line.write(GET_FIRMWARE)
        assert line.read(19) == ACK + FIRMWARE_SAID
        assert chip.aborted == 1
