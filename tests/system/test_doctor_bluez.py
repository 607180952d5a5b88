"""`mdoc-reader doctor` in a guest: says what is missing and what to do, and nothing once it is done."""

from __future__ import annotations

import json

import pytest
from guest_door import CONFIG, configuration
from guest_machine import MAIN_CONF, Machine, vm
from test_guest_boots import until_powered

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DOCTOR = ["python3", "-m", "mdoc_reader.app.cli", "doctor", "--config", CONFIG]


def test_doctor_names_the_setting_that_is_missing(machine: Machine) -> None:
    async def play() -> None:
        guest = machine.guest
        await until_powered(guest)  # by a reader that ran before, as a rule
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
        # Other tests of this guest may have left issuers to trust; without any that is a fault.
        assert asked.rc == (2 if any(row["health"] == "fault" for row in json.loads(asked.out)) else 1)
        told_to_people = (await guest.run(DOCTOR)).out.splitlines()
        (summary,) = (line for line in told_to_people if line.startswith(("fault: ", "warning: ")))
        assert "bluetooth" in summary
        await guest.write_file("/etc/bluetooth/main.conf", MAIN_CONF.encode())
        asked = await guest.run([*DOCTOR, "--json"])
        rows = json.loads(asked.out)
        assert {row["health"] for row in rows if row["part"] == "bluetooth"} == {"ok"}, asked.out
        assert {"profile", "lists", "clock", "pins", "display", "disk"} <= {row["part"] for row in rows}

    machine.loop.run(play())
