"""What `mdoc-reader doctor` says of a PN532 and its port; and the driver for readers without NFC."""

from __future__ import annotations

import errno
import grp
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mdoc_reader.drivers import disabled_nfc, pn532_device, pn532_find
from mdoc_reader.drivers.pn532_device import Options
from mdoc_reader.drivers.pn532_examine import consoles
from mdoc_reader.drivers.pn532_find import open_chip
from mdoc_reader.lab.nfc_chip import Pn532Chip as EmulatedChip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_host_faults import HostFault, Trouble
from mdoc_reader.model.check import Check, Health
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

Run = Callable[[Coroutine[Any, Any, tuple[Check, ...]]], tuple[Check, ...]]


def test_a_chip_that_is_well(run: Run) -> None:
    with EmulatedChip(RfField(), timing=False) as far:
        (check,) = run(pn532_device.examine(Options(path=far.port)))
        assert check.health is Health.OK
        assert check.what == f"PN532 firmware 1.6 at {far.port}, 115200 baud"
        assert not far.field.on
        open_chip(far.port, 115200).close()  # it was let go of


def test_firmware_from_before(run: Run) -> None:
    with EmulatedChip(RfField(), timing=False, firmware=bytes.fromhex("32010507")) as far:
        checks = run(pn532_device.examine(Options(path=far.port)))
    assert [check.health for check in checks] == [Health.OK, Health.WARNING]


def test_a_line_that_spoils_long_messages(run: Run) -> None:
    with EmulatedChip(RfField(), timing=False) as far:
        far.misbehave(HostFault(Trouble.BAD_CHECKSUM, 0x00, times=None))
        checks = run(pn532_device.examine(Options(path=far.port)))
    assert [check.health for check in checks] == [Health.OK, Health.FAULT]
    assert "baud" in checks[1].advice


def test_a_port_in_use(run: Run) -> None:
    with EmulatedChip(RfField(), timing=False) as far:
        chip = open_chip(far.port, 115200)
        (check,) = run(pn532_device.examine(Options(path=far.port)))
        chip.close()
    assert check.health is Health.WARNING
    assert "in use by another program" in check.what


def test_nobody_answers(run: Run) -> None:
    far, near = os.openpty()
    (check,) = run(pn532_device.examine(Options(path=os.ttyname(near))))
    os.close(far)
    os.close(near)
    assert check.health is Health.FAULT
    assert "I0 and I1" in check.advice


def test_no_port(run: Run, tmp_path: Path) -> None:
    (check,) = run(pn532_device.examine(Options(path=str(tmp_path / "serial0"))))
    assert check.health is Health.FAULT
    assert "config.txt" in check.advice


def test_no_right_to_open_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, baud: int) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), path, baud)

    monkeypatch.setattr(pn532_find, "SerialLine", refuse)
    port = tmp_path / "ttyAMA0"
    port.write_bytes(b"")
    (check,) = run(pn532_device.examine(Options(path=str(port))))
    assert check.health is Health.FAULT
    assert repr(grp.getgrgid(port.stat().st_gid).gr_name) in check.advice


def test_consoles(tmp_path: Path) -> None:
    active = tmp_path / "active"
    active.write_text("tty0 ttyAMA0\n")
    (tmp_path / "ttyAMA0").write_text("")
    (tmp_path / "serial0").symlink_to(tmp_path / "ttyAMA0")
    (check,) = consoles([str(tmp_path / "serial0"), str(tmp_path / "ttyUSB0")], active)
    assert check.health is Health.WARNING
    assert "serial-getty@ttyAMA0" in check.advice
    assert consoles([str(tmp_path / "ttyUSB0")], active) == ()
    assert consoles([str(tmp_path / "serial0")], tmp_path / "missing") == ()


def test_disabled() -> None:
    with pytest.raises(NfcDeviceError) as caught:
        disabled_nfc.open_nfc(disabled_nfc.Options())
    assert caught.value.code is NfcTrouble.DISABLED
    assert disabled_nfc.SIMULATED is False
