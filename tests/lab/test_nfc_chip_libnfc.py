"""libnfc's `nfc-list` takes the emulated chip for a PN532, and finds what lies on it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from nfc_bench import Echo

from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_foreign import FeliCa, Mifare

NFC_LIST = shutil.which("nfc-list")

pytestmark = pytest.mark.skipif(NFC_LIST is None, reason="nfc-list is not installed (libnfc-bin)")


def listed(chip: Pn532Chip) -> str:
    assert NFC_LIST is not None
    environment = {**os.environ, "LIBNFC_DEVICE": f"pn532_uart:{chip.port}"}
    done = subprocess.run(
        [NFC_LIST, "-t", "7"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return " ".join(done.stdout.split())


def test_nothing_and_then_everything() -> None:
    field = RfField()
    with Pn532Chip(field) as chip:
        assert "passive target(s) found" not in listed(chip)
        cards = Picc(Echo(), uid=bytes.fromhex("04112233445566")), Mifare(uid=bytes.fromhex("04a1b2c3")), FeliCa()
        for card in cards:
            field.put(card)
        found = listed(chip)
        assert "2 ISO14443A passive target(s) found" in found
        assert "UID (NFCID1): 04 11 22 33 44 55 66" in found
        assert "ATS: 78 80 80 00" in found
        assert "UID (NFCID1): 04 a1 b2 c3" in found
        assert "1 Felica (212 kbps) passive target(s) found" in found
        assert "01 14 b3 4e c1 a2 d3 e4" in found
        assert cards[0].complaints == []
