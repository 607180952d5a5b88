"""Revocation in a verdict: what lists say of a document and its signer becomes findings and one check."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from mdoc_reader.lab import certificates, crls, issuer, people, status_lists
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.crls import CrlShape
from mdoc_reader.lab.status_lists import URI, TokenShape
from mdoc_reader.lab.wallet import Holding, Wallet
from mdoc_reader.mdoc import request, response
from mdoc_reader.mdoc.keys import CURVES_BY_NAME, encode_cose_key, generate_agreement_key
from mdoc_reader.mdoc.transcript import session_transcript
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, Validity
from mdoc_reader.trust import anchors
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.crl import open_crl
from mdoc_reader.trust.identifier_list import open_identifier_list
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.trust.revocation_codes import RevocationCode as Code
from mdoc_reader.trust.revocation_list import RevocationList
from mdoc_reader.trust.status_list import open_status_list
from mdoc_reader.verification.certificate import SignerCache
from mdoc_reader.verification.codes import VerificationCode
from mdoc_reader.verification.document import Evidence
from mdoc_reader.verification.verify import verify_response

NOW = certificates.now()
ISSUED = NOW - timedelta(hours=1)
ASKED = request.ItemsRequest(people.MDL_DOCTYPE, {people.MDL_NAMESPACE: {"family_name": False}})
PLACED = {"status_list": {"idx": 3, "uri": URI}}
NAMED = {"identifier_list": {"id": b"\x2a", "uri": URI}}


@functools.cache
def iaca() -> Credential:
    return certificates.make_iaca()


@functools.cache
def signer() -> Credential:
    return certificates.make_document_signer(iaca())


@functools.cache
def plain_signer() -> Credential:
    return certificates.make_document_signer(iaca(), changes=Changes(leave_out=[x509.CRLDistributionPoints]))


@functools.cache
def trusted() -> anchors.TrustAnchors:
    return anchors.build([("iaca", iaca().der)])[0]


@dataclass(frozen=True)
class Shown:
    answer: bytes
    bare: bytes
    key: object


def shown(status: Mapping[str, object] | None, by: Credential) -> Shown:
    device = issuer.generate_device_key()
    values = people.mdl_elements(people.adult(NOW.date()), NOW.date())
    issued = issuer.issue(by, device.public_key(), people.MDL_DOCTYPE, values, status=status)
    wallet = Wallet([Holding(issued, device)])
    engagement = wallet.engage("P-256")
    private = generate_agreement_key(CURVES_BY_NAME["P-256"])
    bare = session_transcript(engagement.encoded, encode_cose_key(private.public_key()))
    asked = request.parse_device_request(request.build_device_request([ASKED.encode()], bare))
    return Shown(wallet.respond(asked, bare, reader_key=private.public_key()), bare, private)


def judged(
    lists: Iterable[RevocationList] | None,
    status: Mapping[str, object] | None = None,
    *,
    by: Credential | None = None,
    at: datetime = NOW,
    believed: anchors.TrustAnchors | None = None,
    ages: Mapping[str, timedelta] | None = None,
) -> DocumentVerdict:
    one = shown(status, by or signer())
    view = None if lists is None else Revocations(lists, ages)
    cache = SignerCache(trusted() if believed is None else believed)
    evidence = Evidence(one.bare, at, cache, one.key, None, revocations=view)  # type: ignore[arg-type]
    (verdict,) = verify_response(response.parse(one.answer), evidence).documents
    return verdict


def crl(*serials: int) -> RevocationList:
    found = open_crl(crls.make_crl(iaca(), serials, CrlShape(issued=ISSUED)), trusted(), NOW).content
    assert found is not None
    return found


def statuses(*values: int, bits: int = 8) -> RevocationList:
    by = status_lists.make_list_signer(iaca())
    data = status_lists.make_status_list(
        by, status_lists.octets_of(values, bits), bits, shape=TokenShape(issued=ISSUED)
    )
    found = open_status_list(data, trusted(), NOW).content
    assert found is not None
    return found


def identifiers(*names: bytes) -> RevocationList:
    by = status_lists.make_list_signer(iaca())
    data = status_lists.make_identifier_list(by, names, shape=TokenShape(issued=ISSUED))
    found = open_identifier_list(data, trusted(), NOW).content
    assert found is not None
    return found


def told(verdict: DocumentVerdict) -> set[tuple[str, Severity, str]]:
    return {(str(each.code), each.severity, each.where) for each in verdict.findings}


def state(verdict: DocumentVerdict) -> CheckState:
    return verdict.checks[Check.REVOCATION]


def test_without_a_view_nothing_is_checked() -> None:
    verdict = judged(None, PLACED)
    assert verdict.validity is Validity.VALID
    assert told(verdict) == {(VerificationCode.STATUS_NOT_CHECKED, Severity.INFO, "")}
    assert state(verdict) is CheckState.UNCHECKED
    assert judged(None).findings == ()


def test_nothing_is_revoked() -> None:
    for status, lists in (
        (PLACED, [crl(), statuses(0, 0, 0, 0)]),
        (NAMED, [crl(), identifiers(b"\x2b")]),
        (PLACED | NAMED, [crl(), identifiers(b"\x2b"), statuses(0, 0, 0, 0)]),
    ):
        verdict = judged(lists, status)
        assert verdict.validity is Validity.VALID
        assert verdict.findings == ()
        assert state(verdict) is CheckState.PASSED


NONE = (Code.STATUS_NONE, Severity.INFO, "MSO.status")


def test_nothing_names_a_list() -> None:
    verdict = judged([], by=plain_signer())
    assert verdict.validity is Validity.VALID
    assert told(verdict) - {(CertificateCode.CRL_POINT_MISSING, Severity.WARNING, "document_signer")} == {
        NONE,
        (Code.SIGNER_NO_LIST, Severity.INFO, "signer"),
    }
    assert state(verdict) is CheckState.UNCHECKED
    verdict = judged([crl()])
    assert told(verdict) == {NONE}
    assert state(verdict) is CheckState.PASSED


FAILED: dict[str, tuple[Mapping[str, object], tuple[int, ...], Code]] = {
    "revoked": (PLACED, (0, 0, 0, 1), Code.STATUS_REVOKED),
    "suspended": (PLACED, (0, 0, 0, 2), Code.STATUS_SUSPENDED),
    "out of range": (PLACED, (0, 0, 0), Code.STATUS_INDEX),
}


@pytest.mark.parametrize("case", FAILED)
def test_what_fails(case: str) -> None:
    status, values, code = FAILED[case]
    verdict = judged([crl(), statuses(*values)], status)
    assert verdict.validity is Validity.INVALID
    assert told(verdict) == {(code, Severity.ERROR, "MSO.status")}
    assert state(verdict) is CheckState.FAILED
    others = {check for check in Check if verdict.checks[check] is CheckState.PASSED}
    assert others == set(Check) - {Check.REVOCATION}


def test_on_an_identifier_list() -> None:
    verdict = judged([crl(), identifiers(b"\x2a")], NAMED)
    assert told(verdict) == {(Code.STATUS_REVOKED, Severity.ERROR, "MSO.status")}


def test_a_revoked_signer_fails_its_documents() -> None:
    verdict = judged([crl(signer().certificate.serial_number), statuses(0, 0, 0, 0)], PLACED)
    assert verdict.validity is Validity.INVALID
    assert told(verdict) == {(Code.SIGNER_REVOKED, Severity.ERROR, "signer")}
    assert f"list of {ISSUED:%Y-%m-%d}" in verdict.findings[0].message


OPEN: dict[str, tuple[Mapping[str, object], tuple[int, ...], Code, str]] = {
    "application": (PLACED, (0, 0, 0, 3), Code.STATUS_APPLICATION, "MSO.status"),
    "reserved": (PLACED, (0, 0, 0, 9), Code.STATUS_RESERVED, "MSO.status"),
    "another list": (
        {"status_list": {"idx": 3, "uri": "https://other.invalid"}},
        (0,),
        Code.STATUS_UNKNOWN,
        "MSO.status",
    ),
    "another way": ({"bitstring": {}}, (0,), Code.STATUS_UNSUPPORTED, "MSO.status"),
    "malformed": ({"status_list": {"idx": -1, "uri": URI}}, (0,), Code.STATUS_MALFORMED, "MSO.status.status_list.idx"),
    "somebody else's": (
        {"status_list": {"idx": 3, "uri": URI, "certificate": certificates.make_iaca().der}},
        (0, 0, 0, 0),
        Code.STATUS_OTHER_ISSUER,
        "MSO.status",
    ),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_leaves_it_open(case: str) -> None:
    status, values, code, where = OPEN[case]
    verdict = judged([crl(), statuses(*values)], status)
    assert verdict.validity is Validity.VALID  # what it means is the profile's to say
    assert told(verdict) == {(code, Severity.WARNING, where)}
    assert state(verdict) is CheckState.UNDETERMINED


def test_a_missing_crl() -> None:
    verdict = judged([statuses(0, 0, 0, 0)], PLACED)
    assert told(verdict) == {(Code.SIGNER_CRL_MISSING, Severity.WARNING, "signer")}
    assert state(verdict) is CheckState.UNDETERMINED


def test_stale_lists() -> None:
    late = NOW + timedelta(days=8)
    verdict = judged([crl(), statuses(0, 0, 0, 0)], PLACED, at=late)
    assert told(verdict) == {(Code.STATUS_STALE, Severity.WARNING, "MSO.status")}
    ages = {people.MDL_DOCTYPE: timedelta(minutes=30)}
    verdict = judged([crl(), statuses(0, 0, 0, 0)], PLACED, ages=ages)
    assert told(verdict) == {
        (Code.STATUS_STALE, Severity.WARNING, "MSO.status"),
        (Code.SIGNER_CRL_STALE, Severity.WARNING, "signer"),
    }
    assert state(verdict) is CheckState.UNDETERMINED
    verdict = judged([crl(), statuses(0, 0, 0, 1)], PLACED, at=late)
    assert verdict.validity is Validity.INVALID


def test_a_doubt_does_not_hide_a_revocation() -> None:
    verdict = judged([statuses(0, 0, 0, 1)], PLACED)
    assert state(verdict) is CheckState.FAILED
    verdict = judged([crl(signer().certificate.serial_number)], PLACED)
    assert state(verdict) is CheckState.FAILED
    assert Code.STATUS_UNKNOWN in {each.code for each in verdict.findings}


def test_of_a_stranger_only_the_document_is_asked_about() -> None:
    verdict = judged([crl(), statuses(0, 0, 0, 0)], PLACED, believed=anchors.NONE)
    assert verdict.validity is Validity.INVALID
    found = {each.code for each in verdict.findings}
    assert found == {VerificationCode.ISSUER_UNKNOWN, Code.STATUS_OTHER_ISSUER}


def test_messages_name_nobody() -> None:
    verdict = judged([crl(), statuses(0, 0, 0, 1)], PLACED)
    for each in verdict.findings:
        assert isinstance(each, Finding)
        assert URI not in each.message + each.where
