"""What doctor says of pins on a real kernel's GPIO: who has which line, without taking one."""

from __future__ import annotations

import json

import pytest
from guest_chip import Chip
from guest_machine import Device

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOOK = """
import json
import os
import tempfile

os.environ["LG_WD"] = tempfile.gettempdir()
import lgpio

from mdoc_reader.drivers.gpiozero_examine import examined

PINS = {17: "green", 23: "relay"}


def look():
    return [[check.health, check.what] for check in examined("lgpio", PINS)]


told = [look()]
handle = lgpio.gpiochip_open(0)
lgpio.gpio_claim_output(handle, 23, 1)
told.append(look())
told.append(lgpio.gpio_read(handle, 23))
lgpio.gpio_claim_input(handle, 17)
told.append(look())
lgpio.gpiochip_close(handle)
told.append(look())
print(json.dumps(told))
"""


def test_who_has_a_line(device_guest: Device) -> None:
    async def scene() -> list[object]:
        chip = Chip(device_guest.guest, {17: 0, 23: 0})
        await chip.make()
        try:
            await device_guest.guest.write_file("/run/look.py", LOOK.encode())
            told: list[object] = json.loads((await chip.shell("/opt/mdoc-reader/bin/python /run/look.py")).strip())
            return told
        finally:
            await chip.close()

    free, one_taken, level, both_taken, free_again = device_guest.loop.run(scene())
    assert free == free_again
    assert isinstance(free, list)
    assert free[0][0] == "ok"
    assert free[0][1].startswith("2 pins on ")
    assert free[0][1].endswith("free to be used")
    assert one_taken == [["warning", "GPIO 23 (relay) in use by another program"]]
    assert level == 1, "looking moves nothing"
    assert isinstance(both_taken, list)
    assert both_taken[0][1].endswith("in use as by a running reader")
