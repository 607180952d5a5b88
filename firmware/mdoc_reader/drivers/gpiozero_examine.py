"""What `mdoc-reader doctor` says of the GPIO pins: the library, the chip, who may open it, and who has the lines.

Nothing is claimed: the kernel is asked who has each line (Linux, include/uapi/linux/gpio.h, the second version of its
interface), which disturbs nobody, a running reader least of all.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mdoc_reader.drivers import device_node
from mdoc_reader.model.check import Check, Health

_PART = "pins"
_CHIP_INFO = 0x8044B401  # GPIO_GET_CHIPINFO_IOCTL: name, label, count of lines
_LINE_INFO = 0xC100B405  # GPIO_V2_GET_LINEINFO_IOCTL
_CHIP = struct.Struct("=32s32sI")
_LINE = struct.Struct("=32s32sIIQ176s")
_USED = 1
_OURS = "lg"  # what the library lgpio calls itself, in the reader as anywhere else
_PI_5 = 0x17
_REVISION = Path("/proc/device-tree/system/linux,revision")
_MODULES = {"lgpio": ("lgpio", "lgpio"), "rpigpio": ("RPi", "RPi.GPIO"), "native": None}
_ENABLE = "this board has no GPIO chip that the kernel knows: on a Raspberry Pi, install its own kernel"
_OTHER = "wire the part to another pin, or switch off in config.txt or stop what uses this one"


@dataclass(frozen=True, slots=True)
class Chip:
    """A GPIO chip as the kernel tells of it: its label, and by pin who has a line that somebody has."""

    label: str
    users: Mapping[int, str]


def examined(factory: str, pins: Mapping[int, str], dev: Path = Path("/dev")) -> tuple[Check, ...]:
    """Look at the library and the chip, and at the pins by the names of what hangs on them. Raises nothing."""
    needed = _MODULES[factory]
    if needed is not None and importlib.util.find_spec(needed[0]) is None:
        what = f"the library {needed[1]} is not installed"
        return (Check(_PART, Health.FAULT, what, f"apt-get install python3-{needed[1].lower()}"),)
    if factory != "lgpio":
        memory = dev / "gpiomem"
        wrong = device_node.trouble(_PART, memory, "use the factory `lgpio`: this one is for older Raspberry Pis")
        return (Check(_PART, Health.OK, f"{_count(pins)} through {memory}"),) if wrong is None else (wrong,)
    node = dev / f"gpiochip{chip_number(dev)}"
    wrong = device_node.trouble(_PART, node, _ENABLE)
    if wrong is not None:
        return (wrong,)
    try:
        chip = chip_of(node, pins)
    except OSError as error:
        return (Check(_PART, Health.FAULT, f"{node} does not answer: {error.strerror}", _ENABLE),)
    return found(chip, pins)


def chip_number(dev: Path = Path("/dev"), revision: Path = _REVISION) -> int:
    """Return the number of the chip that gpiozero takes: the fourth on a Raspberry Pi 5 with its first kernels."""
    try:
        with revision.open("rb") as stream:
            (code,) = struct.unpack(">L", stream.read(4))
    except (OSError, struct.error):
        code = 0
    return 4 if code >> 4 & 0xFF == _PI_5 and (dev / "gpiochip4").exists() else 0


def chip_of(node: Path, pins: Mapping[int, str]) -> Chip:
    """Ask the kernel. Raises OSError; a pin that the chip does not have is left out."""
    descriptor = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    try:
        chip = bytearray(_CHIP.size)
        fcntl.ioctl(descriptor, _CHIP_INFO, chip)
        _, label, count = _CHIP.unpack(chip)
        users: dict[int, str] = {}
        for pin in pins:
            line = bytearray(_LINE.pack(b"", b"", pin, 0, 0, b""))
            if pin < count:
                fcntl.ioctl(descriptor, _LINE_INFO, line)
                _, consumer, _, _, flags, _ = _LINE.unpack(line)
                if flags & _USED:
                    users[pin] = _words(consumer) or "the kernel"
    finally:
        os.close(descriptor)
    return Chip(_words(label), users)


def found(chip: Chip, pins: Mapping[int, str]) -> tuple[Check, ...]:
    """Judge what the kernel says of the chip and the lines."""
    strangers = {pin: user for pin, user in chip.users.items() if user != _OURS}
    if strangers:
        return tuple(
            Check(_PART, Health.FAULT, f"GPIO {pin} ({pins[pin]}) belongs to {user!r}", _OTHER)
            for pin, user in sorted(strangers.items())
        )
    said = f"{_count(pins)} on {chip.label}"
    if not chip.users:
        return (Check(_PART, Health.OK, f"{said}, free to be used"),)
    if len(chip.users) == len(pins):
        return (Check(_PART, Health.OK, f"{said}, in use as by a running reader"),)
    taken = ", ".join(f"GPIO {pin} ({pins[pin]})" for pin in sorted(chip.users))
    return (Check(_PART, Health.WARNING, f"{taken} in use by another program", "stop it, or use other pins"),)


def _count(pins: Mapping[int, str]) -> str:
    return f"{len(pins)} pin{'' if len(pins) == 1 else 's'}"


def _words(octets: bytes) -> str:
    return octets.partition(b"\0")[0].decode("ascii", "replace")
