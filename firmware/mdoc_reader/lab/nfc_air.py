"""Frames between a reader chip and what is in its field: their checksums, their kinds, and how long they take.

ISO/IEC 14443-2, -3 and -4 for types A and B, JIS X 6319-4 for FeliCa. One etu at 106 kbit/s is 128 periods of the
13.56 MHz carrier. Durations here are the floor that no reader can go below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

CARRIER_HZ = 13.56e6
ETU_S = 128 / CARRIER_HZ
"""Seconds of one bit at 106 kbit/s."""
CARD_DELAY_S = 1236 / CARRIER_HZ
"""The shortest frame delay time from reader to card (ISO/IEC 14443-3 clause 6.2.1)."""
READER_DELAY_S = 1172 / CARRIER_HZ
"""The shortest one from card to reader."""

FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096)
"""Bytes of the largest frame with its CRC, by FSDI or FSCI (ISO/IEC 14443-4 table 1)."""


class Kind(IntEnum):
    """How frames are modulated and framed; the numbers are those of the chip's CIU registers."""

    A = 0b00
    F = 0b10
    B = 0b11


class Damage(StrEnum):
    """What is wrong with a frame that arrived."""

    CRC = "crc"
    PARITY = "parity"
    FRAMING = "framing"
    COLLISION = "collision"


@dataclass(frozen=True, slots=True)
class RfFrame:
    """A frame from the reader, with its checksum.

    Args:
        data: the bytes.
        kind: modulation and framing.
        rate: bit rate as a multiple of 106 kbit/s.
        last_bits: how many bits of the last byte are sent, 1 to 8.
        at: when it ends, in seconds of the chip's time line.
    """

    data: bytes = field(repr=False)
    kind: Kind = Kind.A
    rate: int = 1
    last_bits: int = 8
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class RfAnswer:
    """A frame from a card, with its checksum.

    Args:
        data: the bytes.
        kind: modulation and framing.
        rate: bit rate as a multiple of 106 kbit/s.
        bits: its length in bits when it is not whole bytes; None otherwise.
        after_s: how long the card takes to begin, on top of the shortest frame delay time.
        damage: what the receiver will find wrong; None when nothing.
        collision: index of the first bit on which cards that answered together disagreed.
    """

    data: bytes = field(repr=False)
    kind: Kind = Kind.A
    rate: int = 1
    bits: int | None = None
    after_s: float = 0.0
    damage: Damage | None = None
    collision: int | None = None


def _crc16(data: bytes, start: int) -> int:
    crc = start
    for byte in data:
        byte ^= crc & 0xFF  # noqa: PLW2901
        byte = (byte ^ (byte << 4)) & 0xFF  # noqa: PLW2901
        crc = (crc >> 8) ^ (byte << 8) ^ (byte << 3) ^ (byte >> 4)
    return crc & 0xFFFF


def crc_a(data: bytes) -> bytes:
    """Return the two bytes of CRC_A (ISO/IEC 14443-3 clause 6.2.4)."""
    return _crc16(data, 0x6363).to_bytes(2, "little")


def crc_b(data: bytes) -> bytes:
    """Return the two bytes of CRC_B (ISO/IEC 14443-3 clause 7.2)."""
    return (_crc16(data, 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


def crc_f(data: bytes) -> bytes:
    """Return the two bytes FeliCa puts behind its length, command and data."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc.to_bytes(2, "big")


def crc_of(kind: Kind, data: bytes) -> bytes:
    """Return the checksum a frame of this kind carries."""
    return {Kind.A: crc_a, Kind.B: crc_b, Kind.F: crc_f}[kind](data)


def with_crc(kind: Kind, data: bytes) -> bytes:
    """Return the frame with its checksum."""
    return data + crc_of(kind, data)


def without_crc(kind: Kind, data: bytes) -> bytes | None:
    """Return the frame without its checksum, or None when that is wrong."""
    return data[:-2] if len(data) > 2 and crc_of(kind, data[:-2]) == data[-2:] else None


def air_time(length: int, kind: Kind, rate: int, bits: int | None = None) -> float:
    """Return the seconds a frame of `length` bytes, or of `bits` bits, keeps the air busy."""
    if kind is Kind.A:
        etus = 2 + (bits if bits is not None else 9 * length)
    elif kind is Kind.B:
        etus = 23 + 10 * length
    else:
        etus = 64 + 8 * length
    return etus * ETU_S / rate


def to_bits(data: bytes) -> list[int]:
    """Return the bits in the order they are sent: least significant first."""
    return [byte >> place & 1 for byte in data for place in range(8)]


def from_bits(bits: list[int]) -> bytes:
    """Return the bytes of such bits; the last byte is filled with zeros."""
    found = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        found[index // 8] |= bit << index % 8
    return bytes(found)
