"""All that can be wrong with a certificate, one row each: what is made wrong, and the code that must say so.

Every rule has a row, for every kind of certificate whose profile states it in its own way. What else must be found just
because of the one wrong thing stands in `consequences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from mdoc_reader.lab import wrong_der
from mdoc_reader.lab.certificates import generate_signing_key
from mdoc_reader.lab.wrong_certificates import (
    AT,
    Change,
    Specimen,
    crl_points,
    cut,
    having,
    holding,
    keyed,
    lasting,
    marked,
    named,
    on,
    purposes,
    same,
    signed,
    specimen,
    uses,
    without,
)
from mdoc_reader.trust.codes import CertificateCode as Code
from mdoc_reader.trust.profile_rules import Kind

AKI, SKI, KU, EKU = (
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
)
BC, IAN, CRL = x509.BasicConstraints, x509.IssuerAlternativeName, x509.CRLDistributionPoints
DS, OTHER, IACA, LINK = Kind.DOCUMENT_SIGNER, Kind.OTHER_SIGNER, Kind.IACA, Kind.LINK
VICAL, ROOT, BETWEEN = Kind.VICAL_SIGNER, Kind.VICAL_ROOT, Kind.VICAL_CA
STATUS, REVOKER, READER, READER_CA = Kind.LIST_SIGNER, Kind.CRL_SIGNER, Kind.READER, Kind.READER_CA
LOTE, LOTE_CA, CA = Kind.LOTE_SIGNER, Kind.LOTE_CA, Kind.ISSUING_CA
SITE = x509.UniformResourceIdentifier("https://lab.invalid")
HOST = x509.DNSName("lab.invalid")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
POLICY_MAPPINGS = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a06032a030406032a0305")
)
LOWER_NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "UT"),
        x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "ut-a"),
        x509.NameAttribute(NameOID.COMMON_NAME, "utopia  IACA"),
    ]
)
OTHER_NAME = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "UT"), x509.NameAttribute(NameOID.COMMON_NAME, "X")])
TWO_COUNTRIES = wrong_der.name([("06", "UT", 0x13), ("06", "XX", 0x13), ("08", "UT-A", 0x0C), ("03", "Utopia", 0x0C)])
TEXT_KINDS = wrong_der.name([("06", "UT", 0x13), ("08", "UT-A", 0x13), ("03", "Utopia iaca", 0x13)])


PARENT = generate_signing_key("P-256")
PARENT_IDENTIFIER = x509.SubjectKeyIdentifier.from_public_key(PARENT.public_key()).digest
LONG_COUNTRY = wrong_der.name([("06", "UTO", 0x13), ("03", "Utopia", 0x0C)])


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate wrong in one way, and the codes it must give: the one to repair, and what follows from it."""

    name: str
    kind: Kind
    change: Change
    code: Code
    consequences: frozenset[Code] = frozenset()
    above: Change = same
    newer: Change = same
    at_days: int = 0

    def make(self) -> Specimen:
        """Make the certificate, fresh."""
        made = specimen(self.kind, self.change, self.above, self.newer)
        return Specimen(made.kind, made.der, made.above, made.newer, AT + timedelta(days=self.at_days))


def _codes(*codes: Code) -> frozenset[Code]:
    return frozenset(codes)


