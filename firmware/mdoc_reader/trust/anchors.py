"""Trust anchors: the certificates whose word on issuers we take, found by key identifier or by name.

For now they come from folders and files of certificates. Everything a path check needs of an anchor is read out here,
ahead of any presentation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.mdoc.keys import SignaturePublicKey
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.trust.der import slices

MAX_FILE_BYTES = 1024 * 1024
MAX_ANCHORS = 20_000
SUFFIXES = frozenset({".pem", ".der", ".crt", ".cer"})
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"
_DER = Encoding.DER


UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Everything the X.509 library raises on a certificate that it cannot read."""


class TrustCode(ReasonCode):
    """Why something offered as a trust anchor was skipped."""

    NOT_A_CERTIFICATE = "anchor_not_a_certificate", "A trust anchor file holds no readable certificate."
    TOO_LARGE = "anchor_too_large", "A trust anchor file is larger than any certificate."
    UNSUPPORTED_KEY = "anchor_unsupported_key", "A trust anchor has a kind of key that no issuer uses."
    TOO_MANY = "anchor_too_many", "There are more trust anchors than this reader holds."


@dataclass(frozen=True, slots=True)
class Anchor:
    """One trusted certificate. `subject` is the name's DER; country and state as written in it."""

    certificate: x509.Certificate = field(repr=False)
    subject: bytes = field(repr=False)
    subject_text: str
    key_identifier: bytes | None
    public_key: SignaturePublicKey = field(repr=False)
    is_authority: bool
    signs_certificates: bool
    not_before: datetime
    not_after: datetime
    country: str | None
    state: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was offered and not taken."""

    source: str
    code: TrustCode


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """A closed set of anchors with its indices. Made once; safe to share."""

    anchors: tuple[Anchor, ...]
    _by_key: dict[bytes, tuple[Anchor, ...]] = field(repr=False)
    _by_subject: dict[bytes, tuple[Anchor, ...]] = field(repr=False)
    _by_der: dict[bytes, Anchor] = field(repr=False)

    def candidates(self, key_identifier: bytes | None, issuer: bytes) -> tuple[Anchor, ...]:
        """Return the anchors that may have issued a certificate: by key identifier, else by the issuer's name (DER)."""
        if key_identifier is not None:
            found = self._by_key.get(key_identifier)
            if found:
                return found
        return self._by_subject.get(issuer, ())

    def exact(self, der: bytes) -> Anchor | None:
        """Return the anchor that is this very certificate."""
        return self._by_der.get(der)

    def __len__(self) -> int:
        """Return the number of anchors."""
        return len(self.anchors)


def name_attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    """Return the first value of a name attribute as text, or None."""
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if values else None


def anchor_from_certificate(certificate: x509.Certificate, source: str) -> Anchor | TrustCode:
    """Read out what path checks need; a TrustCode where the certificate cannot serve."""
    try:
        key = certificate.public_key()
        extensions = certificate.extensions
        subject = certificate.subject
        subject_der = slices(certificate.public_bytes(_DER)).subject
        text = subject.rfc4514_string()
    except UNREADABLE:
        return TrustCode.NOT_A_CERTIFICATE
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return TrustCode.UNSUPPORTED_KEY
    identifier: bytes | None = None
    authority = False
    signs = True
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            identifier = value.digest
        elif isinstance(value, x509.BasicConstraints):
            authority = value.ca
        elif isinstance(value, x509.KeyUsage):
            signs = value.key_cert_sign
    return Anchor(
        certificate,
        subject_der,
        text,
        identifier,
        key,
        authority,
        signs,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        name_attribute(subject, x509.NameOID.COUNTRY_NAME),
        name_attribute(subject, x509.NameOID.STATE_OR_PROVINCE_NAME),
        source,
    )


def build(certificates: Iterable[tuple[str, bytes]]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Build a set from (source, DER) pairs; duplicates count once."""
    by_der: dict[bytes, Anchor] = {}
    by_key: dict[bytes, list[Anchor]] = {}
    by_subject: dict[bytes, list[Anchor]] = {}
    skipped: list[Skipped] = []
    for source, der in certificates:
        if der in by_der:
            continue
        if len(by_der) >= MAX_ANCHORS:
            skipped.append(Skipped(source, TrustCode.TOO_MANY))
            break
        try:
            anchor = anchor_from_certificate(x509.load_der_x509_certificate(der), source)
        except UNREADABLE:
            anchor = TrustCode.NOT_A_CERTIFICATE
        if isinstance(anchor, TrustCode):
            skipped.append(Skipped(source, anchor))
            continue
        by_der[der] = anchor
        by_subject.setdefault(anchor.subject, []).append(anchor)
        if anchor.key_identifier is not None:
            by_key.setdefault(anchor.key_identifier, []).append(anchor)
    return (
        TrustAnchors(
            tuple(by_der.values()),
            {key: tuple(found) for key, found in by_key.items()},
            {name: tuple(found) for name, found in by_subject.items()},
            by_der,
        ),
        tuple(skipped),
    )


def certificates_in(data: bytes) -> Sequence[bytes]:
    """Return every certificate in a PEM bundle, or the data itself as one DER certificate, plain or in hex."""
    if _PEM_BEGIN not in data:
        if data[:1] == b"3":  # the first digit of 30, where DER begins with the octet itself
            with contextlib.suppress(ValueError):
                return [bytes.fromhex(data.decode("ascii"))]
        return [data]
    found = []
    end = 0
    while (start := data.find(_PEM_BEGIN, end)) >= 0:
        end = data.find(_PEM_END, start)
        if end < 0:
            found.append(data[start:])
            break
        end += len(_PEM_END)
        found.append(data[start:end])
    return [_der(block) for block in found]


def _der(block: bytes) -> bytes:
    try:
        return x509.load_pem_x509_certificate(block).public_bytes(_DER)
    except UNREADABLE:
        return b""


def load(paths: Iterable[Path]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Load certificates from files and folders (PEM bundles or DER). Raises OSError for a path that is not there."""
    pairs: list[tuple[str, bytes]] = []
    skipped: list[Skipped] = []
    for path in paths:
        files = (
            sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        )
        for file in files:
            with file.open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                skipped.append(Skipped(file.name, TrustCode.TOO_LARGE))
                continue
            pairs += [(file.name, der) for der in certificates_in(data)]
    anchors, more = build(pairs)
    return anchors, (*skipped, *more)
