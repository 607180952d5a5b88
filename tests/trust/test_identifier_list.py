"""Identifier lists: who is on one, however many there are, and the code of everything that is wrong with one."""

from __future__ import annotations

import functools
import hashlib
import tracemalloc
from datetime import timedelta

import cbor2
import pytest

from mdoc_reader.lab import certificates, status_lists
from mdoc_reader.lab.certificates import Credential
from mdoc_reader.lab.status_lists import IDENTIFIER_TYPE, URI, TokenShape
from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.trust import anchors, authority, revocation_list
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.identifier_list import open_identifier_list
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind, Order
from mdoc_reader.trust.revocation_codes import RevocationListCode as Code
from mdoc_reader.trust.revocation_list import REVOKED, OpenedList

AT = certificates.now()
NAMES = [b"\x01", b"two", b"n" * 23, b"n" * 24, b"n" * 255, b"n" * 256]


@functools.cache
def iaca() -> Credential:
    return certificates.make_iaca()


@functools.cache
def signer() -> Credential:
    return status_lists.make_list_signer(iaca())


@functools.cache
def trusted() -> TrustAnchors:
    return anchors.build([("iaca", iaca().der)])[0]


def opened(data: bytes) -> OpenedList:
    return open_identifier_list(data, trusted(), AT, uri=URI)


def signed(listed: bytes) -> OpenedList:
    """Open a list whose own claim is given as it is encoded."""
    moment = int(AT.timestamp())
    claims = b"\xa4\x02" + cbor.encode(URI) + b"\x06" + cbor.encode(moment) + b"\x04" + cbor.encode(moment + 60)
    return opened(status_lists.cwt(signer(), claims + b"\x19\xff\xfa" + listed, IDENTIFIER_TYPE))


def members(*encoded: bytes, count: int | None = None) -> bytes:
    listed = cbor.head(5, len(encoded) if count is None else count) + b"".join(encoded)
    return b"\xa1" + cbor.encode("identifiers") + listed


def codes(found: OpenedList, severity: Severity) -> set[ReasonCode]:
    return {each.code for each in found.findings if each.severity is severity}


def test_who_is_on_it() -> None:
    shape = TokenShape(issued=AT - timedelta(hours=1))
    found = opened(status_lists.make_identifier_list(signer(), NAMES, shape=shape))
    assert found.findings == ()
    assert found.origin.kind is ListKind.IDENTIFIER_LIST
    assert found.order == Order("iat", moment=AT - timedelta(hours=1))
    assert found.count == len(NAMES)
    content = found.content
    assert content is not None
    assert (content.uri, content.authority) == (URI, authority.identity(iaca().der))
    assert [content.entry(name) for name in NAMES] == [REVOKED] * len(NAMES)
    assert [content.entry(name) for name in (b"", b"\x02", b"tw", b"two ", b"n" * 25)] == [0] * 5
    compiled = found.compiled
    assert compiled is not None
    again = revocation_list.read(compiled)
    assert again.compile() == compiled
    assert [again.entry(name) for name in (*NAMES, b"other")] == [REVOKED] * len(NAMES) + [0]


def test_an_empty_one() -> None:
    found = opened(status_lists.make_identifier_list(signer(), []))
    assert found.count == 0
    assert found.content is not None
    assert found.content.entry(b"x") == 0


def test_what_the_format_keeps_for_later_is_passed_over() -> None:
    listed = {
        "identifiers": {b"x": {"why": [1, 2]}, b"y": {1: {}}},
        "aggregation_uri": "https://lab.invalid/all",
        5: [],
    }
    found = signed(cbor2.dumps(listed))
    assert found.content is not None
    assert (found.content.entry(b"x"), found.content.entry(b"y"), found.count) == (REVOKED, REVOKED, 2)
    turned = signed(cbor2.dumps(dict(reversed(list(listed.items())))))
    assert turned.count == 2


def test_lengths_that_are_longer_than_needed() -> None:
    found = signed(
        members(b"\x58\x01x\xa0", b"\x59\x00\x01y\xb8\x00", b"\x5a\0\0\0\x01z\xa0", b"\x5b" + b"\0" * 7 + b"\x01w\xa0")
    )
    assert found.content is not None
    assert [found.content.entry(name) for name in (b"x", b"y", b"z", b"w")] == [REVOKED] * 4


