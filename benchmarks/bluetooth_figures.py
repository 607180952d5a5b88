"""What the Bluetooth benchmark measured and counted: values, and their JSON file beside the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from air_model import Way

MEASURED = Path(__file__).resolve().parent / "bluetooth_measured.json"
COUNTED = Path(__file__).resolve().parent / "bluetooth_counted.json"
SIZES = (1000, 30_000, 500_000)
MIDDLE = 30_000


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One presentation, or one bare transfer of the same bytes. Sizes in bytes, times in milliseconds.

    `exchange_ms` runs from the link being ready to the whole answer, and has `phone_ms` in it: what the phone computes.
    `prepare_ms` and `verify_ms` are crypto, rules and policy. `end_ms`: from the last frame of the answer to the end of
    the connection on the air, without `verify_ms`.
    """

    way: Way
    who: Literal["ours", "bare"]
    size: int
    request: int
    response: int
    connect_ms: float
    exchange_ms: float
    end_ms: float
    prepare_ms: float = 0.0
    verify_ms: float = 0.0
    phone_ms: float = 0.0

    @property
    def transport_ms(self) -> float:
        """From the engagement to the whole answer, without what the phone computes and without our crypto."""
        return self.connect_ms + self.exchange_ms - self.phone_ms

    @property
    def verdict_ms(self) -> float:
        """From the engagement to the verdict, without what the phone computes."""
        return self.prepare_ms + self.transport_ms + self.verify_ms


class Calls(msgspec.Struct, frozen=True):
    """How often a member was called over D-Bus in a phase; `<Member`: bluetoothd called us."""

    way: Way
    who: Literal["ours", "bare"]
    phase: str
    member: str
    times: int


class Air(msgspec.Struct, frozen=True):
    """What the radio model makes of one counted presentation, in milliseconds; `exchange_mtu` is that of main.conf.

    `mtu` is what was agreed, 0 on a channel. `bare_ms` is `counted_ms` without what bluetoothd adds by itself, and
    `response_ms` the answer's part of `counted_ms`.
    """

    exchange_mtu: int
    way: Way
    size: int
    phy: str
    mtu: int
    floor_ms: float
    counted_ms: float
    bare_ms: float
    response_ms: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one release."""

    dist: str
    bluez: str
    kernel: str
    machine: str
    runs: list[Run]
    calls: list[Calls]
    air: list[Air] = []


def load(path: Path = MEASURED) -> list[Measured]:
    """Return what a file holds. Raises ValueError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Measured])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path.name}: {error}") from None


def save(measured: list[Measured], path: Path = MEASURED) -> None:
    """Write a file, one value a line."""
    parts = []
    for each in measured:
        lines = {
            name: ",\n".join(msgspec.json.encode(value).decode() for value in getattr(each, name))
            for name in ("runs", "calls", "air")
        }
        head = {name: getattr(each, name) for name in ("dist", "bluez", "kernel", "machine")}
        lists = ",\n".join(f'"{name}": [\n{text}\n]' for name, text in lines.items())
        parts.append(msgspec.json.encode(head).decode()[:-1] + ",\n" + lists + "}")
    path.write_text("[" + ",\n".join(parts) + "]\n", encoding="utf-8")
