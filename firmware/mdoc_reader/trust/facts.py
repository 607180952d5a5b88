"""What a certificate says, read once: names, times, key, uses, places, and what is critical (RFC 5280).

Reading judges nothing. Every rule of `profile` and every step of `path` looks at these facts alone, so that a rule is a
line and a certificate's bytes are opened in one place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mdoc_reader.mdoc.keys import Curve, SignaturePublicKey, curve_of
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.trust import der

MAX_CERTIFICATE_BYTES = 64 * 1024
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Everything the X.509 library raises on a certificate that it cannot read."""

USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
PROHIBITED = frozenset({"2.5.29.33", "2.5.29.30", "2.5.29.36", "2.5.29.54", "2.5.29.46"})
"""Policy mappings, name constraints, policy constraints, inhibit any policy, freshest CRL: Annex B has none of them."""
CertificateKey = SignaturePublicKey | rsa.RSAPublicKey


@dataclass(slots=True)
class _Extensions:
    """What extensions say, while they are read."""

    key_identifier: bytes | None = None
    authority_key: bytes | None = None
    authority_serial: int | None = None
    key_usage: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    authority: bool | None = None
    path_length: int | None = None
    contacts: tuple[str, ...] | None = None
    other_names: tuple[bytes, ...] = ()
    crl_points: tuple[str, ...] | None = None
    crl_divided: bool = False
    critical: set[str] = field(default_factory=set)
    unknown_critical: bool = False
    prohibited: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one certificate says. Names are DER; None means that a part is not there.

    Attributes:
        repeats: the subject names two countries or two states.
        public_key, curve: None for a kind of key this reader has no use for; an RSA key has no curve.
        key_digest: SHA-1 of the key's bits, what the key identifier should be.
        signed, signature, hash_name: what was signed, the signature, and its hash ("sha256"; empty where it has none).
        algorithms_agree: the signature algorithm is the same inside and outside of what was signed.
        uses, purposes: key usage by the names in USES; extended key usage as dotted identifiers.
        authority: what the basic constraints say, None without them.
        contacts: kinds of the issuer's alternative names: `mail`, `web` or `other`.
        other_names: directory names among the subject's alternative names, DER.
        crl_points: web addresses of revocation lists; empty where the extension holds none.
        critical: dotted identifiers of the extensions marked critical, of those this reader knows.
    """

    version: int
    serial: int
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    country: str | None
    state: str | None
    common_name: str | None
    repeats: bool
    not_before: datetime
    not_after: datetime
    public_key: CertificateKey | None = field(repr=False)
    curve: Curve | None
    key_digest: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    hash_name: str
    algorithms_agree: bool
    key_identifier: bytes | None
    authority_key: bytes | None
    authority_serial: int | None
    uses: frozenset[str] | None
    purposes: frozenset[str] | None
    authority: bool | None
    path_length: int | None
    contacts: tuple[str, ...] | None
    other_names: tuple[bytes, ...]
    crl_points: tuple[str, ...] | None
    crl_divided: bool
    critical: frozenset[str]
    unknown_critical: bool
    prohibited: bool

    @property
    def self_issued(self) -> bool:
        """Whether issuer and subject are one name."""
        return self.issuer == self.subject


def read(data: bytes) -> CertificateFacts:
    """Read a DER certificate. Raises ValueError for one that cannot be read."""
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise ValueError("larger than any certificate")
    try:
        return _read(data)
    except UNREADABLE as error:
        raise ValueError("unreadable certificate") from error


def _read(data: bytes) -> CertificateFacts:
    certificate = x509.load_der_x509_certificate(data)
    parts = der.slices(data)
    key, curve = _key(certificate)
    try:
        algorithm = certificate.signature_hash_algorithm
        hash_name = "" if algorithm is None else algorithm.name
    except UnsupportedAlgorithm:
        hash_name = "unknown"
    found = _Extensions()
    for extension in certificate.extensions:
        _take(extension, found)
    country, state, common_name, repeats = _names(parts.subject)
    return CertificateFacts(
        version=certificate.version.value + 1,
        serial=certificate.serial_number,
        issuer=parts.issuer,
        subject=parts.subject,
        country=country,
        state=state,
        common_name=common_name,
        repeats=repeats,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        public_key=key,
        curve=curve,
        key_digest=hashlib.sha1(der.key_parts(parts.key)[1], usedforsecurity=False).digest(),
        signed=parts.signed,
        signature=certificate.signature,
        hash_name=hash_name,
        algorithms_agree=parts.promised == parts.algorithm,
        key_identifier=found.key_identifier,
        authority_key=found.authority_key,
        authority_serial=found.authority_serial,
        uses=found.key_usage,
        purposes=found.purposes,
        authority=found.authority,
        path_length=found.path_length,
        contacts=found.contacts,
        other_names=found.other_names,
        crl_points=found.crl_points,
        crl_divided=found.crl_divided,
        critical=frozenset(found.critical),
        unknown_critical=found.unknown_critical,
        prohibited=found.prohibited,
    )


def _key(certificate: x509.Certificate) -> tuple[CertificateKey | None, Curve | None]:
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:  # a curve the library does not have, brainpoolP320r1 among them
        return None, None
    if isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        try:
            return key, curve_of(key)
        except Malformed:
            return None, None
    return (key, None) if isinstance(key, rsa.RSAPublicKey) else (None, None)


def _names(subject: bytes) -> tuple[str | None, str | None, str | None, bool]:
    found: dict[bytes, str] = {}
    repeats = False
    for identifier, _, text in der.attributes(subject):
        if identifier not in _NAMED:
            continue
        if text is None:
            raise ValueError("not a kind of text")
        if identifier in found:
            repeats = repeats or identifier != der.COMMON_NAME
        else:
            found[identifier] = text
    return found.get(der.COUNTRY), found.get(der.STATE), found.get(der.COMMON_NAME), repeats


_NAMED = frozenset({der.COUNTRY, der.STATE, der.COMMON_NAME})


def _take(extension: x509.Extension[x509.ExtensionType], found: _Extensions) -> None:
    value = extension.value
    # cryptography makes these very classes; isinstance would ask their metaclass, which takes far longer.
    handler = _HANDLERS.get(type(value))
    if handler is None:
        found.prohibited = found.prohibited or extension.oid.dotted_string in PROHIBITED
        found.unknown_critical = found.unknown_critical or extension.critical
        return
    if extension.critical:
        found.critical.add(extension.oid.dotted_string)
    handler(value, found)


def _key_usage(value: x509.KeyUsage, found: _Extensions) -> None:
    found.key_usage = frozenset([use for use in USES if getattr(value, use)])


def _purposes(value: x509.ExtendedKeyUsage, found: _Extensions) -> None:
    found.purposes = frozenset([purpose.dotted_string for purpose in value])


def _constraints(value: x509.BasicConstraints, found: _Extensions) -> None:
    found.authority = value.ca
    found.path_length = value.path_length


def _authority_key(value: x509.AuthorityKeyIdentifier, found: _Extensions) -> None:
    found.authority_key = value.key_identifier
    found.authority_serial = value.authority_cert_serial_number


def _subject_key(value: x509.SubjectKeyIdentifier, found: _Extensions) -> None:
    found.key_identifier = value.digest


_CONTACTS: Mapping[type[x509.GeneralName], str] = {x509.RFC822Name: "mail", x509.UniformResourceIdentifier: "web"}


def _contacts(value: x509.IssuerAlternativeName, found: _Extensions) -> None:
    found.contacts = tuple([_CONTACTS.get(type(name), "other") for name in value])


def _other_names(value: x509.SubjectAlternativeName, found: _Extensions) -> None:
    found.other_names = tuple([name.value.public_bytes() for name in value if isinstance(name, x509.DirectoryName)])


def _crl_points(value: x509.CRLDistributionPoints, found: _Extensions) -> None:
    places = []
    for point in value:
        if point.reasons or point.crl_issuer:
            found.crl_divided = True
        places += [name.value for name in point.full_name or () if type(name) is x509.UniformResourceIdentifier]
    found.crl_points = tuple(places)


def _ignore(value: x509.ExtensionType, found: _Extensions) -> None:
    """Known, and without a bearing on what is judged."""


_HANDLERS: Mapping[type, Callable[..., None]] = {
    x509.KeyUsage: _key_usage,
    x509.ExtendedKeyUsage: _purposes,
    x509.BasicConstraints: _constraints,
    x509.AuthorityKeyIdentifier: _authority_key,
    x509.SubjectKeyIdentifier: _subject_key,
    x509.IssuerAlternativeName: _contacts,
    x509.SubjectAlternativeName: _other_names,
    x509.CRLDistributionPoints: _crl_points,
    x509.AuthorityInformationAccess: _ignore,
    x509.CertificatePolicies: _ignore,
}
