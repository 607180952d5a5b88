"""Revocation lists of the lab's issuing authorities: every form a real one may have, and every fault (RFC 5280).

The crypto library makes the lists that are right, and those whose extensions are wrong; what it refuses to write is
made of DER by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.lab.certificates import Changes, Credential, make_document_signer, now
from mdoc_reader.mdoc.keys import curve_of

_HASHES: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384()}
_ECDSA = {"sha256": "02", "sha384": "03", "sha512": "04"}


@dataclass(frozen=True, slots=True)
class Revoked:
    """An entry. `reason` None: none is given; `more` are further extensions, each with whether it is critical."""

    serial: int
    reason: x509.ReasonFlags | None = None
    more: Sequence[tuple[x509.ExtensionType, bool]] = ()


@dataclass(frozen=True, slots=True)
class CrlShape:
    """What a list says of itself, and how it departs from the profile.

    `number`, `next_update` and `authority_key` None: it has none. `extensions` come beside those of the profile.
    """

    issued: datetime | None = None
    next_update: timedelta | None = timedelta(days=30)
    number: int | None = 1
    authority_key: bytes | None = b""
    name: x509.Name | None = None
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    hash: hashes.HashAlgorithm | None = None


PROFILE = CrlShape()


def make_crl(
    issuer: Credential,
    revoked: Iterable[int | Revoked] = (),
    shape: CrlShape = PROFILE,
    *,
    pem: bool = False,
) -> bytes:
    """Make a list of an authority, or of whoever signs lists for it; issued yesterday, good for a month."""
    issued = shape.issued or now() - timedelta(days=1)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject if shape.name is None else shape.name)
        .last_update(issued)
        .next_update(issued + (shape.next_update or timedelta(days=30)))
    )
    for entry in revoked:
        one = entry if isinstance(entry, Revoked) else Revoked(entry)
        made = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(issued)
        if one.reason is not None:
            made = made.add_extension(x509.CRLReason(one.reason), critical=False)
        for extension, critical in one.more:
            made = made.add_extension(extension, critical=critical)
        builder = builder.add_revoked_certificate(made.build())
    if shape.number is not None:
        builder = builder.add_extension(x509.CRLNumber(shape.number), critical=False)
    if shape.authority_key is not None:
        identifier = (
            x509.AuthorityKeyIdentifier(shape.authority_key, None, None)
            if shape.authority_key
            else x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.certificate.public_key())  # type: ignore[arg-type]
        )
        builder = builder.add_extension(identifier, critical=False)
    for extension, critical in shape.extensions:
        builder = builder.add_extension(extension, critical=critical)
    digest = shape.hash or digest_for(issuer)
    made_list = builder.sign(issuer.key, digest)  # type: ignore[arg-type]  # authorities have no Edwards keys
    der = made_list.public_bytes(Encoding.DER)
    if shape.next_update is None:
        der = altered(der, issuer, _without_next_update)
    return to_pem(der) if pem else der


def digest_for(issuer: Credential) -> hashes.HashAlgorithm:
    """Return the hash that goes with an authority's key."""
    return _HASHES.get(curve_of(issuer.key).octets, hashes.SHA512())


def to_pem(der: bytes) -> bytes:
    """Write a list as PEM."""
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


def make_crl_signer(iaca: Credential, *, changes: Changes | None = None, name: str | None = None) -> Credential:
    """Make a key that signs lists in the authority's stead: under its name, certified by it."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    put = [(usage, True), *(changes.put if changes else ())]
    left_out: tuple[type[x509.ExtensionType], ...] = (x509.ExtendedKeyUsage, *(changes.leave_out if changes else ()))
    subject = {each.oid: str(each.value) for each in iaca.certificate.subject}
    return make_document_signer(
        iaca,
        country=subject.get(x509.NameOID.COUNTRY_NAME),
        common_name=name or subject.get(x509.NameOID.COMMON_NAME),
        changes=Changes(left_out, put),
    )


def element(tag: int, content: bytes) -> bytes:
    """Write one DER element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content


def parts_of(sequence: bytes) -> list[bytes]:
    """Return the elements inside a DER SEQUENCE, each with tag and length."""
    found = []
    _, at, end = _open(sequence, 0)
    while at < end:
        _, _, behind = _open(sequence, at)
        found.append(sequence[at:behind])
        at = behind
    return found


def _open(data: bytes, at: int) -> tuple[int, int, int]:
    length, body = data[at + 1], at + 2
    if length >= 0x80:
        body += length & 0x7F
        length = int.from_bytes(data[at + 2 : body], "big")
    return data[at], body, body + length


def altered(der: bytes, issuer: Credential, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Change the elements of what is signed (version, algorithm, issuer, thisUpdate, …), and sign it again."""
    signed, algorithm, _ = parts_of(der)
    return signed_again(element(0x30, b"".join(change(parts_of(signed)))), algorithm, issuer)


def signed_again(signed: bytes, algorithm: bytes, issuer: Credential) -> bytes:
    """Sign with the key of an authority whatever is given, and put a list together."""
    digest = digest_for(issuer)
    key = issuer.key
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("a list is signed on a NIST or brainpool curve")
    proof = key.sign(signed, ec.ECDSA(digest))
    return element(0x30, signed + algorithm + element(0x03, b"\0" + proof))


def _without_next_update(parts: list[bytes]) -> list[bytes]:
    return [part for index, part in enumerate(parts) if index != 4]


def make_large_crl(issuer: Credential, serials: Iterable[bytes], shape: CrlShape = PROFILE) -> bytes:
    """Make a list of many entries, whose serial numbers are given as octets of an INTEGER: without building objects."""
    template = make_crl(issuer, [1], shape)

    def change(parts: list[bytes]) -> list[bytes]:
        date = parts_of(parts_of(parts[5])[0])[1]
        entries = b"".join(element(0x30, element(0x02, serial) + date) for serial in serials)
        return [*parts[:5], element(0x30, entries), *parts[6:]]

    return altered(template, issuer, change)
