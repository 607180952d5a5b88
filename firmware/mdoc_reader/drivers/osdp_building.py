"""A badge number to a panel by OSDP, as a peripheral with secure channel on an RS-485 line, through libosdp.

One thread owns the port: it opens it, answers the panel, opens it again when it went. A badge waits for the panel's
next poll, for `hold_s` at most: one that could not be sent opens no door later. A panel's commands move nothing here;
its relay commands are refused, since the reader's relay moves on the reader's own decision alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mdoc_reader.drivers import osdp_key
from mdoc_reader.drivers.osdp_device import Identity, OsdpDevice, PanelCommand, Terms, load_osdp
from mdoc_reader.drivers.osdp_frames import NAK, RAW
from mdoc_reader.drivers.osdp_line import PanelLine, open_port
from mdoc_reader.drivers.secret_file import credential_name
from mdoc_reader.drivers.wiegand_frame import Layout, packed
from mdoc_reader.model.badge import MAX_BITS, Badge
from mdoc_reader.model.check import Check, Health

log = logging.getLogger(__name__)

SIMULATED = False

_PART = "building"
_TURN_S = 0.05  # the library wants to be looked at this often
_STUCK_S = 2.0
_CLOSE_S = 2.0
_RETRY_S = (0.25, 5.0)


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The line, the key and the format.

    The key of the secure channel is the one line of `key_file` or of the credential `key_credential`, never here.
    `store_keys` lets a panel that is on the secure line replace the key in `key_file`. `install_minutes` opens the
    line to the key that everybody knows, for so long after the start, so that a panel can set one. `secure = false`
    sends badges to whoever listens. `format = 64` sends the whole number as raw bits.
    """

    port: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    address: Annotated[int, msgspec.Meta(ge=0, le=126)] = 0
    rs485: bool = False
    format: Literal[26, 34, 37, 64] = 26
    facility: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    secure: bool = True
    key_file: str | None = None
    key_credential: str | None = None
    store_keys: bool = False
    install_minutes: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0
    takes_signals: bool = True
    serial_number: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    silent_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 5.0
    hold_s: Annotated[float, msgspec.Meta(ge=0.2, le=30)] = 3.0

    def __post_init__(self) -> None:
        """Refuse choices that do not go together."""
        if self.key_file is not None and self.key_credential is not None:
            raise ValueError("give one of key_file and key_credential")
        if self.secure and self.key_file is None and self.key_credential is None:
            raise ValueError("a secure line has a key: give key_file or key_credential")
        if self.key_credential is not None:
            credential_name(self.key_credential)
        if self.store_keys and self.key_file is None:
            raise ValueError("store_keys needs key_file: the service manager's credentials cannot be changed")
        if self.install_minutes and not (self.store_keys and self.secure):
            raise ValueError("install_minutes is for a secure line with store_keys: a key that is set has to be kept")
        if self.format == 64 and self.facility is not None:
            raise ValueError("a number of 64 bits has no facility code")
        self.layout()

    def layout(self) -> Layout | None:
        """Return what a frame is made of, or None for the whole number."""
        return None if self.format == 64 else Layout(self.format, self.facility)

    def key(self) -> bytes | None:
        """Read the key; None where the line has none, or install mode is to give one. Raises OSError."""
        if self.key_file is None and self.key_credential is None:
            return None
        if self.install_minutes and self.key_file is not None and not Path(self.key_file).exists():
            return None
        return osdp_key.load(self.key_file, self.key_credential)


@dataclass(slots=True)
class _Waiting:
    """A badge on its way: submitted to the library, sent as a reply, and gone when the panel went on after that."""

    badge: Badge = field(repr=False)
    until: float
    submitted: bool = False
    replied: bool = False


