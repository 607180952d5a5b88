"""`mdoc-reader nfc probe` on the emulated chip: what it says of phones, cards and troubles, and what it never says."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from mdoc_reader.app import nfc_probe
from mdoc_reader.app.settings import SettingsError
from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_behaviour import (
    STATIC,
    URI_RECORD,
    BleOffer,
    LeRole,
    MessageBehaviour,
    NegotiationBehaviour,
    NfcOffer,
    OtherOffer,
    TagBehaviour,
    TapBehaviour,
)
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import FieldCard, RfField
from mdoc_reader.lab.nfc_foreign import Mifare
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.wallet import Wallet

UUID_SHOWN = UUID("6f0c1a40-6b7e-4f06-9d3c-2b7a6ed5c001")
ADDRESS = bytes.fromhex("c0ffee123456")
MANY = replace(
    STATIC,
    carriers=(
        BleOffer(LeRole.BOTH_RATHER_PERIPHERAL, UUID_SHOWN, address=ADDRESS, psm=0x81),
        NfcOffer(4096, 8192),
        OtherOffer(),
        OtherOffer(type="application/x-nobody", reference="x"),
    ),
    messages=MessageBehaviour(version=0x13, after=(URI_RECORD,)),
)


class Bare:
    """A card that has only the applications it is given."""

    def __init__(self, *applications: bytes) -> None:
        """Hold the identifiers of the applications."""
        self.applications = applications

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer selections."""
        return ApduAnswer(b"\x90\x00" if command[5 : 5 + command[4]] in self.applications else b"\x6a\x82")

    def on_deselected(self) -> None:
        """Do nothing."""


