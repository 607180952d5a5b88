"""The doctor: every part is looked at, what it says can be read, and a running reader is left in peace."""

from __future__ import annotations

import asyncio
import io
import json
import os
import runpy
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from mdoc_reader.app import cli, doctor, doctor_table, fit, running, wiring
from mdoc_reader.app.running import Presence, Seen
from mdoc_reader.app.settings import Settings, SettingsError, load
from mdoc_reader.app.wiring import Driver
from mdoc_reader.lab import certificates
from mdoc_reader.model.check import Check, Health
from mdoc_reader.pictures.decoder import PortraitDecoder

CONFIGS = Path(__file__).resolve().parents[2] / "config"
WELL = """
[reader]
product = false
trust_anchors = ["{state}/iaca.pem"]

[trust]
clock = "kept"

[pins]
driver = "simulated"

[display]
driver = "simulated"
options.folder = "{runtime}/display"
options.size = "240x240"
options.colour = true

[profile]
name = "over 18"
age_over = 18
[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
why = "the portrait is compared"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
portrait = false
"""
COMPARED = WELL.replace("age_over = 18\n", "age_over = 18\ncompare = true\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "iaca.pem").write_bytes(certificates.make_iaca().pem)
    return tmp_path


def looked(folder: Path, text: str, seen: Seen | None = None) -> tuple[Check, ...]:
    file = folder / "reader.toml"
    file.write_text(text)
    return asyncio.run(doctor.look(load(file), str(file), seen))


def of(checks: tuple[Check, ...], part: str) -> list[Check]:
    return [check for check in checks if check.part.split()[0] == part]


def well(checks: tuple[Check, ...]) -> bool:
    return all(check.health is Health.OK for check in checks)


def test_every_part_is_told_of_in_order(folder: Path) -> None:
    checks = looked(folder, COMPARED)
    parts = list(dict.fromkeys(check.part for check in checks))
    machine = [part for part in parts if part in {"temperature", "power"}]
    assert parts == [
        *("profile", "lists", "clock", "key", "nfc", "bluetooth", "camera"),
        *("display", "pins", "building", "portraits", "disk", *machine),
    ]
    assert all(well(tuple(of(checks, part))) for part in parts if part not in {"disk", *machine}), checks
    assert not of(looked(folder, WELL), "portraits"), "nobody compares one"


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1 << 20, f_frsize=4096, f_flag=0))
    monkeypatch.setattr(doctor.device_checks, "temperature_checks", lambda _: ())
    file = folder / "reader.toml"
    file.write_text(WELL)
    asked = ["doctor", "--config", str(file)]
    assert cli.main(asked) == 0
    told = capsys.readouterr().out
    assert "✓ ok       profile    'over 18' opens for: age_over(18)\n" in told
    assert "parts are well" in told
    file.write_text(WELL.replace("why =", "# "))
    assert cli.main([*asked, "--json"]) == 1
    (odd,) = [row for row in json.loads(capsys.readouterr().out) if row["health"] != "ok"]
    assert odd["part"] == "profile"
    assert "portrait" in odd["what"]
    assert "profile explain" in odd["advice"]
    (folder / "iaca.pem").unlink()
    assert cli.main(asked) == 2
    assert "✗ FAULT    lists" in capsys.readouterr().out
    file.write_text("[profile]\n")
    assert cli.main(asked) == 2
    assert "profile" in capsys.readouterr().err


def test_what_cannot_be_loaded_hides_nothing_else(folder: Path) -> None:
    checks = looked(folder, WELL + '[nfc]\ndriver = "sonic"\n[camera]\ndriver = "file"\noptions.pace = 1\n')
    assert of(checks, "nfc")[0].health is Health.FAULT
    assert "no driver 'sonic'" in of(checks, "nfc")[0].what
    assert of(checks, "camera")[0].health is Health.FAULT
    assert well(tuple(of(checks, "pins")))
    (check,) = of(checks, "decoder")
    assert check.what == "driver 'zxing' loads; it cannot tell more"


def test_a_profile_that_cannot_be_used(folder: Path) -> None:
    (check,) = of(looked(folder, WELL.replace("age_over = 18", "rule = 'age_over('")), "profile")
    assert (check.health, "profile.rule" in check.what) == (Health.FAULT, True)
    (check,) = of(looked(folder, WELL + '[panel]\nlanguages = ["tlh"]\n'), "profile")
    assert "no words for tlh" in check.what


def test_a_site_key_that_only_the_service_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    listed = 'age_over = 18\nsite_key = "{credentials}/site.key"\nlists = {guests = "{state}/guests"}\n'
    (check,) = of(looked(folder, WELL.replace("age_over = 18\n", listed)), "profile")
    assert (check.health, check.what.endswith("was not read")) == (Health.OK, True), check
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    (check,) = of(looked(folder, WELL.replace("age_over = 18\n", listed)), "profile")
    assert (check.health, "site_key" in check.what) == (Health.FAULT, True), check