class OsdpBuilding:
    """A line to a panel. See `outputs.ports.Building`; `present` and `close` may come from any thread."""

    def __init__(self, options: Options, key: bytes | None) -> None:
        """Start the thread that owns the port."""
        self._options = options
        self._layout = options.layout()
        self._key = key
        self._install_until = time.monotonic() + 60 * options.install_minutes if options.install_minutes else 0.0
        self._installed = False
        self._told: Callable[[PanelCommand], None] | None = None
        self._lock = threading.Lock()  # guards the three below
        self._waiting: _Waiting | None = None
        self._line: PanelLine | None = None
        self._stopping = threading.Event()
        self._beat = time.monotonic()
        self._heard = -float("inf")
        self._on_line = False
        self.sent = 0
        """Badges that the panel took."""
        self.dropped = 0
        """Badges that it did not take in time."""
        self._thread = threading.Thread(target=self._live, name="osdp", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether a panel with the right key polled within the last `silent_s`."""
        now = time.monotonic()
        alive = self._thread.is_alive() and now - self._beat < _STUCK_S
        return alive and self._on_line and now - self._heard < self._options.silent_s

    def on_command(self, callback: Callable[[PanelCommand], None]) -> None:
        """Have `callback` told of the panel's lamp and buzzer commands: from another thread, not to raise."""
        self._told = callback

    def present(self, badge: Badge) -> None:
        """Have a badge be the answer to the panel's next poll; drop it where one waits, or no panel is there."""
        with self._lock:
            if self._stopping.is_set():
                return
            if self._waiting is not None or not self.healthy:
                self._drop()
                return
            self._waiting = _Waiting(badge, time.monotonic() + self._options.hold_s)
            if self._line is not None:
                self._line.wake()

    def close(self) -> None:
        """Release the port. May be repeated."""
        self._stopping.set()
        with self._lock:
            self._waiting = None
            if self._line is not None:
                self._line.wake()
        self._thread.join(_CLOSE_S)

    # On the owner thread.

    def _live(self) -> None:
        pause = _RETRY_S[0]
        while not self._stopping.is_set():
            try:
                port = open_port(self._options.port, self._options.baud, rs485=self._options.rs485)
            except OSError as error:
                log.info("no OSDP port: %s", error)
                self._pause(pause)
                pause = min(2 * pause, _RETRY_S[1])
                continue
            pause = _RETRY_S[0]
            line = PanelLine(port, self._options.address)
            with self._lock:
                self._line = line
            try:
                self._serve(line)
            except OSError as error:
                log.warning("the OSDP port is gone: %s", error)
                self._pause(pause)
            finally:
                with self._lock:
                    self._line = None
                    self._on_line = False
                line.close()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._beat = time.monotonic()
            self._stopping.wait(min(left, _STUCK_S / 4))
        self._expire()

    def _serve(self, line: PanelLine) -> None:
        while not self._stopping.is_set():
            install = self._installing
            device = self._device(line, install=install)
            if install:
                log.info("OSDP install mode: a panel may set a key")
            try:
                # With a key set, the library leaves install mode by itself, and goes on.
                while not self._stopping.is_set() and (not install or self._installing or self._installed):
                    self._turn(line, device)
            finally:
                device.close()
            if install:
                log.info("OSDP install mode ends")

    @property
    def _installing(self) -> bool:
        return not self._installed and time.monotonic() < self._install_until

    def _device(self, line: PanelLine, *, install: bool) -> OsdpDevice:
        options = self._options
        identity = Identity(options.address, options.baud, options.serial_number, _firmware())
        terms = Terms(self._key, options.secure, install, options.takes_signals)
        return OsdpDevice(line, identity, terms, self._keep_key)

    def _turn(self, line: PanelLine, device: OsdpDevice) -> None:
        self._beat = time.monotonic()
        self._hand_over(device)
        for frame in line.commands(_TURN_S):
            reply = device.take(frame)
            self._heard = time.monotonic()
            self._see_line(device)
            self._follow(reply, device)
        device.look()
        self._see_line(device)
        self._expire(device)
        for command in device.asked():
            if self._told is not None:
                self._told(command)

    def _see_line(self, device: OsdpDevice) -> None:
        was, self._on_line = self._on_line, device.secure or not self._options.secure
        if was != self._on_line:
            log.info("an OSDP panel %s", "is on the line" if self._on_line else "left the line")

    def _hand_over(self, device: OsdpDevice) -> None:
        with self._lock:
            waiting = self._waiting
            if waiting is None or waiting.submitted or not self._on_line:
                return
            waiting.submitted = True
        if self._layout is None:
            device.submit(MAX_BITS, waiting.badge.number.to_bytes(MAX_BITS // 8), wiegand=False)
            return
        bits = self._layout.bits(waiting.badge)
        device.submit(len(bits), packed(bits), wiegand=True)

    def _follow(self, reply: int, device: OsdpDevice) -> None:
        """See from the replies whether the badge arrived: the panel goes on to another command only if it did."""
        with self._lock:
            waiting = self._waiting
            if waiting is None or not waiting.submitted:
                return
            if not self._on_line:
                device.forget()
                waiting.submitted = waiting.replied = False
            elif reply == RAW:
                waiting.replied = True
            elif waiting.replied and reply not in {0, NAK}:
                self._waiting = None
                self.sent += 1

    def _expire(self, device: OsdpDevice | None = None) -> None:
        with self._lock:
            waiting = self._waiting
            if waiting is None or time.monotonic() < waiting.until:
                return
            self._waiting = None
            self._drop()
        if device is not None:
            device.forget()

    def _drop(self) -> None:
        self.dropped += 1
        log.warning("a badge was not taken by the panel, %d so far", self.dropped)

    def _keep_key(self, key: bytes) -> bool:
        if not self._options.store_keys or self._options.key_file is None:
            log.warning("an OSDP panel set a key, which is not allowed here")
            return False
        try:
            osdp_key.store(Path(self._options.key_file), key)
        except OSError as error:
            log.warning("an OSDP panel set a key, which could not be kept: %s", error.strerror)
            return False
        self._key = key
        self._installed = True
        log.info("an OSDP panel set a key")
        return True


def _firmware() -> tuple[int, int, int]:
    parts = [int(part) if part.isdigit() else 0 for part in version("mdoc-reader").split(".")]
    major, minor, build = (*parts, 0, 0, 0)[:3]
    return min(major, 255), min(minor, 255), min(build, 255)


def open_building(options: Options) -> OsdpBuilding:
    """Start the line. OSError when the library or the key is not there; the port may come later."""
    load_osdp()
    return OsdpBuilding(options, options.key())


async def examine(options: Options) -> tuple[Check, ...]:
    """Look at the library, the key and the port, and say what there is to say of the choices."""
    return await asyncio.to_thread(_examined, options)


def _examined(options: Options) -> tuple[Check, ...]:
    checks = []
    try:
        load_osdp()
    except OSError as error:
        return (Check(_PART, Health.FAULT, str(error), "pip install 'mdoc-reader[osdp]'"),)
    try:
        options.key()
    except OSError as error:
        advice = "put the panel's key where the configuration says, readable by the reader's user alone"
        checks.append(Check(_PART, Health.FAULT, str(error), advice))
    try:
        os.close(open_port(options.port, options.baud, rs485=options.rs485))
        what = f"OSDP on {options.port}, {options.baud} baud, address {options.address}"
        checks.append(Check(_PART, Health.OK, what))
    except OSError as error:
        advice = "correct `port`, and let the reader's user open it; where the running reader has it, all is well"
        checks.append(Check(_PART, Health.FAULT, f"no OSDP port: {error}", advice))
    if not options.secure:
        advice = "agree on a key with the panel, and remove `secure = false`"
        checks.append(Check(_PART, Health.WARNING, "badge numbers go over the line in the clear", advice))
    if options.install_minutes:
        what = f"for {options.install_minutes:g} minutes after each start any panel may set the key"
        checks.append(Check(_PART, Health.WARNING, what, "remove `install_minutes` once the panel has set it"))
    return tuple(checks)
