"""The document signer's certificate: is it one we have reason to believe? (ISO 18013-5 Annex B; RFC 5280)

A path is exactly one step: a signer issued by an anchor. What does not change with the clock is settled once for each
signer certificate and anchor and remembered; only the times are looked at again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from mdoc_reader.mdoc.keys import Curve, SignaturePublicKey, curve_of
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust.anchors import UNREADABLE, Anchor, TrustAnchors
from mdoc_reader.trust.der import COUNTRY, STATE, CertificateSlices, name_text, slices
from mdoc_reader.verification.codes import VerificationCode as Code

MDL_SIGNER = "1.0.18013.5.1.2"
# 23220 profiles, and the provisional EU PID signer: accepted beside the first for documents other than the mDL.
OTHER_SIGNERS = frozenset({MDL_SIGNER, "1.0.23220.4.1.2", "1.3.130.2.0.0.1.2"})
MDL = "org.iso.18013.5.1.mDL"
_LONGEST = timedelta(days=457)
_CACHED_SIGNERS = 512
_MAX_CANDIDATES = 16
_ECDSA: Mapping[type, ec.ECDSA] = {
    type(row): ec.ECDSA(row) for row in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}
_KNOWN = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.IssuerAlternativeName,
    x509.SubjectAlternativeName,
    x509.CRLDistributionPoints,
    x509.AuthorityInformationAccess,
    x509.CertificatePolicies,
)
# Known, and without a bearing on the path.
_UNREAD = frozenset(
    {
        x509.SubjectKeyIdentifier,
        x509.IssuerAlternativeName,
        x509.SubjectAlternativeName,
        x509.CRLDistributionPoints,
        x509.AuthorityInformationAccess,
        x509.CertificatePolicies,
    }
)
_PROHIBITED = (
    x509.NameConstraints,
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.FreshestCRL,
)


@dataclass(frozen=True, slots=True)
class Signer:
    """What a signer certificate says, and which anchor vouches for it. Nothing here depends on the time.

    `anchor` is None where none fits; `findings` explains. `eku` holds dotted purposes, None where there is none.
    """

    public_key: SignaturePublicKey = field(repr=False)
    curve: Curve
    not_before: datetime
    not_after: datetime
    country: str | None
    state: str | None
    eku: frozenset[str] | None
    anchor: Anchor | None
    findings: tuple[Finding, ...]


class SignerCache:
    """Remembers signers by their DER, for one set of anchors: the second document of an issuer costs one look-up."""

    __slots__ = ("_anchors", "_known")

    def __init__(self, anchors: TrustAnchors) -> None:
        """Begin empty."""
        self._anchors = anchors
        self._known: OrderedDict[bytes, Signer] = OrderedDict()

    @property
    def anchors(self) -> TrustAnchors:
        """The anchors the signers were judged by."""
        return self._anchors

    def signer(self, der: bytes) -> Signer:
        """Return the signer of a leaf certificate. Raises ValueError or Malformed when it cannot be read."""
        found = self._known.get(der)
        if found is None:
            found = read_signer(der, self._anchors)
            # Only vouched-for signers are kept: strangers must not push them out.
            if found.anchor is not None:
                self._known[der] = found
                if len(self._known) > _CACHED_SIGNERS:
                    self._known.popitem(last=False)
        return found


def _error(code: Code) -> Finding:
    return Finding(code, Severity.ERROR, code.operator)


def _warning(code: Code) -> Finding:
    return Finding(code, Severity.WARNING, code.operator)


def read_signer(der: bytes, anchors: TrustAnchors) -> Signer:
    """Read a leaf certificate and find its anchor. Raises ValueError (unreadable) or Malformed (unsupported key)."""
    try:
        return _read_signer(der, anchors)
    except UNREADABLE as error:
        raise ValueError("unreadable certificate") from error


def _read_signer(der: bytes, anchors: TrustAnchors) -> Signer:
    certificate = x509.load_der_x509_certificate(der)
    parts = slices(der)
    findings: list[Finding] = []
    key = certificate.public_key()
    extensions = certificate.extensions
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        raise ValueError("not a key for signatures")
    curve = curve_of(key)
    authority_key, eku = _extensions(extensions, findings)
    country, state = name_text(parts.subject, COUNTRY), name_text(parts.subject, STATE)
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not_after - not_before > _LONGEST:
        findings.append(_warning(Code.SIGNER_TOO_LONG))
    anchor = anchors.exact(der)
    if anchor is not None:
        findings.append(_warning(Code.DIRECT_TRUST))
    else:
        anchor = _find_anchor(certificate, parts, anchors, authority_key, findings)
        if anchor is not None:
            _compare_names(country, state, anchor, findings)
    return Signer(key, curve, not_before, not_after, country, state, eku, anchor, tuple(findings))


def _extensions(extensions: x509.Extensions, findings: list[Finding]) -> tuple[bytes | None, frozenset[str] | None]:
    authority_key: bytes | None = None
    eku: frozenset[str] | None = None
    for extension in extensions:
        value = extension.value
        # cryptography makes these very classes; isinstance would ask their metaclass, which takes far longer.
        if type(value) in _UNREAD:
            continue
        if isinstance(value, x509.KeyUsage):
            if not value.digital_signature or value.key_cert_sign or value.crl_sign:
                findings.append(_error(Code.SIGNER_KEY_USAGE))
        elif isinstance(value, x509.ExtendedKeyUsage):
            eku = frozenset(purpose.dotted_string for purpose in value)
            if not extension.critical:
                findings.append(_warning(Code.SIGNER_EKU_NOT_CRITICAL))
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            authority_key = value.key_identifier
        elif isinstance(value, x509.BasicConstraints):
            if value.ca:
                findings.append(_error(Code.SIGNER_IS_AUTHORITY))
        elif isinstance(value, _PROHIBITED):
            findings.append(_error(Code.PROHIBITED_EXTENSION))
        elif extension.critical and not isinstance(value, _KNOWN):
            findings.append(_error(Code.CRITICAL_EXTENSION))
    if authority_key is None:
        findings.append(_warning(Code.AUTHORITY_KEY_MISSING))
    return authority_key, eku


def _find_anchor(
    certificate: x509.Certificate,
    parts: CertificateSlices,
    anchors: TrustAnchors,
    authority_key: bytes | None,
    findings: list[Finding],
) -> Anchor | None:
    issuer = parts.issuer
    named = [anchor for anchor in anchors.candidates(authority_key, issuer) if anchor.subject == issuer]
    if not named:
        findings.append(_error(Code.ISSUER_UNKNOWN))
        return None
    failure = Code.PATH_SIGNATURE
    for anchor in named[:_MAX_CANDIDATES]:
        if not (anchor.is_authority and anchor.signs_certificates):
            failure = Code.ANCHOR_NOT_AUTHORITY
            continue
        try:
            _verify(certificate, parts.signed, anchor.public_key)
        except InvalidSignature:
            continue
        except (TypeError, ValueError, UnsupportedAlgorithm):
            failure = Code.PATH_ALGORITHM
            continue
        return anchor
    findings.append(_error(failure))
    return None


def _verify(certificate: x509.Certificate, signed: bytes, key: SignaturePublicKey) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = _ECDSA.get(type(certificate.signature_hash_algorithm))
        if algorithm is None:
            raise ValueError("hash not allowed")
        key.verify(certificate.signature, signed, algorithm)
    else:
        key.verify(certificate.signature, signed)


def _compare_names(country: str | None, state: str | None, anchor: Anchor, findings: list[Finding]) -> None:
    if country is None or anchor.country is None:
        findings.append(_warning(Code.COUNTRY_MISSING))
    elif country.upper() != anchor.country.upper():
        findings.append(_error(Code.COUNTRY_MISMATCH))
    if state is not None and anchor.state is not None:
        if state != anchor.state:
            findings.append(_error(Code.STATE_MISMATCH))
    elif anchor.state is not None:
        findings.append(_warning(Code.STATE_MISSING))


def times(signer: Signer, at: datetime) -> list[Finding]:
    """Return what the moment `at` says against a signer and its anchor."""
    findings = []
    if at < signer.not_before:
        findings.append(_error(Code.SIGNER_NOT_YET_VALID))
    elif at > signer.not_after:
        findings.append(_error(Code.SIGNER_EXPIRED))
    anchor = signer.anchor
    if anchor is not None:
        if at < anchor.not_before:
            findings.append(_error(Code.ANCHOR_NOT_YET_VALID))
        elif at > anchor.not_after:
            findings.append(_error(Code.ANCHOR_EXPIRED))
    return findings


def purpose(signer: Signer, doctype: str) -> Finding | None:
    """Return what is wrong with the signer's extended key usage for a document type, or None.

    The mDL's purpose is fixed. Other profiles are not public in full: a missing purpose is a warning there, and one of
    another kind an error.
    """
    is_mdl = doctype == MDL
    if signer.eku is None:
        return _error(Code.SIGNER_EKU_MISSING) if is_mdl else _warning(Code.SIGNER_EKU_MISSING)
    if MDL_SIGNER in signer.eku or (not is_mdl and signer.eku & OTHER_SIGNERS):
        return None
    return _error(Code.SIGNER_EKU_OTHER)
