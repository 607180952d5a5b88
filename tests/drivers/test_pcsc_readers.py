"""Which reader is chosen by its name, and what cards' answers to reset say."""

from __future__ import annotations

import pytest

from mdoc_reader.drivers.pcsc_readers import card_words, choose, foreign_words, is_contactless
from mdoc_reader.lab.pcsc_card import FELICA, MIFARE_CLASSIC, ULTRALIGHT, answer_to_reset, storage_answer

CONTACT = "Gemalto PC Twin Reader 00 00"
PICC = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"
SAM = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01"
OMNIKEY = (
    "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 00 00",
    "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 01 00",
)
IDENTIV = (
    "Identiv uTrust 4701 F Dual Interface Reader [uTrust 4701 F Contact Reader] (53691601200152) 00 00",
    "Identiv uTrust 4701 F Dual Interface Reader [uTrust 4701 F CL Reader] (53691601200152) 01 00",
)
BROADCOM = ("Broadcom Corp 5880 [Contacted SmartCard] 00 00", "Broadcom Corp 5880 [Contactless SmartCard] 01 00")
UNNAMED = ("OMNIKEY CardMan 5321 00 00", "OMNIKEY CardMan 5321 00 01")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), None),
        ((CONTACT,), CONTACT),
        ((SAM, PICC), PICC),
        ((CONTACT, PICC), PICC),
        ((SAM,), None),
        (OMNIKEY, OMNIKEY[1]),
        (IDENTIV, IDENTIV[1]),
        (BROADCOM, BROADCOM[1]),
        (BROADCOM[:1], BROADCOM[0]),
        (UNNAMED, UNNAMED[1]),
        (("ACS ACR122U PICC Interface 00 00",), "ACS ACR122U PICC Interface 00 00"),
        (("SCM Microsystems Inc. SCL3711-NFC&RW 00 00", CONTACT), "SCM Microsystems Inc. SCL3711-NFC&RW 00 00"),
        ((UNNAMED[0], PICC, UNNAMED[1]), PICC),
    ],
)
def test_the_likeliest_reader_is_chosen(names: tuple[str, ...], chosen: str | None) -> None:
    assert choose(names, "auto") == chosen
    assert choose(names[::-1], "auto") == chosen


def test_a_reader_is_chosen_by_a_part_of_its_name() -> None:
    assert choose(OMNIKEY, "5422cl") == OMNIKEY[1]
    assert choose((CONTACT, *OMNIKEY), "omnikey") == OMNIKEY[0]
    assert choose((SAM,), "sam") == SAM
    assert choose((CONTACT,), "ACR122") is None


def test_names_that_say_contactless() -> None:
    assert all(map(is_contactless, (PICC, OMNIKEY[1], IDENTIV[1], BROADCOM[1])))
    assert not any(map(is_contactless, (CONTACT, SAM, OMNIKEY[0], IDENTIV[0], BROADCOM[0], *UNNAMED)))


@pytest.mark.parametrize(
    ("atr", "words"),
    [
        (bytes.fromhex("3b8f8001804f0ca000000306030001000000006a"), "a MIFARE Classic card"),
        (MIFARE_CLASSIC, "a MIFARE Classic card"),
        (ULTRALIGHT, "a MIFARE Ultralight or NTAG tag"),
        (FELICA, "a FeliCa card"),
        (storage_answer(0x0B, 0x0014), "a vicinity tag (ISO/IEC 15693)"),
        (storage_answer(0x03, 0x7777), "a type A tag without the block protocol"),
        (storage_answer(0xEE, 0x7777), "a contactless tag without applications"),
        (answer_to_reset(b"\x80"), None),
        (answer_to_reset(b""), None),
        (bytes.fromhex("3b8f8001804f0ca0000003060300"), None),  # cut off
        (bytes.fromhex("3b6500002063cb6800"), None),  # with contacts
        (b"", None),
    ],
)
def test_cards_without_applications_are_named(atr: bytes, words: str | None) -> None:
    assert foreign_words(atr) == words


def test_the_lab_makes_answers_up_as_readers_do() -> None:
    assert bytes.fromhex("3b8f8001804f0ca000000306030001000000006a") == MIFARE_CLASSIC
    assert bytes.fromhex("3b8180018080") == answer_to_reset()
    with pytest.raises(ValueError, match="15"):
        answer_to_reset(bytes(16))


def test_what_takes_apdus_is_named_without_telling_two_apart() -> None:
    words = card_words(answer_to_reset(b"\x80"))
    assert words == card_words(answer_to_reset(bytes(15)))
    assert card_words(bytes.fromhex("3b6500002063cb6800")) != words
