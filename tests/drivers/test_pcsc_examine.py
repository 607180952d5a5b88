"""What the doctor says of the smart card service and its readers, on the real service and for what it may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pcsc_bench import Echo, card_on, found, needs_pcscd, opened

from mdoc_reader.drivers.pcsc_device import Options, examine, open_nfc
from mdoc_reader.drivers.pcsc_examine import choice, not_open
from mdoc_reader.drivers.pcsc_open import device_error
from mdoc_reader.drivers.pcsc_service import (
    NO_READERS,
    READER_GONE,
    REFUSED,
    SERVICE_GONE,
    SHARING_VIOLATION,
    PcscError,
)
from mdoc_reader.lab.pcsc_daemon import PcscDaemon
from mdoc_reader.model.check import Check, Health
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

TWO = ("Gemalto PC Twin Reader 00 00", "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 01 00")


def said(checks: tuple[Check, ...], health: Health) -> str:
    return "\n".join(f"{check.what}: {check.advice}" for check in checks if check.health is health)


@needs_pcscd
def test_a_reader_that_works(run) -> None:  # type: ignore[no-untyped-def]
    with PcscDaemon() as daemon:
        checks = run(examine(Options()))
        assert not said(checks, Health.FAULT)
        assert "Virtual PCD 00 01 through PC/SC" in said(checks, Health.OK)
        assert "for contactless cards" in said(checks, Health.WARNING)
        assert "'Virtual PCD 00 00'" in said(checks, Health.WARNING)
        assert "on the phone before the tap" in said(checks, Health.WARNING)
        checks = run(examine(Options(reader="Virtual PCD")))
        assert "more than one reader" in said(checks, Health.WARNING)
        assert "for contactless cards" not in said(checks, Health.WARNING)
        # A card in the field, and what the driver says of lengths, changes nothing about what works.
        with card_on(daemon, Echo()), opened() as device:
            found(device)
            device.rest()
            assert not said(run(examine(Options())), Health.FAULT)


@needs_pcscd
def test_a_reader_that_another_program_has(run) -> None:  # type: ignore[no-untyped-def]
    with PcscDaemon() as daemon, opened() as device, card_on(daemon, Echo()):
        found(device)
        (check,) = run(examine(Options()))
        assert check.health is Health.WARNING
        assert "stop it" in check.advice


@needs_pcscd
def test_no_reader(run) -> None:  # type: ignore[no-untyped-def]
    with PcscDaemon(readers=0):
        (check,) = run(examine(Options()))
        assert check.health is Health.FAULT
        assert "plug" in check.advice
    with PcscDaemon():
        (check,) = run(examine(Options(reader="ACR122")))
        assert "'Virtual PCD 00 01'" in check.advice


def test_no_service(run) -> None:  # type: ignore[no-untyped-def]
    (check,) = run(examine(Options()))
    assert check.health is Health.FAULT
    assert "pcscd.socket" in check.advice
    with pytest.raises(NfcDeviceError) as told:
        open_nfc(Options())
    assert told.value.code is NfcTrouble.NO_SERVICE


@pytest.mark.parametrize(
    ("results", "code", "advice"),
    [
        (SERVICE_GONE, NfcTrouble.NO_SERVICE, "pcscd"),
        (REFUSED, NfcTrouble.NOT_ALLOWED, "polkit"),
        ((SHARING_VIOLATION,), NfcTrouble.BUSY, "stop it"),
        ((NO_READERS,), NfcTrouble.NO_DEVICE, "plug"),
        (READER_GONE[:-1], NfcTrouble.LOST, "plug"),
        ((0x80100001,), NfcTrouble.LOST, "plug"),
    ],
)
def test_what_results_mean(results: tuple[int, ...], code: NfcTrouble, advice: str, tmp_path: Path) -> None:
    for result in results:
        error = device_error(PcscError(result, "trying"))
        assert error.code is code
        assert f"0x{result:08x}" in str(error)
        check = not_open(error, "auto", (), tmp_path)
        assert advice in check.advice
        assert error.code.log in check.what


def test_a_reader_that_the_kernel_has_taken(tmp_path: Path) -> None:
    (tmp_path / "pn533_usb").mkdir()
    check = not_open(NfcDeviceError(NfcTrouble.NO_DEVICE), "auto", (), tmp_path)
    assert "blacklist pn533_usb" in check.advice


def test_what_is_said_of_the_choice() -> None:
    assert choice(TWO[1], TWO, "auto") == []
    assert choice(TWO[1], TWO, "ACR") == []
    (doubt,) = choice(TWO[0], TWO[:1], "auto")
    assert "contactless" in doubt.what
    (several,) = choice(TWO[0], TWO, "reader")
    assert "more than one" in several.what
