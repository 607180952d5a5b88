"""The PN532 by its commands (NXP UM0701-02 clause 7): opened at whatever speed it runs, set up, asked, and let go.

Every misfortune on the line ends here as NfcDeviceError, within the time a command may take and half a second more:
nfcpy's own exceptions go no further. What concerns the field is the exception: where the answer to an exchange or a
look was lost between chip and host, the chip is asked whether it is still the one that was set up. If so, the exchange
counts as not answered, which the protocol above knows how to mend, and the look as empty, once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import termios
import threading
import time
from dataclasses import dataclass, field

from mdoc_reader.drivers import pn532_nfcpy
from mdoc_reader.drivers.pn532_line import FIRST_BAUD, SerialLine
from mdoc_reader.drivers.pn532_nfcpy import ACK, ChipSaysNo
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

BAUD_CODES = {9600: 0, 19200: 1, 38400: 2, 57600: 3, 115200: 4, 230400: 5, 460800: 6, 921600: 7}

TX_MODE, RX_MODE, TX_CONTROL = 0x6302, 0x6303, 0x6304
RX_THRESHOLD, MIF_NFC, MOD_WIDTH, BIT_FRAMING = 0x6308, 0x630C, 0x6314, 0x633D
CRC_ON = 0x80

STATUS_FINE, STATUS_TIMEOUT, STATUS_CRC = 0x00, 0x01, 0x02

_DIAGNOSE, _FIRMWARE, _READ, _WRITE, _BAUD, _PARAMETERS, _SAM, _RF = 0x00, 0x02, 0x06, 0x08, 0x10, 0x12, 0x14, 0x32
_THRU, _LIST = 0x42, 0x4A
_ITEM_FIELD, _ITEM_TIMINGS, _ITEM_COM_RETRIES, _ITEM_RETRIES = 0x01, 0x02, 0x04, 0x05
_TYPE_A, _FELICA_212, _TYPE_B = 0, 1, 3
_DRIVERS_ON = 0x03
_PN532 = 0x32

# Five rising edges wake the chip, and until its oscillator runs it hears nothing.
_WAKE = b"\x55\x55\x55" + bytes(5)
_WAKE_S = 0.003
# What an aborted chip is told without being listened to: end the command, field off, first speed, and yes to that.
_FAREWELL = (ACK, bytes.fromhex("0000ff04fcd4320102f700"), bytes.fromhex("0000ff03fdd410041800"), ACK)
_COMMAND_S = 0.1
_LIST_S = 0.5
_BAUD_S = 0.005
_TRIES_TO_MEND = 2
_MOST_SILENT_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Firmware:
    """What GetFirmwareVersion says: the chip, the version and revision of its firmware, and what it supports."""

    chip: int
    version: int
    revision: int
    support: int

    @property
    def words(self) -> str:
        """The same for people."""
        return f"PN5{self.chip:02x} firmware {self.version}.{self.revision}"


@dataclass(frozen=True, slots=True)
class TargetA:
    """A selected card of type A: its answers to request and select, and its identifier."""

    atqa: bytes
    sak: int
    uid: bytes = field(repr=False)


class _Silent(Exception):  # noqa: N818 -- told to nobody outside
    """The chip acknowledged a command and did not answer, or what it answered was damaged."""

    def __init__(self, status: int) -> None:
        self.status = status


class Pn532Chip:
    """An open chip. Blocking, for one thread; `abort` and `close` are for any."""

    def __init__(self, line: SerialLine, *, tries: int = 1) -> None:
        """Wake the chip at the line's speed and set it up; it looks for cards `tries` times per command.

        Raises NfcDeviceError; the line is closed then.
        """
        self._line = line
        self._chipset = pn532_nfcpy.chipset(line)
        self._turn = threading.Lock()
        self._given_up = threading.Event()
        self._close_later = False
        self._farewell: tuple[bytes, ...] = _FAREWELL
        self._timer: int | None
        self._silent_looks = 0
        self._field_on = False
        try:
            self._wake()
            self.firmware = self._ask_firmware()
            self._tries = tries
            self._set_up()
        except NfcDeviceError:
            line.close()
            raise

    # Opening, and being let go of.

    @property
    def path(self) -> str:
        """Where it is."""
        return self._line.path

    @property
    def baud(self) -> int:
        """The speed of its line."""
        return self._line.baud

    def _wake(self) -> None:
        """Wake the chip, and end the command that a program before this one may have left running."""
        try:
            self._line.write(_WAKE)
            time.sleep(_WAKE_S)
            self._line.write(ACK)
            time.sleep(_WAKE_S)
        except (OSError, termios.error) as error:
            raise self._lost("waking it", error) from None

    def _ask_firmware(self) -> Firmware:
        said = self.command(_FIRMWARE, trouble=NfcTrouble.NO_ANSWER)
        if len(said) != 4:
            raise NfcDeviceError(NfcTrouble.NO_ANSWER, "it answers unlike a PN532")
        if said[0] != _PN532:
            raise NfcDeviceError(NfcTrouble.UNSUITABLE, f"it is a PN5{said[0]:02x}")
        return Firmware(*said)

    def _set_up(self) -> None:
        # Normal mode, no time limit, no interrupt line: without this the chip stays half asleep.
        self.command(_SAM, b"\x01\x00\x00", trouble=NfcTrouble.NO_ANSWER)
        # No automatic RATS: the protocol is this program's. A chip that was reset would send it again, which shows.
        self.command(_PARAMETERS, b"\x00")
        self.command(_RF, bytes((_ITEM_COM_RETRIES, 0)))
        self.command(_RF, bytes((_ITEM_RETRIES, 0xFF, 0x01, self._tries - 1)))
        self._timer = None
        self.set_timer(1)
        self.field_off()

    def change_baud(self, baud: int) -> None:
        """Let both ends go on at another speed. Raises NfcDeviceError."""
        if baud == self.baud:
            return
        self.command(_BAUD, bytes((BAUD_CODES[baud],)))
        with self._turn:
            try:
                self._line.write(ACK)  # the chip changes when this has come
                self._line.set_baud(baud)
                time.sleep(_BAUD_S)
            except (OSError, termios.error) as error:
                raise self._lost(f"changing to {baud} baud", error) from None
        if self._ask_firmware() != self.firmware:
            raise NfcDeviceError(NfcTrouble.NO_ANSWER, f"it says something else at {baud} baud")

    def abort(self) -> None:
        """Make the command in progress and every later one raise at once. From any thread; never raises."""
        self._given_up.set()
        self._line.abort()

    def pause(self, seconds: float) -> None:
        """Let time pass. Raises NfcDeviceError as soon as the chip is given up."""
        if self._given_up.wait(seconds):
            raise NfcDeviceError(NfcTrouble.LOST, "given up by the reader")

    def close(self) -> None:
        """Switch the field off and go back to the first speed where the chip still listens; release the port.

        From any thread: where another one is in the middle of a command, that one releases the port. Never raises.
        """
        if not self._line.aborted:
            with contextlib.suppress(NfcDeviceError):  # it is being let go of
                self.field_off()
                self.change_baud(FIRST_BAUD)
                self._farewell = ()
        self._line.abort()
        self._close_later = True
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self._turn.acquire(blocking=False):
            farewell, self._farewell = self._farewell, ()
            self._line.close(farewell)
            self._turn.release()

    # Commands.

    def command(self, code: int, data: bytes = b"", *, trouble: NfcTrouble = NfcTrouble.LOST) -> bytes:
        """Run a command that answers at once. Raises NfcDeviceError: `trouble` when the chip does not."""
        try:
            return self._run(code, data, _COMMAND_S, trouble)
        except _Silent:
            raise NfcDeviceError(trouble, f"no answer to command {code:02x}") from None

    def _run(self, code: int, data: bytes, seconds: float, trouble: NfcTrouble = NfcTrouble.LOST) -> bytes:
        try:
            with self._turn:
                return bytes(self._chipset.command(code, data, seconds))
        except ChipSaysNo:
            raise NfcDeviceError(trouble, f"it does not take command {code:02x}") from None
        except (OSError, termios.error) as error:
            number = error.errno if isinstance(error, OSError) else None
            if number in {errno.ETIMEDOUT, errno.EIO} and not self._line.aborted:
                # nfcpy says EIO for whatever went wrong with the frames, and so does the kernel for a port that is
                # gone: asking again tells them apart.
                raise _Silent(STATUS_TIMEOUT if number == errno.ETIMEDOUT else STATUS_CRC) from None
            raise self._lost(f"command {code:02x}", error, trouble) from None
        finally:
            if self._close_later:
                self._close_if_free()

    def _lost(
        self, doing: str, error: OSError | termios.error, trouble: NfcTrouble = NfcTrouble.LOST
    ) -> NfcDeviceError:
        if self._line.aborted:
            return NfcDeviceError(NfcTrouble.LOST, "given up by the reader")
        number = error.errno if isinstance(error, OSError) else errno.EIO
        return NfcDeviceError(trouble, f"{doing}: {os.strerror(number) if number else 'the port is gone'}")

    def _mend(self, doing: str) -> None:
        """Get in step with the chip again. Raises NfcDeviceError when it does not answer, or was reset meanwhile.

        The acknowledgement ends what the chip is doing. Once it has answered the next command, nothing that belongs
        to an earlier one can come any more.
        """
        for _ in range(_TRIES_TO_MEND):
            try:
                with self._turn:
                    self._line.write(ACK)
                time.sleep(_WAKE_S)
                self.check_field()
            except _Silent:
                continue
            except (OSError, termios.error) as error:
                raise self._lost(doing, error) from None
            return
        raise NfcDeviceError(NfcTrouble.LOST, f"{doing}: it does not answer any more")

    def check_field(self) -> None:
        """Raise NfcDeviceError when the field this host switched on is off: the chip was reset, or overheated."""
        (control,) = self._read_registers(TX_CONTROL)
        if self._field_on and not control & _DRIVERS_ON:
            raise NfcDeviceError(NfcTrouble.LOST, "the chip was reset")

    def _read_registers(self, *addresses: int) -> bytes:
        said = self._run(_READ, b"".join(address.to_bytes(2, "big") for address in addresses), _COMMAND_S)
        if len(said) != len(addresses):
            raise _Silent(STATUS_CRC)
        return said

    def write_registers(self, *values: tuple[int, int]) -> None:
        """Set registers of the contactless interface. Raises NfcDeviceError."""
        self.command(_WRITE, b"".join(address.to_bytes(2, "big") + bytes((value,)) for address, value in values))

    def set_timer(self, code: int) -> None:
        """Set how long `through` waits: 100 µs · 2^(code-1), or for ever with 0. Raises NfcDeviceError."""
        if code != self._timer:
            self._timer = None
            self.command(_RF, bytes((_ITEM_TIMINGS, 0x00, 0x0B, code)))
            self._timer = code

    @property
    def timer_s(self) -> float | None:
        """How long `through` waits at present; None for ever."""
        return 100e-6 * 2 ** (self._timer - 1) if self._timer else None

    def field_off(self) -> None:
        """Switch the field off. The chip looks for fields of others before it switches its own on again."""
        self.command(_RF, bytes((_ITEM_FIELD, 0x02)))
        self._field_on = False

    def through(self, frame: bytes, seconds: float) -> tuple[int, bytes]:
        """Exchange a frame as the registers say. Return the chip's status, and what came.

        `seconds` is how long the answer may take altogether, with its way over the line. What is not there by then is
        given up, and the chip asked whether it is well. Raises NfcDeviceError.
        """
        try:
            said = self._run(_THRU, frame, seconds)
        except _Silent as silent:
            self._mend("an exchange")
            return silent.status, b""
        if not said:
            self._mend("an exchange")
            return STATUS_CRC, b""
        return said[0] & 0x3F, said[1:]

    def list_a(self) -> TargetA | None:
        """Look for a card of type A, with the field switched on, and select it. Raises NfcDeviceError."""
        said = self._list(_TYPE_A, b"")
        if not said:
            return None
        length = said[3] if len(said) > 3 else 0
        if length not in {4, 7, 10} or len(said) < 4 + length:
            raise NfcDeviceError(NfcTrouble.LOST, "what it says of a card cannot be read")
        if len(said) > 4 + length:
            raise NfcDeviceError(NfcTrouble.LOST, "the chip was reset: it talks to cards by itself")
        return TargetA(bytes(said[:2]), said[2], bytes(said[4:]))

    def list_b(self) -> bool:
        """Say whether a card of type B is there. Raises NfcDeviceError."""
        return bool(self._list(_TYPE_B, b"\x00"))

    def list_felica(self) -> bool:
        """Say whether a FeliCa card is there, at 212 kbit/s, whatever its system. Raises NfcDeviceError."""
        return bool(self._list(_FELICA_212, bytes.fromhex("00ffff0000")))

    def _list(self, technology: int, extra: bytes) -> bytes:
        """Return what InListPassiveTarget says of the first target, without its number."""
        try:
            said = self._run(_LIST, bytes((1, technology)) + extra, _LIST_S)
        except _Silent:
            # The field of another reader or some noise may have kept it from answering, once.
            self._silent_looks += 1
            if self._silent_looks == _MOST_SILENT_LOOKS:
                raise NfcDeviceError(NfcTrouble.LOST, "no answer when it was to look for cards") from None
            self._mend("a look")
            self._set_up()  # whatever it was, a reset even
            return b""
        self._silent_looks = 0
        self._field_on = True
        if not said or said[0] > 1:
            raise NfcDeviceError(NfcTrouble.LOST, "an answer that cannot be read")
        return said[2:] if said[0] else b""

    def line_works(self) -> bool:
        """Send the longest command there is and say whether it came back whole (Diagnose). Raises NfcDeviceError."""
        sent = b"\x00" + bytes(range(256)) + bytes(5)
        try:
            return self._run(_DIAGNOSE, sent, 1.0) == sent
        except _Silent:
            return False
