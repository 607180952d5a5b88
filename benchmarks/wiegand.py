"""How well a Wiegand frame is timed: pulses and pauses as a guest's kernel saw them on simulated GPIO lines.

The guest runs in software emulation, which stalls for milliseconds at a time: upper bounds, not what a device does.

    python benchmarks/wiegand.py             print the table
    python benchmarks/wiegand.py --quick     the same: there is nothing to leave out
    python benchmarks/wiegand.py --frames    and every frame's bits
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mdoc_reader.lab.wiegand_panel import Edge, Pulse, pulses, text

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tests" / "system" / "guest_wiegand.py"


async def measure() -> Mapping[str, Any]:
    """Run the guest's part."""
    sys.path.insert(0, str(ROOT / "tools"))
    import vm

    image = vm.build("trixie", flavour="device")
    with tempfile.TemporaryDirectory() as folder:
        disk = vm.project(Path(folder), image.dist.python, image.compiler)
        async with vm.Guest(image, disk) as guest:
            await guest.write_file("/root/guest_wiegand.py", SCRIPT.read_bytes())
            done = await guest.run(["/opt/mdoc-reader/bin/python", "/root/guest_wiegand.py"], seconds=300)
    if done.rc:
        raise SystemExit(done.err)
    return dict(json.loads(done.out))


def spread(values: Sequence[float]) -> str:
    """Return least, median and largest."""
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"


def row(run: Mapping[str, Any], heard: Sequence[Sequence[Pulse]]) -> str:
    """Return a run's line of the table."""
    widths = [pulse.width_us for frame in heard for pulse in frame]
    steps = [after.at_us - before.at_us for frame in heard for before, after in pairwise(frame)]
    facility = ", facility" if "facility" in run["settings"] else ""
    under = "two busy processes" if run["load"] else "idle"
    name = f"{run['settings']['format']} bits{facility}, pulse {run['pulse']}"
    return f"| {name} | {under} | {len(heard)} | {spread(widths)} | {spread(steps)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--frames", action="store_true")
    arguments = parser.parse_args()
    told = asyncio.run(measure())
    print("Pulses of 50 µs every 2,000 µs asked for; least / median / largest, in µs.\n")
    print("| format | guest | frames | pulse | from pulse to pulse |\n|---|---|---|---|---|")
    for run in told["runs"]:
        # By their length and not by silence: emulation stalls for longer than a panel would wait.
        found, length = (
            pulses([Edge(*edge) for edge in run["edges"]], int(run["pulse"] == "low")),
            run["settings"]["format"],
        )
        heard = [found[start : start + length] for start in range(0, len(found), length)]
        print(row(run, heard))
        for frame in heard if arguments.frames else ():
            print(f"  {text(frame)}")


if __name__ == "__main__":
    main()
