"""`mdoc-reader doctor` in a guest: says what is missing and what to do, and nothing once it is done."""

from __future__ import annotations

import json

import pytest
from guest_door import CONFIG, configuration
from guest_machine import MAIN_CONF, Machine, vm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DOCTOR = ["python3", "-m", "mdoc_reader.app.cli", "doctor", "--config", CONFIG]


def test_doctor_names_the_setting_that_is_missing(machine: Machine) -> None:
    async def play() -> None:
        guest = machine.guest
        await guest.write_file(CONFIG, configuration().encode())
        asked = await guest.run([*DOCTOR, "--json"])
        told = {row["what"]: row for row in json.loads(asked.out) if row["part"] == "bluetooth"}
        adapter = next(row for what, row in told.items() if what.startswith("adapter hci"))
        assert adapter["health"] == "ok"
        assert vm.DISTS[machine.dist].bluez in adapter["what"]
        missing = next(row for what, row in told.items() if "ExchangeMTU" in what)
        assert missing["health"] == "warning"
        assert "main.conf" in missing["advice"]
        bearers = next(row for what, row in told.items() if "Channels" in what)
        assert bearers["health"] == "warning"
        assert "Channels = 1" in bearers["advice"]
        assert asked.rc == 1
        await guest.write_file("/etc/bluetooth/main.conf", MAIN_CONF.encode())
        asked = await guest.run(DOCTOR)
        assert asked.rc == 0, asked.out
        assert "WARNING" not in asked.out

    machine.loop.run(play())
