"""nfcpy, which knows nothing of this project, reads the lab phone's tag through the emulated chip."""

from __future__ import annotations

import pytest
from nfc_bench import nfcpy_frontend

from mdoc_reader.lab.nfc_apdus import ApduHandler
from mdoc_reader.lab.nfc_behaviour import NEGOTIATED, STATIC, TagBehaviour, TapBehaviour
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_others import NdefSticker
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.wallet import Wallet

SMALL = TagBehaviour(longest_read=15, longest_write=13)


@pytest.mark.parametrize(
    ("apdus", "writable", "first"),
    [
        (TapPhone(Wallet([]), STATIC), False, "urn:nfc:wkt:Hs"),
        (TapPhone(Wallet([]), TapBehaviour(tag=SMALL)), False, "urn:nfc:wkt:Hs"),
        (TapPhone(Wallet([]), NEGOTIATED), True, "urn:nfc:wkt:Tp"),
        (NdefSticker(), False, "urn:nfc:wkt:U"),
    ],
)
def test_nfcpy_reads_the_tag(apdus: ApduHandler, writable: bool, first: str) -> None:
    field = RfField()
    with Pn532Chip(field) as chip, nfcpy_frontend(chip) as frontend:
        field.put(Picc(apdus))
        tag = frontend.connect(rdwr={"on-connect": lambda _: False, "iterations": 5})
        assert tag.ndef is not None
        assert tag.ndef.is_writeable is writable
        assert tag.ndef.records[0].type == first
    if isinstance(apdus, TapPhone):
        assert apdus.next_handover().done() is not writable
