"""The reader's units in a guest with systemd: laid out as docs/service.md says, asked about, and played with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

from guest_machine import ROOT, vm

UNIT = "mdoc-reader.service"
SHIPPED = ROOT / "systemd"
CONFIG = "/etc/mdoc-reader/reader.toml"
DROP_INS = f"/run/systemd/system/{UNIT}.d"
CODES, EVENTS = "/run/mdoc-codes", "/var/lib/mdoc-reader/events"
HERE = "/root/systemd"


def shipped(pattern: str) -> list[Path]:
    """Return the files of ours that match."""
    return sorted(SHIPPED.glob(pattern))


async def install(guest: vm.Guest) -> None:
    """Put everything in its place as a person would, make users, groups and folders. May be repeated."""
    for path in SHIPPED.rglob("*"):
        if path.is_file():
            await guest.write_file(f"{HERE}/{path.relative_to(SHIPPED)}", path.read_bytes())
    # Debian has this link, where libraries look for the message bus; a guest whose packages were only unpacked may not.
    await ran(guest, ["sh", "-c", "[ -L /var/run ] || { rmdir /var/run && ln -s /run /var/run; }"])
    await ran(guest, ["sh", f"{HERE}/install.sh"])


async def ran(guest: vm.Guest, command: Sequence[str], *, seconds: float = 120.0, stdin: str = "") -> str:
    """Run a command that has to succeed; return what it printed."""
    done = await guest.run(command, seconds=seconds, stdin=stdin)
    assert done.rc == 0, f"{' '.join(command)}: {done.rc}\n{done.out}\n{done.err}"
    return done.out


async def systemctl(guest: vm.Guest, *arguments: str, seconds: float = 120.0) -> str:
    """Have the service manager do something."""
    return await ran(guest, ["systemctl", *arguments], seconds=seconds)


async def start(guest: vm.Guest, unit: str = UNIT) -> None:
    """Start a unit; what it said comes with the complaint that it did not."""
    done = await guest.run(["systemctl", "start", unit], seconds=150)
    assert done.rc == 0, await journal(guest, unit)


async def show(guest: vm.Guest, unit: str = UNIT) -> dict[str, str]:
    """Return a unit's properties."""
    told = await systemctl(guest, "show", unit)
    return dict(line.partition("=")[::2] for line in told.splitlines())


async def until(guest: vm.Guest, seconds: float = 90.0, **wanted: str) -> dict[str, str]:
    """Wait until properties of the reader's unit hold these values; a value ending in * needs only its beginning."""
    end = time.monotonic() + seconds
    while True:
        have = await show(guest)
        right = (
            have.get(key, "").startswith(value[:-1]) if value.endswith("*") else have.get(key) == value
            for key, value in wanted.items()
        )
        if all(right):
            return have
        if time.monotonic() > end:
            told = {key: have.get(key) for key in wanted}
            raise AssertionError(f"{told} after {seconds:.0f} s:\n{await journal(guest)}")
        await asyncio.sleep(0.5)


async def journal(guest: vm.Guest, unit: str = UNIT, since: str = "") -> str:
    """Return the last of what a unit and the service manager said of it. `since`: an invocation's identifier."""
    which = [f"_SYSTEMD_INVOCATION_ID={since}", "+", f"INVOCATION_ID={since}"] if since else ["-u", unit]
    return await ran(guest, ["journalctl", "--no-pager", "-o", "cat", "-n", "200", *which])


async def drop_in(guest: vm.Guest, name: str, text: str | None) -> None:
    """Add to the reader's unit until the next start of the guest, or take that back."""
    path = f"{DROP_INS}/{name}.conf"
    if text is None:
        await ran(guest, ["rm", "-f", path])
    else:
        await guest.write_file(path, f"[Service]\n{text}\n".encode())
    await systemctl(guest, "daemon-reload")


def probed(told: str) -> dict[str, str]:
    """Return what the probe of this folder found, from a unit's journal; the last time where several."""
    (*_, found) = (line for line in told.splitlines() if line.startswith("{"))
    return dict(json.loads(found))