REFUSED: dict[str, tuple[TokenShape, ReasonCode]] = {
    "another type": (TokenShape(type=status_lists.CWT_TYPE), Code.WRONG_TYPE),
    "another address": (TokenShape(claims={"sub": "https://other.invalid"}), Code.SUBJECT),
    "past its end": (TokenShape(issued=AT - timedelta(hours=1), lasts=timedelta(minutes=59)), ListCode.EXPIRED),
    "no signer": (TokenShape(chain=[]), ListCode.SIGNER_MISSING),
    "altered": (TokenShape(alter=lambda raw: raw.replace(b"\x43two", b"\x43TWO")), Code.SIGNATURE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    shape, code = REFUSED[case]
    found = opened(status_lists.make_identifier_list(signer(), NAMES, shape=shape))
    assert codes(found, Severity.ERROR) == {code}
    assert found.content is None


def test_nobody_known() -> None:
    other = status_lists.make_list_signer(certificates.make_iaca(common_name="Other"))
    assert codes(opened(status_lists.make_identifier_list(other, NAMES)), Severity.ERROR) == {Code.NO_AUTHORITY}


def test_a_jwt_is_none() -> None:
    with pytest.raises(Malformed) as refused:
        opened(status_lists.make_status_list(signer(), b"", shape=TokenShape(jwt=True)))
    assert refused.value.code is MalformedCode.UNSUPPORTED


MALFORMED: dict[str, tuple[bytes, MalformedCode]] = {
    "no map": (b"\x80", MalformedCode.WRONG_TYPE),
    "nothing": (b"", MalformedCode.TRUNCATED),
    "no identifiers": (b"\xa0", MalformedCode.MISSING_KEY),
    "identifiers in an array": (b"\xa1" + cbor.encode("identifiers") + b"\x80", MalformedCode.WRONG_TYPE),
    "twice": (b"\xa2" + 2 * (cbor.encode("identifiers") + b"\xa0"), MalformedCode.DUPLICATE_KEY),
    "text for a name": (members(b"\x61x\xa0"), MalformedCode.WRONG_TYPE),
    "an empty name": (members(b"\x40\xa0"), MalformedCode.BAD_VALUE),
    "a long name": (members(b"\x59\x01\x01" + bytes(257) + b"\xa0"), MalformedCode.BAD_VALUE),
    "no map behind a name": (members(b"\x41x\xf6"), MalformedCode.WRONG_TYPE),
    "fewer than said": (members(b"\x41x\xa0", count=2), MalformedCode.TRUNCATED),
    "far fewer": (members(b"\x41x\xa0", count=2**40), MalformedCode.TRUNCATED),
    "a name that does not end": (members(b"\x58\xff\xa0"), MalformedCode.TRUNCATED),
    "a name that never ends": (members(b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff\xa0"), MalformedCode.TRUNCATED),
    "names without a length": (members(b"\x5f\x41x\xff\xa0"), MalformedCode.WRONG_TYPE),
    "something behind": (members(b"\x41x\xa0") + b"\0", MalformedCode.TRAILING_BYTES),
    "deep": (members(b"\x41x" + b"\xa1\x01" * 9 + b"\xa0"), MalformedCode.TOO_DEEP),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case: str) -> None:
    listed, code = MALFORMED[case]
    with pytest.raises(Malformed) as refused:
        signed(listed)
    assert refused.value.code is code


def test_a_hundred_thousand_become_no_objects() -> None:
    names = [hashlib.sha256(index.to_bytes(4, "big")).digest()[:16] for index in range(100_000)]
    data = status_lists.make_identifier_list(signer(), names)
    del names[1000:]
    tracemalloc.start()
    try:
        found = opened(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.count == 100_000
    assert found.content is not None
    assert all(found.content.entry(name) for name in names)
    # The payload out of its token (1.8 MB), the table's parts and records (2.6 MB), with room to grow into.
    assert peak < 80 * 100_000


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from mdoc_reader.trust import identifier_list

    monkeypatch.setattr(identifier_list, "MAX_ENTRIES", 2)
    assert signed(members(b"\x41x\xa0", b"\x41y\xa0")).count == 2
    with pytest.raises(Malformed) as refused:
        signed(members(b"\x41x\xa0", b"\x41y\xa0", b"\x41z\xa0"))
    assert refused.value.code is MalformedCode.TOO_MANY_ITEMS
