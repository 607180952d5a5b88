"""The camera drivers on a real kernel's Video4Linux2, and on the real libcamera and picamera2 above it.

The camera is the kernel's virtual one (vimc). It has colours only, so green is taken for grey; a Y plane, autofocus,
exposure and tuning are what no test without a Pi can show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guest_machine import ROOT, Device, vm
from vm import cache
from vm.command import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOCK = Path(__file__).with_name("camera.lock")
PROGRAM = "/run/camera/guest_camera.py"
PICTURE = {"width": 640, "height": 480, "stride": 640, "bytes": 640 * 480}
WIDE = {"width": 640, "height": 360, "stride": 640, "bytes": 640 * 360}


@pytest.fixture(scope="module")
def guest(device_guest: Device) -> Iterator[Device]:
    """A device with a virtual camera in it."""

    async def plug() -> None:
        await device_guest.guest.write_file(PROGRAM, Path(__file__).with_name("guest_camera.py").read_bytes())
        done = await device_guest.guest.run(["modprobe", "vimc"])
        assert done.rc == 0, done.err

    device_guest.loop.run(plug())
    yield device_guest
    device_guest.loop.run(device_guest.guest.run(["rmmod", "vimc"]))


def wheels() -> list[Path]:
    """The locked wheels of picamera2 and what it captures with."""
    text = LOCK.read_text()

    def make(target: Path) -> None:
        pip = [
            str(ROOT / ".venv" / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "download",
            "--quiet",
        ]
        choice = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.13"]
        run(*pip, *choice, "-d", str(target / "wheels"), "-r", str(LOCK), seconds=300)
        for number, wheel in enumerate(sorted((target / "wheels").iterdir())):
            wheel.rename(target / f"{number}.whl")

    names = tuple(f"{number}.whl" for number in range(text.count("--hash")))
    folder = cache.entry(f"camera-{cache.digest(text)}", names, make)
    return [folder / name for name in names]


def told(device: Device, *arguments: str) -> dict[str, Any]:
    """Run the program in the guest and return what it found."""

    async def running() -> vm.Done:
        return await device.guest.run(["/opt/mdoc-reader/bin/python", PROGRAM, *arguments], seconds=240)

    done = device.loop.run(running())
    assert done.rc == 0, done.err
    facts: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return facts


def seen(facts: dict[str, Any], picture: dict[str, int]) -> None:
    """Say that pictures came, were pictures, and stopped when they should."""
    for frame in (*facts["frames"], facts["after a pause"], facts["again"]):
        assert frame is not None
        assert frame.pop("levels") > 4
        assert frame == picture
    assert facts["in no time"] is None
    assert facts["reader ended"]
    assert facts["close s"] < 5
    assert facts["files left"] == 0


def test_v4l2(guest: Device) -> None:
    facts = told(guest, "v4l2")
    seen(facts, PICTURE)
    assert [check["health"] for check in facts["checks"]] == ["ok"]
    assert "640x480 RGB3" in facts["checks"][0]["what"]
    assert "busy" in facts["second"].lower()
    assert [check["health"] for check in facts["checks while used"]] == ["warning"]
    assert "running reader" in facts["checks while used"][0]["advice"]
    unplugged = facts["scanner"]
    assert unplugged["told"] == [True, False, True]
    assert unplugged["gone s"] < 3
    assert "no camera" in unplugged["while gone"]
    assert unplugged["quarantined"] == 0


def test_picamera2(guest: Device) -> None:
    async def bring() -> list[str]:
        paths = []
        for wheel in wheels():
            path = f"/run/camera/{wheel.name}"
            await guest.guest.write_file(path, wheel.read_bytes())
            paths.append(path)
        return paths

    facts = told(guest, "picamera2", *guest.loop.run(bring()))
    seen(facts, WIDE)
    assert "dmaHeap" in facts["without memory"]
    assert [check["health"] for check in facts["checks without memory"]] == ["fault"]
    assert "/dev/dma_heap" in facts["checks without memory"][0]["advice"]
    assert [check["health"] for check in facts["checks"]] == ["ok", "warning", "warning"]
    assert "fixed focus, looked at in 640x360" in facts["checks"][0]["what"]
    assert "not capped" in facts["checks"][1]["what"]
    assert facts["no such"][0]["health"] == "fault"
    assert facts["second"]
    assert facts["checks while used"][0]["health"] == "warning"
