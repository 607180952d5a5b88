"""One GET, held to its bounds: where it may lead, how long it may take, and how much it may bring.

HTTP/1.1 (RFC 9110, 9112), without cookies, credentials, proxies or anything else that lives longer than the question.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn
from urllib.parse import urljoin

from urllib3.exceptions import HTTPError, IncompleteRead, LocationParseError, ReadTimeoutError
from urllib3.response import HTTPResponse
from urllib3.util import Url, parse_url

from mdoc_reader.edge.codes import FetchCode, FetchError
from mdoc_reader.edge.connection import Guard, PlainConnection, SecureConnection, Watch
from mdoc_reader.edge.unpack import Body

MAX_URL = 2048
MAX_RETRY_AFTER = 86400.0
_MAX_VALIDATOR = 256
_PIECE = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
ACCEPT: Mapping[str, str] = {
    "vical": "application/cwt, application/cose, application/cbor, application/octet-stream;q=0.5, */*;q=0.1",
    "lote": "application/jose, application/jwt, application/json;q=0.8, */*;q=0.1",
    "trusted_list": "application/vnd.etsi.tsl+xml, application/xml;q=0.8, text/xml;q=0.8, */*;q=0.1",
    "crl": "application/pkix-crl, application/octet-stream;q=0.5, */*;q=0.1",
    "status_list": "application/statuslist+cwt, application/statuslist+jwt;q=0.8",
    "identifier_list": "application/identifierlist+cwt, application/identifierlist+jwt;q=0.8",
}
"""What is asked for, by kind of list."""
_CERTIFICATE_TIMES = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds, and bytes unpacked."""

    connect: float = 10.0
    read: float = 20.0
    total: float = 180.0
    max_bytes: int = 8 * 1024 * 1024
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What to get, and how.

    Args:
        url: where.
        accept: the Accept header.
        etag, last_modified: what the server said of the issue we have; empty to get the list in any case.
        insecure: allow plain http.
        pins: digests of public keys, one of which the server has to have.
        authorities: a file of certificates to verify the server's to; None for the system's.
        own_host: this server may be at a private address: a person named it.
        private: any server may.
    """

    url: str
    accept: str = "*/*"
    etag: str = ""
    last_modified: str = ""
    insecure: bool = False
    pins: tuple[bytes, ...] = ()
    authorities: str | None = None
    own_host: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server gave. `body` is None where it says that nothing changed."""

    body: bytes | None = field(repr=False)
    etag: str = ""
    last_modified: str = ""


def checked_url(text: str, *, insecure: bool) -> Url:
    """Read an address that lists may be fetched from. Raises FetchError."""
    if not text or len(text) > MAX_URL or any(not "!" <= letter <= "~" for letter in text) or "\\" in text:
        raise FetchError(FetchCode.BAD_URL)
    try:
        url = parse_url(text)
    except LocationParseError:
        raise FetchError(FetchCode.BAD_URL) from None
    if url.scheme not in {"http", "https"} or not url.host or url.auth is not None or url.port == 0:
        raise FetchError(FetchCode.BAD_URL)
    if url.scheme == "http" and not insecure:
        raise FetchError(FetchCode.INSECURE_URL)
    return url


def get(question: Question, limits: Limits) -> Answer:
    """Ask, and follow where the server leads, within bounds. Raises FetchError."""
    url = checked_url(question.url, insecure=question.insecure)
    if question.pins and url.scheme != "https":
        raise FetchError(FetchCode.INSECURE_URL, "a key is pinned")
    seen = {url.url}
    with Watch(limits.total) as watch:
        for _ in range(limits.redirects + 1):
            found = _once(url, question, limits, watch)
            if isinstance(found, Answer):
                return found
            target = _next(url, found, question)
            if target.url in seen:
                raise FetchError(FetchCode.REDIRECT_LOOP)
            seen.add(target.url)
            if target.host != url.host:
                # What one server said of its issues means nothing to another.
                question = replace(question, etag="", last_modified="")
            url = target
    raise FetchError(FetchCode.REDIRECT_MANY, f"more than {limits.redirects} times")


def _next(url: Url, location: str, question: Question) -> Url:
    try:
        joined = urljoin(url.url, location).partition("#")[0]
    except ValueError:
        raise FetchError(FetchCode.BAD_URL, "in a redirect") from None
    target = checked_url(joined, insecure=True)
    if target.scheme != "https" and (url.scheme == "https" and not question.insecure):
        raise FetchError(FetchCode.REDIRECT_INSECURE)
    if question.pins and (target.host != url.host or target.scheme != "https"):
        raise FetchError(FetchCode.REDIRECT_HOST)
    return target


