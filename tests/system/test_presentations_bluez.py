"""Whole presentations: the daemon and a real bluetoothd in a guest, phones outside, every way a session can travel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from guest_door import KB, WAYS, GuestDoor, Way, configuration, daemon
from guest_machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """A daemon that takes what the phone offers."""
    yield from machine.held(daemon(machine.guest, machine.air, configuration()))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_grown_up_is_let_in(machine: Machine, door: GuestDoor, way: Way) -> None:
    for size in (1 * KB, 30 * KB):
        visit = machine.loop.run(door.visit(way, size))
        assert visit.granted, (visit, door.told())
        assert visit.transport == way.link
        assert visit.answered == 1
