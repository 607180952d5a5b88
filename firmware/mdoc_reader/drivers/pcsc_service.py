"""The smart card service (pcscd, through pyscard's thin layer): every call bounded in what it takes and tells.

Two properties of the service's library shape this. A call that waits for a card cannot be cancelled, and another call
on the same context meanwhile locks up the library for the whole process. So nothing here calls under a call: to abort,
the connection to the service is shut down under whoever waits, and whoever is inside last releases the context.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import TypeAlias

from smartcard import scard

_MASK = 0xFFFFFFFF
_OPENING = Lock()  # while a context is opened, the connection that appears is taken for its own
_DESCRIPTORS = "/proc/self/fd"
_SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
_SOCKET = "/run/pcscd/pcscd.comm"
_RELEASE_S = 1.0
_LONGEST_CONTROL = 264
_MOST_READERS = 64

Ended: TypeAlias = "tuple[int, ...]"


def code_of(name: str) -> int:
    """Return the number of a result of PC/SC by its name in the standard."""
    return int(getattr(scard, name)) & _MASK


NO_SERVICE = code_of("SCARD_E_NO_SERVICE")
CANCELLED = code_of("SCARD_E_CANCELLED")
NO_READERS = code_of("SCARD_E_NO_READERS_AVAILABLE")
PROTOCOL_MISMATCH = code_of("SCARD_E_PROTO_MISMATCH")
INVALID_ATR = code_of("SCARD_E_INVALID_ATR")
SHARING_VIOLATION = code_of("SCARD_E_SHARING_VIOLATION")
INSUFFICIENT_BUFFER = code_of("SCARD_E_INSUFFICIENT_BUFFER")
UNSUPPORTED_CARD = code_of("SCARD_W_UNSUPPORTED_CARD")
SERVICE_GONE: Ended = (
    NO_SERVICE,
    code_of("SCARD_E_SERVICE_STOPPED"),
    code_of("SCARD_F_COMM_ERROR"),
)
REFUSED: Ended = (code_of("SCARD_W_SECURITY_VIOLATION"), code_of("SCARD_E_NO_ACCESS"))
READER_GONE: Ended = (
    code_of("SCARD_E_READER_UNAVAILABLE"),
    code_of("SCARD_E_UNKNOWN_READER"),
    code_of("SCARD_E_INVALID_HANDLE"),  # of a card whose reader is gone
    NO_READERS,
)
CARD_GONE: Ended = (
    code_of("SCARD_E_NO_SMARTCARD"),
    code_of("SCARD_W_REMOVED_CARD"),
    code_of("SCARD_W_RESET_CARD"),
    code_of("SCARD_W_UNPOWERED_CARD"),
    code_of("SCARD_W_UNRESPONSIVE_CARD"),
    # What drivers answer when nothing comes back over the air, before the service has seen that the card is gone.
    code_of("SCARD_E_NOT_TRANSACTED"),
    code_of("SCARD_E_COMM_DATA_LOST"),
    code_of("SCARD_E_TIMEOUT"),
)


class PcscError(Exception):
    """A call to the service ended without its result; `code` is one of the standard's numbers."""

    def __init__(self, code: int, doing: str) -> None:
        """Keep the number, and what was asked for."""
        self.code = code & _MASK
        self.doing = doing
        super().__init__(self.code, doing)

    def __str__(self) -> str:
        """Return one line."""
        said = "" if self.code == CANCELLED else f" ({scard.SCardGetErrorMessage(self.code)!s:.80})"
        return f"{self.doing}: 0x{self.code:08x}{said}"


@dataclass(frozen=True, slots=True)
class State:
    """What the service knows of a reader at this moment.

    `events` counts cards that came and went. `atr` of the card is empty where the service knows none.
    """

    present: bool
    exclusive: bool
    unavailable: bool
    events: int
    atr: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """A connection to a card: its handle, and the protocol the service chose."""

    handle: int
    protocol: int


