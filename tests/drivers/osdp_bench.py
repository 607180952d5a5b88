"""Two joined pseudo-terminals with libosdp's own panel at the far end: lines that are cut, garbled, or lose a frame."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import osdp

RAW = 0x50
Filter = Callable[[bytes], bytes]


class Wire:
    """A serial cable: the reader's end is the path `port`, the panel's end the descriptor `panel`."""

    def __init__(self, folder: Path) -> None:
        self.port = folder / "ttyPanel"
        panel_far, self.panel = pty.openpty()
        tty.setraw(panel_far)
        tty.setraw(self.panel)
        self._panel_far = panel_far
        self._reader_far = -1
        self._reader_near = -1
        self.cut = False
        self.to_panel: Filter = bytes
        self.seen = bytearray()
        self._stop = threading.Event()
        self.plug()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """Make the reader's port appear."""
        far, near = pty.openpty()
        tty.setraw(far)
        tty.setraw(near)
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(os.ttyname(near))
        self._reader_near = near
        self._reader_far = far

    def unplug(self) -> None:
        """Make the reader's port go away."""
        self.port.unlink()
        far, self._reader_far = self._reader_far, -1
        os.close(self._reader_near)
        time.sleep(0.03)  # the pump looks away
        os.close(far)

    def inject(self, octets: bytes) -> None:
        """Put octets on the line towards the reader."""
        os.write(self._reader_far, octets)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for descriptor in (self._panel_far, self.panel, self._reader_far, self._reader_near):
            with suppress(OSError):
                os.close(descriptor)

    def _pump(self) -> None:
        while not self._stop.is_set():
            far = self._reader_far
            ends = [self._panel_far, *([far] if far >= 0 else [])]
            for end in select.select(ends, [], [], 0.01)[0]:
                with suppress(OSError):
                    data = os.read(end, 4096)
                    self.seen += data
                    if self.cut or (end == self._panel_far and far < 0):
                        continue
                    if end == self._panel_far:
                        os.write(far, data)
                    else:
                        os.write(self._panel_far, self.to_panel(data))


class _PanelEnd(osdp.Channel):  # type: ignore[misc]
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.id = descriptor
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)

    def read(self, max_bytes: int) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self._descriptor, max_bytes)
        return b""

    def write(self, buf: bytes) -> int:
        with suppress(BlockingIOError):
            return os.write(self._descriptor, buf)
        return 0

    def flush(self) -> None:
        """Leave everything as it is."""


class _Panel(osdp.ControlPanel):  # type: ignore[misc]
    @staticmethod
    def refresh(event: threading.Event, lock: threading.Lock, ctx: Any) -> None:
        """Look at the line ten times as often as the package's own thread: tests take less time."""
        while not event.is_set():
            with lock:
                ctx.refresh()
            time.sleep(0.002)


class Panel:
    """libosdp's panel, polling one reader. Card events are in `cards`."""

    def __init__(self, wire: Wire, key: bytes | None, *, address: int = 5, secure: bool = True) -> None:
        termios.tcflush(wire.panel, termios.TCIFLUSH)
        self.address = address
        self.cards: list[dict[str, Any]] = []
        flags = [osdp.LibFlag.EnforceSecure] if secure and key else []
        info = osdp.PDInfo(address, _PanelEnd(wire.panel), scbk=key, flags=flags)
        self._panel = _Panel([info], osdp.LogLevel.Emergency, event_handler=self._event)
        self._panel.start()

    def _event(self, _: int, event: dict[str, Any]) -> int:
        if event["event"] == osdp.Event.CardRead:
            self.cards.append(event)
        return 0

    @property
    def online(self) -> bool:
        return bool(self._panel.is_online(self.address))

    @property
    def secure(self) -> bool:
        return bool(self._panel.is_sc_active(self.address))

    @property
    def identity(self) -> Any:
        return self._panel.get_pd_id(self.address)

    def capability(self, code: int) -> tuple[int, int]:
        return tuple(self._panel.check_capability(self.address, code))  # type: ignore[return-value]

    def send(self, **command: Any) -> bool:
        return bool(self._panel.submit_command(self.address, command))

    def close(self) -> None:
        self._panel.teardown()


def until(what: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)
