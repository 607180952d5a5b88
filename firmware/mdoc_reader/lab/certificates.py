"""Certificates of the lab's issuing and reader authorities, after the profile of ISO 18013-5 Annex B (RFC 5280).

Every mandatory extension is there. For what must be refused, `Changes` leaves single extensions out or puts others in.
Authorities sit on NIST or brainpool curves; document signers and readers may use Ed25519 and Ed448 as well.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mdoc_reader.mdoc.keys import CURVES_BY_NAME, SigningPrivateKey, curve_of
from mdoc_reader.mdoc.request import ReaderIdentity

MDL_SIGNER = x509.ObjectIdentifier("1.0.18013.5.1.2")
READER_AUTH = x509.ObjectIdentifier("1.0.18013.5.1.6")
AUTHORITY_CURVES = ("P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
SIGNER_CURVES = (*AUTHORITY_CURVES, "Ed25519", "Ed448")
_SITE = "https://lab.invalid"
_HASHES: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384()}


@dataclass(frozen=True, slots=True)
class Changes:
    """Departures from the profile.

    `leave_out` holds extension classes of cryptography.x509. `put` holds (extension, critical): it replaces one of the
    same kind or is added.
    """

    leave_out: Collection[type[x509.ExtensionType]] = ()
    put: Sequence[tuple[x509.ExtensionType, bool]] = ()


PROFILE = Changes()


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key with the certificate made for it."""

    key: SigningPrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """Return the certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Return the private key as PKCS #8 PEM, unencrypted: a lab key protects nothing."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def generate_signing_key(curve_name: str) -> SigningPrivateKey:
    """Make a private key for signatures. Raises ValueError for a curve without signatures."""
    row = CURVES_BY_NAME.get(curve_name)
    if row is not None and row.ec is not None:
        return ec.generate_private_key(row.ec)
    if curve_name == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if curve_name == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    raise ValueError(f"no signatures on {curve_name}: choose one of {', '.join(SIGNER_CURVES)}")


def now() -> datetime:
    """Return the present, in whole seconds of UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def _name(country: str | None, state: str | None, common_name: str | None) -> x509.Name:
    given = (
        (NameOID.COUNTRY_NAME, country),
        (NameOID.STATE_OR_PROVINCE_NAME, state),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in given if value is not None])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _contact() -> x509.IssuerAlternativeName:
    return x509.IssuerAlternativeName([x509.UniformResourceIdentifier(_SITE)])


def _crl(file_name: str) -> x509.CRLDistributionPoints:
    place = [x509.UniformResourceIdentifier(f"{_SITE}/{file_name}.crl")]
    return x509.CRLDistributionPoints([x509.DistributionPoint(place, None, None, None)])


def _certify(
    key: SigningPrivateKey,
    subject: x509.Name,
    issuer: Credential | None,
    lifetime: tuple[datetime, datetime],
    *,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    changes: Changes,
) -> Credential:
    signing_key = key if issuer is None else issuer.key
    chosen: dict[x509.ObjectIdentifier, tuple[x509.ExtensionType, bool]] = {
        extension.oid: (extension, critical)
        for extension, critical in extensions
        if not isinstance(extension, tuple(changes.leave_out))
    }
    chosen |= {extension.oid: (extension, critical) for extension, critical in changes.put}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(lifetime[0])
        .not_valid_after(lifetime[1])
    )
    for extension, critical in chosen.values():
        builder = builder.add_extension(extension, critical)
    algorithm = (
        _HASHES.get(curve_of(signing_key).octets, hashes.SHA512())
        if isinstance(signing_key, ec.EllipticCurvePrivateKey)
        else None
    )
    return Credential(key, builder.sign(signing_key, algorithm))  # type: ignore[arg-type]  # None goes with EdDSA


def _make_authority(
    curve_name: str,
    subject: x509.Name,
    crl_name: str,
    lifetime: tuple[datetime | None, datetime | None],
    *,
    changes: Changes,
    key: SigningPrivateKey | None,
) -> Credential:
    if curve_name not in AUTHORITY_CURVES:
        raise ValueError(f"an authority cannot use {curve_name}: choose one of {', '.join(AUTHORITY_CURVES)}")
    private = key or generate_signing_key(curve_name)
    start = lifetime[0] or now() - timedelta(days=365)
    extensions = (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage(authority=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        (_contact(), False),
        (_crl(crl_name), False),
    )
    end = lifetime[1] or start + timedelta(days=3650)
    return _certify(private, subject, None, (start, end), extensions=extensions, changes=changes)


def make_iaca(
    curve_name: str = "P-256",
    country: str | None = "UT",
    *,
    state: str | None = None,
    common_name: str | None = "Utopia Lab IACA",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
    key: SigningPrivateKey | None = None,
) -> Credential:
    """Make an issuing authority's self-signed root; ten years that began a year ago unless told. Raises ValueError."""
    subject = _name(country, state, common_name)
    return _make_authority(curve_name, subject, "iaca", (not_before, not_after), changes=changes, key=key)


def make_reader_ca(
    curve_name: str = "P-256",
    country: str | None = "UT",
    *,
    common_name: str | None = "Utopia Lab Reader CA",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
    key: SigningPrivateKey | None = None,
) -> Credential:
    """Make a reader authority's self-signed root. Raises ValueError for a curve that authorities may not use."""
    subject = _name(country, None, common_name)
    return _make_authority(curve_name, subject, "readers", (not_before, not_after), changes=changes, key=key)


def _leaf_extensions(
    key: SigningPrivateKey, issuer: Credential, purpose: x509.ObjectIdentifier, crl_name: str
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    issuer_key = issuer.key.public_key()
    return (
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (_key_usage(authority=False), True),
        (x509.ExtendedKeyUsage([purpose]), True),
        (_contact(), False),
        (_crl(crl_name), False),
    )


def make_document_signer(
    iaca: Credential,
    curve_name: str = "P-256",
    country: str | None = "UT",
    *,
    state: str | None = None,
    common_name: str | None = "Utopia Lab Document Signer",
    purpose: x509.ObjectIdentifier = MDL_SIGNER,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
    key: SigningPrivateKey | None = None,
) -> Credential:
    """Make a document signer under `iaca`; 450 days that began ninety days ago unless told. Raises ValueError."""
    private = key or generate_signing_key(curve_name)
    start = not_before or now() - timedelta(days=90)
    end = not_after or start + timedelta(days=450)
    extensions = _leaf_extensions(private, iaca, purpose, "iaca")
    subject = _name(country, state, common_name)
    return _certify(private, subject, iaca, (start, end), extensions=extensions, changes=changes)


def make_reader(
    reader_ca: Credential,
    curve_name: str = "P-256",
    *,
    common_name: str | None = "Utopia Lab Reader",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
    key: SigningPrivateKey | None = None,
) -> Credential:
    """Make a reader's certificate under `reader_ca`; three years that began a month ago unless told."""
    private = key or generate_signing_key(curve_name)
    start = not_before or now() - timedelta(days=30)
    end = not_after or start + timedelta(days=1095)
    extensions = _leaf_extensions(private, reader_ca, READER_AUTH, "readers")
    subject = _name(None, None, common_name)
    return _certify(private, subject, reader_ca, (start, end), extensions=extensions, changes=changes)


def reader_identity(reader: Credential) -> ReaderIdentity:
    """Return what signs requests: the key and the chain without its root."""
    return ReaderIdentity(reader.key, (reader.der,))
