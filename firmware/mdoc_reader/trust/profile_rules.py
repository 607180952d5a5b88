"""What each kind of certificate must be like: ISO 18013-5 Annex B, ISO/IEC TS 23220, and those of the European lists.

A profile is a row of this table; `profile` has a row for each rule, and lays one over the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MDL = "org.iso.18013.5.1.mDL"
MDL_SIGNER = "1.0.18013.5.1.2"
# What a purpose is called by ISO 18013-5 and by the generic 23220 profile.
SIGNER_PURPOSES = frozenset({MDL_SIGNER, "1.0.23220.4.1.2", "1.3.130.2.0.0.1.2"})
LINK_PURPOSES = frozenset({"1.0.18013.5.1.4", "1.0.23220.4.1.4"})
READER_PURPOSES = frozenset({"1.0.18013.5.1.6", "1.0.23220.4.1.6", "1.3.130.2.0.0.1.6"})
VICAL_PURPOSES = frozenset({"1.0.18013.5.1.8", "1.0.23220.4.1.8"})
# Of servers, their clients, programs and mail on the internet.
_WEB_PURPOSES = frozenset({f"1.3.6.1.5.5.7.3.{number}" for number in (1, 2, 3, 4)})


class Kind(StrEnum):
    """What a certificate is taken for."""

    __hash__ = str.__hash__

    IACA = "iaca"
    LINK = "link"
    ISSUING_CA = "issuing_ca"  # an issuer's authority off the ISO profile, as European lists name them
    DOCUMENT_SIGNER = "document_signer"
    OTHER_SIGNER = "other_signer"  # a document signer by the 23220 or European profile alone
    VICAL_ROOT = "vical_root"
    VICAL_CA = "vical_ca"  # between root and signer
    VICAL_SIGNER = "vical_signer"
    LIST_SIGNER = "list_signer"  # of status and identifier lists
    CRL_SIGNER = "crl_signer"
    READER_CA = "reader_ca"
    READER = "reader"
    LOTE_SIGNER = "lote_signer"  # of European lists
    LOTE_CA = "lote_ca"  # above it


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of certificate must, may and must not have.

    Attributes:
        authority: it issues others.
        longest: the longest time it may be valid.
        self_signed: it is a root.
        path_length: what its path length constraint must be; None for anything.
        uses: at least one of these key usages is needed.
        more_uses: and these it may have beside them.
        purposes: one of these extended key usages is needed; None where the profile names none.
        others_purposes: extended key usages that give it away as something else.
        purpose_needed, purpose_critical: whether extended key usage must be there, and be critical (None: no matter).
        country, contact, crl_point: whether these must be there.
        revokes: of an authority, whether it has to be able to sign revocation lists.
        edwards, rsa: kinds of key beside those on the NIST and brainpool curves that it may have.
        strict: extensions that Annex B prohibits are prohibited.
    """

    authority: bool
    longest: timedelta | None
    uses: frozenset[str]
    more_uses: frozenset[str] = frozenset()
    purposes: frozenset[str] | None = None
    others_purposes: frozenset[str] = frozenset()
    self_signed: bool = False
    path_length: int | None = None
    purpose_needed: bool = False
    purpose_critical: bool | None = None
    country: bool = True
    contact: bool = False
    crl_point: bool = False
    revokes: bool = True
    edwards: bool = False
    rsa: bool = False
    strict: bool = True


_SIGN = frozenset({"digital_signature"})
_CERTIFY = frozenset({"key_cert_sign"})
_COMMIT = frozenset({"content_commitment"})
_CRL = frozenset({"crl_sign"})
_TWENTY_YEARS = timedelta(days=20 * 366)
_SIGNER_DAYS, _READER_DAYS = timedelta(days=457), timedelta(days=1187)
_LEAVES = SIGNER_PURPOSES | READER_PURPOSES | VICAL_PURPOSES

