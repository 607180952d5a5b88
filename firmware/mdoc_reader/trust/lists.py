"""What lists of trust have in common, whoever publishes them: entries, origins, and the order of their issues."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.verdict import Finding


class ListKind(StrEnum):
    """What a file for the store is."""

    CERTIFICATES = "certificates"
    VICAL = "vical"
    LOTE = "lote"  # list of trusted entities, ETSI TS 119 602, JSON
    TRUSTED_LIST = "trusted_list"  # ETSI TS 119 612, XML
    CRL = "crl"
    STATUS_LIST = "status_list"
    IDENTIFIER_LIST = "identifier_list"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Order:
    """What says which issue of a list is the newer one, and the name of the field that says so.

    `number` where the list counts its issues, else the moment it was issued. Only equal fields can be compared.
    """

    field: str
    number: int | None = None
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an anchor came from.

    Attributes:
        kind: the kind of list.
        name: of the provider or the file, for people.
        identity: what stays the same from issue to issue: kind, provider and territory, say.
        issued, next_update, not_after: as the list says; past `not_after` none of its entries counts.
    """

    kind: ListKind
    name: str
    identity: str
    issued: datetime | None = None
    next_update: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate a list vouches for.

    Attributes:
        doctypes: the document types it is for; None for every one.
        direct: the certificate itself signs documents and stands for no other.
        subject: for people.
        service: it stands behind lists of revocation, and for no document: it is no anchor.
    """

    der: bytes = field(repr=False)
    doctypes: frozenset[str] | None = None
    direct: bool = False
    subject: str = ""
    service: bool = False


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """An entry that could not be taken, by what the list calls it, and why."""

    subject: str
    code: ReasonCode


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list of anchors as parsed; nothing of it is to be believed before its signature was verified to a pin."""

    origin: Origin
    order: Order | None
    entries: tuple[Entry, ...]
    skipped: tuple[SkippedEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    """The signer's certificates as the list brings them, leaf first."""
