"""The daemon as a service manager sees it, over a real notification socket, with no Bluetooth, camera or pins there."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[2] / "config" / "laptop.toml"


class Manager:
    """The service manager's end of the socket, and the daemon it started."""

    def __init__(self, folder: Path) -> None:
        """Listen, and start the daemon."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.heard: list[str] = []
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "mdoc_reader.app.cli", "run", "--config", str(CONFIG)],
            env={
                **os.environ,
                "RUNTIME_DIRECTORY": str(folder),
                "STATE_DIRECTORY": str(folder),
                "NOTIFY_SOCKET": str(folder / "notify"),
                "WATCHDOG_USEC": "600000",
                # Nobody is at home: the reader starts without a message bus, too.
                "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/nobody",
            },
            stderr=subprocess.DEVNULL,
        )

    def hears(self, wanted: str, seconds: float = 20.0) -> bool:
        """Say whether a line like that comes in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                lines = self.socket.recv(4096).decode().split("\n")
                self.heard += lines
                if any(line.startswith(wanted) for line in lines):
                    return True
        return False

    def silence(self) -> None:
        """Throw away what has come."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass

    def close(self) -> None:
        """End it."""
        self.daemon.kill()
        self.daemon.wait()
        self.socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A daemon under a service manager."""
    manager = Manager(tmp_path)
    try:
        yield manager
    finally:
        manager.close()


def test_ready_fed_starved_fed_stopped(manager: Manager) -> None:
    assert manager.hears("READY=1")
    assert any(line.startswith("STATUS=") and "bluetooth" in line for line in manager.heard)
    for _ in range(3):
        assert manager.hears("WATCHDOG=1", 5.0)
    manager.daemon.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    manager.silence()
    assert not manager.hears("WATCHDOG=1", 0.7)
    manager.daemon.send_signal(signal.SIGCONT)
    assert manager.hears("WATCHDOG=1", 5.0)
    manager.daemon.send_signal(signal.SIGTERM)
    assert manager.hears("STOPPING=1", 5.0)
    assert manager.daemon.wait(20) == 0