def test_a_driver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def examine(options: object) -> tuple[Check, ...]:
        await asyncio.sleep(60)
        return ()

    module = ModuleType("slow")
    monkeypatch.setattr(module, "examine", examine, raising=False)
    monkeypatch.setattr(doctor, "_EXAMINE_S", 0.05)
    (check,) = asyncio.run(doctor._part(Driver("nfc", "slow", module, None), Seen(runs=False)))
    assert (check.health, check.advice) == (Health.FAULT, "restart the device")


# The key


def test_the_key_and_whose_certificate_it_is(folder: Path) -> None:
    reader = certificates.make_reader(certificates.make_reader_ca())
    other = certificates.make_reader(certificates.make_reader_ca())
    locked = BestAvailableEncryption(b"open sesame")
    for name, data in (
        ("reader.key", reader.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)),
        ("pass", b"open sesame"),
    ):
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    (folder / "chain.pem").write_bytes(reader.pem)
    with_file = WELL.replace("[trust]", 'reader_certificates = "{state}/chain.pem"\n[trust]')
    with_file += '[key]\ndriver = "file"\noptions.path = "{state}/reader.key"\n'
    with_file += 'options.passphrase_file = "{state}/pass"\n'
    opens, valid = of(looked(folder, with_file), "key")
    assert (opens.health, valid.health) == (Health.OK, Health.OK), (opens, valid)
    assert "valid until" in valid.what
    (folder / "chain.pem").write_bytes(other.pem)
    _, wrong, _ = of(looked(folder, with_file), "key")
    assert "not that of the configured key" in wrong.what
    (folder / "reader.key").chmod(0o644)
    assert of(looked(folder, with_file), "key")[0].health is Health.FAULT
    (folder / "reader.key").chmod(0o600)
    none = looked(folder, with_file.replace("reader_certificates", "# "))
    assert "names no certificates" in of(none, "key")[1].what


def test_a_key_that_only_the_service_can_unlock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    reader = certificates.make_reader(certificates.make_reader_ca())
    (folder / "chain.pem").write_bytes(reader.pem)
    text = WELL.replace("[trust]", 'reader_certificates = "{state}/chain.pem"\n[trust]')
    text += '[key]\ndriver = "file"\noptions.credential = "mdoc-reader.key"\n'
    key, chain = of(looked(folder, text), "key")
    assert (key.health, chain.health) == (Health.WARNING, Health.OK)
    assert "start the service" in key.advice
    key, _ = of(looked(folder, text, Seen(runs=True, faults={})), "key")
    assert (key.health, key.what) == (Health.OK, "file: the running reader has it, and it works")
    locked = reader.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "mdoc-reader.key").write_bytes(locked)
    (folder / "mdoc-reader.key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert "opens" in of(looked(folder, text), "key")[0].what, "inside the service"


def test_a_key_without_a_driver(folder: Path) -> None:
    pair = 'reader_key = "{state}/reader.key"\nreader_certificates = "{state}/chain.pem"\n[trust]'
    check, chain = of(looked(folder, WELL.replace("[trust]", pair)), "key")
    assert (check.health, chain.health) == (Health.FAULT, Health.FAULT)
    reader = certificates.make_reader(certificates.make_reader_ca())
    pem = reader.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "reader.key").write_bytes(pem)
    (folder / "chain.pem").write_bytes(reader.pem)
    assert well(tuple(of(looked(folder, WELL.replace("[trust]", pair)), "key")))


# A running reader


def test_a_running_reader_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mdoc_reader.drivers import pn532_device, v4l2_camera, wiegand_building

    async def touched(options: object) -> tuple[Check, ...]:
        raise AssertionError(f"touched: {options}")

    for module in (pn532_device, v4l2_camera, wiegand_building):
        monkeypatch.setattr(module, "examine", touched)
    text = WELL.replace("age_over = 18\n", 'age_over = 18\nidentifier = "visit"\n')
    text += '[nfc]\ndriver = "pn532"\n[camera]\ndriver = "v4l2"\n'
    text += '[building]\ndriver = "wiegand"\noptions = {d0 = 9, d1 = 10, format = 26}\n'
    with pytest.raises(AssertionError, match="touched"):
        looked(folder, text)
    checks = looked(folder, text, Seen(runs=True, faults={"nfc": "It is gone.", "display": "it does not answer"}))
    (nfc,) = of(checks, "nfc")
    assert (nfc.health, nfc.what) == (Health.FAULT, "pn532: the running reader says: It is gone.")
    assert "systemctl stop" in nfc.advice
    (camera,) = of(checks, "camera")
    assert (camera.health, camera.what) == (Health.OK, "v4l2: the running reader has it, and it works")
    assert of(checks, "display")[1].health is Health.FAULT
    (camera,) = of(looked(folder, text, Seen(runs=True)), "camera")
    assert camera.what == "v4l2: the running reader has it"


