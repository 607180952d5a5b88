"""Status lists: the specification's own examples, lists of a peer, and a code for everything that is wrong."""

from __future__ import annotations

import base64
import functools
import gzip
import random
import tracemalloc
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pycose.keys import EC2Key
from pycose.messages import Sign1Message

from mdoc_reader.lab import certificates, status_lists
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.status_lists import URI, TokenShape, octets_of
from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.trust import anchors, authority, revocation_list
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind, Order
from mdoc_reader.trust.revocation_codes import RevocationListCode as Code
from mdoc_reader.trust.revocation_list import OpenedList
from mdoc_reader.trust.status_list import MAX_INFLATED, inflate, open_status_list

AT = certificates.now()
VALUES = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
CWT, JWT = TokenShape(), TokenShape(jwt=True)
BOTH = pytest.mark.parametrize("shape", [CWT, JWT], ids=["cwt", "jwt"])

# Examples of the Token Status List specification: bits, values at places (all, or those that are not 0), and how it
# writes them; sections 4.1 and 4.2, appendix C.1.
EXAMPLES: dict[str, tuple[int, int, Mapping[int, int], str]] = {
    "one bit": (1, 16, dict(enumerate(VALUES)), "eNrbuRgAAhcBXQ"),
    "two bits": (2, 12, dict(enumerate([1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3])), "eNo76fITAAPfAgc"),
    "a million of one bit": (
        1,
        1 << 20,
        dict.fromkeys([0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345], 1),
        (
            "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA"
            "AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
        ),
    ),
}


@functools.cache
def iaca() -> Credential:
    return certificates.make_iaca()


@functools.cache
def signer(curve: str = "P-256") -> Credential:
    return status_lists.make_list_signer(iaca(), curve)


@functools.cache
def trusted() -> TrustAnchors:
    return anchors.build([("iaca", iaca().der)])[0]


def opened(data: bytes, at: datetime = AT, uri: str | None = URI, named: tuple[bytes, ...] = ()) -> OpenedList:
    return open_status_list(data, trusted(), at, uri=uri, named=named)


def made(shape: TokenShape = CWT, by: Credential | None = None, **claims: object) -> bytes:
    issued = shape.issued or AT - timedelta(hours=1)
    return status_lists.make_status_list(
        by or signer(), octets_of(VALUES), shape=replace(shape, issued=issued, claims={**shape.claims, **claims})
    )


def codes(found: OpenedList, severity: Severity) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is severity}


def refused_for(found: OpenedList) -> set[ReasonCode]:
    assert found.refused == (found.content is None)
    return codes(found, Severity.ERROR)


def values(found: OpenedList) -> list[int | None]:
    assert found.content is not None, found.findings
    return [found.content.status(index) for index in range(found.count)]


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@BOTH
def test_a_list_is_taken_and_says_what_it_is(shape: TokenShape) -> None:
    found = opened(made(shape))
    assert found.findings == ()
    assert values(found) == VALUES
    assert found.origin.kind is ListKind.STATUS_LIST
    assert found.origin.name == URI
    assert found.order == Order("iat", moment=AT - timedelta(hours=1))
    assert found.origin.issued == AT - timedelta(hours=1)
    assert found.origin.next_update == AT + timedelta(hours=12)
    assert found.origin.not_after == AT - timedelta(hours=1) + timedelta(days=7)
    content = found.content
    assert content is not None
    assert content.uri == URI
    assert content.authority == authority.identity(iaca().der)
    assert content.vouched == {authority.identity(iaca().der), authority.identity(signer().der)}
    assert content.until == found.origin.not_after
    assert [content.status(place) for place in (-1, 16, 1 << 40)] == [None, None, None]


