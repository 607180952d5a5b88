"""VICALs of the lab's provider: every form a real one may have, and every fault (ISO 18013-5 C.1.7, C.1.8)."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cbor2 import CBORTag
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from mdoc_reader.lab.certificates import PROFILE, Changes, Credential, make_document_signer, now
from mdoc_reader.lab.certificates import make_reader_ca as make_authority
from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.mdoc.keys import curve_of

VICAL_SIGNER = x509.ObjectIdentifier("1.0.18013.5.1.8")
MDL = "org.iso.18013.5.1.mDL"


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of lists: its root, what stands between, if anything, and who signs."""

    root: Credential
    signer: Credential
    between: Credential | None = None

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Return what a list brings along: the signer first, without the root."""
        return (self.signer.der,) if self.between is None else (self.signer.der, self.between.der)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def make_provider(
    curve_name: str = "P-256",
    *,
    name: str = "Utopia Lab VICAL",
    between: bool = False,
    purpose: x509.ObjectIdentifier = VICAL_SIGNER,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    changes: Changes = PROFILE,
) -> Provider:
    """Make a provider: a root, an authority between where asked for, and a signer, whom `changes` and times are for."""
    longer = Changes(put=[(x509.BasicConstraints(ca=True, path_length=1), True)])
    root = make_authority(curve_name, common_name=f"{name} Root", changes=longer)
    middle = None
    if between:
        middle = make_document_signer(
            root,
            curve_name,
            common_name=f"{name} CA",
            changes=Changes(
                leave_out=[x509.ExtendedKeyUsage],
                put=[(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(authority=True), True)],
            ),
        )
    signer = make_document_signer(
        middle or root,
        curve_name,
        common_name=f"{name} Signer",
        purpose=purpose,
        not_before=not_before,
        not_after=not_after,
        changes=Changes(changes.leave_out, [(_usage(authority=False), True), *changes.put]),
    )
    return Provider(root, signer, middle)


def tdate(moment: datetime) -> CBORTag:
    """Write a date as the format asks."""
    return CBORTag(0, moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def bignum(number: int) -> CBORTag:
    """Write a number as a big one, however small it is."""
    return CBORTag(2, number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big"))


def info(certificate: x509.Certificate, der: bytes, doctypes: object = (MDL,), /, **more: object) -> dict[str, object]:
    """Make an entry for a certificate with what the format asks for; `more` replaces parts, None leaves them out."""
    subject = {each.oid: each.value for each in certificate.subject}
    made: dict[str, object] = {
        "certificate": der,
        "serialNumber": bignum(certificate.serial_number),
        "ski": x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest,
        "docType": list(doctypes) if isinstance(doctypes, tuple) else doctypes,
        "certificateProfile": ["urn:oid:1.0.18013.5.1.7"],
        "issuingAuthority": subject.get(NameOID.COMMON_NAME),
        "issuingCountry": subject.get(NameOID.COUNTRY_NAME),
        "stateOrProvinceName": subject.get(NameOID.STATE_OR_PROVINCE_NAME),
        "issuer": certificate.issuer.public_bytes(),
        "subject": certificate.subject.public_bytes(),
        "notBefore": tdate(certificate.not_valid_before_utc),
        "notAfter": tdate(certificate.not_valid_after_utc),
        **more,
    }
    return {key: value for key, value in made.items() if value is not None}


def entry(issuer: Credential, doctypes: object = (MDL,), /, **more: object) -> dict[str, object]:
    """Make an entry for an issuing authority of the lab."""
    return info(issuer.certificate, issuer.der, doctypes, **more)


def content(entries: Sequence[object], *, issued: datetime | None = None, **more: object) -> dict[str, object]:
    """Make the signed map: issued yesterday, the next one due in a month. `more` replaces parts, None removes them."""
    moment = issued or now() - timedelta(days=1)
    made: dict[str, object] = {
        "version": "1.0",
        "vicalProvider": "Utopia Lab",
        "date": tdate(moment),
        "vicalIssueID": 7,
        "nextUpdate": tdate(moment + timedelta(days=30)),
        "certificateInfos": list(entries),
        **more,
    }
    return {key: value for key, value in made.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Wrap:
    """How a VICAL is signed and sent. `chain` None: the provider's own; `algorithm` None: what fits the key."""

    tagged: bool = False
    packed: bool = False
    protected_chain: bool = False
    chain: Sequence[bytes] | None = None
    algorithm: int | None = None
    headers: Mapping[int, object] = field(default_factory=dict)
    alter: Callable[[bytes], bytes] | None = None


PLAIN = Wrap()


def sign(provider: Provider, payload: Mapping[str, object] | bytes, wrap: Wrap = PLAIN) -> bytes:
    """Sign a payload. `wrap.alter` changes it after it was signed."""
    key = provider.signer.key
    raw = payload if isinstance(payload, bytes) else cbor.encode(dict(payload))
    chain = list(provider.chain if wrap.chain is None else wrap.chain)
    header = {cose.X5CHAIN: chain[0] if len(chain) == 1 else chain} if chain else {}
    chosen = wrap.algorithm or {32: -7, 48: -35}.get(curve_of(key).octets, -36)
    protected = cbor.encode({1: chosen, **wrap.headers, **(header if wrap.protected_chain else {})})
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("a VICAL is signed on a NIST or brainpool curve")
    digest = cose.ALGORITHMS[chosen].hash if chosen in cose.ALGORITHMS else cose.ALGORITHMS[-7].hash
    if digest is None:
        raise ValueError("no algorithm of such a curve")
    octets = curve_of(key).octets
    r, s = decode_dss_signature(key.sign(cose.signature_structure(protected, raw), ec.ECDSA(digest)))
    proof = r.to_bytes(octets, "big") + s.to_bytes(octets, "big")
    parts = [protected, {} if wrap.protected_chain else header, wrap.alter(raw) if wrap.alter else raw, proof]
    made = cbor.encode(CBORTag(18, parts) if wrap.tagged else parts)
    return gzip.compress(made, mtime=0) if wrap.packed else made


def make_vical(provider: Provider, issuers: Sequence[Credential], *, wrap: Wrap = PLAIN, **more: object) -> bytes:
    """Make a VICAL of these issuers, all of mobile driving licences, that holds now."""
    return sign(provider, content([entry(issuer) for issuer in issuers], **more), wrap)  # type: ignore[arg-type]
