"""Whatever a host or a reader sends, the emulated chip and the cards in its field answer or stay silent, and live."""

from __future__ import annotations

import random
import time

import pytest
from nfc_bench import Echo, nfcpy_device

from mdoc_reader.lab.nfc_air import Kind, RfFrame, with_crc
from mdoc_reader.lab.nfc_blocks import Wtx
from mdoc_reader.lab.nfc_card import Fault, FaultKind, Picc, Way
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_commands import Commands, WrongCommand
from mdoc_reader.lab.nfc_field import FieldCard, RfField
from mdoc_reader.lab.nfc_foreign import ULTRALIGHT, FeliCa, Mifare, PiccB
from mdoc_reader.lab.nfc_radio import Radio
from mdoc_reader.lab.nfc_time import Pace
from mdoc_reader.lab.nfc_uart import LONGEST_DATA, HostFrames

CODES = (0x00, 0x02, 0x04, 0x06, 0x08, 0x10, 0x12, 0x14, 0x16, 0x32, 0x40, 0x42, 0x44, 0x4A, 0x4E, 0x52, 0x54, 0x56)


class GivenUp(Exception):  # noqa: N818 -- the host's wish
    """What the chip's waits raise when the host has enough."""


def cards() -> list[FieldCard]:
    return [
        Picc(Echo(), ta=0x77),
        Picc(Echo(after_s=0.1), uid=bytes(range(7)), ats=b"\x01"),
        Mifare(),
        Mifare(uid=bytes(range(10)), sak=ULTRALIGHT),
        FeliCa(),
        PiccB(Echo()),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_commands_of_any_content(seed: int) -> None:
    source = random.Random(seed)

    def give_up(_: float) -> None:
        raise GivenUp

    radio = Radio(RfField(*source.sample(cards(), source.randrange(1, 5))), Pace(give_up, real=False))
    commands = Commands(radio)
    answered = 0
    for _ in range(400):
        code = source.choice(CODES) if source.random() < 0.95 else source.randrange(256)
        parameters = source.randbytes(source.choice((0, 1, 2, 3, 3, 4, 9, 12, 30, 262)))
        if code == 0x4A and source.random() < 0.9:
            parameters = bytes((source.choice((1, 2)), source.randrange(4))) + source.choice(
                (b"", b"\x00", bytes.fromhex("00ffff0100"), bytes(range(7)))
            )
        if code in {0x40, 0x42} and source.random() < 0.7:
            parameters = bytes((source.choice((1, 2, 0x41)),))[: code == 0x40] + source.choice(
                (b"\xe0\x80", b"\x02xyz", b"\x03xyz", b"\xb2", b"\xa3", b"\xf2\x01", b"\xc2", b"\xd0\x11\x0a", b"")
            )
        try:
            found = commands.run(code, parameters)
        except (WrongCommand, GivenUp):
            continue
        answered += 1
        assert len(found) + 2 <= LONGEST_DATA
    assert answered > 50


@pytest.mark.parametrize("seed", range(10))
def test_frames_of_any_content(seed: int) -> None:
    source = random.Random(seed)
    lying = cards()
    field = RfField(*lying)
    for at in range(2000):
        if at % 100 == 0:
            field.switch(on=False)
            field.switch(on=True)
            card = source.choice(lying)
            field.take(card, after_frames=source.randrange(4))
            field.put(source.choice(lying))
        kind = source.choice((Kind.A, Kind.A, Kind.A, Kind.B, Kind.F))
        data = source.choice((b"", b"\x26", b"\x52", b"\x93\x20", b"\x93\x70", b"\xe0\x80", b"\x02", b"\x13", b"\xb2"))
        data += source.randbytes(source.choice((0, 0, 1, 3, 5, 20)))
        if source.random() < 0.7:
            data = with_crc(kind, data)
        field.send(RfFrame(data, kind, source.choice((1, 1, 2, 4)), source.choice((8, 8, 7, 3)), at=float(at)))


@pytest.mark.parametrize("seed", range(10))
def test_lines_of_any_content(seed: int) -> None:
    source = random.Random(seed)
    frames = HostFrames()
    began = time.process_time()
    for _ in range(300):
        line = source.randbytes(source.randrange(300))
        for _ in range(source.randrange(6)):
            place = source.randrange(len(line) + 1)
            line = line[:place] + source.choice((b"\x00\xff", b"\x00\xff\xff\xff", b"\x00\xff\x02\xfe")) + line[place:]
        for frame in frames.feed(line):
            assert len(frame.data) <= LONGEST_DATA
    assert time.process_time() - began < 5


def carried(faults: tuple[Fault, ...], wtx: Wtx) -> tuple[bool, int, list[str]]:
    """Let the chip's own block protocol carry two commands; return whether both were answered, and rightly."""
    picc = Picc(Echo(), faults=faults, wtx=wtx)
    commands = Commands(Radio(RfField(picc), Pace(lambda _: None, real=False)))
    commands.run(0x32, b"\x05\xff\x01\x03")
    commands.run(0x32, b"\x04\x03")
    if commands.run(0x4A, b"\x01\x00")[0] == 0:
        return False, picc.count, picc.complaints
    for number in range(2):
        command = bytes((number,)) * 200
        found = commands.run(0x40, b"\x01" + command)
        if found[0] != 0:
            return False, picc.count, picc.complaints
        assert found[1:] == command + b"\x90\x00"
    return True, picc.count, picc.complaints


@pytest.mark.parametrize("at", [(), range(1000)])
@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("way", list(Way))
def test_the_chips_own_protocol_against_the_cards_at_every_position(kind: FaultKind, way: Way, at: range) -> None:
    done, count, complaints = carried((), Wtx(at=at))
    assert done
    assert complaints == []
    mended = [carried((Fault(place, kind, way, delay_s=0.5),), Wtx(at=at)) for place in range(count)]
    assert all(complaints == [] for _, _, complaints in mended)
    if kind in {FaultKind.DROP, FaultKind.CORRUPT}:
        assert all(done for done, _, _ in mended[1:])  # what befalls the answer to select ends it


def test_eight_cards_at_once() -> None:
    lying = [Picc(Echo()) for _ in range(6)] + [Picc(Echo(), uid=bytes((4, *range(6)))), Picc(Echo(), uid=bytes(10))]
    with Pn532Chip(RfField(*lying), timing=False) as chip, nfcpy_device(chip) as device:
        device.chipset.set_parameters(0)
        found = bytes(device.chipset.command(0x4A, bytearray((2, 0)), 1.0))
    assert found[0] == 2
    first = found[6 : 6 + found[5]]
    rest = found[6 + found[5] :]
    second = rest[5 : 5 + rest[4]]
    assert first != second
    assert {first, second} <= {card.uid for card in lying}
