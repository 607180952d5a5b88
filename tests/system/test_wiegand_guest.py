"""The Wiegand driver with the real lgpio on a real kernel's simulated GPIO lines, heard by a panel in software."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from guest_machine import Device

from mdoc_reader.lab.wiegand_panel import Card, Edge, pulses, read, text

SCRIPT = Path(__file__).with_name("guest_wiegand.py")
WIDTHS = {
    (26, True): (16, "H10301"),
    (34, True): (16, "H10306"),
    (37, True): (19, "H10304"),
    (37, False): (35, "H10302"),
}


@pytest.fixture(scope="module")
def told(device_guest: Device) -> Mapping[str, Any]:
    """What the guest's part saw."""
    guest = device_guest.guest

    async def work() -> str:
        await guest.write_file("/root/guest_wiegand.py", SCRIPT.read_bytes())
        done = await guest.run(["/opt/mdoc-reader/bin/python", "/root/guest_wiegand.py"], seconds=240)
        assert done.rc == 0, done.err
        return str(done.out)

    return dict(json.loads(device_guest.loop.run(work())))


def expected(settings: Mapping[str, int], numbers: Sequence[int]) -> tuple[str, list[Card]]:
    """Return the format's name and the cards that a panel should see."""
    width, name = WIDTHS[settings["format"], "facility" in settings]
    return name, [Card(settings.get("facility", 0), number & (1 << width) - 1) for number in numbers]


def test_every_frame_is_understood(told: Mapping[str, Any]) -> None:
    for run in told["runs"]:
        name, cards = expected(run["settings"], run["numbers"])
        rest = int(run["pulse"] == "low")
        # By their length and not by silence: emulation stalls for longer than a panel would wait.
        found, length = pulses([Edge(*edge) for edge in run["edges"]], rest), run["settings"]["format"]
        heard = [found[start : start + length] for start in range(0, len(found), length)]
        assert [read(text(frame), name) for frame in heard] == cards, (run["settings"], run["load"])
        assert (run["sent"], run["dropped"]) == (len(cards), 0)
        assert run["after"] == [rest, rest]
        # Two pulses never come closer than a panel can tell apart, whatever the machine does meanwhile.
        for frame in heard:
            starts = [pulse.at_us for pulse in frame]
            ends = [pulse.at_us + pulse.width_us for pulse in frame]
            assert min(start - end for start, end in zip(starts[1:], ends, strict=False)) > 1000


def test_lines_rest(told: Mapping[str, Any]) -> None:
    assert told["before"] == [0, 0]
    killed, started, stopped = told["killed"]
    assert len(killed) == 2  # a sender that dies inside a pulse leaves a line as it is: the next start rests it
    assert started == [0, 0]
    assert stopped == [0, 0]
