"""The serial line to a PN532: owned alone, read frame by frame with a deadline, and let go of from any thread.

UM0701-02 clause 6.2.1: a frame is a start code, a length with its checksum, and data with theirs. The command layer
checks the data; here the frames are found in what comes, so that noise before a frame is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
import threading
import time
from collections.abc import Sequence

import serial

from mdoc_reader.drivers import pn532_nfcpy
from mdoc_reader.drivers.pn532_nfcpy import ACK

FIRST_BAUD = 115200
"""The speed of the chip after power-up."""

_START = b"\x00\xff"
_LARGEST = 265
_MOST_HELD = 8192
_WRITE_S = 0.5
_BUFFERED_S = 0.01  # what the UART or a USB adapter may still hold
_FAREWELL_S = 0.01  # for what the chip says to it


class SerialLine:
    """An open serial port with a PN532 at its far end, as nfcpy's chipset uses it. Blocking; owned by one thread."""

    TYPE = "TTY"
    ACK_S = 0.1
    """How long a chip takes at most to acknowledge a command; the attribute `ack_s` is what is waited for."""

    def __init__(self, path: str, baud: int) -> None:
        """Open the port for nobody else. Raises OSError: EBUSY when another program has it."""
        self.path = path
        self._port = pn532_nfcpy.port()
        self._tty = serial.Serial(None, baud, timeout=0, write_timeout=_WRITE_S, exclusive=True)
        self._tty.port = path
        try:
            self._tty.open()
            # pyserial's lock is kept by those who ask for it; this one the kernel keeps.
            fcntl.ioctl(self._tty.fileno(), termios.TIOCEXCL)
        except OSError as error:
            self._tty.close()
            # pyserial gives no number where the port is no serial port at all.
            number = errno.EBUSY if error.errno == errno.EWOULDBLOCK else error.errno or errno.ENOTTY
            raise OSError(number, os.strerror(number)) from None
        self._port.tty = self._tty  # nfcpy has no other way to be given an open port
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._tty.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._held = bytearray()
        self._guard = threading.Lock()  # guards the two below, for moments only
        self._aborted = False
        self._open = True
        self._ack_due = False
        self.ack_s = self.ACK_S

    @property
    def aborted(self) -> bool:
        """Whether `abort` was called."""
        return self._aborted

    @property
    def baud(self) -> int:
        """The line's speed."""
        return self._port.baudrate

    def set_baud(self, baud: int) -> None:
        """Change the speed, once everything that was written is out. Raises OSError, termios.error."""
        until = time.monotonic() + _WRITE_S
        while self._tty.out_waiting and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(_BUFFERED_S)
        self._port.baudrate = baud

    def write(self, frame: bytes) -> None:
        """Drop everything that came unasked, and send. Raises OSError, termios.error."""
        if self._aborted:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        self._held.clear()
        self._ack_due = frame[:6] != ACK
        self._port.write(frame)

    def read(self, timeout: int) -> bytearray:
        """Return the next whole frame; after a command the acknowledgement, and nothing else in its place.

        What comes before an acknowledgement belongs to an earlier command. `timeout` in milliseconds. Raises OSError:
        ETIMEDOUT, ECANCELED after `abort`, ENODEV or EIO when the port is gone.
        """
        seconds = self.ack_s if self._ack_due else timeout / 1000
        until = time.monotonic() + seconds
        while True:
            frame = self._take()
            if frame is None:
                self._fill(until)
            elif not self._ack_due:
                return frame
            elif frame == ACK:
                self._ack_due = False
                return frame

    def _fill(self, until: float) -> None:
        left = max(0.0, until - time.monotonic())
        events = dict(self._poll.poll(left * 1000 + 0.999))
        if self._wake in events:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        if not events:
            if time.monotonic() < until:
                return
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        try:
            data = os.read(self._tty.fileno(), 4096)
        except BlockingIOError:
            return
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self._held += data
        del self._held[:-_MOST_HELD]

    def _take(self) -> bytearray | None:
        """Take the first whole frame out of what came, in the form nfcpy knows."""
        held = self._held
        while True:
            start = held.find(_START)
            if start < 0:
                del held[: -1 if held.endswith(b"\x00") else len(held)]
                return None
            del held[:start]
            if len(held) < 4:
                return None
            if bytes(held[2:4]) in {b"\x00\xff", b"\xff\x00"}:  # ACK and NACK
                frame = bytearray(b"\x00") + held[:4] + b"\x00"
                del held[:4]
                return frame
            if held[2:4] == b"\xff\xff":
                if len(held) < 7:
                    return None
                header, size, right = 7, held[4] << 8 | held[5], sum(held[4:7]) & 0xFF == 0
            else:
                header, size, right = 4, held[2], (held[2] + held[3]) & 0xFF == 0
            if not right or not 0 < size <= _LARGEST:
                del held[0]  # no header of a frame: what looked like a start code was noise
                continue
            length = header + size + 2
            if len(held) < length:
                return None
            frame = bytearray(b"\x00") + held[:length]
            del held[:length]
            return frame

    def abort(self) -> None:
        """Make the read in progress, and everything after it, raise at once. From any thread; never raises."""
        with self._guard:
            self._aborted = True
            if self._open:
                os.eventfd_write(self._wake, 1)

    def close(self, farewell: Sequence[bytes] = ()) -> None:
        """Let go of the port, after some last frames that nobody waits for. Nobody may be reading. Never raises."""
        with self._guard:
            if not self._open:
                return
            self._open = False
            self._aborted = True
        with contextlib.suppress(OSError, termios.error):
            for frame in farewell:
                self._port.write(frame)
                time.sleep(_FAREWELL_S)
        with self._guard:
            with contextlib.suppress(OSError, termios.error):
                fcntl.ioctl(self._tty.fileno(), termios.TIOCNXCL)
            with contextlib.suppress(OSError, termios.error):
                self._port.close()
            with contextlib.suppress(OSError):  # nfcpy leaves it open where emptying it failed
                self._tty.close()
            os.close(self._wake)
