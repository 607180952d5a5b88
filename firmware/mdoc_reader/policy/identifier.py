"""The number that stands for a person towards a building: a pseudonym of this site, or one of this visit.

A pseudonym is made with a key that never leaves the site, from what names a document and not from what it says of a
person. It is the same at each visit of the same document, and without the key it can neither be turned back nor be
recognised at another site. HMAC-SHA256 (RFC 2104), its first 64 bits.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from mdoc_reader.model.badge import MAX_BITS, Badge

KEY_BYTES = 32
MAX_PART_BYTES = 1024
"""Octets of any one part of a document's name."""

_LABEL = b"mdoc-reader pseudonym 1"


class Use(StrEnum):
    """What a keyed hash is for. Each has a key of its own, so that the numbers of one say nothing of another's."""

    BADGE = "badge"
    ALLOW_LIST = "allow-list"


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A site's secret of 32 octets. Raises ValueError for any other length."""

    octets: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no key."""
        if len(self.octets) != KEY_BYTES or len(set(self.octets)) == 1:
            raise ValueError(f"a site key is {KEY_BYTES} random octets")


@dataclass(frozen=True, slots=True)
class DocumentName:
    """What tells a document from all others: its kind, who issued it, its number. Personal data.

    Each part is taken as the document has it: `MUSTER-1` and `muster-1` are two documents. Raises ValueError for a
    document without a number, and for parts of more than 1024 octets.
    """

    doc_type: str = field(repr=False)
    issuing_country: str = field(repr=False)
    issuing_authority: str = field(repr=False)
    document_number: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what names no document."""
        if not self.document_number:
            raise ValueError("a document without a number has no pseudonym")
        if any(len(part) > MAX_PART_BYTES for part in self.parts()):
            raise ValueError(f"a part of a document's name has at most {MAX_PART_BYTES} octets")

    def parts(self) -> tuple[bytes, ...]:
        """Return the parts in their order, in UTF-8. What is no Unicode is kept apart by its code points."""
        named = (self.doc_type, self.issuing_country, self.issuing_authority, self.document_number)
        return tuple(part.encode("utf-8", "surrogatepass") for part in named)


def key_for(site_key: SiteKey, use: Use) -> bytes:
    """Return the key of one use: 32 octets, from which neither the site key nor another use's key can be had."""
    return hmac.digest(site_key.octets, _joined(_LABEL, use.value.encode()), sha256)


class Pseudonymiser:
    """Makes the pseudonyms of one use at one site. Its `repr` shows nothing."""

    __slots__ = ("_key",)

    def __init__(self, site_key: SiteKey, use: Use = Use.BADGE) -> None:
        """Derive the key of this use."""
        self._key = key_for(site_key, use)

    def digest(self, name: DocumentName) -> bytes:
        """Return the keyed hash of a document's name: 32 octets."""
        return hmac.digest(self._key, _joined(*name.parts()), sha256)

    def badge(self, name: DocumentName) -> Badge:
        """Return a document's badge: the same one each time, of 64 bits (a clash among a million: 1 in 37 million)."""
        return Badge(int.from_bytes(self.digest(name)[: MAX_BITS // 8]))

    def __repr__(self) -> str:
        """Return the class alone."""
        return "<Pseudonymiser>"


def visit_badge() -> Badge:
    """Return a number of this visit: another one each time, which names nobody."""
    return Badge(secrets.randbits(MAX_BITS))


def _joined(*parts: bytes) -> bytes:
    # With its length before each part, no two different rows of parts give the same octets.
    return b"".join(len(part).to_bytes(4) + part for part in parts)