_MADE_OF = (
    Row(
        "version 1",
        DS,
        cut(wrong_der.as_version_1),
        Code.CERTIFICATE_VERSION,
        _codes(
            Code.AUTHORITY_KEY_MISSING,
            Code.SUBJECT_KEY_MISSING,
            Code.KEY_USAGE_MISSING,
            Code.SIGNER_EKU_MISSING,
            Code.ISSUER_ALT_NAME_MISSING,
            Code.CRL_POINT_MISSING,
        ),
    ),
    Row(
        "version 1, root",
        IACA,
        cut(wrong_der.as_version_1),
        Code.CERTIFICATE_VERSION,
        _codes(
            Code.SUBJECT_KEY_MISSING,
            Code.KEY_USAGE_MISSING,
            Code.ISSUER_ALT_NAME_MISSING,
            Code.ANCHOR_NOT_AUTHORITY,
            Code.PATH_LENGTH_MISSING,
        ),
    ),
    Row("serial number zero", DS, cut(wrong_der.put(wrong_der.SERIAL, b"\x02\x01\x00")), Code.SERIAL_NOT_POSITIVE),
    Row("serial number negative", DS, cut(wrong_der.put(wrong_der.SERIAL, b"\x02\x01\x80")), Code.SERIAL_NOT_POSITIVE),
    Row(
        "serial number of 21 octets",
        DS,
        cut(wrong_der.put(wrong_der.SERIAL, b"\x02\x15\x00" + b"\xab" * 20)),
        Code.SERIAL_TOO_LONG,
    ),
    Row("algorithms differ", DS, signed(hash_outside="sha384"), Code.ALGORITHMS_DIFFER),
    Row("algorithms differ, root", IACA, signed(hash_outside="sha384"), Code.ALGORITHMS_DIFFER),
    Row(
        "ends before it begins",
        DS,
        cut(wrong_der.turn_times),
        Code.CERTIFICATE_TIMES,
        _codes(Code.SIGNER_NOT_YET_VALID),
    ),
    Row("critical extension", DS, having(UNKNOWN, True), Code.CRITICAL_EXTENSION),
    Row("critical extension, root", IACA, having(UNKNOWN, True), Code.CRITICAL_EXTENSION),
    Row("critical extension, European authority", CA, having(x509.InhibitAnyPolicy(0), True), Code.CRITICAL_EXTENSION),
    Row("critical extension, reader", READER, having(UNKNOWN, True), Code.CRITICAL_EXTENSION),
    Row("policy mappings", DS, having(POLICY_MAPPINGS, False), Code.PROHIBITED_EXTENSION),
    Row("name constraints", DS, having(x509.NameConstraints([HOST], None), True), Code.PROHIBITED_EXTENSION),
    Row("policy constraints", DS, having(x509.PolicyConstraints(0, None), True), Code.PROHIBITED_EXTENSION),
    Row("inhibit any policy", DS, having(x509.InhibitAnyPolicy(0), True), Code.PROHIBITED_EXTENSION),
    Row(
        "freshest CRL",
        DS,
        having(x509.FreshestCRL([x509.DistributionPoint([SITE], None, None, None)]), False),
        Code.PROHIBITED_EXTENSION,
    ),
    Row("name constraints, root", IACA, having(x509.NameConstraints([HOST], None), True), Code.PROHIBITED_EXTENSION),
    Row("key identifier critical", DS, marked(SKI, critical=True), Code.WRONGLY_CRITICAL),
    Row("CRL place critical", DS, marked(CRL, critical=True), Code.WRONGLY_CRITICAL),
    Row("contact critical, root", IACA, marked(IAN, critical=True), Code.WRONGLY_CRITICAL),
)
_KEYS = (
    Row(
        "brainpoolP320r1", DS, keyed(wrong_der.key_on_brainpool_320, wrong_der.BRAINPOOL_320_BITS), Code.KEY_UNSUPPORTED
    ),
    Row("RSA", DS, keyed(wrong_der.key_of_rsa, wrong_der.RSA_BITS), Code.KEY_UNSUPPORTED),
    Row(
        "brainpoolP320r1, root",
        IACA,
        keyed(wrong_der.key_on_brainpool_320, wrong_der.BRAINPOOL_320_BITS),
        Code.KEY_UNSUPPORTED,
        _codes(Code.PATH_ALGORITHM),
    ),
    Row(
        "RSA, root",
        IACA,
        keyed(wrong_der.key_of_rsa, wrong_der.RSA_BITS),
        Code.KEY_UNSUPPORTED,
        _codes(Code.ROOT_SIGNATURE),
    ),
    Row("Ed25519, root", IACA, on("Ed25519"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed448, root", IACA, on("Ed448"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed25519, link", LINK, on("Ed25519"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed25519, VICAL signer", VICAL, on("Ed25519"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed448, list signer", STATUS, on("Ed448"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed25519, CRL signer", REVOKER, on("Ed25519"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("Ed25519, reader authority", READER_CA, on("Ed25519"), Code.KEY_NOT_FOR_AUTHORITY),
    Row("no own key identifier", DS, without(SKI), Code.SUBJECT_KEY_MISSING),
    Row("no own key identifier, root", IACA, without(SKI), Code.SUBJECT_KEY_MISSING),
    Row("own key identifier not SHA-1", DS, having(SKI(b"\x01" * 20)), Code.SUBJECT_KEY_MISMATCH),
    Row("own key identifier not SHA-1, root", IACA, having(SKI(b"\x01" * 32)), Code.SUBJECT_KEY_MISMATCH),
)
_PATH = (
    tuple(
        Row(f"hash too short, {curve}", DS, signed(hash_name="sha256"), Code.HASH_TOO_SHORT, above=on(curve))
        for curve in ("P-384", "P-521", "brainpoolP384r1", "brainpoolP512r1")
    )
    + tuple(
        Row(
            f"another key on {curve}",
            DS,
            signed(issuer_key=generate_signing_key(curve)),
            Code.PATH_SIGNATURE,
            above=on(curve),
        )
        for curve in ("P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
    )
    + (
        Row("SHA-1", DS, signed(hash_name="sha1"), Code.PATH_ALGORITHM),
        Row("SHA-224", DS, signed(hash_name="sha224"), Code.PATH_ALGORITHM),
        Row("SHA-1, reader", READER, signed(hash_name="sha1"), Code.PATH_ALGORITHM),
        Row("SHA-1, root", IACA, signed(hash_name="sha1"), Code.PATH_ALGORITHM),
        Row("signed with an Edwards key", DS, signed(issuer_key=generate_signing_key("Ed25519")), Code.PATH_ALGORITHM),
        Row("another key, root", IACA, signed(issuer_key=generate_signing_key("P-256")), Code.ROOT_SIGNATURE),
        Row("another key, link", LINK, signed(issuer_key=generate_signing_key("P-256")), Code.PATH_SIGNATURE),
        Row("another key, VICAL signer", VICAL, signed(issuer_key=generate_signing_key("P-256")), Code.PATH_SIGNATURE),
        Row("another key, reader", READER, signed(issuer_key=generate_signing_key("P-256")), Code.PATH_SIGNATURE),
        Row("another issuer named", DS, signed(issuer=OTHER_NAME), Code.ISSUER_NAME),
        Row("another issuer named, link", LINK, signed(issuer=OTHER_NAME), Code.ISSUER_NAME),
        Row("issuer in another case", DS, signed(issuer=LOWER_NAME), Code.ISSUER_NAME_ENCODING),
        Row(
            "issuer in another kind of text",
            DS,
            cut(wrong_der.put(wrong_der.ISSUER, TEXT_KINDS)),
            Code.ISSUER_NAME_ENCODING,
        ),
        Row("no issuer's key identifier", DS, without(AKI), Code.AUTHORITY_KEY_MISSING),
        Row("no issuer's key identifier, link", LINK, without(AKI), Code.AUTHORITY_KEY_MISSING),
        Row("no issuer's key identifier, reader", READER, without(AKI), Code.AUTHORITY_KEY_MISSING),
        Row("another issuer's key identifier", DS, having(AKI(b"\x02" * 20, None, None)), Code.AUTHORITY_KEY_MISMATCH),
        Row(
            "another issuer's serial number",
            DS,
            having(AKI(PARENT_IDENTIFIER, [x509.DirectoryName(OTHER_NAME)], 7)),
            Code.AUTHORITY_KEY_MISMATCH,
            above=holding(PARENT),
        ),
        Row("issuer is no authority", DS, same, Code.ANCHOR_NOT_AUTHORITY, above=having(BC(False, None))),
        Row("issuer may not issue", DS, same, Code.AUTHORITY_KEY_USAGE, above=having(uses("crl_sign"))),
        Row("outlives its root", DS, lasting(60, 350), Code.OUTLIVES_ISSUER, above=lasting(400, 300)),
        Row("new root with another key", LINK, same, Code.LINK_OTHER_KEY, newer=on("P-256")),
        Row("new root with another name", LINK, same, Code.LINK_OTHER_NAME, newer=named(common_name="X")),
        Row("link outlives its root", LINK, same, Code.LINK_OUTLIVES_ROOT, above=lasting(400, 500)),
    )
)
_TIMES = (
    Row("expired", DS, same, Code.SIGNER_EXPIRED, at_days=301),
    Row("not yet valid", DS, same, Code.SIGNER_NOT_YET_VALID, at_days=-61),
    Row("expired, reader", READER, same, Code.SIGNER_EXPIRED, at_days=301),
    Row("root expired", DS, same, Code.ANCHOR_EXPIRED, _codes(Code.OUTLIVES_ISSUER), above=lasting(400, -1)),
    Row("root not yet valid", DS, same, Code.ANCHOR_NOT_YET_VALID, above=lasting(-1, 2000)),
    Row("link expired", LINK, same, Code.LINK_EXPIRED, at_days=1200),
    Row("link not yet valid", LINK, lasting(-1, 300), Code.LINK_NOT_YET_VALID),
    Row("too long", DS, lasting(60, 398), Code.SIGNER_TOO_LONG),
    Row("too long, 23220", OTHER, lasting(60, 398), Code.SIGNER_TOO_LONG),
    Row("too long, root", IACA, lasting(400, 20 * 366 - 399), Code.AUTHORITY_TOO_LONG),
    Row("too long, VICAL signer", VICAL, lasting(60, 1128), Code.SIGNER_TOO_LONG),
    Row("too long, list signer", STATUS, lasting(60, 1128), Code.SIGNER_TOO_LONG),
    Row("too long, reader", READER, lasting(60, 1128), Code.SIGNER_TOO_LONG),
)
_NAMES = (
    Row("no country", DS, named(country=None), Code.COUNTRY_MISSING),
    Row("no country, root", IACA, named(country=None), Code.COUNTRY_MISSING),
    Row("country in small letters", DS, named(country="ut"), Code.COUNTRY_FORMAT),
    Row("country of three letters", IACA, cut(wrong_der.self_named(LONG_COUNTRY)), Code.COUNTRY_FORMAT),
    Row("another country", DS, named(country="XX"), Code.COUNTRY_MISMATCH),
    Row("another country, 23220", OTHER, named(country="XX"), Code.COUNTRY_MISMATCH),
    Row("another country, link", LINK, named(country="XX"), Code.COUNTRY_MISMATCH),
    Row("another state", DS, named(state="UT-B"), Code.STATE_MISMATCH),
    Row("no state", DS, named(state=None), Code.STATE_MISSING),
    Row("two countries", DS, cut(wrong_der.put(wrong_der.SUBJECT, TWO_COUNTRIES)), Code.NAME_REPEATS),
    Row("no common name", DS, named(common_name=None), Code.COMMON_NAME_MISSING),
    Row("no common name, root", IACA, named(common_name=None), Code.COMMON_NAME_MISSING),
    Row("no common name, reader", READER, named(common_name=None), Code.COMMON_NAME_MISSING),
)
_USES = (
    Row("no key usage", DS, without(KU), Code.KEY_USAGE_MISSING),
    Row("no key usage, root", IACA, without(KU), Code.KEY_USAGE_MISSING),
    Row("key usage not critical", DS, marked(KU, critical=False), Code.KEY_USAGE_NOT_CRITICAL),
    Row("key usage not critical, root", IACA, marked(KU, critical=False), Code.KEY_USAGE_NOT_CRITICAL),
    Row("not for signing", DS, having(uses("key_encipherment")), Code.SIGNER_KEY_USAGE),
    Row(
        "for signing certificates as well",
        DS,
        having(uses("digital_signature", "key_cert_sign")),
        Code.SIGNER_KEY_USAGE,
    ),
    Row(
        "for more than signing", DS, having(uses("digital_signature", "content_commitment")), Code.SIGNER_KEY_USAGE_MORE
    ),
    Row(
        "for more than signing, reader",
        READER,
        having(uses("digital_signature", "key_agreement")),
        Code.SIGNER_KEY_USAGE_MORE,
    ),
    Row("not for signing, VICAL signer", VICAL, having(uses("key_agreement")), Code.SIGNER_KEY_USAGE),
    Row("not for signing, list signer", STATUS, having(uses("key_agreement")), Code.SIGNER_KEY_USAGE),
    Row("not for signing, European list", LOTE, having(uses("key_agreement")), Code.SIGNER_KEY_USAGE),
    Row("not for issuing, root", IACA, having(uses("crl_sign")), Code.AUTHORITY_KEY_USAGE),
    Row("not for issuing, European list", LOTE_CA, having(uses("digital_signature")), Code.AUTHORITY_KEY_USAGE),
    Row(
        "for more than issuing, root",
        IACA,
        having(uses("key_cert_sign", "crl_sign", "digital_signature")),
        Code.AUTHORITY_KEY_USAGE_MORE,
    ),
    Row("not for CRLs, root", IACA, having(uses("key_cert_sign")), Code.CRL_SIGN_MISSING),
    Row("not for CRLs, CRL signer", REVOKER, having(uses("digital_signature")), Code.CRL_SIGNER_KEY_USAGE),
    Row("no key usage, CRL signer", REVOKER, without(KU), Code.CRL_SIGNER_KEY_USAGE),
    Row("no purpose", DS, without(EKU), Code.SIGNER_EKU_MISSING),
    Row("no purpose, VICAL signer", VICAL, without(EKU), Code.SIGNER_EKU_MISSING),
    Row("no purpose, reader", READER, without(EKU), Code.SIGNER_EKU_MISSING),
    Row("no purpose, link", LINK, without(EKU), Code.LINK_EKU_MISSING),
    Row("a reader's purpose", DS, purposes("1.0.18013.5.1.6"), Code.SIGNER_EKU_OTHER),
    Row("any purpose", DS, purposes("2.5.29.37.0"), Code.SIGNER_EKU_OTHER),
    Row("a signer's purpose, reader", READER, purposes("1.0.18013.5.1.2"), Code.SIGNER_EKU_OTHER),
    Row("a signer's purpose, VICAL signer", VICAL, purposes("1.0.18013.5.1.2"), Code.SIGNER_EKU_OTHER),
    Row(
        "a reader's purpose, list signer",
        STATUS,
        having(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.0.18013.5.1.6")])),
        Code.SIGNER_EKU_OTHER,
    ),
    Row("a signer's purpose, European list", LOTE, purposes("1.0.18013.5.1.2"), Code.SIGNER_EKU_OTHER),
    Row("a server's purpose, root", IACA, purposes("1.3.6.1.5.5.7.3.1"), Code.AUTHORITY_EKU_OTHER),
    Row("a signer's purpose, link", LINK, purposes("1.0.18013.5.1.2"), Code.AUTHORITY_EKU_OTHER),
    Row("purpose not critical", DS, marked(EKU, critical=False), Code.SIGNER_EKU_NOT_CRITICAL),
    Row("purpose not critical, VICAL signer", VICAL, marked(EKU, critical=False), Code.SIGNER_EKU_NOT_CRITICAL),
    Row("purpose not critical, reader", READER, marked(EKU, critical=False), Code.SIGNER_EKU_NOT_CRITICAL),
    Row(
        "purpose critical, list signer",
        STATUS,
        having(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.30")]), True),
        Code.SIGNER_EKU_CRITICAL,
    ),
)
_AUTHORITIES = (
    Row("is an authority", DS, having(BC(True, 0), True), Code.SIGNER_IS_AUTHORITY),
    Row("is an authority, reader", READER, having(BC(True, 0), True), Code.SIGNER_IS_AUTHORITY),
    Row("is an authority, VICAL signer", VICAL, having(BC(True, 0), True), Code.SIGNER_IS_AUTHORITY),
    Row("no basic constraints, root", IACA, without(BC), Code.ANCHOR_NOT_AUTHORITY, _codes(Code.PATH_LENGTH_MISSING)),
    Row(
        "is no authority, root",
        IACA,
        having(BC(False, None)),
        Code.ANCHOR_NOT_AUTHORITY,
        _codes(Code.PATH_LENGTH_MISSING),
    ),
    Row("is no authority, between", BETWEEN, having(BC(False, None)), Code.ANCHOR_NOT_AUTHORITY),
    Row("constraints not critical, root", IACA, marked(BC, critical=False), Code.CONSTRAINTS_NOT_CRITICAL),
    Row("no path length, root", IACA, having(BC(True, None)), Code.PATH_LENGTH_MISSING),
    Row("path length of one, root", IACA, having(BC(True, 1)), Code.PATH_LENGTH_NOT_ZERO),
    Row("path length of one, link", LINK, having(BC(True, 1)), Code.PATH_LENGTH_NOT_ZERO),
    Row("another issuer named, root", IACA, signed(issuer=OTHER_NAME), Code.ROOT_NOT_SELF_SIGNED),
    Row("another issuer named, VICAL root", ROOT, signed(issuer=OTHER_NAME), Code.ROOT_NOT_SELF_SIGNED),
)
_PLACES = (
    Row("no contact", DS, without(IAN), Code.ISSUER_ALT_NAME_MISSING),
    Row("no contact, root", IACA, without(IAN), Code.ISSUER_ALT_NAME_MISSING),
    Row("no contact, link", LINK, without(IAN), Code.ISSUER_ALT_NAME_MISSING),
    Row("contact by host name", DS, having(IAN([HOST])), Code.ISSUER_ALT_NAME_KIND),
    Row("no CRL place", DS, without(CRL), Code.CRL_POINT_MISSING),
    Row("no CRL place, VICAL signer", VICAL, without(CRL), Code.CRL_POINT_MISSING),
    Row("no CRL place, reader", READER, without(CRL), Code.CRL_POINT_MISSING),
    Row("CRL place by host name", DS, having(crl_points(HOST)), Code.CRL_POINT_KIND),
    Row("CRL of one reason", DS, having(crl_points(SITE, divided=True)), Code.CRL_POINT_DIVIDED),
)
TABLE: tuple[Row, ...] = (*_MADE_OF, *_KEYS, *_PATH, *_TIMES, *_NAMES, *_USES, *_AUTHORITIES, *_PLACES)
