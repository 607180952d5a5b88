"""The emulated chip goes wrong in every way it is told to, and is right again afterwards."""

from __future__ import annotations

import gc
import logging
import os
import termios
import threading
import time
from pathlib import Path

import pytest
import serial
from nfc_bench import FIRMWARE_SAID, GET_FIRMWARE, WAKE, Echo, nfcpy_device, nfcpy_frontend, raw_host

from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_host_faults import HostFault, Trouble

ACK = bytes.fromhex("0000ff00ff00")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="nfc")


GONE = (OSError, termios.error)  # serial's own exception is an OSError


def read_and_write(line: serial.Serial) -> None:
    for _ in range(20):
        line.read(1)
        line.write(b"\x00")


def begin_with_a_card(chip: Pn532Chip) -> None:
    with nfcpy_device(chip) as device:
        device.chipset.in_list_passive_target(1, 0, b"")
        device.chipset.in_communicate_thru(bytearray(b"\xe0\x80"), 0.5)
        device.chipset.in_communicate_thru(bytearray(b"\x02x"), 0.5)


def asked(line: serial.Serial) -> bytes:
    """Ask for the firmware's version; return all that comes within a while."""
    line.write(WAKE + GET_FIRMWARE)
    return bytes(line.read(80))


def well(line: serial.Serial) -> bool:
    """Say whether the chip answers as it should."""
    line.timeout = 3
    line.write(WAKE + GET_FIRMWARE)
    said = line.read(len(ACK + FIRMWARE_SAID))
    line.timeout = 0.3
    return bytes(said) == ACK + FIRMWARE_SAID


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.SILENT, b""),
        (Trouble.NO_RESPONSE, ACK),
        (Trouble.NACK, bytes.fromhex("0000ffff0000")),
        (Trouble.ERROR_FRAME, ACK + bytes.fromhex("0000ff01ff7f8100")),
        (Trouble.BAD_LENGTH, ACK + bytes.fromhex("0000ff06fbd50332010607e800")),
        (Trouble.BAD_CHECKSUM, ACK + bytes.fromhex("0000ff06fad50332010607e900")),
        (Trouble.WRONG_CODE, ACK + bytes.fromhex("0000ff06fad50532010607e600")),
        (Trouble.CUT, ACK + FIRMWARE_SAID[:6]),
        (Trouble.TWICE, ACK + FIRMWARE_SAID * 2),
        (Trouble.STALE, ACK + FIRMWARE_SAID * 2),
        (Trouble.FALSE_START, ACK + bytes.fromhex("0000ff40c0d5") + FIRMWARE_SAID),
        (Trouble.RESET, ACK),
    ],
)
def test_troubles(trouble: Trouble, said: bytes) -> None:
    with Pn532Chip(RfField(), timing=False) as chip, raw_host(chip) as line:
        chip.misbehave(HostFault(trouble, command=0x02, skip=1))
        assert well(line)
        assert asked(line) == said
        assert well(line)


@pytest.mark.parametrize("trouble", [Trouble.NOISE_BEFORE, Trouble.NOISE_INSIDE, Trouble.NOISE_AFTER])
def test_noise(trouble: Trouble) -> None:
    with Pn532Chip(RfField(), timing=False) as chip, raw_host(chip) as line:
        chip.misbehave(HostFault(trouble, times=None))
        for _ in range(3):
            said = asked(line)
            assert len(said) > len(ACK + FIRMWARE_SAID)
            assert (FIRMWARE_SAID in said) == (trouble is not Trouble.NOISE_INSIDE)
        chip.behave()
        chip.misbehave(HostFault(Trouble.NOISE_FIRST))
        assert asked(line).endswith(ACK + FIRMWARE_SAID)
        assert well(line)
        chip.inject(b"out of turn")
        assert line.read(11) == b"out of turn"


