"""Runs in a guest: the reader's own Wiegand driver on a simulated GPIO chip, and what the kernel saw of the two lines.

The kernel's trace has every change of a line with its time. Standard output is one JSON object: for each format the
frames that were asked for and the edges, [microseconds, line, level]; and the lines' levels at the ends.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from mdoc_reader.drivers.wiegand_building import Options, WiegandBuilding, open_building
from mdoc_reader.model.badge import Badge

TRACE = Path("/sys/kernel/tracing")
CONFIG = Path("/sys/kernel/config/gpio-sim")
PERSIST = Path("/sys/module/gpio_sim/parameters/persist_gpio_outputs")
D0, D1 = 23, 24
NUMBERS = (324, 0xFFFF_FFFF_FFFF_FFFF, 0, 0x1234_5678_9ABC_DEF1)
FORMATS: tuple[dict[str, int], ...] = (
    {"format": 26, "facility": 90},
    {"format": 34, "facility": 90},
    {"format": 37, "facility": 90},
    {"format": 37},
)
_EVENT = re.compile(r"\s(\d+)\.(\d+): gpio_value: (\d+) set (\d)")


def make_chip() -> Path:
    """Make a chip as a Pi's header has it, and return its folder in sysfs."""
    made = CONFIG / "panel"
    bank = made / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text("54")
    (bank / "label").write_text("pinctrl-bcm2711")
    (made / "live").write_text("1")
    device, chip = (made / "dev_name").read_text().strip(), (bank / "chip_name").read_text().strip()
    return Path("/sys/devices/platform") / device / chip


def levels(chip: Path) -> list[int]:
    """Return the levels of both lines as the outside has them."""
    return [int((chip / f"sim_gpio{pin}" / "value").read_text()) for pin in (D0, D1)]


def edges() -> list[tuple[float, int, int]]:
    """Return what the kernel saw since the trace was emptied."""
    seen = [(int(s) * 10**6 + int(us), int(pin), int(level)) for s, us, pin, level in _EVENT.findall(_traced())]
    first = min((pin for _, pin, _ in seen), default=0)
    return [(at, pin - first, level) for at, pin, level in seen]


def _traced() -> str:
    return (TRACE / "trace").read_text()


def options(chip: int, **settings: int | str) -> Options:
    """Return the driver's settings."""
    return msgspec.convert({"d0": D0, "d1": D1, "chip": chip, **settings}, Options)


def number_of(chip: Path) -> int:
    """Return a chip's number."""
    return int(chip.name.removeprefix("gpiochip"))


def present(chip: Path, settings: dict[str, int], pulse: str = "high", *, load: bool = False) -> dict[str, Any]:
    """Send every number in one format."""
    (TRACE / "trace").write_text("")
    line = open_building(options(number_of(chip), pulse=pulse, **settings))
    assert isinstance(line, WiegandBuilding)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 if load else 0)]
    began = time.monotonic()
    for count, number in enumerate(NUMBERS, 1):
        line.present(Badge(number))
        while line.sent < count and time.monotonic() - began < 60:
            time.sleep(0.01)
    for each in busy:
        each.kill()
        each.wait()
    line.close()
    found = {"settings": settings, "pulse": pulse, "load": load, "numbers": NUMBERS, "edges": edges()}
    return {**found, "sent": line.sent, "dropped": line.dropped, "after": levels(chip)}


def kill_in_a_frame(chip: Path) -> list[list[int]]:
    """Kill a sender in the middle of a frame; return the levels before, after the next start, and after its stop."""
    command = [sys.executable, __file__, "slow", str(number_of(chip))]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    child.wait()
    found = [levels(chip)]
    line = open_building(options(number_of(chip)))
    found.append(levels(chip))
    line.close()
    return [*found, levels(chip)]


def main() -> None:
    """Do everything and tell."""
    if sys.argv[1:2] == ["slow"]:
        line = open_building(options(int(sys.argv[2]), interval_us=20_000, pulse_us=200))
        line.present(Badge(0))
        sys.stdout.write("\n")
        sys.stdout.flush()
        time.sleep(60)
    subprocess.run(["modprobe", "gpio-sim"], check=True)
    for kind, folder in (("configfs", CONFIG.parent), ("tracefs", TRACE)):
        if not os.path.ismount(folder):
            subprocess.run(["mount", "-t", kind, kind, str(folder)], check=True)
    # A released line keeps its level, as with Raspberry Pi's kernels.
    keeps = PERSIST.read_text()
    PERSIST.write_text("1")
    chip = make_chip()
    clock = TRACE / "trace_clock"
    clock.write_text("mono")
    events = TRACE / "events" / "gpio" / "gpio_value" / "enable"
    events.write_text("1")
    try:
        before = levels(chip)
        runs = [present(chip, settings) for settings in FORMATS]
        runs.append(present(chip, FORMATS[0], "low"))
        runs.append(present(chip, FORMATS[0], load=True))
        told = {"before": before, "runs": runs, "killed": kill_in_a_frame(chip)}
        sys.stdout.write(json.dumps(told) + "\n")
    finally:
        events.write_text("0")
        clock.write_text("local")
        (CONFIG / "panel" / "live").write_text("0")
        (CONFIG / "panel" / "bank0").rmdir()
        (CONFIG / "panel").rmdir()
        PERSIST.write_text(keeps)


if __name__ == "__main__":
    main()
