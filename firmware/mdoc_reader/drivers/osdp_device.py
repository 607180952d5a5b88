"""One life of an OSDP peripheral on an open line, through libosdp's Python binding, whose corners are kept here.

What the binding (3.2.9) needs of its caller:
- a callback that raises, or gives back no tuple, ends the process: none of ours does;
- it takes two references wrongly at each command: the answer's tuple, never given back, and the tuple's second member,
  given back once too often. Answers are made once and kept, and that second reference is put back;
- a text that is no UTF-8 leaves an exception behind that nobody raised: texts are refused before it looks at them;
- the challenge's random number comes from libc's rand(), which nobody seeds: it is seeded here before each frame;
- an event is forgotten when the reply that carried it has left, whether or not it arrived.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any

from mdoc_reader.drivers import osdp_key
from mdoc_reader.drivers.osdp_line import PanelLine

_MODEL, _MODEL_VERSION = 1, 1
_NO_VENDOR = 0  # this project has no number of its own from the IEEE
_Answer = tuple[int, object]
_NOTHING = object()


class PanelAsks(StrEnum):
    """What a panel asks of a reader's lamps and buzzer."""

    LAMP = "lamp"
    BUZZER = "buzzer"


@dataclass(frozen=True, slots=True)
class PanelCommand:
    """A command of a panel, as IEC 60839-11-5 names and numbers its fields. Times are in tenths of a second."""

    asks: PanelAsks
    fields: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this peripheral says it is."""

    address: int
    baud: int
    serial_number: int
    firmware: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a panel is spoken with. `key` is None only where plain text will do."""

    key: bytes | None = field(repr=False)
    secure: bool
    install: bool
    takes_signals: bool


def load_osdp() -> Any:
    """Import libosdp's binding, which carries no types. OSError where it is not installed."""
    try:
        return import_module("osdp_sys")
    except ImportError as error:
        raise OSError(f"the libosdp library is not installed: {error}") from error


