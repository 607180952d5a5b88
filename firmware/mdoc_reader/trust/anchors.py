"""Trust anchors: the certificates whose word on issuers we take, found by key identifier or by name.

They come from folders and files of certificates and from signed lists; each remembers every list that names it, for
which document types and until when. Loading reads no more than what finds an anchor and tells whether it can serve:
ten thousand of them fit a small board, of which a presentation opens one. An anchor's facts are read when it is first
needed, and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import certificate_files, der, path
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.codes import CertificateCode as Code
from mdoc_reader.trust.facts import MAX_CERTIFICATE_BYTES, CertificateFacts, read
from mdoc_reader.trust.facts import UNREADABLE as _UNREADABLE
from mdoc_reader.trust.lists import ListKind, Origin
from mdoc_reader.trust.profile_rules import Kind, signer_kind

UNREADABLE = _UNREADABLE
MAX_FILE_BYTES = certificate_files.MAX_FILE_BYTES
certificates_in = certificate_files.certificates_in
MAX_ANCHORS = 20_000
MAX_CANDIDATES = 16
"""How many anchors are tried for one certificate."""
MAX_GRANTS = 64
"""How many entries of lists may name one anchor."""
_EC = "301{}06072a8648ce3d020106{}"
_BRAINPOOL = "092b24030302080101"
# AlgorithmIdentifiers of the keys an issuer may have, as every encoder writes them.
_KEYS = frozenset(
    bytes.fromhex(text)
    for text in (
        _EC.format("3", "082a8648ce3d030107"),  # P-256
        _EC.format("0", "052b81040022"),  # P-384
        _EC.format("0", "052b81040023"),  # P-521
        _EC.format("4", _BRAINPOOL + "07"),
        _EC.format("4", _BRAINPOOL + "0b"),
        _EC.format("4", _BRAINPOOL + "0d"),
        "300506032b6570",  # Ed25519: of document signers that are trusted themselves
        "300506032b6571",  # Ed448
    )
)


class TrustCode(ReasonCode):
    """Why something offered as a trust anchor was skipped."""

    NOT_A_CERTIFICATE = "anchor_not_a_certificate", "A trust anchor file holds no readable certificate."
    TOO_LARGE = "anchor_too_large", "A trust anchor file is larger than any certificate."
    UNSUPPORTED_KEY = "anchor_unsupported_key", "A trust anchor has a kind of key that no issuer uses."
    TOO_MANY = "anchor_too_many", "There are more trust anchors than this reader holds."
    TOO_MANY_GRANTS = "anchor_too_many_grants", "Lists name one trust anchor more often than this reader remembers."


@dataclass(frozen=True, slots=True)
class Grant:
    """One list's word on an anchor: for which document types (None: all), and whether it stands for itself alone."""

    origin: Origin
    doctypes: frozenset[str] | None = None
    direct: bool = False

    def covers(self, doctype: str) -> bool:
        """Say whether the list names the anchor for a document type."""
        return self.doctypes is None or doctype in self.doctypes

    def holds(self, at: datetime) -> bool:
        """Say whether the list counts at a moment."""
        return self.origin.not_after is None or at <= self.origin.not_after


CERTIFICATES = Grant(Origin(ListKind.CERTIFICATES, "certificates", "certificates"))
"""The word of whoever put a certificate into a folder: for every document type, with no end of its own."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A certificate offered as an anchor. `source` says where it was found, for people."""

    der: bytes = field(repr=False)
    grant: Grant = CERTIFICATES
    source: str = ""


