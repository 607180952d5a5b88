"""One document: issuer signature, digests, device authentication, validity, docType (ISO 18013-5 clause 9.3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mdoc_reader.mdoc import cose, mso, response, session
from mdoc_reader.mdoc.keys import AgreementPrivateKey, curve_of
from mdoc_reader.model.reasons import Malformed, Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict
from mdoc_reader.trust.anchors import NONE
from mdoc_reader.trust.codes import AS_WRITTEN, CertificateCode, Grading
from mdoc_reader.trust.revocation import Revocations
from mdoc_reader.verification import certificate
from mdoc_reader.verification.age import age_of, age_over
from mdoc_reader.verification.codes import VerificationCode as Code
from mdoc_reader.verification.ledger import Ledger
from mdoc_reader.verification.revocation import check_revocation

MDL_NAMESPACE = "org.iso.18013.5.1"
_HASHES: Mapping[str, Callable[[bytes], hashlib._Hash]] = {
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
Elements = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a response is judged by.

    Attributes:
        session_transcript: bare encoding.
        at: the moment of judgement, aware.
        signers: anchors with their cache and grading; None when the reader has no anchors at all.
        reader_key: EReaderKey.priv, for MACs; None leaves them unchecked.
        requested: docType to namespace to identifiers asked for; None when the request is not known.
        ages: age questions to answer by the age_over_NN rule.
        revocations: the lists of revocation that are held; None leaves revocation unchecked.
    """

    session_transcript: bytes = field(repr=False)
    at: datetime
    signers: certificate.SignerCache | None
    reader_key: AgreementPrivateKey | None = field(default=None, repr=False)
    requested: Mapping[str, Mapping[str, frozenset[str]]] | None = None
    ages: tuple[int, ...] = ()
    revocations: Revocations | None = field(default=None, repr=False)

    @property
    def grading(self) -> Grading:
        """How much findings about certificates weigh: as the signers are judged."""
        return AS_WRITTEN if self.signers is None else self.signers.grading


def verify_document(document: response.Document, evidence: Evidence) -> DocumentVerdict:
    """Judge one document. Never raises for anything a phone can send; every finding is in the verdict."""
    ledger = Ledger()
    signer = _certificate_path(document, evidence, ledger)
    security = _issuer_signature(document, signer, ledger)
    elements: Elements = {}
    if security is None:
        for check in (Check.DIGESTS, Check.DEVICE_AUTHENTICATION, Check.VALIDITY, Check.DOCTYPE):
            ledger.settle(check, CheckState.UNCHECKED)
    else:
        elements = _digests(document, security, ledger)
        _validity(security, signer, evidence, ledger)
        _device_authentication(document, security, evidence, ledger)
        if security.doctype != document.doctype:
            ledger.fail(Check.DOCTYPE, Code.DOCTYPE_MISMATCH)
        if evidence.revocations is not None:
            check_revocation(document, security, signer, evidence.revocations, ledger, at=evidence.at)
        elif security.status is not None:
            ledger.note(Code.STATUS_NOT_CHECKED)
    _requested(document, evidence, elements, ledger)
    if signer is not None:
        _issuer_data(elements, signer, evidence.grading, ledger)
    return DocumentVerdict(
        document.doctype,
        ledger.validity(),
        ledger.checks,
        tuple(ledger.findings),
        elements,
        _authorised(document, security),
        {age: age_over(_all_elements(elements), age) for age in evidence.ages},
        document.errors,
    )


_WEIGHT = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}.__getitem__


def _certificate_path(document: response.Document, evidence: Evidence, ledger: Ledger) -> certificate.Signer | None:
    check = Check.CERTIFICATE_PATH
    try:
        chain, unprotected = cose.certificate_chain(document.issuer_auth, "x5chain")
    except Malformed:
        ledger.fail(check, Code.CERTIFICATE_UNREADABLE)
        return None
    if not chain:
        ledger.fail(check, Code.NO_CERTIFICATE)
        return None
    if not unprotected:
        ledger.note(Code.CHAIN_PROTECTED)
    if len(chain) > 1:
        ledger.warn(Code.CHAIN_TOO_LONG)
    cache = evidence.signers or _NOBODY
    try:
        signer = cache.signer(chain[0])
    except ValueError:
        ledger.fail(check, Code.CERTIFICATE_UNREADABLE)
        return None
    except Malformed:
        ledger.fail(check, Code.SIGNER_KEY_UNSUPPORTED)
        return None
    findings = certificate.judge(signer, document.doctype, evidence.at)
    ledger.checks[check] = CheckState.PASSED
    if evidence.signers is None:
        # Nobody vouches for this certificate: nothing it says settles the path, for or against.
        ledger.checks[check] = CheckState.UNDETERMINED
        ledger.warn(Code.NO_ANCHORS)
        for finding in findings:
            if finding.code is not Code.ISSUER_UNKNOWN:
                ledger.findings.append(replace(finding, severity=min(finding.severity, Severity.WARNING, key=_WEIGHT)))
        return signer
    for finding in findings:
        ledger.findings.append(finding)
        if finding.severity is Severity.ERROR:
            ledger.checks[check] = CheckState.FAILED
    return signer