def _once(url: Url, question: Question, limits: Limits, watch: Watch) -> Answer | str:
    """Ask one server; returns its answer, or where it sends us."""
    connection = _connection(url, question, limits, watch)
    line: socket.socket | None = None
    try:
        connection.connect()
        line = connection.sock
        connection.request("GET", url.request_uri, headers=_headers(question), preload_content=False)
        with contextlib.closing(connection.getresponse()) as response:
            return _read(response, question, limits, watch)
    except FetchError:
        raise
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        _ = watch.left
        _translate(error, limits)
    finally:
        with contextlib.suppress(OSError):
            connection.close()
            # An answer that could not even be begun keeps the socket, and nobody else can close that.
            if line is not None and line.fileno() >= 0:
                os.close(line.detach())


def _connection(url: Url, question: Question, limits: Limits, watch: Watch) -> PlainConnection | SecureConnection:
    host = str(url.host).strip("[]")
    own = question.own_host is not None and host == question.own_host.strip("[]")
    guard = Guard(watch, limits.connect, question.private or own, question.pins)
    if url.scheme == "http":
        return PlainConnection(host, url.port or 80, limits.read, guard)
    try:
        context = ssl.create_default_context(cafile=question.authorities)
    except OSError:
        raise FetchError(FetchCode.TLS_AUTHORITIES) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return SecureConnection(host, url.port or 443, limits.read, guard, context)


def _headers(question: Question) -> dict[str, str]:
    headers = {
        "User-Agent": "mdoc-reader",
        "Accept": question.accept,
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }
    if question.etag:
        headers["If-None-Match"] = question.etag
    elif question.last_modified:
        headers["If-Modified-Since"] = question.last_modified
    return headers


def _read(response: HTTPResponse, question: Question, limits: Limits, watch: Watch) -> Answer | str:
    headers = response.headers
    status = response.status
    if status in _REDIRECTS:
        location = headers.get("Location")
        if not location:
            raise FetchError(FetchCode.BAD_ANSWER, "a redirect to nowhere")
        return location
    etag, modified = _validator(headers.get("ETag")), _validator(headers.get("Last-Modified"))
    if status == http.client.NOT_MODIFIED and (question.etag or question.last_modified):
        return Answer(None, etag or question.etag, modified or question.last_modified)
    if status != http.client.OK:
        _refuse(status, headers.get("Retry-After"))
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGES:
        raise FetchError(FetchCode.WRONG_TYPE)
    announced = headers.get("Content-Length", "").strip()
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limits.max_bytes:
        raise FetchError(FetchCode.TOO_LARGE, f"{announced} bytes announced")
    body = Body(headers.get("Content-Encoding", ""), limits.max_bytes)
    while piece := response.read1(_PIECE, decode_content=False):
        _ = watch.left
        body.add(piece)
    _ = watch.left  # a connection that was cut looks like one that has ended
    return Answer(body.end(), etag, modified)


def _validator(text: str | None) -> str:
    if text is None or len(text) > _MAX_VALIDATOR or any(not " " <= letter <= "~" for letter in text):
        return ""
    return text


def _refuse(status: int, retry_after: str | None) -> NoReturn:
    wait: float | None = None
    if retry_after is not None and retry_after.strip().isdecimal() and len(retry_after) < 12:
        wait = min(float(retry_after), MAX_RETRY_AFTER)
    code = FetchCode.BAD_STATUS
    if status in {404, 410}:
        code = FetchCode.NOT_FOUND
    elif status in {401, 403, 407, 451, 511}:
        code = FetchCode.DENIED
    elif status in {429, 503}:
        code = FetchCode.BUSY
    elif 500 <= status <= 599:
        code = FetchCode.SERVER_ERROR
    raise FetchError(code, f"status {status}", wait)


def _translate(error: Exception, limits: Limits) -> NoReturn:
    """Raise what an error of the libraries means."""
    chain: list[BaseException] = [error]
    while len(chain) < 8 and (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            clock = each.verify_code in _CERTIFICATE_TIMES
            raise FetchError(FetchCode.TLS_CLOCK if clock else FetchCode.TLS_UNTRUSTED) from None
        if isinstance(each, (TimeoutError, ReadTimeoutError)):
            raise FetchError(FetchCode.TIMED_OUT, f"nothing came for {limits.read:g} s") from None
        if isinstance(each, (IncompleteRead, http.client.IncompleteRead)):
            raise FetchError(FetchCode.CUT_OFF) from None
    if any(isinstance(each, ssl.SSLError) for each in chain):
        raise FetchError(FetchCode.TLS_FAILED) from None
    if any(isinstance(each, http.client.RemoteDisconnected) for each in chain):
        raise FetchError(FetchCode.CUT_OFF) from None
    if any(isinstance(each, (http.client.HTTPException, ValueError)) for each in chain):
        raise FetchError(FetchCode.BAD_ANSWER) from None
    if any(isinstance(each, OSError) for each in chain):
        raise FetchError(FetchCode.CUT_OFF) from None
    raise FetchError(FetchCode.BAD_ANSWER) from None