def test_late_responses_and_hosts_that_do_not_wait() -> None:
    with Pn532Chip(RfField(), timing=False) as chip, raw_host(chip) as line:
        chip.misbehave(HostFault(Trouble.LATE, delay_s=0.5), HostFault(Trouble.LATE, delay_s=30.0))
        began = time.monotonic()
        line.write(WAKE + GET_FIRMWARE)
        line.timeout = 2
        assert line.read(19) == ACK + FIRMWARE_SAID
        assert time.monotonic() - began >= 0.5
        line.write(GET_FIRMWARE)
        assert line.read(6) == ACK
        line.write(ACK)
        line.timeout = 0.3
        assert well(line)
        assert chip.aborted == 1


def test_left_at_another_bit_rate() -> None:
    with Pn532Chip(RfField(), timing=False) as chip:
        chip.leave_at(921600)
        with raw_host(chip) as line:
            assert asked(line) == b""
            chip.inject(b"it says something")
            noise = bytes(line.read(17))
            assert len(noise) == 17
            assert noise != b"it says something"
            line.baudrate = 921600
            assert well(line)


def test_a_reset_loses_bit_rate_field_and_registers() -> None:
    picc = Picc(Echo())
    with Pn532Chip(RfField(picc), timing=False) as chip:
        device_error = None
        try:
            with nfcpy_device(chip) as device:
                assert device.chipset.in_list_passive_target(1, 0, b"") is not None
                assert (chip.baud, chip.field.on) == (921600, True)
                chip.reset()
                device.chipset.get_firmware_version()
        except OSError as error:
            device_error = error
        assert device_error is not None
        assert (chip.baud, chip.field.on) == (115200, False)
        with nfcpy_frontend(chip):
            pass


def test_a_reset_in_the_middle_of_a_command() -> None:
    with Pn532Chip(RfField()) as chip, raw_host(chip) as line:
        line.write(WAKE + bytes.fromhex("0000ff04fcd44a0100e100"))  # looks for ever
        assert line.read(6) == ACK
        chip.reset()
        assert well(line)
        assert not chip.field.on


def test_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    picc = Picc(Echo())
    name = tmp_path / "reader"
    with Pn532Chip(RfField(picc), path=name, timing=False) as chip:
        for _ in range(3):
            device_error = None
            try:
                with nfcpy_device(chip) as device:
                    assert device.chipset.in_list_passive_target(1, 0, b"") is not None
                    assert picc.uid[0] == 8
                    chip.unplug()
                    assert not chip.plugged
                    assert not os.path.lexists(name)
                    assert not chip.field.on
                    device.chipset.get_firmware_version()
            except GONE as error:
                device_error = error
            assert device_error is not None
            chip.plug()
        with nfcpy_device(chip) as device:
            assert device.chipset.in_list_passive_target(1, 0, b"") is not None
    assert not os.path.lexists(name)


@pytest.mark.parametrize("by_fault", [True, False])
def test_unplugged_in_the_middle_of_a_command(by_fault: bool) -> None:
    with Pn532Chip(RfField()) as chip, raw_host(chip) as line:
        if by_fault:
            chip.misbehave(HostFault(Trouble.UNPLUG))
        else:
            threading.Timer(0.1, chip.unplug).start()
        line.write(WAKE + bytes.fromhex("0000ff04fcd44a0100e100"))
        with pytest.raises(GONE):
            read_and_write(line)
        deadline = time.monotonic() + 5
        while chip.plugged and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not Path(chip.port).exists()
        chip.plug()
        with raw_host(chip) as again:
            assert well(again)


def test_a_card_may_pull_the_plug() -> None:
    chip: Pn532Chip

    def pull(_: bytes) -> bytes:
        chip.unplug()
        return b""

    picc = Picc(Echo(answer=pull))
    chip = Pn532Chip(RfField(picc), timing=False)
    with chip, pytest.raises(GONE):
        begin_with_a_card(chip)
    assert picc.count == 2


def test_nothing_is_left_behind() -> None:
    gc.collect()  # what other tests have left does not count
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with Pn532Chip(RfField()) as chip:
            port = chip.port
            chip.unplug()
            chip.plug()
        assert not os.path.lexists(port)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert "lab-pn532" not in {thread.name for thread in threading.enumerate()}


def test_an_idle_chip_costs_nothing() -> None:
    with Pn532Chip(RfField(Picc(Echo()))):
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.05