def test_a_reader_is_seen_while_it_runs(tmp_path: Path) -> None:
    assert running.look(tmp_path) == Seen(runs=False)
    presence = Presence(tmp_path)
    presence.tell({})
    assert running.look(tmp_path) == Seen(runs=True, faults={})
    presence.tell({"camera": "gone\x1b[2J"})
    assert running.look(tmp_path).faults == {"camera": "gone[2J"}
    twin = Presence(tmp_path)
    twin.tell({})
    presence.close()
    presence.close()
    assert running.look(tmp_path).runs
    twin.close()
    assert running.look(tmp_path) == Seen(runs=False)


@pytest.mark.parametrize("damage", ["", "[]", "[" * 100_000, "\xff"])
def test_damaged_words_of_a_running_reader(tmp_path: Path, damage: str) -> None:
    presence = Presence(tmp_path)
    presence.tell({})
    (tmp_path / "faults.json").write_text(damage, encoding="latin-1")
    assert running.look(tmp_path) == Seen(runs=True, faults=None)
    (tmp_path / "faults.json").unlink()
    os.mkfifo(tmp_path / "faults.json")
    assert running.look(tmp_path) == Seen(runs=True, faults=None)
    presence.close()


def test_a_reader_that_cannot_be_seen_serves_all_the_same(tmp_path: Path) -> None:
    presence = Presence(tmp_path / "none")
    presence.tell({})
    presence.close()
    refused = tmp_path / "refused"
    refused.mkdir()
    (refused / "running").symlink_to(tmp_path / "elsewhere")
    Presence(refused).tell({})
    assert not (tmp_path / "elsewhere").exists()


def test_the_service_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbid)
    assert running.look(tmp_path) == Seen(runs=True)


