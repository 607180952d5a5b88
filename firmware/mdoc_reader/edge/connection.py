"""Connections that are cut when their time is over, that look where they lead, and that know the server's key.

The time limits of sockets are for each read: a server that sends an octet a second never meets one. A watch beside
the connection therefore shuts it down at the deadline, whatever it is doing: greeting, headers or body.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from urllib3.connection import HTTPConnection, HTTPSConnection

from mdoc_reader.edge.codes import FetchCode, FetchError

_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
MAX_ADDRESSES = 4
"""How many addresses of one name are tried."""


class Watch:
    """Cuts the connection it guards when the time is over. A context: leaving it ends the watch."""

    def __init__(self, seconds: float) -> None:
        """Begin to count when entered."""
        self._seconds = seconds
        self._end = 0.0
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self.over = False

    def __enter__(self) -> Self:
        """Begin."""
        self._end = time.monotonic() + self._seconds
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the guarded connection is its owner's to close."""
        self._timer.cancel()
        with self._lock:
            self._drop()

    @property
    def left(self) -> float:
        """Seconds left. Raises FetchError when there are none."""
        left = self._end - time.monotonic()
        if self.over or left <= 0:
            raise FetchError(FetchCode.TIMED_OUT, f"more than {self._seconds:g} s in all")
        return left

    def guard(self, line: socket.socket) -> None:
        """Guard this connection from now on, and no longer the one before. Raises FetchError when it is too late."""
        with self._lock:
            self._drop()
            if not self.over:
                # A duplicate: TLS takes the socket out of its object, and the connection is what has to end.
                self._line = line.dup()
        _ = self.left

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            if self._line is not None:
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)
            self._drop()

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


@dataclass(frozen=True, slots=True)
class Guard:
    """What a connection is held to. `private`: whether it may lead into a private network."""

    watch: Watch
    connect: float
    private: bool = False
    pins: tuple[bytes, ...] = ()


def reach(host: str, port: int, guard: Guard) -> socket.socket:
    """Connect to one of the first addresses of a name. Raises FetchError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError(FetchCode.NAME_UNKNOWN) from None
    chosen = list(dict.fromkeys((family, address) for family, _, _, _, address in found))[:MAX_ADDRESSES]
    public = [(family, address) for family, address in chosen if guard.private or _is_public(str(address[0]))]
    if not public:
        raise FetchError(FetchCode.PRIVATE_ADDRESS)
    return _first(public, guard)


def _first(addresses: Sequence[tuple[int, _Address]], guard: Guard) -> socket.socket:
    timed_out = False
    for family, address in addresses:
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(min(guard.connect, guard.watch.left))
            line.connect(address)
            guard.watch.guard(line)
        except TimeoutError:
            timed_out = True
            line.close()
        except OSError:
            line.close()
        except FetchError:
            line.close()
            raise
        else:
            return line
    if timed_out:
        raise FetchError(FetchCode.TIMED_OUT, f"no connection in {guard.connect:g} s")
    raise FetchError(FetchCode.UNREACHABLE)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast


class PlainConnection(HTTPConnection):
    """A connection without TLS."""

    def __init__(self, host: str, port: int, timeout: float, guard: Guard) -> None:
        """Prepare; nothing is sent yet. `timeout`: seconds for each read."""
        super().__init__(host, port, timeout=timeout)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        return reach(self.host, self.port, self._guard)


class SecureConnection(HTTPSConnection):
    """A connection with TLS, whose server's key is looked at before anything is asked of it."""

    def __init__(self, host: str, port: int, timeout: float, guard: Guard, context: ssl.SSLContext) -> None:
        """Prepare; nothing is sent yet. `timeout`: seconds for each read."""
        super().__init__(host, port, timeout=timeout, ssl_context=context)
        self._guard = guard
        self._read_timeout = timeout

    def _new_conn(self) -> socket.socket:
        line = reach(self.host, self.port, self._guard)
        line.settimeout(self._read_timeout)
        return line

    def connect(self) -> None:
        """Connect, greet, and compare the server's key with the pins. Raises FetchError, OSError, HTTPError."""
        super().connect()
        if not self._guard.pins:
            return
        certificate = self.sock.getpeercert(binary_form=True) if isinstance(self.sock, ssl.SSLSocket) else None
        if certificate is None or key_digest(certificate) not in self._guard.pins:
            raise FetchError(FetchCode.TLS_PIN)


def key_digest(certificate: bytes) -> bytes:
    """Return the SHA-256 of a DER certificate's SubjectPublicKeyInfo. Raises FetchError."""
    # Only a pinned source needs the library.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except (ValueError, UnsupportedAlgorithm):
        raise FetchError(FetchCode.TLS_PIN, "the server's key cannot be read") from None


def pin_of(text: str) -> bytes:
    """Read a pin: 64 hexadecimal digits, or `sha256//` and base64. Raises ValueError."""
    digest = base64.b64decode(text[8:], validate=True) if text.startswith("sha256//") else bytes.fromhex(text)
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("not the length of a SHA-256")
    return digest