_NOBODY = certificate.SignerCache(NONE)


def _weigh(check: Check, code: CertificateCode, grading: Grading, ledger: Ledger) -> None:
    """Record a finding that an operator may have graded; as an error it fails its check."""
    finding = grading.finding(code)
    ledger.findings.append(finding)
    if finding.severity is Severity.ERROR:
        ledger.checks[check] = CheckState.FAILED


def _issuer_signature(
    document: response.Document, signer: certificate.Signer | None, ledger: Ledger
) -> mso.MobileSecurityObject | None:
    check = Check.ISSUER_SIGNATURE
    proof = document.issuer_auth
    if proof.payload is None:
        ledger.fail(check, Code.MSO_MISSING)
        return None
    if signer is not None:
        algorithm = cose.algorithm_for(proof, signer.curve)
        if algorithm is None:
            ledger.fail(check, Code.ISSUER_ALGORITHM)
        elif cose.verify_signature(proof, signer.public_key, signer.curve, algorithm, proof.payload):
            ledger.checks[check] = CheckState.PASSED
        else:
            ledger.fail(check, Code.ISSUER_SIGNATURE_INVALID)
    try:
        return mso.parse(proof.payload)
    except Malformed as problem:
        ledger.fail(check, Code.MSO_MALFORMED, problem.path)
        return None


def _digests(document: response.Document, security: mso.MobileSecurityObject, ledger: Ledger) -> Elements:
    check = Check.DIGESTS
    digest_of = _HASHES[security.digest_algorithm]
    elements: dict[str, dict[str, object]] = {}
    if not document.namespaces and not document.device_namespaces:
        # Nothing was returned, or somebody hid it under another name: there is nothing a digest could vouch for.
        ledger.warn(Code.NO_ELEMENTS)
        return elements
    ledger.checks[check] = CheckState.PASSED
    for namespace, items in document.namespaces.items():
        expected = security.value_digests.get(namespace, {})
        matched: dict[str, object] = {}
        used: set[int] = set()
        for item in items:
            if item.problem is not None:
                ledger.fail(check, Code.ITEM_MALFORMED, item.problem.path)
                continue
            identifier, number = item.identifier, item.digest_id
            digest = expected.get(number)
            wrong = None
            if not isinstance(digest, bytes):
                wrong = Code.DIGEST_UNKNOWN
            elif not hmac.compare_digest(digest_of(item.encoded).digest(), digest):
                wrong = Code.DIGEST_MISMATCH
            elif number in used:
                wrong = Code.DIGEST_TWICE
            elif identifier in matched:
                wrong = Code.ELEMENT_TWICE
            if wrong is not None:
                ledger.fail(check, wrong, f"{namespace[:64]}.{identifier[:64]}")
                continue
            used.add(number)
            if len(item.random) < 16:
                ledger.warn(Code.RANDOM_TOO_SHORT, f"{namespace[:64]}.{identifier[:64]}")
            matched[identifier] = item.value
        if matched:
            elements[namespace] = matched
    return elements


def _validity(
    security: mso.MobileSecurityObject, signer: certificate.Signer | None, evidence: Evidence, ledger: Ledger
) -> None:
    check, at = Check.VALIDITY, evidence.at
    times = security.validity
    ledger.checks[check] = CheckState.PASSED
    if at < times.valid_from:
        ledger.fail(check, Code.NOT_YET_VALID)
    if at > times.valid_until:
        ledger.fail(check, Code.EXPIRED)
    if times.valid_until < times.valid_from:
        ledger.fail(check, Code.VALIDITY_ORDER)
    if signer is not None:
        if not signer.not_before <= times.signed <= signer.not_after:
            _weigh(check, CertificateCode.SIGNED_OUTSIDE_SIGNER, evidence.grading, ledger)
        if times.valid_until > signer.not_after:
            _weigh(check, CertificateCode.OUTLIVES_SIGNER, evidence.grading, ledger)
    if times.expected_update is not None and at > times.expected_update:
        ledger.note(Code.UPDATE_EXPECTED)
    for name in times.unconforming:
        ledger.warn(Code.TIME_UNCONFORMING, f"MSO.validityInfo.{name}")


