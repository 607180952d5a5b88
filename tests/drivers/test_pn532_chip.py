"""Opening the chip, its speeds, its ports, and everything that can go wrong between it and its host."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pn532_bench import Echo, until

from mdoc_reader.drivers import pn532_find, pn532_nfcpy
from mdoc_reader.drivers.pn532_chip import STATUS_CRC, STATUS_FINE, STATUS_TIMEOUT, Pn532Chip
from mdoc_reader.drivers.pn532_find import open_chip, open_line, ports
from mdoc_reader.drivers.pn532_line import SerialLine
from mdoc_reader.drivers.pn532_nfcpy import ACK
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip as EmulatedChip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_host_faults import HostFault, Trouble
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

LIST, THRU, FIRMWARE = 0x4A, 0x42, 0x02
RATS = b"\xe0\x80"

# What leaves the right answer standing.
HARMLESS = {Trouble.NOISE_FIRST, Trouble.NOISE_BEFORE, Trouble.NOISE_AFTER, Trouble.TWICE}
# What nothing can be done about but to open the chip anew.
AT_ONCE = {Trouble.RESET, Trouble.UNPLUG, Trouble.ERROR_FRAME}


@contextmanager
def opened(*cards: Picc, baud: int = 115200, timing: bool = False) -> Iterator[tuple[EmulatedChip, Pn532Chip]]:
    with EmulatedChip(RfField(*cards), timing=timing) as far:
        chip = open_chip(far.port, baud)
        try:
            yield far, chip
        finally:
            chip.close()


def test_opens_the_chip_and_leaves_it_as_it_was() -> None:
    with opened(timing=True) as (far, chip):
        assert (chip.firmware.version, chip.firmware.revision) == (1, 6)
        assert chip.line_works()
        assert chip.list_a() is None
        assert far.field.on
        chip.close()
        assert not far.field.on
        assert far.baud == 115200
        # Again, as a restarted program would.
        again = open_chip(far.port, 115200)
        assert again.line_works()
        again.close()


def test_no_program_is_started_and_no_frame_is_logged() -> None:
    code = (
        "import logging, sys\n"
        "logging.basicConfig(level=1, stream=sys.stdout)\n"
        "sys.addaudithook(lambda event, _: event.startswith(('subprocess', 'os.system', 'os.exec', 'os.posix_spawn',"
        " 'os.fork')) and sys.exit('started a program: ' + event))\n"
        "from mdoc_reader.drivers.pn532_find import open_chip\n"
        "from mdoc_reader.lab.nfc_chip import Pn532Chip\n"
        "from mdoc_reader.lab.nfc_field import RfField\n"
        "with Pn532Chip(RfField(), timing=False) as far:\n"
        "    chip = open_chip(far.port, 460800)\n"
        "    chip.list_a()\n"
        "    chip.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("baud", [230400, 460800, 921600])
def test_another_speed_and_back(baud: int) -> None:
    with opened(baud=baud) as (far, chip):
        assert (far.baud, chip.baud) == (baud, baud)
        assert chip.line_works()
        chip.close()
        assert far.baud == 115200


@pytest.mark.parametrize("left_at", [9600, 57600, 230400, 921600])
def test_a_chip_left_at_another_speed_is_found(left_at: int) -> None:
    with opened() as (far, chip):
        chip.change_baud(left_at)
        chip._line.close()  # as by a crash: nobody puts the speed back
        assert far.baud == left_at
        began = time.monotonic()
        again = open_chip(far.port, 115200)
        assert time.monotonic() - began < 2.5
        assert (far.baud, again.baud) == (115200, 115200)
        assert again.line_works()
        again.close()


def test_a_command_left_running_is_ended() -> None:
    with opened() as (far, chip):
        chip.command(0x32, bytes((0x05, 0xFF, 0x01, 0xFF)))  # look for ever
        threading.Timer(0.05, chip.abort).start()
        with pytest.raises(NfcDeviceError):
            chip.list_a()
        chip.close()
        again = open_chip(far.port, 115200)
        assert again.list_a() is None
        again.close()


def test_a_port_has_one_owner() -> None:
    with opened() as (far, _):
        with pytest.raises(NfcDeviceError, match="in use by another program") as caught:
            open_chip(far.port, 115200)
        assert caught.value.code is NfcTrouble.BUSY


def test_a_port_that_is_let_go_can_be_opened_by_anybody() -> None:
    with opened() as (far, chip):
        chip.close()
        with Path(far.port).open("rb", buffering=0) as port:
            exclusive = bytearray(4)
            fcntl.ioctl(port, 0x80045440, exclusive)  # TIOCGEXCL
            assert not any(exclusive)


def test_the_kernel_keeps_others_out() -> None:
    with opened() as (far, _), Path(far.port).open("rb", buffering=0) as port:  # root may
        exclusive = bytearray(4)
        fcntl.ioctl(port, 0x80045440, exclusive)
        assert any(exclusive)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, NfcTrouble.NO_DEVICE),
        (errno.EACCES, NfcTrouble.NOT_ALLOWED),
        (errno.EBUSY, NfcTrouble.BUSY),
        (errno.EIO, NfcTrouble.NO_DEVICE),
    ],
)
def test_reasons_a_port_cannot_be_opened(number: int, code: NfcTrouble, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, baud: int) -> None:
        raise OSError(number, os.strerror(number), path, baud)

    monkeypatch.setattr(pn532_find, "SerialLine", refuse)
    with pytest.raises(NfcDeviceError) as caught:
        open_line("/dev/ttyAMA0", 115200)
    assert caught.value.code is code


def test_ports_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, Path("/dev/null")):
        with pytest.raises(NfcDeviceError) as caught:
            open_chip(str(path), 115200)
        assert caught.value.code is NfcTrouble.NO_DEVICE, path


def test_somebody_else_at_the_far_end() -> None:
    """A port where nobody answers, one that echoes, and one that talks by itself."""
    for answer in (lambda data: b"", lambda data: data, lambda data: os.urandom(64)):
        chip_end, host_end = os.openpty()
        stop = threading.Event()

        def talk(end: int = chip_end, answer: object = answer, stop: threading.Event = stop) -> None:
            os.set_blocking(end, False)
            while not stop.wait(0.002):
                try:
                    os.write(end, answer(os.read(end, 4096)))  # type: ignore[operator]
                except BlockingIOError:
                    continue

        thread = threading.Thread(target=talk)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(NfcDeviceError) as caught:
                open_chip(os.ttyname(host_end), 115200)
        finally:
            stop.set()
            thread.join()
            os.close(chip_end)
            os.close(host_end)
        assert caught.value.code is NfcTrouble.NO_ANSWER
        assert time.monotonic() - began < 2.5


def test_another_chip_is_not_suitable() -> None:
    with (
        EmulatedChip(RfField(), timing=False, firmware=bytes.fromhex("33020707")) as far,
        pytest.raises(NfcDeviceError) as caught,
    ):
        open_chip(far.port, 115200)
    assert caught.value.code is NfcTrouble.UNSUITABLE


def test_search(tmp_path: Path) -> None:
    (tmp_path / "ttyAMA0").write_bytes(b"")  # no serial port
    quiet, quiet_host = os.openpty()
    (tmp_path / "ttyS0").symlink_to(os.ttyname(quiet_host))
    with EmulatedChip(RfField(), timing=False, path=tmp_path / "ttyUSB3") as far:
        (tmp_path / "serial0").symlink_to(tmp_path / "ttyS0")
        assert ports(tmp_path) == [str(tmp_path / name) for name in ("serial0", "ttyAMA0", "ttyUSB3")]
        began = time.monotonic()
        chip = open_chip("auto", 115200, folder=tmp_path)
        assert chip.path == far.port
        # With a chip that was left at another speed.
        chip.change_baud(460800)
        chip._line.close()
        chip = open_chip("auto", 115200, folder=tmp_path)
        assert chip.path == far.port
        chip.close()
        assert time.monotonic() - began < pn532_find.AUTO_S
    with pytest.raises(NfcDeviceError) as caught:
        open_chip("auto", 115200, folder=tmp_path)
    assert caught.value.code is NfcTrouble.NO_ANSWER  # tells more than that one is no serial port
    os.close(quiet)
    os.close(quiet_host)


def test_search_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NfcDeviceError) as caught:
        open_chip("auto", 115200, folder=tmp_path)
    assert caught.value.code is NfcTrouble.NO_DEVICE


# What goes wrong on the line.


@pytest.mark.parametrize("trouble", list(Trouble))
def test_trouble_while_looking(trouble: Trouble) -> None:
    """An answer is right, or the look counts as empty, once; never a hang, never a card that is none."""
    phone = Picc(Echo())
    with opened(phone) as (far, chip):
        assert chip.list_a() is not None
        chip.field_off()
        far.misbehave(HostFault(trouble, LIST, delay_s=3.0 if trouble is Trouble.LATE else 0.0))
        began = time.monotonic()
        if trouble in AT_ONCE - {Trouble.RESET}:
            with pytest.raises(NfcDeviceError) as caught:
                chip.list_a()
            assert caught.value.code is NfcTrouble.LOST
            assert time.monotonic() - began < 1.0
            return
        found = chip.list_a()
        assert time.monotonic() - began < 1.0
        assert (found is not None) is (trouble in HARMLESS)
        assert found is None or found.uid == phone.uid
        far.behave()
        chip.field_off()
        found = chip.list_a()
        assert found is not None
        assert found.uid == phone.uid
        assert not phone.active  # it is as it was set up: no protocol of its own


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble not in HARMLESS | AT_ONCE])
def test_trouble_at_two_looks(trouble: Trouble) -> None:
    with opened(Picc(Echo())) as (far, chip):
        far.misbehave(HostFault(trouble, LIST, times=2, delay_s=3.0 if trouble is Trouble.LATE else 0.0))
        assert chip.list_a() is None
        began = time.monotonic()
        with pytest.raises(NfcDeviceError) as caught:
            chip.list_a()
        assert caught.value.code is NfcTrouble.LOST
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("trouble", list(Trouble))
def test_trouble_in_an_exchange(trouble: Trouble) -> None:
    """An answer is right, or counts as not received; a chip that was reset or is gone is an error of the device."""
    with opened(Picc(Echo())) as (far, chip):
        assert chip.list_a() is not None
        chip.set_timer(10)
        assert chip.through(RATS, 0.2)[0] == STATUS_FINE
        first = b"\x02\x00\x01\x90\x00"
        assert chip.through(first[:3], 0.2) == (STATUS_FINE, first)
        far.misbehave(HostFault(trouble, THRU, delay_s=0.6 if trouble is Trouble.LATE else 0.0))
        began = time.monotonic()
        if trouble in AT_ONCE:
            with pytest.raises(NfcDeviceError) as caught:
                chip.through(b"\x03\x00\x02", 0.2)
            assert caught.value.code is NfcTrouble.LOST
            assert time.monotonic() - began < 1.0
            return
        second = b"\x03\x00\x02\x90\x00"
        status, answer = chip.through(second[:3], 0.2)
        if status == STATUS_FINE:
            # A response said once more has the block number of before, by which the protocol above finds it out.
            assert answer == (first if trouble is Trouble.STALE else second)
        else:
            assert status in {STATUS_TIMEOUT, STATUS_CRC}
            assert answer == b""
        assert time.monotonic() - began < 1.0
        # In step again: each of the next exchanges is answered with what belongs to it.
        for _ in range(3):
            status, answer = chip.through(b"\xb3", 0.2)
            if status == STATUS_FINE:
                assert answer in {second, b"\xa2"}  # what the card said, or that it never heard the question
        assert status == STATUS_FINE
        assert chip.list_a() is None  # it is in its protocol


@pytest.mark.parametrize("trouble", [Trouble.SILENT, Trouble.NO_RESPONSE, Trouble.BAD_CHECKSUM, Trouble.CUT])
def test_trouble_that_stays(trouble: Trouble) -> None:
    with opened(Picc(Echo())) as (far, chip):
        assert chip.list_a() is not None
        far.misbehave(HostFault(trouble, times=None))
        began = time.monotonic()
        with pytest.raises(NfcDeviceError) as caught:
            chip.through(RATS, 0.2)
        assert caught.value.code is NfcTrouble.LOST
        assert time.monotonic() - began < 1.5
        began = time.monotonic()
        chip.close()
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("trouble", list(Trouble))
def test_trouble_while_opening(trouble: Trouble) -> None:
    with EmulatedChip(RfField(), timing=False) as far:
        for skip in (0, 1, 4):
            far.misbehave(HostFault(trouble, skip=skip, times=None, delay_s=0.15 if trouble is Trouble.LATE else 0.0))
            began = time.monotonic()
            codes: set[NfcTrouble] = set()
            try:
                open_chip(far.port, 115200).close()
            except NfcDeviceError as error:
                codes = {error.code}
            assert codes <= {NfcTrouble.NO_ANSWER, NfcTrouble.LOST, NfcTrouble.NO_DEVICE}
            assert not codes or trouble not in HARMLESS
            assert time.monotonic() - began < 3.5
            far.behave()
            if trouble is Trouble.UNPLUG:
                until(lambda: not far.plugged)
                far.plug()
        open_chip(far.port, 115200).close()


def test_noise_between_commands() -> None:
    with opened(Picc(Echo())) as (far, chip):
        for noise in (b"\x00\xff", b"\x00\x00\xff\x00\xff\x00" * 50, os.urandom(5000), b"\x00\xff\xff\xff\x01\x09\xf6"):
            for pause_s in (0.0, 0.01):
                far.inject(noise)
                time.sleep(pause_s)
                assert chip.list_a() is not None
                chip.field_off()


def test_unplugged() -> None:
    with opened() as (far, chip):
        far.unplug()
        began = time.monotonic()
        with pytest.raises(NfcDeviceError) as caught:
            chip.list_a()
        assert caught.value.code is NfcTrouble.LOST
        chip.close()
        assert time.monotonic() - began < 0.5
        with pytest.raises(NfcDeviceError) as caught:
            open_chip(far.port, 115200)
        assert caught.value.code is NfcTrouble.NO_DEVICE
        far.plug()
        again = open_chip(far.port, 115200)
        assert again.list_a() is None
        again.close()


@pytest.mark.parametrize("baud", [115200, 921600])
def test_reset_between_commands(baud: int) -> None:
    with opened(Picc(Echo()), baud=baud) as (far, chip):
        assert chip.list_a() is not None
        far.reset()
        time.sleep(0.05)
        with pytest.raises(NfcDeviceError):
            chip.through(RATS, 0.2)


def test_a_chip_that_fell_back_to_its_own_protocol() -> None:
    with opened(Picc(Echo())) as (_, chip):
        chip.command(0x12, b"\x14")  # the parameters of a reset
        with pytest.raises(NfcDeviceError, match="reset"):
            chip.list_a()


def test_abort_from_another_thread() -> None:
    with opened(Picc(Echo(after_s=4.0), fwi=14), timing=True) as (_, chip):
        assert chip.list_a() is not None
        chip.set_timer(0)
        assert chip.through(RATS, 0.2)[0] == STATUS_FINE
        began = time.monotonic()
        threading.Timer(0.2, chip.abort).start()
        with pytest.raises(NfcDeviceError) as caught:
            chip.through(b"\x02\x00\x01", 5.0)
        assert time.monotonic() - began < 0.7
        assert caught.value.code is NfcTrouble.LOST
        began = time.monotonic()
        with pytest.raises(NfcDeviceError):
            chip.list_a()
        chip.abort()
        chip.close()
        chip.close()
        chip.abort()
        assert time.monotonic() - began < 0.1


def test_close_under_a_blocked_command() -> None:
    """The thread that is in the middle of a command lets go of the port."""
    with opened(Picc(Echo(after_s=4.0), fwi=14), timing=True) as (far, chip):
        assert chip.list_a() is not None
        chip.set_timer(0)
        assert chip.through(RATS, 0.2)[0] == STATUS_FINE

        def release() -> None:
            chip.abort()
            chip.close()

        releasing = threading.Timer(0.1, release)
        releasing.start()
        with pytest.raises(NfcDeviceError):
            chip.through(b"\x02\x00\x01", 5.0)
        releasing.join()
        again = open_chip(far.port, 115200)  # free
        assert again.list_a() is not None
        again.close()


def test_the_thread_inside_a_command_lets_go_of_the_port() -> None:
    with opened() as (far, chip):
        with chip._turn:  # as if it were in a command
            chip.abort()
            chip.close()
            with pytest.raises(NfcDeviceError, match="in use"):
                open_chip(far.port, 115200)
        with pytest.raises(NfcDeviceError):
            chip.list_a()
        open_chip(far.port, 115200).close()


@pytest.mark.parametrize("baud", [115200, 921600])
def test_an_aborted_chip_is_left_as_it_was(baud: int) -> None:
    """Also in the middle of a command: no field stays on, and the next program finds it at once."""
    with opened(Picc(Echo(after_s=4.0), fwi=14), timing=True, baud=baud) as (far, chip):
        assert chip.list_a() is not None
        chip.set_timer(0)
        assert chip.through(RATS, 0.2)[0] == STATUS_FINE

        def release() -> None:
            chip.abort()
            chip.close()

        releasing = threading.Timer(0.1, release)
        releasing.start()
        with pytest.raises(NfcDeviceError):
            chip.through(b"\x02\x00\x01", 5.0)
        releasing.join()
        until(lambda: not far.field.on)
        until(lambda: far.baud == 115200)


def test_closing_is_bounded() -> None:
    far, near = os.openpty()
    tty.setraw(near)
    line = SerialLine(os.ttyname(near), 115200)
    began = time.monotonic()
    with pytest.raises(NfcDeviceError):
        Pn532Chip(line)  # nobody answers
    line.close((b"x" * 100_000, ACK))  # nor reads
    line.close()
    assert time.monotonic() - began < 2.0
    os.close(far)
    os.close(near)


@contextmanager
def scripted(*answers: bytes) -> Iterator[SerialLine]:
    """A line at whose far end each write is answered with the next of these."""
    far, near = os.openpty()
    tty.setraw(near)

    def answer() -> None:
        for said in answers:
            os.read(far, 4096)
            os.write(far, said)

    thread = threading.Thread(target=answer)
    thread.start()
    line = SerialLine(os.ttyname(near), 115200)
    try:
        yield line
        thread.join()
    finally:
        line.close()
        os.close(far)
        os.close(near)


RIGHT = bytes.fromhex("0000ff04fcd5430001e700")
STALE = bytes.fromhex("0000ff04fcd5430002e600")


@pytest.mark.parametrize(
    "said",
    [
        ACK + RIGHT,
        STALE + ACK + RIGHT,
        bytes.fromhex("0000ffff0000") + ACK + RIGHT,
        b"\x00\xff\x10\x10\x00\xff\x05" + ACK + b"\x00\xff\x09\x09" + RIGHT,
        b"\x00\xff\xff\xff\x40\x00\xc0" + ACK + RIGHT,
        ACK + ACK + RIGHT,
        ACK[1:5] + RIGHT[1:],
    ],
    ids=bytes.hex,
)
def test_the_answer_to_a_command_and_no_other(said: bytes) -> None:
    with scripted(said) as line:
        assert pn532_nfcpy.chipset(line).command(THRU, b"\x00", 0.5) == b"\x00\x01"


@pytest.mark.parametrize(
    "said",
    [
        RIGHT,
        ACK + RIGHT[:-1] + b"\x01",
        ACK + STALE[:-2] + RIGHT[-2:],
        ACK + RIGHT[:-3],
        ACK + bytes.fromhex("0000ff02fed5051d2600"),
        ACK + bytes.fromhex("0000ff0000000000"),
        ACK + bytes.fromhex("0000ffffff020afe") + bytes(522),
        ACK[:3],
    ],
    ids=lambda said: said.hex()[:40],
)
def test_no_answer_is_made_up(said: bytes) -> None:
    began = time.monotonic()
    with scripted(said) as line, pytest.raises(OSError, match=r"."):
        pn532_nfcpy.chipset(line).command(THRU, b"\x00", 0.3)
    assert time.monotonic() - began < 1.0


def test_speeds_of_this_platform() -> None:
    assert all(hasattr(termios, f"B{baud}") for baud in pn532_find.BAUD_CODES)
