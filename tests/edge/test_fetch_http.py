"""One GET against servers that do it right, wrong, slowly, or not at all: the list as it is, or one code."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from list_server import (
    Act,
    Authority,
    Server,
    bomb,
    plain,
    raw,
    redirect,
    reset,
    silent,
    with_validators,
)

from mdoc_reader.edge.codes import FetchCode, FetchError
from mdoc_reader.edge.connection import key_digest, pin_of
from mdoc_reader.edge.http import Limits, Question, checked_url, get
from mdoc_reader.edge.unpack import Body

LIST = b"a list of trust, signed by somebody " * 50
LIMITS = Limits(connect=2, read=0.4, total=1.5, max_bytes=10_000)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


def ask(url: str, **more: object) -> Question:
    return Question(url, **{"insecure": True, "own_host": "127.0.0.1", **more})  # type: ignore[arg-type]


def refused(question: Question, limits: Limits = LIMITS) -> FetchError:
    with pytest.raises(FetchError) as error:
        get(question, limits)
    return error.value


@pytest.mark.parametrize(
    "act",
    [
        plain(LIST),
        plain(gzip.compress(LIST), Content_Encoding="gzip"),
        plain(LIST, Content_Encoding="identity", Content_Type="text/plain"),
        raw(OK + b"\r\n" + LIST),
        raw(CHUNKED, b"%x\r\n" % len(LIST) + LIST + b"\r\n", b"0\r\n\r\n"),
        raw(b"HTTP/1.0 200 OK\r\n\r\n" + LIST),
        raw(CONTINUE + OK + b"Content-Length: %d\r\n\r\n" % len(LIST) + LIST),
        plain(LIST, ETag="x" * 5000),
    ],
)
def test_what_is_served_well_is_got_as_it_is(server: Server, act: Act) -> None:
    server.acts["/list"] = act
    assert get(ask(server.url("/list")), LIMITS).body == LIST


def test_what_we_say_of_ourselves(server: Server) -> None:
    server.acts["/list"] = plain(LIST)
    get(ask(server.url("/list"), accept="application/statuslist+cwt"), LIMITS)
    (_, headers) = server.asked[0]
    port = server.server_address[1]
    assert headers == {
        "host": f"127.0.0.1:{port}",
        "user-agent": "mdoc-reader",
        "accept": "application/statuslist+cwt",
        "accept-encoding": "gzip",
        "connection": "close",
    }


def test_proxies_of_the_environment_and_cookies_are_not_for_us(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.acts["/list"] = plain(b"", status=302, Location="/there", Set_Cookie="who=me")
    server.acts["/there"] = plain(LIST)
    assert get(ask(server.url("/list")), LIMITS).body == LIST
    assert "cookie" not in server.asked[1][1]


def test_validators_spare_the_list(server: Server) -> None:
    server.acts["/list"] = with_validators(LIST, '"seven"', "Sat, 21 Nov 2026 10:00:00 GMT")
    first = get(ask(server.url("/list")), LIMITS)
    assert (first.body, first.etag) == (LIST, '"seven"')
    again = get(ask(server.url("/list"), etag=first.etag, last_modified=first.last_modified), LIMITS)
    assert (again.body, again.etag) == (None, '"seven"')
    by_date = get(ask(server.url("/list"), last_modified=first.last_modified), LIMITS)
    assert by_date.body is None
    assert get(ask(server.url("/list"), etag='"six"'), LIMITS).body == LIST


HEADERS = b"".join(b"X-%d: y\r\n" % number for number in range(500))


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (plain(LIST * 10), FetchCode.TOO_LARGE),
        (raw(OK + b"\r\n", forever=LIST), FetchCode.TOO_LARGE),
        (raw(CHUNKED, forever=b"400\r\n" + bytes(1024) + b"\r\n"), FetchCode.TOO_LARGE),
        (plain(bomb(10_000_000), Content_Encoding="gzip"), FetchCode.BOMB),
        (plain(bomb(10_001), Content_Encoding="gzip"), FetchCode.BOMB),
        (plain(gzip.compress(bomb(10_000_000)), Content_Encoding="gzip, gzip"), FetchCode.ENCODING),
        (plain(LIST, Content_Encoding="br"), FetchCode.ENCODING),
        (plain(LIST, Content_Encoding="gzip"), FetchCode.ENCODING),
        (plain(gzip.compress(LIST) + b"more", Content_Encoding="gzip"), FetchCode.ENCODING),
        (plain(gzip.compress(LIST)[:-9], Content_Encoding="gzip"), FetchCode.CUT_OFF),
        (raw(OK + b"Content-Length: 5000\r\n\r\n" + LIST), FetchCode.CUT_OFF),
        (raw(CHUNKED + b"fff\r\n" + LIST), FetchCode.CUT_OFF),
        (raw(CHUNKED + b"not hex\r\n" + LIST), FetchCode.CUT_OFF),
        (raw(OK + b"Content-Length: 5, 6\r\n\r\n" + LIST), FetchCode.BAD_ANSWER),
        (reset, FetchCode.CUT_OFF),
        (raw(b""), FetchCode.CUT_OFF),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), FetchCode.BAD_ANSWER),
        (raw(OK + HEADERS + b"\r\n"), FetchCode.BAD_ANSWER),
        (raw(OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"), FetchCode.BAD_ANSWER),
        (silent, FetchCode.TIMED_OUT),
        (raw(OK + b"Content-Length: 500\r\n\r\n", every=0.1, forever=b"x"), FetchCode.TIMED_OUT),
        (raw(OK, every=0.1, forever=b"x"), FetchCode.TIMED_OUT),
        (raw(OK + b"Content-Length: 500\r\n\r\n" + b"x", every=1.0), FetchCode.TIMED_OUT),
        (raw(CONTINUE, every=0.05, forever=CONTINUE), FetchCode.TIMED_OUT),
        (plain(b""), FetchCode.EMPTY),
        (plain(b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8"), FetchCode.WRONG_TYPE),
        (plain(b"", status=304), FetchCode.BAD_STATUS),
        (plain(LIST, status=206), FetchCode.BAD_STATUS),
        (plain(b"", status=204), FetchCode.BAD_STATUS),
        (plain(b"", status=404), FetchCode.NOT_FOUND),
        (plain(b"", status=410), FetchCode.NOT_FOUND),
        (plain(b"", status=403), FetchCode.DENIED),
        (plain(b"", status=500), FetchCode.SERVER_ERROR),
        (plain(b"", status=418), FetchCode.BAD_STATUS),
        (plain(b"", status=302), FetchCode.BAD_ANSWER),
        (redirect("http://user:word@127.0.0.1/"), FetchCode.BAD_URL),
        (redirect("file:///etc/passwd"), FetchCode.BAD_URL),
        (redirect("http://[::1"), FetchCode.BAD_URL),
        (redirect("/list"), FetchCode.REDIRECT_LOOP),
    ],
)  # fmt: skip
def test_what_is_served_badly_has_its_code(server: Server, act: Act, code: FetchCode) -> None:
    server.acts["/list"] = act
    began = time.monotonic()
    assert refused(ask(server.url("/list"))).code is code
    assert time.monotonic() - began < 4


def test_a_server_that_is_busy_says_for_how_long(server: Server) -> None:
    server.acts["/list"] = plain(b"", status=503, Retry_After="120")
    error = refused(ask(server.url("/list")))
    assert (error.code, error.retry_after) == (FetchCode.BUSY, 120)
    server.acts["/list"] = plain(b"", status=429, Retry_After="9" * 11)
    assert refused(ask(server.url("/list"))).retry_after == 86400


def test_redirects(server: Server) -> None:
    server.acts |= {
        f"/{number}": redirect(f"/{number + 1}", (301, 302, 303, 307, 308)[number % 5]) for number in range(9)
    }
    server.acts["/9"] = plain(LIST)
    assert get(ask(server.url("/4")), LIMITS).body == LIST
    assert refused(ask(server.url("/3"))).code is FetchCode.REDIRECT_MANY
    server.acts["/a"], server.acts["/b"] = redirect("/b"), redirect("/a#elsewhere")
    assert refused(ask(server.url("/a"))).code is FetchCode.REDIRECT_LOOP


def test_nobody_is_sent_into_a_private_network(server: Server) -> None:
    server.acts["/list"] = redirect(server.url("/there", "localhost"))
    server.acts["/there"] = plain(LIST)
    assert refused(ask(server.url("/list"))).code is FetchCode.PRIVATE_ADDRESS
    assert get(ask(server.url("/list"), private=True), LIMITS).body == LIST
    # And who was named by no person may not even begin there.
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0177.0.0.1", "2130706433"):
        question = ask(server.url("/there", host), own_host=None)
        assert refused(question).code in {FetchCode.PRIVATE_ADDRESS, FetchCode.NAME_UNKNOWN}
    assert len(server.asked) == 3


def test_what_one_server_said_is_not_told_to_another(server: Server) -> None:
    with Server() as other:
        server.acts["/list"] = redirect(other.url("/list", "localhost"))
        other.acts["/list"] = plain(LIST)
        assert get(ask(server.url("/list"), etag='"mine"', private=True), LIMITS).body == LIST
        assert "if-none-match" in server.asked[0][1]
        assert "if-none-match" not in other.asked[0][1]


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert refused(ask(url)).code is FetchCode.UNREACHABLE
    assert refused(ask("http://nowhere.invalid/")).code is FetchCode.NAME_UNKNOWN


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", FetchCode.BAD_URL),
        ("lists.example/list", FetchCode.BAD_URL),
        ("ftp://lists.example/", FetchCode.BAD_URL),
        ("https://", FetchCode.BAD_URL),
        ("https://user@lists.example/", FetchCode.BAD_URL),
        ("https://user:word@lists.example/", FetchCode.BAD_URL),
        ("https://lists.example/a b", FetchCode.BAD_URL),
        ("https://lists.example/\r\nX: y", FetchCode.BAD_URL),
        ("https://lists.example\\@other.example/", FetchCode.BAD_URL),
        ("https://lists.ex\u00e4mple/", FetchCode.BAD_URL),
        ("https://lists.example:0/", FetchCode.BAD_URL),
        ("https://lists.example:99999/", FetchCode.BAD_URL),
        ("https://lists.example/" + "x" * 2048, FetchCode.BAD_URL),
        ("http://lists.example/", FetchCode.INSECURE_URL),
    ],
)
def test_addresses_that_are_not_asked(url: str, code: FetchCode) -> None:
    with pytest.raises(FetchError) as error:
        checked_url(url, insecure=False)
    assert error.value.code is code


def test_tls_with_its_own_authority_and_a_pin(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    context, certificate = authority.context(tmp_path)
    good, wrong = key_digest(certificate), bytes(32)
    with Server(context) as server:
        server.acts["/list"] = plain(LIST)
        secure = ask(server.url("/list"), insecure=False, authorities=str(authority.file))
        assert get(secure, LIMITS).body == LIST
        pinned = ask(server.url("/list"), insecure=False, authorities=str(authority.file), pins=(wrong, good))
        assert get(pinned, LIMITS).body == LIST
        asked = len(server.asked)
        unlike = ask(server.url("/list"), insecure=False, authorities=str(authority.file), pins=(wrong,))
        assert refused(unlike).code is FetchCode.TLS_PIN
        # A pin stands beside the check of the certificate, not in its place.
        assert refused(ask(server.url("/list"), pins=(good,))).code is FetchCode.TLS_UNTRUSTED
        assert len(server.asked) == asked


def test_a_pinned_server_sends_nobody_elsewhere(tmp_path: Path, server: Server) -> None:
    authority = Authority.made(tmp_path)
    context, certificate = authority.context(tmp_path)
    server.acts["/list"] = plain(LIST)
    with Server(context) as secure:
        secure.acts["/plain"] = redirect(server.url("/list"))
        secure.acts["/other"] = redirect(secure.url("/list", "localhost"))
        more = {"authorities": str(authority.file), "insecure": False}
        assert refused(ask(secure.url("/plain"), **more)).code is FetchCode.REDIRECT_INSECURE
        pins = (key_digest(certificate),)
        assert refused(ask(secure.url("/other"), pins=pins, **more)).code is FetchCode.REDIRECT_HOST
        more["insecure"] = True
        assert get(ask(secure.url("/plain"), **more), LIMITS).body == LIST
        assert refused(ask(secure.url("/plain"), pins=pins, **more)).code is FetchCode.REDIRECT_HOST
    assert refused(ask(server.url("/list"), pins=pins)).code is FetchCode.INSECURE_URL


def test_tls_that_is_wrong(tmp_path: Path) -> None:
    authority, other = Authority.made(tmp_path), Authority.made(tmp_path, "Others")
    for context, trusted, code in (
        (authority.context(tmp_path)[0], other, FetchCode.TLS_UNTRUSTED),
        (authority.context(tmp_path, "lists.example")[0], authority, FetchCode.TLS_UNTRUSTED),
        (authority.context(tmp_path, days=-1)[0], authority, FetchCode.TLS_CLOCK),
    ):
        with Server(context) as server:
            server.acts["/list"] = plain(LIST)
            question = ask(server.url("/list"), authorities=str(trusted.file))
            assert refused(question).code is code
            assert server.asked == []
    (tmp_path / "none.pem").write_bytes(b"no certificate")
    assert refused(ask("https://127.0.0.1/", authorities=str(tmp_path / "none.pem"))).code is FetchCode.TLS_AUTHORITIES
    assert refused(ask("https://127.0.0.1/", authorities="/nowhere.pem")).code is FetchCode.TLS_AUTHORITIES


def test_tls_to_a_server_that_has_none(server: Server) -> None:
    server.acts["/"] = plain(LIST)
    question = ask(server.url("/").replace("http:", "https:"))
    assert refused(question).code is FetchCode.TLS_FAILED


def test_a_greeting_that_never_ends_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def drip() -> None:
            line, _ = listening.accept()
            with line:
                try:
                    line.sendall(b"\x16\x03\x03\x40\x00")
                    while not stop.wait(0.1):
                        line.sendall(b"\0")
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        assert refused(ask(f"https://127.0.0.1:{listening.getsockname()[1]}/")).code is FetchCode.TIMED_OUT
        assert time.monotonic() - began < 3
        stop.set()
        thread.join()


def test_pins_as_people_write_them() -> None:
    digest = bytes(range(32))
    assert pin_of(digest.hex()) == pin_of("sha256//" + base64.b64encode(digest).decode()) == digest
    for wrong in ("", "00", "sha256//AAAA", "sha256//!", "x" * 64):
        with pytest.raises(ValueError):
            pin_of(wrong)


def test_a_bomb_costs_no_more_than_its_bound() -> None:
    packed = bomb(100_000_000)
    body = Body("gzip", 200_000)
    tracemalloc.start()
    try:
        with pytest.raises(FetchError) as error:
            body.add(packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.value.code is FetchCode.BOMB
    assert peak < 1_000_000
