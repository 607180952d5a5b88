"""What the NFC benchmark measured: values, and their JSON file beside it. Times in milliseconds, sizes in bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

MEASURED = Path(__file__).resolve().parent / "tap_measured.json"
SIZES = (1000, 8000, 20_000)
REQUEST = 1000
RATES: tuple[Literal[106, 212, 424], ...] = (106, 212, 424)
BAUDS: tuple[Literal[115200, 921600], ...] = (115200, 921600)
OURS, NFCPY = "mdoc-reader", "nfcpy"
LONG = {"short": (255, 256), "extended": (65535, 65536)}
"""Bytes of data in a command and in a response that the phone takes and gives."""
_BIT_S = 128 / 13.56e6  # one etu at 106 kbit/s; a byte takes nine with its parity


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer: a request to the phone and its answer back, in a session that runs already.

    `floor_ms` is the time all its bits took on air and line and between frames, counted by the chip; `chip_ms` what its
    firmware took; `card_ms` what the card took beyond the shortest delay.
    """

    who: str
    rate: int
    baud: int
    apdus: str
    size: int
    took_ms: float
    cpu_ms: float
    rf_ms: float
    uart_ms: float
    chip_ms: float
    card_ms: float
    frames: int
    commands: int

    @property
    def floor_ms(self) -> float:
        """Pure time on air and line."""
        return self.rf_ms + self.uart_ms

    @property
    def ratio(self) -> float:
        """How many times the floor it took."""
        return self.took_ms / self.floor_ms

    @property
    def host_ms(self) -> float:
        """What neither air, line, card nor the chip's firmware took: the reader's work, and waking up for it."""
        return self.took_ms - self.floor_ms - self.chip_ms - self.card_ms

    @property
    def payload_ms(self) -> float:
        """What request and answer alone take on air and line, without a single octet of any protocol."""
        return payload_ms(self.size, self.rate, self.baud)


def payload_ms(size: int, rate: int, baud: int) -> float:
    """Return the time on air and line of request and answer alone."""
    return (REQUEST + size) * (9 * _BIT_S / (rate // 106) + 10 / baud) * 1000


class Step(msgspec.Struct, frozen=True):
    """A part of a tap: what it is, when it ran from the beginning of the look, and how many APDUs it took."""

    name: str
    began_ms: float
    ended_ms: float
    apdus: int = 0


class Engaging(msgspec.Struct, frozen=True, kw_only=True):
    """One tap, from the look that found the phone to the handover being understood."""

    kind: str
    rate: int
    baud: int
    steps: list[Step]
    floor_ms: float

    @property
    def took_ms(self) -> float:
        """All of it."""
        return self.steps[-1].ended_ms

    @property
    def apdus(self) -> int:
        """Commands it took."""
        return sum(step.apdus for step in self.steps)


class Look(msgspec.Struct, frozen=True):
    """Looks at an empty field, one after the other: how long each took, and the processor time."""

    baud: int
    ecp: bool
    took_ms: list[float]
    cpu_ms: float


class Polling(msgspec.Struct, frozen=True, kw_only=True):
    """The tapper at its default period: processor time by share of one core, and how soon phones were noticed."""

    period_ms: float
    watched_s: float
    looks: int
    cpu_share: float
    noticed_ms: list[float] = []
    engaged_ms: list[float] = []


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A whole presentation with the daemon, from the phone in the field to the lamp."""

    way: str
    rate: int
    baud: int
    response: int
    engaged_ms: float
    decided_ms: float
    light_ms: float
    floor_ms: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one run."""

    machine: str
    moves: list[Move] = []
    taps: list[Engaging] = []
    looks: list[Look] = []
    polling: list[Polling] = []
    visits: list[Visit] = []


def load(path: Path = MEASURED) -> Measured:
    """Return what a file holds. Raises ValueError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measured)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path.name}: {error}") from None


def save(measured: Measured, path: Path = MEASURED) -> None:
    """Write a file, one value a line."""
    lists = ("moves", "taps", "looks", "polling", "visits")
    texts = [
        f'"{name}": [\n' + ",\n".join(msgspec.json.encode(one).decode() for one in getattr(measured, name)) + "\n]"
        for name in lists
    ]
    head = f'"machine": {msgspec.json.encode(measured.machine).decode()}'
    path.write_text("{" + ",\n".join([head, *texts]) + "}\n", encoding="utf-8")
