"""How the device is: every answer of every check, on files and folders made for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.app import device_checks, wiring
from mdoc_reader.app.settings import Settings
from mdoc_reader.lab import certificates
from mdoc_reader.model.check import Check, Health
from mdoc_reader.outputs.languages import PARTS
from mdoc_reader.trust.clock import BUILT, Clock

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PROFILE = {
    "name": "p",
    "age_over": 18,
    "request": [{"doctype": "org.iso.18013.5.1.mDL", "elements": {"org.iso.18013.5.1": {"age_over_18": False}}}],
}
TELLS = Clock(now=lambda: NOW)


def settings(**tables: object) -> Settings:
    return msgspec.convert({"profile": PROFILE, **tables}, Settings)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))


def one(checks: tuple[Check, ...]) -> Check:
    (check,) = checks
    assert check.part.split()[0] in PARTS
    assert (check.health is Health.OK) == (not check.advice), "what is not well comes with advice"
    return check


# Clock


def test_a_clock_that_was_set() -> None:
    check = one(device_checks.clock_checks(settings(), TELLS))
    assert (check.health, check.what) == (Health.OK, "2026-12-01 12:00 UTC, set by a battery or network")
    kept = one(device_checks.clock_checks(settings(trust={"clock": "kept"}), TELLS))
    assert "looked after" in kept.what


@pytest.mark.parametrize(
    ("clock", "says", "advises"),
    [
        (Clock(now=lambda: NOW, was_set=lambda: False), "was not set", "timesyncd"),
        (Clock(now=lambda: BUILT - timedelta(days=900)), "certainly over", "RTC"),
        (Clock(now=lambda: NOW, believable=timedelta(days=1)), "further ahead", "set the clock"),
    ],
)
def test_a_clock_in_doubt(clock: Clock, says: str, advises: str) -> None:
    refuses = one(device_checks.clock_checks(settings(), clock))
    assert refuses.health is Health.FAULT
    assert says in refuses.what
    assert "nothing opens" in refuses.what
    assert advises in refuses.advice
    warns = one(device_checks.clock_checks(settings(trust={"untrusted_clock": "warn"}), clock))
    assert warns.health is Health.WARNING
    assert "nothing opens" not in warns.what


# Trust


def test_nobody_is_trusted() -> None:
    check = one(device_checks.trust_checks(settings(), "f.toml", TELLS))
    assert check.health is Health.FAULT
    assert "trust import" in check.advice


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    chosen = settings(reader={"trust_anchors": [str(tmp_path / "none")]})
    check = one(device_checks.trust_checks(chosen, "f.toml", TELLS))
    assert check.health is Health.FAULT
    assert "f.toml: reader.trust_anchors" in check.what


def test_anchors_and_what_was_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "anchors"
    folder.mkdir()
    chosen = settings(reader={"trust_anchors": [str(folder)]})
    (folder / "iaca.pem").write_bytes(certificates.make_iaca().pem)
    check = one(device_checks.trust_checks(chosen, "f.toml", TELLS))
    assert (check.health, check.what) == (Health.OK, "1 trusted issuer")
    for number in range(7):
        (folder / f"broken{number}.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    _, *skipped = device_checks.trust_checks(chosen, "f.toml", TELLS)
    assert [check.health for check in skipped] == [Health.WARNING] * 5
    assert "broken0.pem" in skipped[0].what
    assert skipped[-1].what == "and 3 more skipped"


def test_a_store_that_is_empty(tmp_path: Path) -> None:
    chosen = settings(trust={"store": str(tmp_path / "trust")})
    checks = device_checks.trust_checks(chosen, "f.toml", TELLS)
    assert {check.health for check in checks} == {Health.FAULT}
    beliefs, _, _ = wiring.load_beliefs(chosen, "f.toml")
    assert beliefs.believed is None
    assert device_checks.belief_checks(chosen, beliefs, TELLS) == checks, "a running reader says why, too"


def test_what_a_running_reader_believes(tmp_path: Path) -> None:
    (tmp_path / "iaca.pem").write_bytes(certificates.make_iaca().pem)
    chosen = settings(reader={"trust_anchors": [str(tmp_path / "iaca.pem")]})
    beliefs, _, _ = wiring.load_beliefs(chosen, "f.toml")
    assert one(device_checks.belief_checks(chosen, beliefs, TELLS)).health is Health.OK
    far = Clock(now=lambda: NOW + timedelta(days=365 * 40))
    checks = device_checks.belief_checks(chosen, beliefs, far)
    assert checks[0].health is Health.FAULT
    assert "ended" in checks[0].what


# The reader's certificates


def test_certificates(tmp_path: Path) -> None:
    assert device_checks.certificate_checks(settings(), TELLS) == ()
    path = tmp_path / "chain.pem"
    chosen = settings(reader={"reader_certificates": str(path)})
    assert one(device_checks.certificate_checks(chosen, TELLS)).health is Health.FAULT
    reader = certificates.make_reader(certificates.make_reader_ca())
    path.write_bytes(reader.pem)
    public = reader.key.public_key()
    clock = Clock(now=certificates.now)
    check = one(device_checks.certificate_checks(chosen, clock, public))  # type: ignore[arg-type]
    assert check.health is Health.OK
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    wrong, _ = device_checks.certificate_checks(chosen, clock, stranger)
    assert wrong.health is Health.FAULT
    assert "not that of the configured key" in wrong.what
    soon = Clock(now=lambda: reader.certificate.not_valid_after_utc - timedelta(days=30))
    assert one(device_checks.certificate_checks(chosen, soon)).health is Health.WARNING
    late = Clock(now=lambda: reader.certificate.not_valid_after_utc + timedelta(days=1))
    assert one(device_checks.certificate_checks(chosen, late)).health is Health.FAULT


# Disk


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def given(mib: int, *, flags: int = 0) -> None:
        told = SimpleNamespace(f_bavail=mib * 256, f_frsize=4096, f_flag=flags)
        monkeypatch.setattr(os, "statvfs", lambda path: told)

    return given


def test_the_disk_of_this_machine(tmp_path: Path) -> None:
    check = one(device_checks.disk_checks(tmp_path / "not" / "made" / "yet"))
    assert check.what.endswith(f"MiB free at {tmp_path}")


@pytest.mark.parametrize(
    ("mib", "health"), [(5000, Health.OK), (200, Health.OK), (199, Health.WARNING), (19, Health.FAULT)]
)
def test_room_on_the_disk(tmp_path: Path, room: Callable[..., None], mib: int, health: Health) -> None:
    room(mib)
    check = one(device_checks.disk_checks(tmp_path))
    assert check.health is health
    assert check.what == f"{mib} MiB free at {tmp_path}"


def test_a_card_that_is_worn_out(tmp_path: Path, room: Callable[..., None]) -> None:
    room(5000, flags=os.ST_RDONLY)
    check = one(device_checks.disk_checks(tmp_path))
    assert check.health is Health.FAULT
    assert "replace it" in check.advice


def test_a_disk_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(os, "statvfs", fail)
    check = one(device_checks.disk_checks(tmp_path))
    assert (check.health, check.what) == (Health.FAULT, f"{tmp_path}: Input/output error")


# Temperature and power, in a /sys of our own


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_no_temperature(tmp_path: Path) -> None:
    assert device_checks.temperature_checks(tmp_path) == ()
    for number, nonsense in enumerate(("", "warm\n", "999999999\n", "-274000\n", "4" * 5000)):
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/temp", nonsense)
    assert device_checks.temperature_checks(tmp_path) == ()


@pytest.mark.parametrize(
    ("told", "health"),
    [("48312\n", Health.OK), ("74999\n", Health.OK), ("75000\n", Health.WARNING), ("85000\n", Health.FAULT)],
)
def test_the_hottest_place_counts(tmp_path: Path, told: str, health: Health) -> None:
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "31000\n")
    write(tmp_path / "sys/class/thermal/thermal_zone1/temp", told)
    check = one(device_checks.temperature_checks(tmp_path))
    assert check.health is health
    assert check.what == f"{int(told) / 1000:.0f} degrees Celsius"


FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"


def test_no_word_of_power(tmp_path: Path) -> None:
    assert device_checks.power_checks(tmp_path) == ()
    write(tmp_path / FLAGS, "no number\n")
    write(tmp_path / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")
    assert device_checks.power_checks(tmp_path) == ()


@pytest.mark.parametrize(
    ("flags", "health"),
    [("0\n", Health.OK), ("50005\n", Health.FAULT), ("50000\n", Health.WARNING), ("20002\n", Health.OK)],
)
def test_what_the_firmware_says_of_power(tmp_path: Path, flags: str, health: Health) -> None:
    write(tmp_path / FLAGS, flags)
    assert one(device_checks.power_checks(tmp_path)).health is health


@pytest.mark.parametrize(("alarm", "health"), [("0\n", Health.OK), ("1\n", Health.FAULT)])
def test_the_alarm_of_the_voltage(tmp_path: Path, alarm: str, health: Health) -> None:
    write(tmp_path / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    write(tmp_path / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm)
    assert one(device_checks.power_checks(tmp_path)).health is health


# Together


def test_all_of_it(tmp_path: Path) -> None:
    write(tmp_path / FLAGS, "1\n")
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "80000\n")
    checks = device_checks.device_checks(settings(), TELLS, tmp_path)
    assert [check.part for check in checks] == ["clock", "disk", "temperature", "power"]
    assert device_checks.not_well(checks) == ("power", "temperature"), "the worst first"
    assert device_checks.not_well(()) == ()
    key = Check("key certificate", Health.FAULT, "expired")
    assert device_checks.not_well((key, key, Check("key", Health.WARNING, "slow"))) == ("key",)