class Service:
    """A context of the smart card service. For one thread; `abort` and `close` are for any."""

    def __init__(self) -> None:
        """Open a context. Raises PcscError; without the service at once."""
        self._lock = Lock()  # guards the four below
        self._inside = False
        self._aborted = False
        self._closing = False
        self._released = False
        self._joined: Joined | None = None
        self._line: socket.socket | None = None
        with _OPENING:
            before = _descriptors()
            result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
            if result:
                raise PcscError(result, "opening the service")
            self._context = int(context)
            self._line = _new_line(before)

    def readers(self) -> tuple[str, ...]:
        """Return the names of all readers, in the service's order."""
        with self._call():
            try:
                result, names = scard.SCardListReaders(self._context, [])
            except SystemError as error:  # pyscard trips over the clean-up of a result it never got
                raise PcscError(NO_SERVICE, "listing readers") from error
        if result & _MASK == NO_READERS:
            return ()
        _check(result, "listing readers")
        return tuple(str(name) for name in names[:_MOST_READERS])

    def state(self, reader: str) -> State:
        """Return what the service knows of a reader, at once."""
        with self._call():
            result, states = scard.SCardGetStatusChange(self._context, 0, [(reader, scard.SCARD_STATE_UNAWARE)])
        _check(result, "looking at the reader")
        _, flags, atr = states[0]
        return State(
            present=bool(flags & scard.SCARD_STATE_PRESENT),
            exclusive=bool(flags & scard.SCARD_STATE_EXCLUSIVE),
            unavailable=bool(flags & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE)),
            events=flags >> 16 & 0xFFFF,
            atr=bytes(atr),
        )

    def join(self, reader: str) -> Joined:
        """Power the reader's card and take it for this program alone.

        T=1 is what a contactless card has to be shown as; some readers show T=0, and it makes no difference to APDUs.
        """
        any_protocol = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        for protocols in (scard.SCARD_PROTOCOL_T1, any_protocol):
            with self._call():
                result, handle, protocol = scard.SCardConnect(
                    self._context, reader, scard.SCARD_SHARE_EXCLUSIVE, protocols
                )
            if result & _MASK != PROTOCOL_MISMATCH:
                break
        _check(result, "powering the card")
        joined = Joined(int(handle), int(protocol))
        self._joined = joined
        return joined

    def transmit(self, joined: Joined, command: bytes) -> bytes:
        """Send a command APDU and return what came back. Blocks for as long as reader and card please."""
        with self._call():
            result, response = scard.SCardTransmit(joined.handle, joined.protocol, list(command))
        _check(result, "sending a command")
        return bytes(response)

    def control(self, joined: Joined, code: int) -> bytes | None:
        """Ask the reader's driver something; None where it does not know the question."""
        with self._call():
            result, answer = scard.SCardControl(joined.handle, code, [])
        if result & _MASK in (*SERVICE_GONE, *READER_GONE):
            raise PcscError(result, "asking the driver")
        return None if result else bytes(answer)[:_LONGEST_CONTROL]

    def restart(self, joined: Joined) -> Joined:
        """Take the power from a card and give it back. The connection stays, perhaps with another protocol."""
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        with self._call():
            result, protocol = scard.SCardReconnect(
                joined.handle, scard.SCARD_SHARE_EXCLUSIVE, protocols, scard.SCARD_UNPOWER_CARD
            )
        _check(result, "powering the card anew")
        self._joined = again = Joined(joined.handle, int(protocol))
        return again

    def leave(self, joined: Joined, *, lost: bool = False) -> None:
        """Take the power from the card: a phone is deselected, and free for whatever comes next. Never raises.

        From a card that was `lost` nothing is taken: where that fails the service holds the reader for empty, and does
        not notice the card when it is back before its next look.
        """
        if self._joined is joined:
            self._joined = None
            disposition = scard.SCARD_LEAVE_CARD if lost else scard.SCARD_UNPOWER_CARD
            with contextlib.suppress(PcscError), self._call():
                scard.SCardDisconnect(joined.handle, disposition)

    def abort(self) -> None:
        """Make the call in progress raise, and every later one. From any thread; never blocks or raises.

        The service itself does not stop what it does with the card, and holds it until then.
        """
        with self._lock:
            self._aborted = True
            self._cut()

    def close(self) -> None:
        """Release the context; under a call of another thread, that does it. Bounded; never raises."""
        with self._lock:
            self._closing = True
            if self._inside:
                self._cut()
                return
        self._release()

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._exit()

    def _enter(self) -> None:
        with self._lock:
            if self._aborted or self._closing:
                raise PcscError(CANCELLED, "aborted")
            self._inside = True

    def _exit(self) -> None:
        """Go out, and be the one who releases the context if that was asked for meanwhile."""
        with self._lock:
            self._inside = False
            closing, aborted = self._closing, self._aborted
        if closing:
            self._release()
        if closing or aborted:
            raise PcscError(CANCELLED, "aborted")

    def _cut(self) -> None:
        """Let whoever waits for the service hear that it is gone. With the lock held."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        """Leave the card and the service, waiting for a service that hangs no longer than a second."""
        with self._lock:
            if self._released:
                return
            self._released = True
        release = Thread(target=self._release_all, name="pcsc-release", daemon=True)
        release.start()
        release.join(_RELEASE_S)
        with self._lock:
            self._cut()  # with it, a release that hangs ends

    def _release_all(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            scard.SCardDisconnect(joined.handle, scard.SCARD_UNPOWER_CARD)
        scard.SCardReleaseContext(self._context)
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()


def _check(result: int, doing: str) -> None:
    if result:
        raise PcscError(result, doing)


def _descriptors() -> set[int]:
    """Return this process's open sockets."""
    try:
        listed = [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 -- the names alone
    except OSError:
        return set()
    return {number for number in listed if _is_socket(number)}


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:  # it was closed meanwhile
        return False


def _new_line(before: set[int]) -> socket.socket | None:
    """Return a duplicate of the connection to the service that has appeared, to be able to shut it down."""
    name = os.path.basename(os.environ.get(_SOCKET_VARIABLE, _SOCKET))  # noqa: PTH119
    for number in sorted(_descriptors() - before):
        line = _duplicate(number)
        if line is None:
            continue
        with contextlib.suppress(OSError):
            peer = line.getpeername() if line.family == socket.AF_UNIX else ""
            if isinstance(peer, str) and os.path.basename(peer) == name:  # noqa: PTH119
                return line
        line.close()
    return None


def _duplicate(number: int) -> socket.socket | None:
    try:
        copy = os.dup(number)
    except OSError:  # it was closed meanwhile
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:  # it is something else by now
        os.close(copy)
        return None
