"""The serial line to an OSDP panel (IEC 60839-11-5): opened raw, read without blocking, frame by frame.

Nothing that the protocol library calls here may raise: an exception in its callbacks would come out of an unrelated
call. What went wrong is kept and raised by the owner.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Callable
from contextlib import suppress

from mdoc_reader.drivers.osdp_frames import Framer, repeats, reply_code

SPEEDS = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}

_TIOCSRS485 = 0x542F  # linux/serial.h
_RS485_ENABLED, _RS485_RTS_ON_SEND = 1, 2
_MOST_AT_ONCE = 1024


def open_port(path: str, baud: int, *, rs485: bool) -> int:
    """Open a serial port for nobody else: raw, 8 data bits, no parity, one stop bit. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        speed = SPEEDS[baud]
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        zeros: list[bytes | int] = [0] * 32  # neither a shortest read nor a wait, and no special characters
        attributes: list[int | list[bytes | int]] = [0, 0, control, 0, speed, speed, zeros]
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        if rs485:
            settings = struct.pack("=8I", _RS485_ENABLED | _RS485_RTS_ON_SEND, *(0,) * 7)
            fcntl.ioctl(descriptor, _TIOCSRS485, settings)
        termios.tcflush(descriptor, termios.TCIOFLUSH)
    except (OSError, termios.error) as error:
        os.close(descriptor)
        number = error.args[0] if error.args and isinstance(error.args[0], int) else errno.EIO
        raise OSError(number, os.strerror(number), path) from None
    return descriptor


class PanelLine:
    """An open port as the protocol library uses it. For one thread, but for `wake`."""

    def __init__(self, descriptor: int, address: int) -> None:
        """Take over an open port."""
        self.id = 0
        """What the library tells lines apart by."""
        self._port = descriptor
        self._framer = Framer(address)
        self._given = b""
        self._command = b""
        self._reply = b""
        self._trouble: OSError | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._port, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def commands(self, seconds: float) -> list[bytes]:
        """Wait for the panel, `wake` or the time; return whole frames. Raises OSError when the port is gone."""
        events = dict(self._poll.poll(seconds * 1000))
        if self._wake in events:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        seen = events.get(self._port, 0)
        if seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        octets = b""
        if seen & select.POLLIN:
            with suppress(BlockingIOError):
                octets = os.read(self._port, _MOST_AT_ONCE)
        return self._framer.feed(octets, time.monotonic())

    def answer(self, frame: bytes, look: Callable[[], None]) -> int:
        """Have the library look at a command, and return the code of its reply, or 0. Raises OSError.

        A command that is said once more because its reply got lost has the same reply once more: to the library it
        would be another one, and on the secure channel the end of that.
        """
        if self._reply and repeats(frame, self._command):
            os.write(self._port, self._reply)
            return 0
        self._given, self._command, self._reply = frame, frame, b""
        look()
        if self._trouble is not None:
            raise self._trouble
        return reply_code(self._reply)

    def wake(self) -> None:
        """End a wait. From any thread, while the line is open."""
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Let go of the port."""
        with suppress(OSError):
            fcntl.ioctl(self._port, termios.TIOCNXCL)
        os.close(self._port)
        os.close(self._wake)

    # For the library.

    def read(self, most: int) -> bytes:
        """Return what was given and not read, at most so much."""
        octets, self._given = self._given[:most], self._given[most:]
        return octets

    def write(self, frame: bytes) -> int:
        """Send a reply. The library complains aloud of one that was not sent: the owner hears of it instead."""
        self._reply += frame
        try:
            os.write(self._port, frame)
        except OSError as error:
            self._trouble = error
        return len(frame)

    def flush(self) -> None:
        """Drop nothing: what is read are whole frames."""
