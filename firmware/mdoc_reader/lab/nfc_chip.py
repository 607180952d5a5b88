"""A PN532 on a pseudo-terminal (NXP UM0701-02): the far end of a real driver, with a field in front of it.

The chip has one thread of its own while it is plugged in. It waits for the host and for the clock, and does nothing
else in between; whatever the host sends into a running command ends that command, as in the chip.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import deque
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from mdoc_reader.lab.nfc_commands import FIRMWARE, Commands, WrongCommand
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_host_faults import HostFault, HostFaults, Trouble, noise, spoil
from mdoc_reader.lab.nfc_line import Line
from mdoc_reader.lab.nfc_radio import Radio
from mdoc_reader.lab.nfc_time import Pace, Spent
from mdoc_reader.lab.nfc_uart import ACK, ERROR, FIRST_BAUD, NACK, HostFrame, HostFrames, Said, response

_WAKING_EDGES = 5
_WAKING_S = 0.0003
_MOST_KEPT = 20_000
_JOIN_S = 10.0


class _Aborted(Exception):  # noqa: N818 -- the host's wish
    """The host gave the running command up."""


class _Reset(Exception):  # noqa: N818 -- from outside
    """The chip is reset."""


class _Unplugged(Exception):  # noqa: N818 -- from outside
    """The line is gone."""


class Pn532Chip:
    """An emulated PN532. Use it as a context manager, or call `plug` and `close`."""

    def __init__(
        self,
        field: RfField,
        *,
        timing: bool = True,
        path: Path | None = None,
        overhead_s: float = 0.0003,
        fastest: int = 4,
        firmware: bytes = FIRMWARE,
    ) -> None:
        """Make a chip that is not plugged in yet.

        Args:
            field: what lies in front of its antenna.
            timing: whether line, air, cards and time-outs take their real time; counted they are in any case.
            path: the name of its port; one in a directory of its own when None.
            overhead_s: what the firmware takes for each command.
            fastest: its highest bit rate on the air as a multiple of 106 kbit/s.
            firmware: what GetFirmwareVersion says.
        """
        self._directory = tempfile.TemporaryDirectory(prefix="lab-pn532-") if path is None else None
        self._path = path if path is not None else Path(self._directory.name if self._directory else "") / "ttyPN532"
        self._overhead_s = overhead_s
        self._firmware = firmware
        self._pace = Pace(self._wait, real=timing)
        self._radio = Radio(field, self._pace, fastest=fastest)
        self._commands = Commands(self._radio, firmware=firmware)
        self._frames = HostFrames()
        self._queue: deque[HostFrame] = deque()
        self._faults = HostFaults()
        self._noise = random.Random(14443)
        self._baud = FIRST_BAUD
        self._asleep = True
        self._edges = 0
        self._busy = False
        self._last = ERROR
        self._line: Line | None = None
        self._thread: threading.Thread | None = None
        self._plugging = threading.RLock()
        self._stopping = False
        self._resetting = False
        self._reset_done = threading.Event()
        self.field = field
        self.seen: deque[int] = deque(maxlen=_MOST_KEPT)
        """The codes of the commands that came."""
        self.aborted = 0
        """How many of them the host gave up."""

    @property
    def port(self) -> str:
        """The path of its serial port. Nothing is there while it is unplugged."""
        return str(self._path)

    @property
    def spent(self) -> Spent:
        """What everything took so far."""
        return self._pace.spent

    @property
    def baud(self) -> int:
        """The bit rate of its line."""
        return self._baud

    @property
    def plugged(self) -> bool:
        """Whether its port is there."""
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> Self:
        """Plug it in."""
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unplug it for good."""
        self.close()

    def plug(self) -> None:
        """Plug it in, with everything as after power-up. Does nothing when it is plugged in."""
        with self._plugging:
            if self.plugged:
                return
            self.unplug()
            self._power_up()
            self._line = Line(self._path)
            self._thread = threading.Thread(target=self._live, args=(self._line,), name="lab-pn532", daemon=True)
            self._thread.start()

    def unplug(self) -> None:
        """Pull it out, also in the middle of a command. Does nothing when it is not plugged in."""
        if self._thread is threading.current_thread():
            self._stopping = True  # a card pulled it out: once its frame is done
            return
        with self._plugging:
            if self._thread is None:
                return
            self._stopping = True
            if self._line is not None and self._thread.is_alive():
                self._line.wake()
            self._thread.join(_JOIN_S)
            self._thread = None
            if self._line is not None:
                self._line.close()
                self._line = None

    def close(self) -> None:
        """Unplug it and remove the directory of its port."""
        self.unplug()
        if self._directory is not None:
            self._directory.cleanup()

    def reset(self) -> None:
        """Reset it, also in the middle of a command: field, registers and bit rate are lost, the line stays."""
        if self._thread is threading.current_thread():
            self._resetting = True
            return
        with self._plugging:
            if self._line is None or not self.plugged:
                return
            self._reset_done.clear()
            self._resetting = True
            self._line.wake()
            self._reset_done.wait(_JOIN_S)

    def leave_at(self, baud: int) -> None:
        """Be as a host that died has left it: awake, at a bit rate the next one does not expect."""
        self._asleep = False
        self._baud = baud

    def misbehave(self, *faults: HostFault) -> None:
        """Let commands go wrong from now on."""
        for fault in faults:
            self._faults.add(fault)

    def behave(self) -> None:
        """End all misbehaviour."""
        self._faults.clear()

    def inject(self, data: bytes) -> None:
        """Put bytes on the line to the host, out of turn. Nothing happens while it is unplugged."""
        line = self._line
        if line is not None:
            line.send(data, self._baud)

    def _power_up(self) -> None:
        self._stopping = self._resetting = self._busy = False
        self._baud = FIRST_BAUD
        self._asleep = True
        self._edges = 0
        self._last = ERROR
        self._queue.clear()
        self._frames.reset()
        self._radio.reset()
        self._commands = Commands(self._radio, firmware=self._firmware)

    def _live(self, line: Line) -> None:
        try:
            while True:
                try:
                    if self._queue:
                        self._serve(self._queue.popleft())
                    else:
                        self._wait(time.monotonic() + 60.0)
                except _Aborted:
                    self.aborted += 1
                    self._pace.rewind()
                except _Reset:
                    self._pace.rewind()
                    self._power_up()
                    self._reset_done.set()
                finally:
                    self._busy = False
        except _Unplugged:
            self._radio.reset()
            line.hang_up()
        finally:
            self._reset_done.set()

    def _wait(self, until: float) -> None:
        """Wait for the clock, and look at what the host sends. Between commands, return as soon as there is a frame."""
        while True:
            if self._stopping:
                raise _Unplugged
            if self._resetting:
                raise _Reset
            left = until - time.monotonic()
            if left <= 0 or self._line is None:
                return
            data = self._line.wait(left)
            if data:
                self._queue.extend(self._received(self._line, data))
            if self._queue and self._busy:
                if self._queue[0].said is Said.ACK:
                    self._queue.popleft()
                raise _Aborted
            if self._queue:
                return

    def _received(self, line: Line, data: bytes) -> list[HostFrame]:
        host = line.host_baud
        if self._commands.next_baud is not None and host == self._commands.next_baud:
            # The acknowledgement may have been flushed away in the terminal; a real line has it out by then.
            self._change_baud()
        if host != self._baud:
            self._frames.reset()
            return []
        self._pace.begin()
        self._pace.line(len(data), self._baud)
        if self._asleep:
            data = self._woken(data)
        return self._frames.feed(data)

    def _woken(self, data: bytes) -> bytes:
        """Count the rising edges that wake the chip, and return what it hears after them."""
        for index, byte in enumerate(data):
            bits = [0, *(byte >> place & 1 for place in range(8)), 1]
            self._edges += sum(high > low for low, high in pairwise(bits))
            if self._edges >= _WAKING_EDGES:
                self._asleep, self._edges = False, 0
                return data[index + 1 + int(_WAKING_S * self._baud / 10) :]
        return b""

    def _change_baud(self) -> None:
        if self._commands.next_baud is not None:
            self._baud, self._commands.next_baud = self._commands.next_baud, None

    def _send(self, data: bytes) -> None:
        self._pace.line(len(data), self._baud)
        self._pace.settle()
        if self._line is not None:
            self._line.send(data, self._baud)

    def _serve(self, frame: HostFrame) -> None:
        match frame.said:
            case Said.ACK:
                self._change_baud()
            case Said.NACK:
                self._send(self._last)
            case Said.WRONG:
                self._send(ACK)
                self._send(ERROR)
            case Said.COMMAND:
                self._busy = True
                self._command(frame.data[0], frame.data[1:])

    def _command(self, code: int, parameters: bytes) -> None:
        self.seen.append(code)
        self.spent.commands += 1
        fault = self._faults.due(code)
        trouble = fault.trouble if fault is not None else None
        if trouble is Trouble.SILENT:
            return
        if trouble is Trouble.NACK:
            self._send(NACK)
            return
        self._send(noise(self._noise) + ACK if trouble is Trouble.NOISE_FIRST else ACK)
        if trouble is Trouble.RESET:
            raise _Reset
        if trouble is Trouble.UNPLUG:
            raise _Unplugged
        self._pace.chip(self._overhead_s)
        try:
            frame = response(
                bytes((code + 1 & 0xFF,)) + self._commands.run(code, parameters), bare=self._commands.bare_frames
            )
        except WrongCommand:
            frame = ERROR
        if trouble is Trouble.NO_RESPONSE:
            self._pace.settle()
            return
        if trouble is Trouble.ERROR_FRAME:
            frame = ERROR
        said = frame
        if fault is not None:
            said = spoil(fault.trouble, frame, self._last, self._noise)
            if fault.delay_s > 0:
                self._wait(time.monotonic() + fault.delay_s)
        self._send(said)
        self._last = frame
        if self._commands.powered_down:
            self._commands.powered_down = False
            self._asleep = True
            self._radio.reset()
