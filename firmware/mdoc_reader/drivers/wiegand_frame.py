"""Badge numbers as Wiegand frames: a parity bit, data, a parity bit (SIA AC-01 for 26 bits; the rest by common use).

The data are split in two halves, which share the middle bit where their number is odd. The first bit makes the first
half even, the last bit makes the second half odd. With a facility code the lengths are those that are called H10301
(26), H10306 (34) and H10304 (37); without one the number has all the data bits, which for 37 is H10302.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mdoc_reader.model.badge import Badge

Length = Literal[26, 34, 37]
"""How many bits a frame has."""

_FACILITY_BITS = {26: 8, 34: 16, 37: 16}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a frame of `length` bits is made of. `facility` is the site's code; None gives its bits to the number.

    Raises ValueError for a facility code that has no room.
    """

    length: Length
    facility: int | None = None

    def __post_init__(self) -> None:
        """Refuse a facility code that has no room."""
        if self.facility is not None and not 0 <= self.facility < 1 << _FACILITY_BITS[self.length]:
            largest = (1 << _FACILITY_BITS[self.length]) - 1
            raise ValueError(f"the facility code of a frame of {self.length} bits is 0 to {largest}")

    @property
    def number_bits(self) -> int:
        """How many bits of a badge's number are sent: the lowest ones."""
        return self.length - 2 - (0 if self.facility is None else _FACILITY_BITS[self.length])

    def bits(self, badge: Badge) -> tuple[int, ...]:
        """Return the frame, the bit that is sent first first."""
        number = badge.number & (1 << self.number_bits) - 1
        data = number | (self.facility or 0) << self.number_bits
        count = self.length - 2
        inner = tuple(data >> (count - 1 - place) & 1 for place in range(count))
        half = (count + 1) // 2
        return (sum(inner[:half]) & 1, *inner, 1 - (sum(inner[-half:]) & 1))


def packed(bits: tuple[int, ...]) -> bytes:
    """Return bits as octets, the first bit highest, zeros behind the last."""
    octets = -(-len(bits) // 8)
    value = int("".join(map(str, bits)), 2) << 8 * octets - len(bits)
    return value.to_bytes(octets)
