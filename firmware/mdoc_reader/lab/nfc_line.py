"""The serial line of the emulated chip: a pseudo-terminal under a name that stays, plugged in and pulled out."""

from __future__ import annotations

import os
import random
import select
import termios
import threading
import tty
from pathlib import Path

from mdoc_reader.lab.nfc_uart import BAUD_RATES

_MOST_READ = 4096
_SPEEDS = {getattr(termios, f"B{rate}"): rate for rate in BAUD_RATES if hasattr(termios, f"B{rate}")}


class Line:
    """One plugging-in of the line. The name is a symbolic link, as device managers make them."""

    def __init__(self, name: Path) -> None:
        """Make the pseudo-terminal and put it under its name. OSError when that is taken by something else."""
        self._name = name
        self._chip_end, self._host_end = os.openpty()
        tty.setraw(self._host_end)  # no echo before a host has set its own modes
        os.set_blocking(self._chip_end, False)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._noise = random.Random(532)
        self._sending = threading.Lock()
        if name.is_symlink():
            name.unlink()
        name.symlink_to(os.ttyname(self._host_end))

    def hang_up(self) -> None:
        """Pull it out: whoever has it open sees it hang up, and its name is gone."""
        with self._sending:
            self._name.unlink(missing_ok=True)
            for end in (self._chip_end, self._host_end):
                if end >= 0:
                    os.close(end)
            self._chip_end = self._host_end = -1

    def close(self) -> None:
        """Pull it out, and release what another thread may have used to `wake` it."""
        self.hang_up()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def wake(self) -> None:
        """Make a `wait` of another thread return."""
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return

    @property
    def host_baud(self) -> int | None:
        """The bit rate the host has set; None for one the chip does not know."""
        speed: int = termios.tcgetattr(self._host_end)[5]
        return _SPEEDS.get(speed)

    def wait(self, seconds: float | None) -> bytes:
        """Return what the host has sent, as soon as there is any; nothing after the time, or after `wake`."""
        ready, _, _ = select.select([self._chip_end, self._wake_read], [], [], seconds)
        if self._wake_read in ready:
            os.read(self._wake_read, _MOST_READ)
        return os.read(self._chip_end, _MOST_READ) if self._chip_end in ready else b""

    def send(self, data: bytes, baud: int) -> None:
        """Send at the chip's bit rate, from any thread. What the host cannot make out at its own arrives as noise."""
        with self._sending:
            if self._chip_end < 0:
                return
            if self.host_baud != baud:
                data = self._noise.randbytes(len(data))
            while data:
                try:
                    data = data[os.write(self._chip_end, data) :]
                except BlockingIOError:
                    return  # nobody reads: a line has no memory either