def _device_authentication(
    document: response.Document, security: mso.MobileSecurityObject, evidence: Evidence, ledger: Ledger
) -> None:
    check = Check.DEVICE_AUTHENTICATION
    for namespace, given in document.device_namespaces.items():
        for identifier in given:
            if not security.key_authorizations.allow(namespace, identifier):
                ledger.fail(check, Code.DEVICE_ELEMENT_UNAUTHORIZED, f"{namespace[:64]}.{identifier[:64]}")
    proof = document.device_auth
    if proof is None:
        ledger.fail(check, Code.DEVICE_AUTH_MISSING)
        return
    try:
        curve, key = security.device_key()
    except Malformed:
        ledger.fail(check, Code.DEVICE_KEY_UNUSABLE)
        return
    signed = response.device_authentication_bytes(evidence.session_transcript, document)
    if proof.payload is not None:
        # The payload should be detached. What travels in its place may be nothing, or just what is signed.
        if proof.payload not in {b"", signed}:
            ledger.fail(check, Code.DEVICE_PAYLOAD_PRESENT)
            return
        ledger.warn(Code.DEVICE_PAYLOAD_PRESENT)
    if document.device_auth_kind is response.DeviceAuthKind.SIGNATURE:
        algorithm = cose.algorithm_for(proof, curve)
        if algorithm is None:
            ledger.fail(check, Code.DEVICE_ALGORITHM)
        elif cose.verify_signature(proof, key, curve, algorithm, signed):
            ledger.settle(check, CheckState.PASSED)
        else:
            ledger.fail(check, Code.DEVICE_SIGNATURE_INVALID)
        return
    if proof.algorithm != cose.HMAC_256 or not curve.agreement:
        ledger.fail(check, Code.DEVICE_ALGORITHM)
    elif evidence.reader_key is None:
        ledger.note(Code.DEVICE_MAC_UNCHECKED)
    elif curve_of(evidence.reader_key) is not curve:
        ledger.fail(check, Code.DEVICE_ALGORITHM)
    elif cose.verify_mac(proof, session.e_mac_key(evidence.reader_key, key, evidence.session_transcript), signed):
        ledger.settle(check, CheckState.PASSED)
    else:
        ledger.fail(check, Code.DEVICE_MAC_INVALID)


def _requested(document: response.Document, evidence: Evidence, elements: Elements, ledger: Ledger) -> None:
    requested = evidence.requested
    if requested is not None and document.doctype not in requested:
        ledger.fail(Check.DOCTYPE, Code.DOCTYPE_NOT_REQUESTED)
    elif ledger.checks[Check.ISSUER_SIGNATURE] is not CheckState.UNCHECKED and Code.MSO_MALFORMED not in {
        finding.code for finding in ledger.findings
    }:
        ledger.settle(Check.DOCTYPE, CheckState.PASSED)
    if requested is None:
        return
    wanted = requested.get(document.doctype, {})
    for namespace, given in elements.items():
        names = wanted.get(namespace, frozenset())
        for identifier in given:
            if not was_requested(identifier, names):
                ledger.warn(Code.ELEMENT_NOT_REQUESTED, f"{namespace[:64]}.{identifier[:64]}")


def was_requested(identifier: str, names: frozenset[str]) -> bool:
    """Say whether an element answers a request: by its name, or as the nearest answer to an age question."""
    if identifier in names:
        return True
    return age_of(identifier) is not None and any(age_of(name) is not None for name in names)


def _issuer_data(elements: Elements, signer: certificate.Signer, grading: Grading, ledger: Ledger) -> None:
    mdl = elements.get(MDL_NAMESPACE, {})
    country, state = mdl.get("issuing_country"), mdl.get("issuing_jurisdiction")
    if isinstance(country, str) and signer.country is not None and country.upper() != signer.country.upper():
        _weigh(Check.CERTIFICATE_PATH, CertificateCode.ISSUING_COUNTRY_MISMATCH, grading, ledger)
    if isinstance(state, str) and signer.state is not None and state != signer.state:
        _weigh(Check.CERTIFICATE_PATH, CertificateCode.ISSUING_STATE_MISMATCH, grading, ledger)


def _authorised(document: response.Document, security: mso.MobileSecurityObject | None) -> Elements:
    if security is None or not document.device_namespaces:
        return {}
    return {
        namespace: {
            identifier: value
            for identifier, value in given.items()
            if security.key_authorizations.allow(namespace, identifier)
        }
        for namespace, given in document.device_namespaces.items()
    }


def _all_elements(elements: Elements) -> Mapping[str, object]:
    """Return age statements of every namespace; two namespaces that disagree on one age cancel out."""
    merged: dict[str, object] = {}
    for given in elements.values():
        for identifier, value in given.items():
            if age_of(identifier) is not None:
                merged[identifier] = value if merged.get(identifier, value) == value else None
    return merged
