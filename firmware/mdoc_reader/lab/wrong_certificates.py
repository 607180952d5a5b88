"""Certificates of every kind, good ones, and makers of ones that are wrong in exactly one way (ISO 18013-5 Annex B).

A `Draft` is all that a certificate is made of; `good` gives one that its profile has nothing against, a `Change` makes
one thing of it wrong, and `specimen` signs it under a good authority of the right kind. The table of all that can be
wrong is `wrong_table.TABLE`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mdoc_reader.lab import wrong_der
from mdoc_reader.lab.certificates import generate_signing_key
from mdoc_reader.mdoc.keys import SigningPrivateKey, curve_of
from mdoc_reader.trust.profile_rules import PROFILES, Kind

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The moment at which good specimens hold."""
_SITE = "https://lab.invalid"
_HASH_OF = {32: "sha256", 48: "sha384", 64: "sha512", 66: "sha512", 57: "", 40: "sha384"}
ABOVE: Mapping[Kind, Kind] = {
    Kind.LINK: Kind.IACA,
    Kind.DOCUMENT_SIGNER: Kind.IACA,
    Kind.OTHER_SIGNER: Kind.IACA,
    Kind.LIST_SIGNER: Kind.IACA,
    Kind.CRL_SIGNER: Kind.IACA,
    Kind.VICAL_CA: Kind.VICAL_ROOT,
    Kind.VICAL_SIGNER: Kind.VICAL_ROOT,
    Kind.READER: Kind.READER_CA,
    Kind.LOTE_SIGNER: Kind.LOTE_CA,
}
"""What kind of authority issues a kind of certificate; roots are not in it."""
_PURPOSE = {
    Kind.LINK: "1.0.18013.5.1.4",
    Kind.DOCUMENT_SIGNER: "1.0.18013.5.1.2",
    Kind.OTHER_SIGNER: "1.0.23220.4.1.2",
    Kind.VICAL_SIGNER: "1.0.18013.5.1.8",
    Kind.READER: "1.0.18013.5.1.6",
}
_DAYS = {Kind.DOCUMENT_SIGNER: 450, Kind.OTHER_SIGNER: 450}
Extensions = Mapping[type[x509.ExtensionType], tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a certificate is made of. Names are (country, state, common name), None for what is left out."""

    kind: Kind
    country: str | None = "UT"
    state: str | None = "UT-A"
    common_name: str | None = "Utopia"
    not_before: datetime = AT - timedelta(days=60)
    not_after: datetime = AT + timedelta(days=300)
    key: SigningPrivateKey = field(default_factory=lambda: generate_signing_key("P-256"), repr=False)
    extensions: Extensions = field(default_factory=dict, repr=False)
    hash_name: str = ""
    hash_outside: str = ""
    issuer: x509.Name | None = None
    issuer_key: SigningPrivateKey | None = field(default=None, repr=False)
    surgery: wrong_der.Surgery | None = field(default=None, repr=False)

    @property
    def name(self) -> x509.Name:
        """The subject."""
        parts = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.STATE_OR_PROVINCE_NAME, self.state),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, text, _validate=False) for oid, text in parts if text is not None])


Change = Callable[[Draft], Draft]
"""Makes one thing of a draft otherwise."""


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key."""

    draft: Draft
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Specimen:
    """A certificate with the one above it: its own issuer, or itself where it is a root.

    `newer` is the new root that a link certificate is for.
    """

    kind: Kind
    der: bytes = field(repr=False)
    above: bytes = field(repr=False)
    newer: bytes = field(default=b"", repr=False)
    at: datetime = AT


def uses(*names: str) -> x509.KeyUsage:
    """Return a key usage of the names `trust.facts.USES` has."""
    every = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(every | dict.fromkeys(names, True)))


def crl_points(*names: x509.GeneralName, divided: bool = False) -> x509.CRLDistributionPoints:
    """Return places of revocation lists; `divided` for one that covers one reason alone."""
    reasons = frozenset({x509.ReasonFlags.key_compromise}) if divided else None
    return x509.CRLDistributionPoints([x509.DistributionPoint(list(names), None, reasons, None)])


def good(kind: Kind) -> Draft:
    """Return the draft of a certificate that its profile has nothing against."""
    profile = PROFILES[kind]
    key = generate_signing_key("P-256")
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (uses(*sorted(profile.uses)[-1:], *(("crl_sign",) if profile.authority else ())), True),
        (x509.IssuerAlternativeName([x509.RFC822Name("iaca@lab.invalid")]), False),
    ]
    if profile.authority:
        extensions.append((x509.BasicConstraints(ca=True, path_length=1 if kind is Kind.VICAL_ROOT else 0), True))
    else:
        extensions.append((crl_points(x509.UniformResourceIdentifier(f"{_SITE}/crl")), False))
    if kind in _PURPOSE:
        extensions.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(_PURPOSE[kind])]), True))
    years = 0 if not profile.authority else 3 if kind in ABOVE else 10
    return Draft(
        kind,
        common_name=f"Utopia {kind.value}",
        not_before=AT - timedelta(days=400 if years else 60),
        not_after=AT + timedelta(days=365 * years or 300),
        key=key,
        extensions={type(extension): (extension, critical) for extension, critical in extensions},
    )


