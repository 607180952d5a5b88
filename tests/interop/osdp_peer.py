"""An OSDP panel this project did not write: PyPI's `osdp`, from its lock file, beside the tests' own packages.

It has the name of libosdp's package, so that it lives in a folder and a process of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

FOLDER = Path(__file__).with_name("osdp_panel")
PACKAGES = FOLDER.parents[2] / "build" / "peers" / "osdp"


def install() -> None:
    """Install the packages of the lock file once; later runs see that it is done."""
    done = PACKAGES / ".installed.lock"
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "panel.lock").open("rb") as guard:
        lock = guard.read()
        fcntl.flock(guard, fcntl.LOCK_EX)  # several test runs may begin at once
        if done.is_file() and done.read_bytes() == lock:
            return
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(PACKAGES)]
        command += ["--require-hashes", "--no-deps", "-r", str(FOLDER / "panel.lock")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode:
            raise RuntimeError(f"the panel's packages: {result.stderr.strip()}")
        done.write_bytes(lock)


def key_of(master: bytes, serial_number: int) -> bytes:
    """Return the key that this panel derives from its master key for our peripheral: AES over who it says it is."""
    client = bytes([0, 0, 1, 0]) + serial_number.to_bytes(4, "little")
    cipher = Cipher(algorithms.AES(master), modes.ECB()).encryptor()  # noqa: S305 -- OSDP's own
    return cipher.update(client + bytes(255 - octet for octet in client))


class Peer:
    """The panel at work. What it tells is in `told`."""

    def __init__(self, port: str, address: int, master: bytes) -> None:
        """Start polling."""
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        command = [sys.executable, str(FOLDER / "panel.py"), port, str(address), master.hex()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.put(json.loads(line))

    def hear(self, what: str, seconds: float = 10.0) -> dict[str, Any]:
        """Return the next thing of a kind that it tells."""
        while what not in (said := self.told.get(timeout=seconds)):
            pass
        return said

    def show(self, octets: bytes) -> None:
        """Have it ask for a text to be shown."""
        assert self._process.stdin is not None
        self._process.stdin.write(octets.hex() + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