PROFILES: Mapping[Kind, Profile] = {
    Kind.IACA: Profile(
        authority=True,
        longest=_TWENTY_YEARS,
        uses=_CERTIFY,
        more_uses=_CRL,
        # The first edition names no purpose for a root: one of another kind alone gives it away.
        others_purposes=READER_PURPOSES | VICAL_PURPOSES | _WEB_PURPOSES,
        self_signed=True,
        path_length=0,
        contact=True,
    ),
    Kind.LINK: Profile(
        authority=True,
        longest=_TWENTY_YEARS,
        uses=_CERTIFY,
        more_uses=_CRL,
        purposes=LINK_PURPOSES,
        purpose_needed=True,
        path_length=0,
        contact=True,
    ),
    Kind.ISSUING_CA: Profile(
        authority=True,
        longest=None,
        uses=_CERTIFY,
        more_uses=_CRL | _SIGN | _COMMIT,
        others_purposes=READER_PURPOSES | VICAL_PURPOSES,
        rsa=True,  # above the signers of lists; no document is believed for an RSA key
        strict=False,
    ),
    Kind.DOCUMENT_SIGNER: Profile(
        authority=False,
        longest=_SIGNER_DAYS,
        uses=_SIGN,
        purposes=SIGNER_PURPOSES,
        purpose_needed=True,
        purpose_critical=True,
        contact=True,
        crl_point=True,
        edwards=True,
    ),
    Kind.OTHER_SIGNER: Profile(
        authority=False,
        longest=_SIGNER_DAYS,
        uses=_SIGN,
        purposes=SIGNER_PURPOSES,
        purpose_needed=True,
        purpose_critical=True,
        edwards=True,
    ),
    Kind.VICAL_ROOT: Profile(
        authority=True,
        longest=None,
        uses=_CERTIFY,
        more_uses=_CRL | _SIGN | _COMMIT,
        others_purposes=_LEAVES - VICAL_PURPOSES,
        self_signed=True,
        country=False,
    ),
    Kind.VICAL_CA: Profile(
        authority=True,
        longest=None,
        uses=_CERTIFY,
        more_uses=_CRL | _SIGN | _COMMIT,
        others_purposes=_LEAVES - VICAL_PURPOSES,
        country=False,
    ),
    Kind.VICAL_SIGNER: Profile(
        authority=False,
        longest=_READER_DAYS,
        # The first edition has it sign, the second commit to what it signs.
        uses=_SIGN | _COMMIT,
        purposes=VICAL_PURPOSES,
        purpose_needed=True,
        purpose_critical=True,
        country=False,
        crl_point=True,
    ),
    Kind.LIST_SIGNER: Profile(
        authority=False,
        longest=_READER_DAYS,
        uses=_SIGN,
        others_purposes=READER_PURPOSES | VICAL_PURPOSES | LINK_PURPOSES,
        purpose_critical=False,
        country=False,
    ),
    Kind.CRL_SIGNER: Profile(
        authority=False,
        longest=_TWENTY_YEARS,
        uses=_CRL,
        more_uses=_CERTIFY | _SIGN,
        others_purposes=_LEAVES,
        country=False,
    ),
    Kind.READER_CA: Profile(
        authority=True,
        longest=_TWENTY_YEARS,
        uses=_CERTIFY,
        more_uses=_CRL,
        others_purposes=SIGNER_PURPOSES | VICAL_PURPOSES,
        country=False,
    ),
    Kind.READER: Profile(
        authority=False,
        longest=_READER_DAYS,
        uses=_SIGN,
        purposes=READER_PURPOSES,
        purpose_needed=True,
        purpose_critical=True,
        country=False,
        crl_point=True,
        edwards=True,
    ),
    Kind.LOTE_SIGNER: Profile(
        authority=False,
        longest=None,
        uses=_SIGN | _COMMIT,
        others_purposes=_LEAVES,
        edwards=True,
        rsa=True,
        strict=False,
    ),
    # Whoever a Member State has issue such certificates: no profile binds it, and it was pinned by a person.
    Kind.LOTE_CA: Profile(
        authority=True,
        longest=None,
        uses=_CERTIFY,
        more_uses=_CRL | _SIGN | _COMMIT,
        others_purposes=READER_PURPOSES | VICAL_PURPOSES,
        country=False,
        revokes=False,
        edwards=True,
        rsa=True,
        strict=False,
    ),
}


def signer_kind(purposes: frozenset[str] | None) -> Kind:
    """Return the profile a document signer follows by the purposes it names: ISO's unless it names another alone."""
    if purposes is not None and MDL_SIGNER not in purposes and purposes & SIGNER_PURPOSES:
        return Kind.OTHER_SIGNER
    return Kind.DOCUMENT_SIGNER


def wrong_purpose(purposes: frozenset[str] | None, doctype: str) -> bool:
    """Say whether a document signer's purposes do not allow a document type.

    The mDL's purpose is fixed; for other documents, whose profiles are not public in full, any signer's will do.
    """
    if purposes is None:
        return True
    return MDL_SIGNER not in purposes and (doctype == MDL or not purposes & SIGNER_PURPOSES)