class Anchor:
    """One trusted certificate. `subject` is the name's DER; what is not an attribute is read when first asked for.

    Reading may raise ValueError for a certificate whose parts turn out to be unreadable: `usable` says so first.
    """

    __slots__ = ("_errors", "_facts", "der", "grants", "key_identifier", "source", "subject")

    def __init__(self, data: bytes, subject: bytes, key_identifier: bytes | None, grant: Grant, source: str) -> None:
        """Keep what finds it."""
        self.der = data
        self.subject = subject
        self.key_identifier = key_identifier
        self.source = source
        self.grants: tuple[Grant, ...] = (grant,)
        self._facts: CertificateFacts | None = None
        self._errors: tuple[Grading, tuple[Finding, ...]] | None = None

    def __repr__(self) -> str:
        """Show where it came from."""
        return f"Anchor({self.source!r})"

    @property
    def doctypes(self) -> frozenset[str] | None:
        """The document types it is listed for by all its lists together; None for all."""
        found: frozenset[str] = frozenset()
        for grant in self.grants:
            if grant.doctypes is None:
                return None
            found |= grant.doctypes
        return found

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The lists that name it."""
        return tuple(dict.fromkeys(grant.origin for grant in self.grants))

    @property
    def direct(self) -> bool:
        """Whether every list says that it signs documents itself and stands for no other."""
        return all(grant.direct for grant in self.grants)

    @property
    def kind(self) -> Kind:
        """What it is to be judged as. European lists name authorities that ISO's profile does not bind."""
        facts = self.facts
        if not facts.authority and (self.direct or facts.authority_key is not None):
            return signer_kind(facts.purposes)
        if path.is_link(facts):
            return Kind.LINK
        iso = any(grant.origin.kind in {ListKind.CERTIFICATES, ListKind.VICAL} for grant in self.grants)
        return Kind.IACA if iso else Kind.ISSUING_CA

    @property
    def facts(self) -> CertificateFacts:
        """What the certificate says; read once. Raises ValueError."""
        if self._facts is None:
            self._facts = read(self.der)
        return self._facts

    @property
    def usable(self) -> bool:
        """Whether all of the certificate can be read."""
        try:
            return self.facts.public_key is not None
        except ValueError:
            return False

    @property
    def subject_text(self) -> str:
        """Return the subject for people. Raises ValueError."""
        try:
            return x509.load_der_x509_certificate(self.der).subject.rfc4514_string()
        except UNREADABLE:
            raise ValueError("unreadable certificate") from None

    @property
    def not_before(self) -> datetime:
        """The beginning of its validity."""
        return self.facts.not_before

    @property
    def not_after(self) -> datetime:
        """The end of its validity."""
        return self.facts.not_after

    def fault(self, doctype: str, at: datetime) -> Code | None:
        """Return why no list vouches for it, for this document type at this moment; None where one does."""
        fault = Code.ANCHOR_OTHER_DOCTYPE
        for grant in self.grants:
            if grant.covers(doctype):
                if grant.holds(at):
                    return None
                fault = Code.ANCHOR_LIST_EXPIRED
        return fault

    def findings(self, grading: Grading = AS_WRITTEN) -> tuple[Finding, ...]:
        """Return all that is wrong with it by itself, for a report of an import. Nothing read for this is kept."""
        kept = self._facts
        try:
            return tuple(path.root_findings(self.facts, self.kind, grading))
        except ValueError:
            return (grading.finding(Code.ANCHOR_UNREADABLE),)
        finally:
            self._facts = kept

    def errors(self, grading: Grading) -> tuple[Finding, ...]:
        """Return what is wrong enough with it by itself that nothing it issued is believed; found out once."""
        if self._errors is None or self._errors[0] is not grading:
            bad = [each for each in self.findings(grading) if each.severity is Severity.ERROR]
            self._errors = (grading, tuple(bad))
        return self._errors[1]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was offered and not taken."""

    source: str
    code: TrustCode


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """A closed set of anchors with its indices. Made once; safe to share."""

    anchors: tuple[Anchor, ...]
    _by_key: dict[bytes, Anchor | tuple[Anchor, ...]] = field(repr=False)
    _by_subject: dict[bytes, Anchor | tuple[Anchor, ...]] = field(repr=False)
    _by_der: dict[bytes, Anchor] = field(repr=False)

    def candidates(self, key_identifier: bytes | None, issuer: bytes) -> tuple[Anchor, ...]:
        """Return the anchors that may have issued a certificate: by key identifier, else by the issuer's name (DER)."""
        found = None if key_identifier is None else self._by_key.get(key_identifier)
        if found is None:
            found = self._by_subject.get(issuer, ())
        return (found,) if isinstance(found, Anchor) else found

    def named(self, subject: bytes) -> tuple[Anchor, ...]:
        """Return the anchors of a name (DER)."""
        found = self._by_subject.get(subject, ())
        return (found,) if isinstance(found, Anchor) else found

    def exact(self, data: bytes) -> Anchor | None:
        """Return the anchor that is this very certificate."""
        return self._by_der.get(data)

    def __len__(self) -> int:
        """Return the number of anchors."""
        return len(self.anchors)

    def remarks(self, grading: Grading = AS_WRITTEN) -> tuple[Finding, ...]:
        """Return what is odd about the anchors together, for a report; at most one hundred findings of each kind."""
        found = []
        for code, index, differ in (
            (Code.ROOTS_SHARE_NAME, self._by_subject, _keys_differ),
            (Code.ROOTS_SHARE_KEY_IDENTIFIER, self._by_key, _issuers_differ),
        ):
            several = (each for each in index.values() if not isinstance(each, Anchor))
            sources = [each for each in several if differ(each)]
            found += [
                grading.finding(code, ", ".join(anchor.source for anchor in each[:4])[:200]) for each in sources[:100]
            ]
        return tuple(found)


NONE = TrustAnchors((), {}, {}, {})
"""Nobody is trusted."""


