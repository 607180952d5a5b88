"""A contactless card on the virtual reader of the vsmartcard project (vpcd), so that a real pcscd carries its APDUs.

The reader's driver listens on a TCP port and the card connects to it. Every message has its length before it, in two
bytes; a message of one byte is the reader's, about power, and the longer ones are APDUs. What a contactless reader does
by itself is done here too: the answer to reset it makes up (PC/SC part 3), and the commands it answers for the card.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from functools import reduce
from operator import xor
from threading import Event, Thread
from typing import Self

from mdoc_reader.lab.nfc_apdus import ApduAnswer, ApduHandler

PORT = 0x8C7B
"""Where the virtual reader's first slot listens as it is installed; the second slot's port is one more."""

_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4
_READER_CLASS = 0xFF
_GET_DATA = 0xCA
_UID, _HISTORY = 0x00, 0x01
_NOT_SUPPORTED = b"\x6a\x81"
_SILENT = b"\x6f\x00"
_CONNECT_S = 5.0
_NOTICED_S = 2.0
_STORAGE = bytes.fromhex("804f0ca000000306")


def answer_to_reset(history: bytes = b"\x80") -> bytes:
    """Return what a reader makes up for a card with these historical bytes (15 at most)."""
    if len(history) > 15:
        raise ValueError("an answer to reset has 15 historical bytes at most")
    said = bytes((0x3B, 0x80 | len(history), 0x80, 0x01)) + history
    return said + bytes((reduce(xor, said[1:]),))


def storage_answer(standard: int, name: int) -> bytes:
    """Return what a reader makes up for a card without applications, by PC/SC part 3's numbers for it."""
    return answer_to_reset(_STORAGE + bytes((standard,)) + name.to_bytes(2, "big") + bytes(4))


MIFARE_CLASSIC = storage_answer(0x03, 0x0001)
ULTRALIGHT = storage_answer(0x03, 0x0003)
FELICA = storage_answer(0x11, 0x003B)


class VirtualCard:
    """A card that can be put on the virtual reader and taken away. `with` puts it on.

    Args:
        apdus: its applications; None for a card that has none.
        atr: the answer to reset the reader makes up for it; empty, it lies there and says nothing.
        uid: its identifier; a fresh one of the kind phones have for None, and the reader tells none if it is empty.
        port: where the virtual reader listens.
    """

    def __init__(
        self,
        apdus: ApduHandler | None,
        *,
        atr: bytes | None = None,
        uid: bytes | None = None,
        port: int = PORT,
    ) -> None:
        """Lie beside the reader."""
        self.atr = answer_to_reset() if atr is None else atr
        self.uid = b"\x08" + secrets.token_bytes(3) if uid is None else uid
        self.powered = False
        self.powerings = 0
        """How often the reader has switched it on."""
        self.heard = 0
        """How many commands have reached the card itself since it was put on."""
        self._apdus = apdus
        self._port = port
        self._line: socket.socket | None = None
        self._thread: Thread | None = None
        self._taken = Event()
        self._vanish_at: int | None = None

    def __enter__(self) -> Self:
        """Put it on."""
        self.put()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self.take()

    def put(self, *, vanish_at: int | None = None) -> None:
        """Put it on the reader. With `vanish_at` it is gone once it has heard so many commands, without an answer.

        The smart card service looks every 0.4 s. Raises OSError where no virtual reader listens.
        """
        self.take()
        line = socket.create_connection(("127.0.0.1", self._port), timeout=_CONNECT_S)
        line.settimeout(None)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = 0
        self._vanish_at = vanish_at
        self._taken.clear()
        self._line = line
        self._thread = Thread(target=self._lie, args=(line,), name="pcsc-card", daemon=True)
        self._thread.start()

    def take(self, *, wait: bool = True) -> None:
        """Take it away, whatever it is doing. With `wait`, return once the reader has noticed, as it does in 0.4 s.

        A card that is put on before that keeps others waiting: the virtual reader knows one at a time.
        """
        self._taken.set()
        line, thread = self._line, self._thread
        if line is None or thread is None:
            return
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        if wait:
            thread.join()
            self._line = self._thread = None

    def _lie(self, line: socket.socket) -> None:
        """Serve the reader until the card is gone, or the reader is."""
        with contextlib.closing(line), contextlib.suppress(OSError):  # the other end may go at any time
            try:
                self._serve(line)
            finally:
                self._power(on=False)
            line.shutdown(socket.SHUT_WR)
            line.settimeout(_NOTICED_S)
            while line.recv(4096):
                pass

    def _serve(self, line: socket.socket) -> None:
        while (message := _receive(line)) is not None:
            answer = self._control(message[0]) if len(message) == 1 else self._command(message)
            if answer is None:
                continue
            if self._taken.wait(answer.after_s) or len(answer.data) > 0xFFFF:
                return
            line.sendall(len(answer.data).to_bytes(2, "big") + answer.data)

    def _control(self, code: int) -> ApduAnswer | None:
        if code in {_OFF, _ON, _RESET}:
            if code != _ON:
                self._power(on=False)
            if code != _OFF:
                self._power(on=True)
            return None
        return ApduAnswer(self.atr) if code == _ATR else None

    def _power(self, *, on: bool) -> None:
        was, self.powered = self.powered, on
        if on and not was:
            self.powerings += 1
        if was and not on and self._apdus is not None:
            self._apdus.on_deselected()

    def _command(self, command: bytes) -> ApduAnswer:
        if command[0] == _READER_CLASS:
            return ApduAnswer(self._for_the_reader(command))
        self.heard += 1
        if self.heard == self._vanish_at:
            self._taken.set()
        if self._taken.is_set() or self._apdus is None:
            return ApduAnswer(_SILENT)
        return self._apdus.on_apdu(command)

    def _for_the_reader(self, command: bytes) -> bytes:
        if command[1:2] != bytes((_GET_DATA,)):
            return _NOT_SUPPORTED
        if command[2:3] == bytes((_UID,)) and self.uid:
            return self.uid + b"\x90\x00"
        if command[2:3] == bytes((_HISTORY,)) and len(self.atr) > 5:
            return self.atr[4:-1] + b"\x90\x00"
        return _NOT_SUPPORTED


def _receive(line: socket.socket) -> bytes | None:
    """Receive a message; None when the reader is gone."""
    size = _exactly(line, 2)
    if size is None or size == b"\0\0":
        return None
    return _exactly(line, int.from_bytes(size, "big"))


def _exactly(line: socket.socket, size: int) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        # The driver says some things in two messages without waiting for an answer: unless the first is acknowledged
        # at once, its kernel keeps the second back for 40 ms.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = line.recv(size - len(got))
        if not part:
            return None
        got += part
    return bytes(got)
