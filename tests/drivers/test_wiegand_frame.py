"""Frames beside answers that others published, and beside a panel that knows the formats as pictures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.drivers.wiegand_frame import Layout, Length, packed
from mdoc_reader.lab.wiegand_panel import Card, read
from mdoc_reader.model.badge import Badge


def sent(length: Length, facility: int | None, number: int) -> str:
    return "".join(map(str, Layout(length, facility).bits(Badge(number))))


@pytest.mark.parametrize(
    ("length", "facility", "number", "bits"),
    [
        # The README of the npm package wiegand-encoder.
        (26, 90, 324, "00101101000000001010001000"),
        # A card of AskElectronics: 0x21A6616, facility 13, card 13067.
        (26, 13, 13067, f"{0x21A6616:026b}"),
        # The tests of Z9's card formats.
        (26, 68, 41551, "00100010010100010010011111"),
        (26, None, 4497999, "00100010010100010010011111"),
        (26, None, 4518618, "00100010011110010110110101"),
        # The manual of the Civintec CN56.
        (26, None, 0xD41B81, "1" + "110101000001101110000001" + "0"),
        (34, None, 0x89D41B81, "1" + "10001001110101000001101110000001" + "1"),
        # Hikvision's manual of the Wiegand camera.
        (34, None, 1234567890, "1" + "01001001100101100000001011010010" + "0"),
    ],
)
def test_published_answers(length: Length, facility: int | None, number: int, bits: str) -> None:
    assert sent(length, facility, number) == bits


numbers = st.integers(0, 2**64 - 1)


@given(st.integers(0, 255), numbers)
def test_26_bits(facility: int, number: int) -> None:
    assert read(sent(26, facility, number), "H10301") == Card(facility, number & 0xFFFF)
    card = read(sent(26, None, number), "H10301")
    assert card.facility << 16 | card.number == number & 0xFFFFFF


@given(st.integers(0, 65535), numbers)
def test_34_bits(facility: int, number: int) -> None:
    assert read(sent(34, facility, number), "H10306") == Card(facility, number & 0xFFFF)
    card = read(sent(34, None, number), "H10306")
    assert card.facility << 16 | card.number == number & 0xFFFFFFFF


@given(st.integers(0, 65535), numbers)
def test_37_bits(facility: int, number: int) -> None:
    assert read(sent(37, facility, number), "H10304") == Card(facility, number & 0x7FFFF)
    assert read(sent(37, None, number), "H10302") == Card(0, number & 0x7_FFFF_FFFF)


@pytest.mark.parametrize(("length", "name"), [(26, "H10301"), (34, "H10306"), (37, "H10304")])
def test_the_panel_sees_a_flipped_bit(length: Length, name: str) -> None:
    bits = sent(length, 7, 4711)
    for place in range(length):
        flipped = bits[:place] + "10"[int(bits[place])] + bits[place + 1 :]
        with pytest.raises(ValueError, match="parity"):
            read(flipped, name)


@pytest.mark.parametrize(("length", "facility"), [(26, 256), (34, 65536), (37, 65536), (26, -1)])
def test_a_facility_code_without_room(length: Length, facility: int) -> None:
    with pytest.raises(ValueError, match="is 0 to"):
        Layout(length, facility)


def test_octets() -> None:
    assert packed((1, 0, 1, 0, 0, 0, 0, 1, 1)) == b"\xa1\x80"
    assert packed((0,) * 15 + (1,)) == b"\x00\x01"