def _keys_differ(anchors: Sequence[Anchor]) -> bool:
    return len({der.slices(anchor.der).key for anchor in anchors}) > 1


def _issuers_differ(anchors: Sequence[Anchor]) -> bool:
    return _keys_differ(anchors) or len({anchor.subject for anchor in anchors}) > 1


Row = tuple[bytes, bytes | None, bytes | None, Grant, str]
"""A certificate on its way to be an anchor: DER, subject's DER (None: still to be read), key identifier, grant, source.
"""


def _looked_at(data: bytes) -> der.CertificateIndex | TrustCode:
    """Read what finds a certificate; a TrustCode where it cannot serve."""
    if len(data) > MAX_CERTIFICATE_BYTES:
        return TrustCode.NOT_A_CERTIFICATE
    try:
        x509.load_der_x509_certificate(data)  # whether it is one at all
        found = der.index(data)
    except UNREADABLE:
        return TrustCode.NOT_A_CERTIFICATE
    return found if found.key_algorithm in _KEYS else TrustCode.UNSUPPORTED_KEY


def anchor_from(offer: Offer) -> Anchor | TrustCode:
    """Read what finds an anchor; a TrustCode where the certificate cannot serve."""
    found = _looked_at(offer.der)
    if isinstance(found, TrustCode):
        return found
    return Anchor(offer.der, found.subject, found.key_identifier, offer.grant, offer.source)


def build(certificates: Iterable[tuple[str, bytes]]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Build a set from (source, DER) pairs, each trusted for every document type; duplicates count once."""
    return gather((data, None, None, CERTIFICATES, source) for source, data in certificates)


def collect(offers: Iterable[Offer]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Build a set of what lists and folders offer. A certificate that several name is one anchor, with all grants."""
    return gather((offer.der, None, None, offer.grant, offer.source) for offer in offers)


def joined(sets: Iterable[TrustAnchors]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Build one set of several, as `collect` would, and read nothing again."""
    return gather(
        (anchor.der, anchor.subject, anchor.key_identifier, grant, anchor.source)
        for each in sets
        for anchor in each.anchors
        for grant in anchor.grants
    )


def gather(rows: Iterable[Row]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Build a set of certificates, of which those are read that nobody has read before."""
    by_der: dict[bytes, Anchor] = {}
    by_key: dict[bytes, Anchor | tuple[Anchor, ...]] = {}
    by_subject: dict[bytes, Anchor | tuple[Anchor, ...]] = {}
    skipped: list[Skipped] = []
    for data, name, identifier, grant, source in rows:
        known = by_der.get(data)
        if known is not None:
            if grant not in known.grants:
                if len(known.grants) < MAX_GRANTS:
                    known.grants += (grant,)
                else:
                    skipped.append(Skipped(source, TrustCode.TOO_MANY_GRANTS))
            continue
        if len(by_der) >= MAX_ANCHORS:
            skipped.append(Skipped(source, TrustCode.TOO_MANY))
            break
        subject, key = name, identifier
        if subject is None:
            found = _looked_at(data)
            if isinstance(found, TrustCode):
                skipped.append(Skipped(source, found))
                continue
            subject, _, key = found
        anchor = by_der[data] = Anchor(data, subject, key, grant, source)
        if by_subject.setdefault(subject, anchor) is not anchor:
            _add(by_subject, subject, anchor)
        if key is not None and by_key.setdefault(key, anchor) is not anchor:
            _add(by_key, key, anchor)
    return TrustAnchors(tuple(by_der.values()), by_key, by_subject, by_der), tuple(skipped)


def _add(index: dict[bytes, Anchor | tuple[Anchor, ...]], key: bytes, anchor: Anchor) -> None:
    """Put one beside others. Most keys find one anchor alone, and are spared a tuple.

    One more than are ever tried is kept, so that it shows.
    """
    found = index[key]
    if isinstance(found, Anchor):
        index[key] = (found, anchor)
    elif len(found) <= MAX_CANDIDATES:
        index[key] = (*found, anchor)


def load(paths: Iterable[Path]) -> tuple[TrustAnchors, tuple[Skipped, ...]]:
    """Load certificates from files and folders (PEM bundles or DER). Raises OSError for a path that is not there."""
    skipped: list[Skipped] = []

    def rows() -> Iterator[Row]:
        for each in paths:
            for name, data in certificate_files.contents_of(each):
                if len(data) > MAX_FILE_BYTES:
                    skipped.append(Skipped(name, TrustCode.TOO_LARGE))
                    continue
                for found in certificates_in(data):
                    yield found, None, None, CERTIFICATES, name

    anchors, more = gather(rows())
    return anchors, (*skipped, *more)
