"""The reader's unit as a text, and as systemd scores it; under a real systemd it is tried in tests/system."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = "mdoc-reader.service"
MOST = 1.2
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@needs_systemd
@pytest.mark.parametrize("options", [(), ("l2cap",), ("l2cap", "tpm", "bookworm")], ids=["as shipped", "l2cap", "all"])
def test_how_exposed_it_is(tmp_path: Path, options: tuple[str, ...]) -> None:
    shutil.copy(SYSTEMD / UNIT, tmp_path)
    (tmp_path / f"{UNIT}.d").mkdir()
    for name in options:
        shutil.copy(SYSTEMD / "options" / f"{name}.conf", tmp_path / f"{UNIT}.d")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", tmp_path / UNIT],
        check=False,
        capture_output=True,
        text=True,
    )
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert match is not None, told.stderr
    assert float(match[1]) <= MOST, told.stdout


def test_nothing_makes_it_wait_and_nothing_makes_it_give_up() -> None:
    unit = settings(SYSTEMD / UNIT)
    for key in ("After", "Requires", "Wants", "BindsTo", "Requisite", "RequiresMountsFor"):
        assert key not in unit
    assert not [key for key in unit if key.startswith(("Condition", "Assert"))]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_the_watchdog_is_the_services_own() -> None:
    unit = settings(SYSTEMD / UNIT)
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert 5 <= int(unit["WatchdogSec"][0].removesuffix("s")) <= 15


def test_every_end_rests_the_relay_by_the_same_file() -> None:
    unit = settings(SYSTEMD / UNIT)
    (start,), (rest,) = unit["ExecStart"], unit["ExecStopPost"]
    # Without a minus before it: a relay that could not be rested is a failure.
    assert rest == start.replace(" run ", " rest ")
    assert rest.startswith("/")


@pytest.mark.parametrize("name", ["", "l2cap", "tpm", "bookworm"])
def test_no_file_of_ours_gives_it_an_ip_socket(name: str) -> None:
    found = settings(SYSTEMD / (f"options/{name}.conf" if name else UNIT))
    assert "INET" not in " ".join(found.get("RestrictAddressFamilies", []))
    assert "IPAddressAllow" not in found


def test_its_devices_are_those_of_a_reader() -> None:
    unit = settings(SYSTEMD / UNIT)
    assert unit["DevicePolicy"] == ["closed"]
    kinds = {device.split()[0] for device in unit["DeviceAllow"]}
    assert kinds == {
        *("char-gpiochip", "char-i2c", "char-spi"),
        *("char-ttyAMA", "char-ttyS", "char-ttyUSB", "char-ttyACM"),
        *("char-video4linux", "char-media", "char-dma_heap"),
    }
    groups = {
        line.split()[2]
        for line in (SYSTEMD / "sysusers.d/mdoc-reader.conf").read_text().splitlines()
        if line[:2] == "m "
    }
    assert groups == {"gpio", "i2c", "spi", "dialout", "video"}


def test_what_is_ours_is_where_the_documentation_says() -> None:
    text = (SYSTEMD.parent / "docs" / "service.md").read_text()
    for path in SYSTEMD.rglob("*"):
        if path.is_file():
            assert path.name in text or path.parent.name in text, path