def test_where_the_service_keeps_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, state = tmp_path / "run", tmp_path / "state"
    monkeypatch.setattr(doctor, "_SERVICE", {"RUNTIME_DIRECTORY": run, "STATE_DIRECTORY": state})
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, "")  # so that it is undone
        monkeypatch.delenv(name)
    assert not doctor._installed().runs
    assert "RUNTIME_DIRECTORY" not in os.environ
    state.mkdir()
    run.mkdir()
    presence = Presence(run)
    presence.tell({"nfc": "gone"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _: path != run)
        assert doctor._installed().runs, "its folder is not ours to read, and there"
        assert os.environ["STATE_DIRECTORY"] == str(state)
    assert doctor._installed().faults == {"nfc": "gone"}
    assert wiring.places()["runtime"] == str(run)
    presence.close()


# Portraits


def test_portraits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(decoder: PortraitDecoder) -> bool:
        return works

    works = True
    monkeypatch.setattr(PortraitDecoder, "start", start)
    (check,) = asyncio.run(doctor.portrait_checks())
    assert (check.health, "seccomp" in check.advice) == (Health.WARNING, True)
    works = False
    (check,) = asyncio.run(doctor.portrait_checks())
    assert (check.health, "panel" in check.advice) == (Health.FAULT, True)


# The table


def test_the_table() -> None:
    long = Check("nfc", Health.WARNING, "the line is bad " * 12, "wires " * 30)
    checks = (Check("pins", Health.OK, "well"), long, Check("nfc", Health.FAULT, "dead"), Check("key b", Health.OK, ""))
    pipe = io.TextIOWrapper(io.BytesIO(), "utf-8")
    plain = doctor_table.told(checks, pipe).splitlines()
    assert plain[0] == "✓ ok       pins   well"
    assert plain[1].startswith("! WARNING  nfc    the line is bad")
    assert plain[2].startswith("                  -> wires")
    assert plain[3] == "✗ FAULT           dead"
    assert plain[-1] == "fault: nfc; 2 parts are well"
    assert "\x1b" not in "".join(plain)
    old = io.TextIOWrapper(io.BytesIO(), "latin-1")
    assert doctor_table.told(checks, old).startswith("+ ok       pins   well")
    assert doctor_table.sums(checks[:1]) == "all 1 parts are well"
    assert doctor_table.sums((checks[0], long)) == "warning: nfc; 1 part is well"


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def test_the_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    checks = (Check("nfc", Health.FAULT, "words " * 40, "advice " * 40),)
    told = doctor_table.told(checks, Terminal())
    assert told.startswith("\x1b[31;1m✗ FAULT  \x1b[0m  nfc  words")
    monkeypatch.setenv("NO_COLOR", "1")
    told = doctor_table.told(checks, Terminal())
    assert "\x1b" not in told
    assert max(len(line) for line in told.splitlines()) <= 80
    assert told.count("words") == told.count("advice") == 40


def test_the_picture_of_it_fits() -> None:
    tool = runpy.run_path(str(CONFIGS.parent / "tools" / "maintenance_docs.py"))
    assert tool["table"]() == (CONFIGS.parent / "docs" / "doctor.svg").read_text()


# Whether the parts suit each other


def fits(folder: Path, text: str) -> list[str]:
    settings = msgspec.convert(tomllib.loads(text), Settings)
    return [check.what for check in fit.doubts(settings, wiring.load_drivers(settings, "reader.toml"))]


def test_nobody_compares_a_portrait_that_nobody_sees(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blind = COMPARED.replace('[display]\ndriver = "simulated"', '[display]\ndriver = "disabled"')
    blind = "\n".join(line for line in blind.splitlines() if "options.size" not in line and "colour" not in line)
    blind = "\n".join(line for line in blind.splitlines() if "options.folder" not in line)
    file = folder / "reader.toml"
    file.write_text(blind)
    with pytest.raises(SettingsError, match=rf"{file}:\d+: display.driver: a portrait is compared"):
        fit.refuse(load(file), str(file))
    for command in (["config", "check", str(file)], ["run", "--config", str(file)]):
        assert cli.main(command) == 2
        assert "display.driver: a portrait is compared" in capsys.readouterr().err
    (check,) = [check for check in looked(folder, blind) if check.health is Health.FAULT]
    assert check.part == "display"
    fit.refuse(load_text(folder, blind.replace("compare = true", "")), "reader.toml")


def load_text(folder: Path, text: str) -> Settings:
    (folder / "other.toml").write_text(text)
    return load(folder / "other.toml")


def test_a_portrait_needs_a_button_and_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fits(folder, COMPARED) == []
    (button,) = fits(folder, COMPARED.replace('[pins]\ndriver = "simulated"', '[pins]\ndriver = "disabled"'))
    assert "no button to confirm with" in button
    small = COMPARED.replace("240x240", "128x64").replace("colour = true", "colour = false")
    (rows,) = fits(folder, small)
    assert rows.startswith("a portrait is compared on 64 rows")
    assert fits(folder, small.replace("128x64", "128x128")) == []
    assert fits(folder, WELL) == []
    (folder / "reader.toml").write_text(small)
    assert cli.main(["config", "check", str(folder / "reader.toml")]) == 0
    assert "warning: display: a portrait is compared on 64 rows" in capsys.readouterr().out
    gpio = COMPARED.replace('driver = "simulated"\n\n[display]', 'driver = "gpiozero"\noptions.green = 17\n\n[display]')
    assert "no button" in fits(folder, gpio)[0]


def test_one_pin_for_two(folder: Path) -> None:
    text = WELL.replace('driver = "simulated"\n\n[display]', 'driver = "gpiozero"\noptions.alarm = 24\n\n[display]')
    text = text.partition("[display]")[0] + '[display]\ndriver = "lcd"\n[profile]' + text.partition("[profile]")[2]
    text = (
        text.partition("[[")[0]
        + 'identifier = "visit"\n[building]\ndriver = "wiegand"\noptions = {d0 = 8, d1 = 9, format = 26}\n'
    )
    text += '[[profile.request]]\ndoctype = "d"\nelements = {n = {e = false}}\n'
    assert fits(folder, text) == [
        "GPIO 8 is given to display (SPI select) and to building (d0)",
        "GPIO 24 is given to pins (alarm) and to display (reset)",
    ]
    (check, *_) = [c for c in looked(folder, text) if "GPIO 24" in c.what]
    assert (check.part, check.health) == ("pins", Health.FAULT)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: str(file.stem))
def test_the_parts_of_each_product_suit_each_other(file: Path) -> None:
    settings = load(file)
    fit.refuse(settings, str(file))
    assert fit.doubts(settings, wiring.load_drivers(settings, str(file))) == ()


# Maintenance


def test_maintenance_on_and_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ["--runtime", str(tmp_path)]
    for _ in range(2):
        assert cli.main(["maintenance", "on", *there]) == 0
        assert (tmp_path / "maintenance").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    for _ in range(2):
        assert cli.main(["maintenance", "off"]) == 0
        assert not (tmp_path / "maintenance").exists()
    capsys.readouterr()
    assert cli.main(["maintenance", "on", "--runtime", str(tmp_path / "none")]) == 1
    assert "does the reader run?" in capsys.readouterr().err
    (tmp_path / "maintenance").symlink_to(tmp_path / "elsewhere")
    cli.main(["maintenance", "on"])
    assert not (tmp_path / "elsewhere").exists(), "no link is followed"
