"""One Debian guest with a real bluetoothd for each release, kept for all tests that ask for it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import guest_machine
import pytest
from guest_machine import MAIN_CONF, SYSCTL, Device, Loop, Machine, vm
from vm.image import here

from mdoc_reader.lab.air import Air


@pytest.fixture(scope="session")
def project_disk() -> Iterator[Path]:
    """This project as it is now, as a disk for guests."""
    with tempfile.TemporaryDirectory() as folder:
        yield vm.project(Path(folder))


@pytest.fixture(scope="session", params=list(vm.DISTS))
def machine(request: pytest.FixtureRequest, capfd_disabled: Any) -> Iterator[Machine]:
    """A guest with bluetoothd on an adapter of the simulated air."""
    guest_machine.whole_matrix = bool(request.config.getoption("--whole-matrix"))
    arch = str(request.config.getoption("--guest-arch"))
    missing = vm.missing_tools(arch)
    if missing:
        pytest.skip(f"system tests need {', '.join(missing)}: ./dev setup system")
    disk: Path = request.getfixturevalue("project_disk")
    dist = str(request.param)
    with capfd_disabled():
        image = vm.build(dist, arch)
    loop = Loop()
    stack = contextlib.AsyncExitStack()

    async def up() -> Machine:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        air = await stack.enter_async_context(Air())
        await air.listen(folder / "hci")
        guest = await stack.enter_async_context(vm.Guest(image, disk, [folder / "hci"]))
        await guest.write_file("/etc/sysctl.d/mdoc-reader.conf", SYSCTL)
        await guest.run(["sysctl", "-p", "/etc/sysctl.d/mdoc-reader.conf"])
        await guest.attach_hci()
        await guest.start_bluetoothd(MAIN_CONF, arguments=["--noplugin=*"], again_s=0.5)
        await guest.hci_up()
        return Machine(dist, guest, air, loop)

    try:
        yield loop.run(up())
    finally:
        loop.run(stack.aclose())
        loop.close()


@pytest.fixture(scope="session")
def device_guest(capfd_disabled: Any) -> Iterator[Device]:
    """A whole device: systemd as its first process, simulated GPIO and camera, the reader where its units expect it."""
    if here() != "amd64":
        pytest.skip("the device guest is built and run on an amd64 machine")
    missing = vm.missing_tools(flavour="device")
    if missing:
        pytest.skip(f"system tests need {', '.join(missing)}: ./dev setup system")
    with capfd_disabled():
        image = vm.build("trixie", flavour="device")
    loop = Loop()
    stack = contextlib.AsyncExitStack()

    async def up() -> Device:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = vm.project(folder, image.dist.python, image.compiler)
        air = await stack.enter_async_context(Air())
        await air.listen(folder / "hci")
        guest = await stack.enter_async_context(vm.Guest(image, disk, [folder / "hci"], name="device"))
        return Device(guest, air, loop)

    try:
        yield loop.run(up())
    finally:
        loop.run(stack.aclose())
        loop.close()


@pytest.fixture(scope="session")
def in_a_row(request: pytest.FixtureRequest) -> int:
    """How many presentations must leave nothing behind."""
    return 200 if request.config.getoption("--whole-matrix") else 20


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page of the figures where it was asked for."""
    target = session.config.getoption("--matrix-page")
    if target and guest_machine.rows:
        Path(target).write_text(guest_machine.page())


@pytest.fixture(scope="session")
def capfd_disabled(request: pytest.FixtureRequest) -> Any:
    """Let the progress of building an image through to the person who waits for it."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    return manager.global_and_fixture_disabled
