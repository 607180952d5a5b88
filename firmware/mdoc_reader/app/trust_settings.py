"""Settings of trust: the store, where its lists come from, what its findings weigh, and what a clock in doubt means."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=2048, pattern=r"^https?://[!-~]+$")]
SourceName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Pin = Annotated[str, msgspec.Meta(pattern=r"^(sha256//[A-Za-z0-9+/]{43}=|[0-9A-Fa-f]{64})$")]
Period = Annotated[float, msgspec.Meta(ge=60, le=366 * 86400)]
Age = Annotated[float, msgspec.Meta(gt=0, le=10 * 366 * 86400)]
Kind = Literal["vical", "lote", "trusted_list", "crl", "status_list", "identifier_list"]
DAY = 86400.0
MAX_LIST = 32 * 1024 * 1024


class SourceSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A place a list is fetched from. What is fetched is believed only as far as its signature goes."""

    name: SourceName
    url: Url
    kind: Kind
    every: Period = DAY
    """Seconds from one fetch to the next."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=MAX_LIST)] = 8 * 1024 * 1024
    """How large the list may be, unpacked."""
    tls_pin: tuple[Pin, ...] = ()
    """SHA-256 of the server's public key (SubjectPublicKeyInfo), one of which has to match: hexadecimal, or as curl
    writes it (`sha256//` and base64). Beside the check of its certificate, not in its place."""
    tls_ca: Name | None = None
    """A file of certificates that the server's is verified to, in place of the system's."""
    insecure: bool = False
    """Allow plain http: anybody on the way can then see what is fetched and hold it back, though not forge it."""


class FollowSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whether addresses are fetched that trusted certificates and lists name themselves, such as those of CRLs."""

    enabled: bool = False
    every: Period = DAY
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=MAX_LIST)] = 8 * 1024 * 1024
    insecure: bool = False
    """Allow plain http, which is what most certificates name for their CRLs."""
    private: bool = False
    """Allow servers at private addresses, which a certificate from elsewhere has no business with."""


Reaction = Literal["accept", "undetermined", "refuse"]


class RevocationSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What it means where no list tells whether a document or its signer is revoked. What is revoked never opens."""

    unknown: Reaction = "undetermined"
    """The document names a list that this reader does not have."""
    stale: Reaction = "undetermined"
    """The list it has is past its end, or older than `max_age`."""
    none: Reaction = "accept"
    """The document names no list."""
    application: Reaction = "undetermined"
    """The list gives it a status whose meaning is the issuer's."""
    signer_unknown: Reaction = "undetermined"
    """The signer's certificate names a revocation list that this reader does not have."""
    signer_stale: Reaction = "undetermined"
    """The signer's revocation list is too old."""
    signer_none: Reaction = "accept"
    """The signer's certificate names no revocation list."""


class TrustSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is believed beside `reader.trust_anchors`."""

    store: Name | None = None
    """The folder of the store that `mdoc-reader trust` keeps; a new generation is taken up while running."""
    spool: Name | None = None
    """The folder through which the fetcher hands lists to the importer; default: `{state}/spool`."""
    sources: Annotated[tuple[SourceSettings, ...], msgspec.Meta(max_length=64)] = ()
    """Where lists are fetched from."""
    follow: FollowSettings = FollowSettings()
    revocation: dict[str, RevocationSettings] = {}
    """What doubts about revocation mean, by docType; `*` for all others. It counts where there is a store."""
    max_age: dict[str, Age] = {}
    """Seconds after which what was said about a document's status is too old, by docType; `*` for all others."""
    untrusted_clock: Literal["refuse", "warn"] = "refuse"
    """Whether nothing opens while the time cannot be relied on."""
    clock: Literal["detect", "kept"] = "detect"
    """Whether to find out if anybody has set the clock since the start (a battery, a time service), or know that
    somebody looks after it."""
    grade: dict[str, str] = {}
    """Codes of findings about certificates, and what they weigh here: error, warning or info."""