class Probe:
    """The command, with what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Read the output from there."""
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run it."""
        parser = argparse.ArgumentParser()
        nfc_probe.add_parser(parser.add_subparsers())
        chosen = parser.parse_args(["nfc", "probe", *arguments])
        code: int = chosen.function(chosen)
        return code, self._capsys.readouterr().out

    def over(self, *things: FieldCard, more: tuple[str, ...] = ()) -> tuple[int, str]:
        """Run it with these things in the field."""
        with Pn532Chip(RfField(*things), timing=False) as chip:
            return self.run("--path", chip.port, "--wait", "0.4", *more)

    def phone(self, behaviour: TapBehaviour, *more: str) -> tuple[int, str]:
        """Run it over a phone."""
        return self.over(Picc(TapPhone(Wallet([]), behaviour), ta=0x33), more=more)


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Probe:
    """The command."""
    return Probe(capsys)


def test_an_empty_field(probe: Probe) -> None:
    code, said = probe.over()
    assert code == 1
    assert "PN532 firmware 1.6" in said
    assert "field   nothing" in said


def test_a_phone_with_static_handover(probe: Probe) -> None:
    code, said = probe.phone(MANY)
    assert code == 0
    for line in (
        "a card or phone of type A, 106 kbit/s",
        "draws its identifier anew each time, as phones do",
        "frames of up to 256 bytes to it and 256 from it",
        "answers within 77 ms, or asks for more time",
        "mapping version 2.0: reads up to 246 bytes at a time, takes no writes",
        ", URI",
        "static, version 1.3: 4 carriers",
        "Bluetooth: mdoc peripheral server mode and mdoc central client mode; with UUID, with address, with L2CAP",
        "NFC: commands of 4096 bytes of data, responses of 8192",
        "Wi-Fi Aware",
        "a carrier this reader does not know",
        "device engagement version 1.",
    ):
        assert line in said, line


def test_the_same_as_json(probe: Probe) -> None:
    code, said = probe.phone(MANY, "--json", "--option", "max_rate=424")
    facts = json.loads(said)
    assert code == 0
    assert facts["field"]["words"].endswith("424 kbit/s")
    assert [carrier["kind"] for carrier in facts["static_handover"]["carriers"]] == [
        "ble",
        "nfc",
        "wifi_aware",
        "other",
    ]
    assert facts["static_handover"]["carriers"][0]["uuid"] is True
    assert facts["engagement"]["curve"] == "P-256"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_that_tells_two_phones_apart(probe: Probe, more: tuple[str, ...]) -> None:
    seen = set()
    for uid in ("08a1b2c3", "08d4e5f6"):
        phone = Picc(TapPhone(Wallet([]), MANY), uid=bytes.fromhex(uid))
        with Pn532Chip(RfField(phone), timing=False, path=None) as chip:
            _, said = probe.run("--path", chip.port, "--wait", "0.4", *more)
            said = said.replace(chip.port, "PORT").lower()
        seen.add(said)
        for secret in (uid, str(UUID_SHOWN), UUID_SHOWN.hex, ADDRESS.hex(), "lab.invalid"):
            assert secret not in said.replace(":", "")
    assert len(seen) == 1


def test_a_phone_that_negotiates_is_only_read(probe: Probe) -> None:
    phone = TapPhone(Wallet([]), replace(STATIC, negotiates=NegotiationBehaviour()))
    code, said = probe.over(Picc(phone))
    assert code == 0
    assert "negotiated: waits of" in said
    assert not phone.next_handover().done()


def test_a_locked_phone(probe: Probe) -> None:
    code, said = probe.phone(replace(STATIC, locked=True))
    assert code == 0
    assert "refused: " in said
    assert "The phone is locked" in said


@pytest.mark.parametrize(
    ("application", "words"),
    [(bytes.fromhex("a0000002471001"), "passport"), (b"2PAY.SYS.DDF01", "payment card"), (b"other", "not a phone")],
)
def test_cards_with_applications(probe: Probe, application: bytes, words: str) -> None:
    code, said = probe.over(Picc(Bare(application), uid=bytes(range(7))))
    assert code == 0
    assert "has an identifier of its own" in said
    assert words in said.splitlines()[-1]


def test_messages_that_cannot_be_read(probe: Probe) -> None:
    code, said = probe.phone(replace(STATIC, tag=TagBehaviour(raw_message=b"\xd1\x05")))
    assert code == 0
    assert "cannot be read" in said


def test_other_things(probe: Probe) -> None:
    code, said = probe.over(Mifare())
    assert code == 0
    assert "MIFARE Classic" in said
    code, said = probe.over(Picc(Bare()), Picc(Bare()))
    assert code == 0
    assert "more than one" in said


def test_no_reader(probe: Probe, tmp_path: Path) -> None:
    code, said = probe.run("--path", str(tmp_path / "ttyAMA0"))
    assert code == 2
    assert "FAULT" in said
    assert "config.txt" in said
    code, said = probe.run("--path", str(tmp_path / "ttyAMA0"), "--json")
    assert json.loads(said)["trouble"] == "nfc_no_device"


def test_a_reader_that_is_in_use(probe: Probe) -> None:
    from mdoc_reader.drivers.pn532_find import open_chip

    with Pn532Chip(RfField(), timing=False) as far:
        chip = open_chip(far.port, 115200)
        code, said = probe.run("--path", far.port)
        chip.close()
    assert code == 2
    assert "in use by another program" in said


def test_the_configuration_names_the_reader(probe: Probe, tmp_path: Path) -> None:
    file = tmp_path / "reader.toml"
    with Pn532Chip(RfField(), timing=False) as far:
        file.write_text(
            "[profile]\nname = 'x'\n[[profile.request]]\ndoctype = 'org.iso.18013.5.1.mDL'\n"
            "[profile.request.elements]\n'org.iso.18013.5.1' = { portrait = false }\n"
            f"[nfc]\ndriver = 'pn532'\n[nfc.options]\npath = '{far.port}'\n"
        )
        code, said = probe.run("--config", str(file), "--wait", "0")
    assert code == 1
    assert far.port in said


@pytest.mark.parametrize(
    "arguments",
    [("--driver", "nosuch"), ("--driver", "disabled"), ("--option", "speed"), ("--option", "speed=1")],
)
def test_wrong_words(probe: Probe, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError):
        probe.run(*arguments)