@pytest.mark.parametrize("example", EXAMPLES)
@BOTH
def test_the_examples_of_the_specification(example: str, shape: TokenShape) -> None:
    bits, count, expected, written = EXAMPLES[example]
    lst: object = written if shape.jwt else from_base64url(written)
    found = opened(made(shape, status_list={"bits": bits, "lst": lst, "aggregation_uri": "https://lab.invalid/all"}))
    assert found.count == count
    content = found.content
    assert content is not None
    assert {place: content.status(place) for place in expected} == expected
    if len(expected) < count:
        assert {place for place in range(count) if content.status(place)} == set(expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@BOTH
def test_every_width(bits: int, shape: TokenShape) -> None:
    chance = random.Random(bits)
    given = [chance.randrange(1 << bits) for _ in range(8 * 37)]
    found = opened(status_lists.make_status_list(signer(), octets_of(given, bits), bits, shape=shape))
    assert values(found) == given
    compiled = found.compiled
    assert compiled is not None
    assert found.content is not None
    again = revocation_list.read(compiled)
    assert [again.status(place) for place in range(len(given) + 1)] == [*given, None]
    assert (again.uri, again.vouched, again.until, again.issued, again.next_update, again.bits) == (
        URI,
        found.content.vouched,
        found.content.until,
        found.content.issued,
        found.content.next_update,
        bits,
    )


@pytest.mark.parametrize("curve", [*certificates.AUTHORITY_CURVES[:4], "brainpoolP512r1"])
def test_curves(curve: str) -> None:
    root = certificates.make_iaca(curve)
    data = status_lists.make_status_list(status_lists.make_list_signer(root, curve), octets_of(VALUES))
    found = open_status_list(data, anchors.build([("iaca", root.der)])[0], AT, uri=URI)
    assert values(found) == VALUES


@pytest.mark.parametrize("tags", [(), (18,), (18, 61), (61,)], ids=str)
def test_tags_of_a_cwt(tags: tuple[int, ...]) -> None:
    assert values(opened(made(TokenShape(tags=tags)))) == VALUES


def test_forms_of_headers_and_files() -> None:
    for shape in (
        TokenShape(protected_chain=False),
        TokenShape(type="statuslist+cwt"),
        TokenShape(jwt=True, type="application/statuslist+jwt"),
        TokenShape(chain=[signer().der, iaca().der]),
        TokenShape(jwt=True, chain=[signer().der, iaca().der]),
    ):
        assert values(opened(made(shape))) == VALUES
    assert values(opened(gzip.compress(made()))) == VALUES
    assert values(opened(made(JWT) + b"\n")) == VALUES
    assert values(opened(made(), uri=None)) == VALUES


def test_a_cwt_of_a_peer() -> None:
    key = signer().key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    point = numbers.public_numbers
    lst = from_base64url("eNrbuRgAAhcBXQ")
    issued = int(AT.timestamp()) - 60
    payload = cbor2.dumps({2: URI, 6: issued, 4: issued + 9999, 65534: 60, 65533: {"bits": 1, "lst": lst}})
    protected = cbor2.dumps({1: -7, 16: "application/statuslist+cwt", 33: signer().der})
    message = Sign1Message.from_cose_obj([protected, {}, payload, b""], allow_unknown_attributes=True)
    message.key = EC2Key(
        crv="P_256",
        x=point.x.to_bytes(32, "big"),
        y=point.y.to_bytes(32, "big"),
        d=numbers.private_value.to_bytes(32, "big"),
    )
    found = opened(message.encode())
    assert found.findings == ()
    assert values(found) == VALUES


class TestTrust:
    """Who may sign for whom."""

    def test_nobody_known(self) -> None:
        other = status_lists.make_list_signer(certificates.make_iaca(common_name="Other"))
        assert refused_for(opened(made(by=other))) == {Code.NO_AUTHORITY}
        found = opened(made(by=other))
        assert ":unknown:" in found.origin.identity

    def test_a_namesake(self) -> None:
        other = status_lists.make_list_signer(certificates.make_iaca())
        assert refused_for(opened(made(by=other))) == {Code.NO_AUTHORITY, CertificateCode.PATH_SIGNATURE}

    def test_an_authority_that_documents_name(self) -> None:
        service = certificates.make_iaca(common_name="Status Service")
        data = made(by=status_lists.make_list_signer(service))
        found = opened(data, named=(b"no certificate", service.der))
        assert values(found) == VALUES
        assert found.content is not None
        assert found.content.authority == authority.identity(service.der)
        assert found.origin.identity != opened(made()).origin.identity  # it takes the place of no other

    def test_a_signer_that_documents_name(self) -> None:
        lonely = status_lists.make_list_signer(certificates.make_iaca(common_name="Nobody"))
        found = opened(made(by=lonely), named=(lonely.der,))
        assert values(found) == VALUES
        assert found.content is not None
        assert found.content.vouched == {authority.identity(lonely.der)}

    def test_what_else_a_list_brings_is_not_vouched_for(self) -> None:
        planted = certificates.make_iaca(common_name="Planted")
        for extra in ([planted.der], [iaca().der, planted.der]):
            found = opened(made(TokenShape(chain=[signer().der, *extra], protected_chain=False)))
            assert found.content is not None
            assert authority.identity(planted.der) not in found.content.vouched

    def test_without_a_certificate(self) -> None:
        for jwt in (False, True):
            assert refused_for(opened(made(TokenShape(jwt=jwt, chain=[])))) == {ListCode.SIGNER_MISSING}

    def test_a_certificate_that_is_none(self) -> None:
        assert refused_for(opened(made(TokenShape(chain=[b"\x30\0"])))) == {ListCode.SIGNER_UNREADABLE}

    def test_a_signer_past_its_end(self) -> None:
        past = status_lists.make_list_signer(
            iaca(), not_before=AT - timedelta(days=20), not_after=AT - timedelta(minutes=1)
        )
        assert refused_for(opened(made(by=past))) == {CertificateCode.SIGNER_EXPIRED}

    def test_a_signer_that_ends_before_its_list(self) -> None:
        soon = status_lists.make_list_signer(
            iaca(), not_before=AT - timedelta(days=20), not_after=AT + timedelta(days=1)
        )
        found = opened(made(by=soon))
        assert codes(found, Severity.INFO) == {Code.END_OF_SIGNER}
        assert found.content is not None
        assert found.content.until == AT + timedelta(days=1)

    def test_a_key_that_may_not_sign(self) -> None:
        usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
        wrong = status_lists.make_list_signer(iaca(), changes=Changes(put=[(usage, True)]))
        assert refused_for(opened(made(by=wrong))) == {CertificateCode.SIGNER_KEY_USAGE}

    def test_a_document_signer_may(self) -> None:
        found = opened(made(by=certificates.make_document_signer(iaca())))
        assert values(found) == VALUES
        assert codes(found, Severity.INFO) == {CertificateCode.SIGNER_EKU_CRITICAL}


REFUSED: dict[str, tuple[TokenShape, ReasonCode]] = {
    "another type": (TokenShape(type="application/identifierlist+cwt"), Code.WRONG_TYPE),
    "no type": (TokenShape(type=""), Code.WRONG_TYPE),
    "the type of the other form": (TokenShape(type="application/statuslist+jwt"), Code.WRONG_TYPE),
    "another type of JWT": (TokenShape(jwt=True, type="JWT"), Code.WRONG_TYPE),
    "another address": (TokenShape(claims={"sub": URI + "0"}), Code.SUBJECT),
    "another address in JWT": (TokenShape(jwt=True, claims={"sub": URI + "0"}), Code.SUBJECT),
    "past its end": (TokenShape(lasts=timedelta(minutes=59)), ListCode.EXPIRED),
    "past its end in JWT": (TokenShape(jwt=True, lasts=timedelta(minutes=59)), ListCode.EXPIRED),
    "altered": (TokenShape(alter=lambda raw: raw.replace(b"\x19\xa8\xc0", b"\x19\xa8\xc1")), Code.SIGNATURE),
    "altered JWT": (TokenShape(jwt=True, alter=lambda raw: raw + b" "), Code.SIGNATURE),
    "another algorithm": (TokenShape(headers={1: -35}), Code.ALGORITHM),
    "no algorithm": (TokenShape(headers={1: "ES256"}), Code.ALGORITHM),
    "none": (TokenShape(jwt=True, headers={"alg": "none"}), Code.ALGORITHM),
    "a shared secret": (TokenShape(jwt=True, headers={"alg": "HS256"}), Code.ALGORITHM),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    shape, code = REFUSED[case]
    assert refused_for(opened(made(shape))) == {code}


@BOTH
def test_without_an_end(shape: TokenShape) -> None:
    found = opened(made(shape, exp=None))
    assert codes(found, Severity.WARNING) == {Code.NO_END}
    assert found.content is not None
    assert found.content.until == AT + timedelta(hours=12)  # its time to live
    found = opened(made(shape, exp=None, ttl=None))
    assert found.content is not None
    assert found.content.until == signer().certificate.not_valid_after_utc


@BOTH
def test_from_the_future(shape: TokenShape) -> None:
    found = opened(made(replace(shape, issued=AT + timedelta(days=1))))
    assert codes(found, Severity.WARNING) == {ListCode.NOT_YET_ISSUED}


MALFORMED: dict[str, tuple[dict[str, object], MalformedCode]] = {
    "no subject": ({"sub": None}, MalformedCode.MISSING_KEY),
    "a number for a subject": ({"sub": 5}, MalformedCode.WRONG_TYPE),
    "a long subject": ({"sub": "x" * 2049}, MalformedCode.TOO_LARGE),
    "no time": ({"iat": None}, MalformedCode.MISSING_KEY),
    "text for a time": ({"iat": "now"}, MalformedCode.WRONG_TYPE),
    "true for a time": ({"iat": True}, MalformedCode.WRONG_TYPE),
    "a time out of range": ({"iat": 1e300}, MalformedCode.BAD_VALUE),
    "an end out of range": ({"exp": 10**18}, MalformedCode.BAD_VALUE),
    "no time to live": ({"ttl": 0}, MalformedCode.BAD_VALUE),
    "text for a time to live": ({"ttl": "5"}, MalformedCode.WRONG_TYPE),
    "no list": ({"status_list": None}, MalformedCode.MISSING_KEY),
    "no map for a list": ({"status_list": [1]}, MalformedCode.WRONG_TYPE),
    "no bits": ({"status_list": {"lst": b""}}, MalformedCode.MISSING_KEY),
    "three bits": ({"status_list": {"bits": 3, "lst": b""}}, MalformedCode.BAD_VALUE),
    "true bits": ({"status_list": {"bits": True, "lst": b""}}, MalformedCode.WRONG_TYPE),
    "no octets": ({"status_list": {"bits": 1}}, MalformedCode.MISSING_KEY),
    "numbers for octets": ({"status_list": {"bits": 1, "lst": 5}}, MalformedCode.WRONG_TYPE),
    "octets that are not packed": ({"status_list": {"bits": 1, "lst": b"plain"}}, MalformedCode.BAD_VALUE),
    "packed octets cut short": (
        {"status_list": {"bits": 1, "lst": zlib.compress(bytes(99))[:-3]}},
        MalformedCode.TRUNCATED,
    ),
    "something behind them": (
        {"status_list": {"bits": 1, "lst": zlib.compress(bytes(99)) + b"x"}},
        MalformedCode.TRAILING_BYTES,
    ),
    "raw deflate": (
        {"status_list": {"bits": 1, "lst": zlib.compress(bytes(99))[2:-4]}},
        MalformedCode.BAD_VALUE,
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
@BOTH
def test_malformed(case: str, shape: TokenShape) -> None:
    claims, code = MALFORMED[case]
    with pytest.raises(Malformed) as refused:
        opened(made(shape, **claims))
    assert refused.value.code is code


def test_not_base64url() -> None:
    for text in ("eNrbuRgAAhcBXQ==", "eNrb+RgAAhcBXQ", "eNrbuRgAAhcBXQ\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with pytest.raises(Malformed):
            opened(made(JWT, status_list={"bits": 1, "lst": text}))


def test_claims_that_come_twice() -> None:
    pairs = {2: URI, 6: 1, 4: 2, 65533: {"bits": 1, "lst": b""}}
    body = b"".join(cbor.encode(key) + cbor.encode(value) for key, value in pairs.items())
    for twice in (cbor.encode(2) + cbor.encode(URI), cbor.encode(6) + b"\x02"):
        with pytest.raises(Malformed) as refused:
            opened(status_lists.cwt(signer(), b"\xa5" + body + twice, status_lists.CWT_TYPE))
        assert refused.value.code is MalformedCode.DUPLICATE_KEY
    for wrong, code in (
        (b"\xa4" + body + b"\0", MalformedCode.TRAILING_BYTES),
        (b"\xa5" + body, MalformedCode.TRUNCATED),
        (b"\xbf" + body + b"\xff", MalformedCode.INDEFINITE_LENGTH),
        (b"\xb9\xff\xff" + body, MalformedCode.TRUNCATED),
        (b"\x84" + body, MalformedCode.WRONG_TYPE),
        (b"", MalformedCode.TRUNCATED),
    ):
        with pytest.raises(Malformed) as refused:
            opened(status_lists.cwt(signer(), wrong, status_lists.CWT_TYPE))
        assert refused.value.code is code


@BOTH
def test_a_bomb_stops_at_its_bound(shape: TokenShape) -> None:
    bomb = zlib.compress(bytes(256 * 1024 * 1024), 9)  # a quarter of a megabyte
    data = made(shape, status_list={"bits": 1, "lst": bomb})
    tracemalloc.start()
    try:
        with pytest.raises(Malformed) as refused:
            opened(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused.value.code is MalformedCode.TOO_LARGE
    assert peak < 3 * MAX_INFLATED


def test_what_nobody_vouches_for_is_not_inflated() -> None:
    other = status_lists.make_list_signer(certificates.make_iaca(common_name="Other"))
    found = opened(made(by=other, status_list={"bits": 1, "lst": b"not a stream"}))
    assert refused_for(found) == {Code.NO_AUTHORITY}


def test_the_bound_itself() -> None:
    assert len(inflate(zlib.compress(bytes(MAX_INFLATED), 1))) == MAX_INFLATED
    with pytest.raises(Malformed):
        inflate(zlib.compress(bytes(MAX_INFLATED + 1), 1))


DAMAGED = {
    "no magic": lambda data: b"x" + data[1:],
    "nothing": lambda _: b"",
    "cut in its head": lambda data: data[:40],
    "a head too long": lambda data: data[:9] + b"\xff\xff\xff\xff" + data[13:],
    "octets more": lambda data: data + b"\0",
    "octets less": lambda data: data[:-1],
    "no map": lambda data: data[:9] + b"\0\0\0\1" + b"\0",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_store_form_is_refused(case: str) -> None:
    compiled = opened(made()).compiled
    assert compiled is not None
    with pytest.raises(Malformed):
        revocation_list.read(DAMAGED[case](compiled))
