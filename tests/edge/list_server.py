"""A web server on loopback that gives lists as the world does: well, slowly, cut off, packed to burst, or never."""

from __future__ import annotations

import gzip
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Act = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Does what its server was told to do for a path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer."""
        self.close_connection = True
        self.server.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        act = self.server.acts.get(self.path)
        try:
            if act is None:
                plain(b"nothing here", status=404)(self)
            else:
                act(self)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server in threads. A context: leaving it closes it."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acts: dict[str, Act] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.stop = threading.Event()
        self.scheme = "http" if context is None else "https"
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """What a client does wrong is its own affair."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.shutdown()
        self.server_close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_address[1]}{path}"


def plain(body: bytes, *, status: int = HTTPStatus.OK, **headers: str) -> Act:
    """Give a body with its length, and headers with `_` for `-`."""

    def act(handler: Handler) -> None:
        handler.send_response_only(status)
        given = {"Content-Length": str(len(body)), **{key.replace("_", "-"): text for key, text in headers.items()}}
        for key, text in given.items():
            handler.send_header(key, text)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def redirect(target: str, status: int = 302) -> Act:
    return plain(b"", status=status, Location=target)


def with_validators(body: bytes, etag: str, modified: str = "") -> Act:
    """Give a body, or say that it has not changed."""

    def act(handler: Handler) -> None:
        known = handler.headers.get("If-None-Match"), handler.headers.get("If-Modified-Since")
        same = known[0] == etag if known[0] is not None else bool(modified) and known[1] == modified
        more = {"ETag": etag, **({"Last_Modified": modified} if modified else {})}
        plain(b"" if same else body, status=304 if same else 200, **more)(handler)

    return act


def raw(*pieces: bytes, every: float = 0.0, forever: bytes = b"") -> Act:
    """Write these octets as they are, then `forever` again and again until nobody listens."""

    def act(handler: Handler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(every)
        while forever and not handler.server.stop.is_set():
            handler.wfile.write(forever)
            handler.wfile.flush()
            time.sleep(every)

    return act


def silent(handler: Handler) -> None:
    """Say nothing at all."""
    handler.server.stop.wait(30)


def reset(handler: Handler) -> None:
    """End the connection rudely."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    handler.connection.close()


def bomb(size: int) -> bytes:
    """Return gzip of so many zeros."""
    return gzip.compress(bytes(size), mtime=0)


@dataclass(frozen=True)
class Authority:
    """A certificate authority for servers, in a file of its own."""

    file: Path
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str = "Lab Servers") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _builder(subject, subject, key, timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = folder / f"{name.replace(' ', '-').lower()}.pem"
        file.write_bytes(made.public_bytes(Encoding.PEM))
        return cls(file, key, made)

    def context(self, folder: Path, host: str = "127.0.0.1", *, days: int = 10) -> tuple[ssl.SSLContext, bytes]:
        """Return what a server needs, and its certificate; past its end with negative `days`."""
        import ipaddress

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        alternative: x509.GeneralName = x509.DNSName(host)
        if host[0].isdigit():
            alternative = x509.IPAddress(ipaddress.ip_address(host))
        made = (
            _builder(subject, self.certificate.subject, key, timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        file = folder / f"server-{made.serial_number}.pem"
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context, made.public_bytes(Encoding.DER)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=20))
        .not_valid_after(now + lasts)
    )
