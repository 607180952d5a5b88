"""A guest's simulated GPIO chip, wired like a Raspberry Pi's header, and the kernel's own record of what its lines did.

The record is the kernel's trace of GPIO events and of released lines: it has every change with its time, however short
and however busy the emulated machine was. Nothing samples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from guest_machine import vm

LINES = 54
"""What a Pi 4's chip has; the header is the first 28."""

_MAKE = """\
set -e
modprobe gpio-sim
[ -d /sys/kernel/config/gpio-sim ] || mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/gpio-sim
mkdir panel panel/bank0
echo {lines} > panel/bank0/num_lines
echo pinctrl-bcm2711 > panel/bank0/label
echo 1 > panel/live
chip=$(cat panel/bank0/chip_name)
ln -sfn /sys/devices/platform/$(cat panel/dev_name)/$chip /run/chip
[ "$chip" = gpiochip0 ] || {{ echo "not the first chip: $chip" >&2; exit 1; }}
# The board's revision, by which pins are known: a Pi 4 B.
grep -q c03115 /proc/cpuinfo || {{
  {{ cat /proc/cpuinfo; printf 'Revision\\t: c03115\\n'; }} > /run/cpuinfo
  mount --bind /run/cpuinfo /proc/cpuinfo
}}
cd /sys/kernel/tracing
echo mono > trace_clock
grep -q released kprobe_events || echo 'p:released gpio_sim:gpio_sim_free line=%si:u32' >> kprobe_events
echo 'get == 0' > events/gpio/gpio_value/filter
for one in gpio/gpio_value gpio/gpio_direction kprobes/released; do echo 1 > events/$one/enable; done
for one in /sys/class/gpio/gpiochip*; do
  [ "$(cat $one/label)" = pinctrl-bcm2711 ] && cat $one/base
done
"""
_UNMAKE = """\
cd /sys/kernel/tracing
for one in gpio/gpio_value gpio/gpio_direction kprobes/released; do echo 0 > events/$one/enable; done
echo > kprobe_events
cd /sys/kernel/config/gpio-sim
echo 0 > panel/live
rmdir panel/bank0 panel
umount /proc/cpuinfo
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line that came to a level, or was at one when the record began (at 0.0). Seconds on the guest's monotonic."""

    at: float
    level: int


_EVENT = re.compile(
    r"\s(?P<at>\d+\.\d+): "
    r"(?:gpio_value: (?P<set>\d+) set (?P<level>\d)"
    r"|gpio_direction: (?P<direction>\d+) +(?P<way>in|out) "
    r"|released: .* line=(?P<released>\d+))"
)


class Chip:
    """The chip and its record. `pulls` are the resistors around it: pin to level."""

    def __init__(self, guest: vm.Guest, pulls: Mapping[int, int]) -> None:
        """Call `make` next."""
        self._guest = guest
        self._pulls = dict(pulls)
        self._base = 0
        self._persists = False
        self._before: dict[int, int] = {}

    async def make(self) -> None:
        """Make the chip."""
        self._base = int(await self.shell(_MAKE.format(lines=LINES)))
        for pin, level in self._pulls.items():
            await self.pull(pin, level)

    async def close(self) -> None:
        """Take the chip away."""
        await self.shell(_UNMAKE)

    async def shell(self, script: str, *, seconds: float = 120.0) -> str:
        """Run a shell script in the guest that has to succeed."""
        done = await self._guest.run(["sh", "-c", script], seconds=seconds)
        assert done.rc == 0, done
        return done.out

    async def pull(self, pin: int, level: int) -> None:
        """Move a line from outside."""
        self._pulls[pin] = level
        await self.shell(f"echo pull-{'up' if level else 'down'} > /run/chip/sim_gpio{pin}/pull")

    async def persist(self, persists: bool) -> None:
        """Whether lines that were outputs stay driven after they were released, as by Raspberry Pi's kernels."""
        self._persists = persists
        await self.shell(f"echo {'Y' if persists else 'N'} > /sys/module/gpio_sim/parameters/persist_gpio_outputs")

    async def levels(self, *pins: int) -> tuple[int, ...]:
        """Return what the outside sees on these lines now."""
        told = await self.shell("cat " + " ".join(f"/run/chip/sim_gpio{pin}/value" for pin in pins))
        return tuple(map(int, told.split()))

    async def let_go(self, *pins: int) -> None:
        """Make lines inputs, as they are when power comes on."""
        script = "import sys, lgpio\nchip = lgpio.gpiochip_open(0)\n"
        script += "for pin in sys.argv[1:]: lgpio.gpio_claim_input(chip, int(pin))\n"
        await self.shell(f"LG_WD=/run python3 -c '{script}' {' '.join(map(str, pins))}")

    async def record(self, *pins: int) -> None:
        """Begin a record of these lines."""
        self._before = dict(zip(pins, await self.levels(*pins), strict=True))
        await self.shell("echo > /sys/kernel/tracing/trace")

    async def recorded(self) -> dict[int, list[Edge]]:
        """Return what each line of the record has done, beginning with the level it was at."""
        text = await self.shell("cat /sys/kernel/tracing/trace")
        assert "LOST" not in text
        edges = {pin: [Edge(0.0, level)] for pin, level in self._before.items()}
        output = dict.fromkeys(edges, False)
        for event in _EVENT.finditer(text):
            of_all = event["set"] or event["direction"]
            pin = int(of_all) - self._base if of_all else int(event["released"])
            if pin not in edges:
                continue
            level = edges[pin][-1].level
            if event["set"]:
                level, output[pin] = int(event["level"]), True
            elif event["way"] == "in" or (event["released"] and not (self._persists and output[pin])):
                level, output[pin] = self._pulls[pin], False
            if level != edges[pin][-1].level:
                edges[pin].append(Edge(float(event["at"]), level))
        # The model of the trace and the chip itself have to agree, or something was missed.
        now = await self.levels(*edges)
        assert now == tuple(line[-1].level for line in edges.values()), (now, edges, text)
        return edges