def sign(draft: Draft, above: Draft | None) -> bytes:
    """Sign a draft with the key of the one above it, or its own; return DER."""
    issuer = above or draft
    key = draft.issuer_key or issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(draft.name)
        .issuer_name(draft.issuer or issuer.name)
        .public_key(draft.key.public_key())
        .serial_number(x509.random_serial_number() >> 8 | 1 << 140)
        .not_valid_before(draft.not_before)
        .not_valid_after(draft.not_after)
    )
    chosen = dict(draft.extensions)
    if above is not None and x509.AuthorityKeyIdentifier not in chosen:
        found = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        chosen[x509.AuthorityKeyIdentifier] = (found, False)
    for extension, critical in chosen.values():
        if not isinstance(extension, _LeftOut):
            builder = builder.add_extension(extension, critical)
    # Signed by any key that the builder takes: what counts is signed below, where any hash will do.
    plain = builder.sign(generate_signing_key("P-256"), hashes.SHA256()).public_bytes(Encoding.DER)
    hash_name = draft.hash_name or _HASH_OF[curve_of(key).octets]
    return wrong_der.operate(plain, draft.surgery or list, key, hash_name, draft.hash_outside)


def same(draft: Draft) -> Draft:
    """Change nothing."""
    return draft


def specimen(kind: Kind, change: Change = same, above: Change = same, newer: Change = same) -> Specimen:
    """Make a specimen of a kind, changed, under a good authority, which `above` may change.

    The new root that a link certificate is for has its key and name; `newer` may change it.
    """
    draft = good(kind)
    if kind not in ABOVE:
        made = sign(change(draft), None)
        return Specimen(kind, made, made)
    authority = above(good(ABOVE[kind]))
    changed = change(draft)
    root = b""
    if kind is Kind.LINK:
        own = x509.SubjectKeyIdentifier.from_public_key(changed.key.public_key())
        fresh = replace(
            good(Kind.IACA),
            key=changed.key,
            country=changed.country,
            state=changed.state,
            common_name=changed.common_name,
        )
        root = sign(newer(having(own)(fresh)), None)
    return Specimen(kind, sign(changed, authority), sign(authority, None), root)


# Changes


class _LeftOut(x509.UnrecognizedExtension):
    """Stands for an extension that is not to be there, not even by default."""


def without(kind: type[x509.ExtensionType]) -> Change:
    """Leave an extension out."""
    gone = _LeftOut(x509.ObjectIdentifier("1.2.3"), b"")
    return lambda draft: replace(draft, extensions={**draft.extensions, kind: (gone, False)})


def having(extension: x509.ExtensionType, critical: bool | None = None) -> Change:
    """Put an extension in, for one of its kind where there is one; critical as that was unless told."""

    def change(draft: Draft) -> Draft:
        kind = type(extension)
        before = draft.extensions[kind][1] if kind in draft.extensions else False
        return replace(
            draft, extensions={**draft.extensions, kind: (extension, before if critical is None else critical)}
        )

    return change


def marked(kind: type[x509.ExtensionType], *, critical: bool) -> Change:
    """Mark an extension critical, or not."""
    return lambda draft: replace(draft, extensions={**draft.extensions, kind: (draft.extensions[kind][0], critical)})


def purposes(*identifiers: str) -> Change:
    """Name other purposes."""
    return having(x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in identifiers]))


def named(**changes: str | None) -> Change:
    """Change the subject's `country`, `state` or `common_name`; None leaves it out."""
    return lambda draft: replace(draft, **changes)  # type: ignore[arg-type]


def lasting(before: int, after: int) -> Change:
    """Let it hold from so many days before AT to so many after it."""
    return lambda draft: replace(draft, not_before=AT - timedelta(days=before), not_after=AT + timedelta(days=after))


def on(curve: str) -> Change:
    """Have its key on another curve."""

    def change(draft: Draft) -> Draft:
        return holding(generate_signing_key(curve))(draft)

    return change


def holding(key: SigningPrivateKey) -> Change:
    """Have this key."""

    def change(draft: Draft) -> Draft:
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return replace(having(own)(draft), key=key)

    return change


def cut(surgery: wrong_der.Surgery) -> Change:
    """Operate on what is signed."""
    return lambda draft: replace(draft, surgery=surgery)


def keyed(surgery: wrong_der.Surgery, bits: bytes) -> Change:
    """Have a key put in by surgery; the key identifier is that of its bits."""
    own = x509.SubjectKeyIdentifier(hashlib.sha1(bits, usedforsecurity=False).digest())
    return lambda draft: cut(surgery)(having(own)(draft))


def signed(**changes: object) -> Change:
    """Change `hash_name`, `hash_outside`, `issuer` or `issuer_key`."""
    return lambda draft: replace(draft, **changes)  # type: ignore[arg-type]
