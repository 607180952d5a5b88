"""What doctor says of Bluetooth settings and adapters."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdoc_reader.drivers.bluez_examine import found_checks, settings
from mdoc_reader.drivers.bluez_objects import ADAPTER, ADVERTISING
from mdoc_reader.model.check import Health

SHIPPED = Path(__file__).resolve().parents[2] / "systemd"


def room(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "rmem_default"
    path.write_text(f"{size}\n")
    return path


def test_what_we_ship_is_what_a_reader_needs(tmp_path: Path) -> None:
    (line,) = (
        line
        for line in (SHIPPED / "sysctl.d" / "mdoc-reader.conf").read_text().splitlines()
        if line.startswith("net.core.rmem_default")
    )
    assert settings(SHIPPED / "bluetooth" / "main.conf", room(tmp_path, int(line.partition("=")[2]))) == ()


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    conf = tmp_path / "main.conf"
    conf.write_text("[General]\n# as Debian ships it\n[GATT]\n#ExchangeMTU = 517\n")
    checks = settings(conf, room(tmp_path, 212_992))
    assert [check.health for check in checks] == [Health.WARNING] * 4
    assert "ExchangeMTU" in checks[0].what
    assert "Cache" in checks[1].what
    assert "Channels" in checks[2].what
    assert "rmem_default" in checks[3].what
    assert all(check.advice for check in checks)
    conf.write_text("[GATT]\nExchangeMTU = 517\nCache = no\nChannels = 1\n")
    (check,) = settings(conf, room(tmp_path, 4_194_304))
    assert "ExchangeMTU" in check.what


@pytest.mark.parametrize("line", ["", "Channels = 3", "Channels =", "Channels = one", "#Channels = 1"])
def test_more_than_one_bearer_is_a_warning_also_where_nothing_is_said(tmp_path: Path, line: str) -> None:
    conf = tmp_path / "main.conf"
    conf.write_text(f"[GATT]\nExchangeMTU = 512\nCache = no\n{line}\n")
    (check,) = settings(conf, room(tmp_path, 4_194_304))
    assert check.health is Health.WARNING
    assert "[GATT] Channels is not 1" in check.what
    assert "Channels = 1" in check.advice


def test_settings_that_cannot_be_read_are_a_warning(tmp_path: Path) -> None:
    assert [check.health for check in settings(tmp_path / "none", room(tmp_path, 4_194_304))] == [Health.WARNING]
    broken = tmp_path / "main.conf"
    broken.write_text("no section at all")
    assert [check.health for check in settings(broken, room(tmp_path, 4_194_304))] == [Health.WARNING]


def test_adapters_are_judged() -> None:
    assert [check.health for check in found_checks(None, None)] == [Health.FAULT]
    assert [check.health for check in found_checks({}, None)] == [Health.FAULT]
    good = {ADAPTER: {"Powered": True, "Modalias": "usb:v1D6Bp0246d0542"}, ADVERTISING: {}}
    (check,) = found_checks({"/org/bluez/hci0": good}, None)
    assert check.health is Health.OK
    assert "5.66" in check.what
    assert [check.health for check in found_checks({"/org/bluez/hci0": good}, "hci1")] == [Health.FAULT]
    off = {ADAPTER: {"Powered": False}, ADVERTISING: {}}
    assert [check.health for check in found_checks({"/org/bluez/hci0": off}, None)] == [Health.WARNING]
    deaf = {ADAPTER: {"Powered": True, "Modalias": "usb:v1D6Bp0246d0532"}}
    checks = found_checks({"/org/bluez/hci3": deaf}, "hci3")
    assert [check.health for check in checks] == [Health.OK, Health.FAULT, Health.WARNING]