class OsdpDevice:
    """A peripheral. For one thread.

    Args:
        line: the open line, which outlives this.
        identity: who this is.
        terms: on what terms a panel is spoken with.
        keep_key: stores a key that the panel sets and says whether that is done. It may not raise.

    Raises OSError when the library refuses to begin.
    """

    def __init__(
        self,
        line: PanelLine,
        identity: Identity,
        terms: Terms,
        keep_key: Callable[[bytes], bool],
    ) -> None:
        """Begin to listen."""
        self._sys = load_osdp()
        self._line = line
        self._commands: list[PanelCommand] = []
        self._keep_key = keep_key
        self._takes_signals = terms.takes_signals
        self._libc = ctypes.CDLL(None)
        self._keep = ctypes.pythonapi.Py_IncRef
        self._keep.argtypes = [ctypes.py_object]
        self._done: _Answer = (0, _NOTHING)
        # -1 as the unsigned number that the binding reads.
        self._refused: _Answer = (0xFFFFFFFF, _NOTHING)
        # The rule for a line's settings that stay: to reply with those in force.
        self._settings: _Answer = (
            0,
            {"command": self._sys.CMD_COMSET, "address": identity.address, "baud_rate": identity.baud},
        )
        # It says nothing in the journal: what a panel, or a passer-by with a wire, sends would fill it.
        self._sys.set_loglevel(self._sys.LOG_EMERG)
        info = self._info(identity, terms, line)
        try:
            self._device = self._sys.PeripheralDevice(info, capabilities=self._capabilities(terms))
        except Exception as error:  # noqa: BLE001 -- the binding raises Exception itself
            raise OSError(f"libosdp does not begin: {error}") from None
        self._device.set_command_callback(self._command)

    @property
    def secure(self) -> bool:
        """Whether a panel that knows the key, and not the default key, is at the other end."""
        return bool(self._device.is_sc_active())

    def close(self) -> None:
        """Let the library's part go, which holds on to this one and to the key. Nothing may be called any more."""
        del self._device

    def take(self, frame: bytes) -> int:
        """Answer a command of the panel; return the reply's code, or 0 where there was none. Raises OSError."""
        return self._line.answer(frame, self.look)

    def look(self) -> None:
        """Let the library look at the line, and at the time."""
        self._libc.srand(ctypes.c_uint(int.from_bytes(os.urandom(4))))
        try:
            self._device.refresh()
        except (SystemError, UnicodeError) as error:
            raise OSError(f"libosdp failed: {type(error).__name__}") from None

    def asked(self) -> list[PanelCommand]:
        """Return what the panel asked of lamps and buzzer since the last time."""
        commands, self._commands = self._commands, []
        return commands

    def submit(self, bits: int, octets: bytes, *, wiegand: bool) -> bool:
        """Have a card's bits be the answer to the panel's next poll; say whether the library took them."""
        event = {
            "event": self._sys.EVENT_CARDREAD,
            "reader_no": 0,
            "direction": 0,
            "format": self._sys.CARD_FMT_RAW_WIEGAND if wiegand else self._sys.CARD_FMT_RAW_UNSPECIFIED,
            "length": bits,
            "data": octets,
        }
        return bool(self._device.submit_event(event))

    def forget(self) -> None:
        """Forget what was submitted and has not left."""
        self._device.flush_events()

    def _info(self, identity: Identity, terms: Terms, line: PanelLine) -> dict[str, object]:
        flags = self._sys.FLAG_ENFORCE_SECURE if terms.secure else 0
        flags |= self._sys.FLAG_INSTALL_MODE if terms.install else 0
        key = terms.key
        if key is None:
            # The library takes the lack of a key for install mode: it gets one that nobody knows.
            key = os.urandom(osdp_key.OCTETS)
        major, minor, build = identity.firmware
        return {
            "name": "reader",
            "address": identity.address,
            "flags": flags,
            "scbk": key,
            "channel": line,
            "version": _MODEL_VERSION,
            "model": _MODEL,
            "vendor_code": _NO_VENDOR,
            "serial_number": identity.serial_number,
            "firmware_version": major << 16 | minor << 8 | build,
        }

    def _capabilities(self, terms: Terms) -> list[dict[str, int]]:
        has = [(self._sys.CAP_CARD_DATA_FORMAT, 1, 0), (self._sys.CAP_READERS, 0, 1)]
        if terms.takes_signals:
            has += [
                (self._sys.CAP_READER_LED_CONTROL, 1, 1),
                (self._sys.CAP_READER_AUDIBLE_OUTPUT, 1, 1),
            ]
        names = ("function_code", "compliance_level", "num_items")
        return [dict(zip(names, row, strict=True)) for row in has]

    def _command(self, command: dict[str, Any]) -> _Answer:
        answer = self._answer(command)
        self._keep(answer[1])
        return answer

    def _answer(self, command: dict[str, Any]) -> _Answer:
        """Answer a command. Raises nothing, whatever is in it."""
        kind = command.get("command")
        asks = {self._sys.CMD_LED: PanelAsks.LAMP, self._sys.CMD_BUZZER: PanelAsks.BUZZER}.get(kind)
        if asks is not None:
            if not self._takes_signals:
                return self._refused
            fields = {name: int(value) for name, value in command.items() if isinstance(value, int)}
            fields.pop("command", None)
            self._commands.append(PanelCommand(asks, fields))
            return self._done
        if kind == self._sys.CMD_KEYSET:
            key = command.get("data")
            kept = isinstance(key, bytes) and osdp_key.usable(key) and self._keep_key(key)
            return self._done if kept else self._refused
        if kind == self._sys.CMD_STATUS:
            return self._done  # the library reports power and tamper as well: this reader has no switch for either
        if kind in {self._sys.CMD_COMSET, self._sys.CMD_COMSET_DONE}:
            return self._settings
        return self._refused
