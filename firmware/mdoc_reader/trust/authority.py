"""Who stands behind a list of revocation: an issuing authority this reader trusts, or one that documents name.

Lists are verified ahead of time, when no document is there yet. What they lead to is kept as an identity, the digest of
the authority's name and key, and compared with the document's own authority when it is looked at: another certificate
of the same name and key is the same authority (RFC 5280 section 6.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import der, facts, path
from mdoc_reader.trust.anchors import MAX_CANDIDATES, Anchor, TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, CertificateCode, Grading
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.profile_rules import Kind
from mdoc_reader.trust.revocation_codes import RevocationListCode

MAX_NAMED = 256
"""How many certificates named by documents are tried."""
_LONGEST = 3  # signer, one between, authority


def identity(certificate: bytes) -> bytes:
    """Return what an authority is known by, of its DER certificate: 32 octets. Raises ValueError."""
    parts = der.slices(certificate)
    return hashlib.sha256(parts.subject + parts.key).digest()


def error(code: ReasonCode, where: str = "") -> Finding:
    """Make an ERROR with the code's own sentence."""
    return Finding(code, Severity.ERROR, code.operator, where)


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a list's certificates lead to. `authority` is an identity, None where they lead nowhere.

    `identities` are those of every certificate on the way, whose step to the next was verified; `until` is when the
    first of them ends.
    """

    signer: CertificateFacts | None
    authority: bytes | None = None
    identities: frozenset[bytes] = frozenset()
    until: datetime | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Root:
    """A certificate that lists may lead to."""

    der: bytes
    facts: CertificateFacts
    kind: Kind


def vouch(
    chain: Sequence[bytes],
    anchors: TrustAnchors,
    named: Sequence[bytes],
    at: datetime,
    grading: Grading = AS_WRITTEN,
) -> Vouched:
    """Follow a list's certificates, leaf first, DER, up to an anchor, or up to an authority that documents name.

    Args:
        chain: as the list brings it.
        anchors: the issuing authorities trusted for documents.
        named: DER certificates that signed documents name for their lists, or that a person pinned.
        at: the moment it must hold at.
        grading: how much findings about the certificates weigh.
    """
    if not chain:
        return Vouched(None, findings=(error(ListCode.SIGNER_MISSING),))
    read: list[CertificateFacts] = []
    for certificate in chain[:_LONGEST]:
        try:
            read.append(facts.read(certificate))
        except ValueError:
            break
    if not read:
        return Vouched(None, findings=(error(ListCode.SIGNER_UNREADABLE, "x5chain[0]"),))
    best: Vouched | None = None
    failure: tuple[Finding, ...] = ()
    for root in _roots(chain, read, anchors, named, grading):
        reached, found = path.walk(
            read, [root.facts], (Kind.LIST_SIGNER, Kind.ISSUING_CA, root.kind), at, longest=_LONGEST, grading=grading
        )
        if reached is None:
            failure = failure or found
            continue
        way = _way(chain, read, root)
        told = tuple(each for each in found if each.severity is Severity.ERROR or each.where != root.kind.value)
        vouched = Vouched(
            read[0],
            identity(root.der),
            frozenset(identity(each) for each, _ in way),
            min(each.not_after for _, each in way),
            told,
        )
        if not _refused(told):
            return vouched
        best = best or vouched
    if best is not None:
        return best
    told = tuple(each for each in failure if each.code is not CertificateCode.PATH_NOT_ROOTED)
    return Vouched(read[0], findings=(*told, error(RevocationListCode.NO_AUTHORITY)))


def _refused(findings: Sequence[Finding]) -> bool:
    return any(each.severity is Severity.ERROR for each in findings)


def _way(chain: Sequence[bytes], read: Sequence[CertificateFacts], root: Root) -> list[tuple[bytes, CertificateFacts]]:
    """Return the certificates whose step upwards was verified, and the root. What else a list brings counts nothing."""
    way: list[tuple[bytes, CertificateFacts]] = []
    for certificate, found in zip(chain, read, strict=False):
        if found.signed == root.facts.signed:
            break
        way.append((certificate, found))
        if path.signed_by(found, root.facts) is None:
            break
    return [*way, (root.der, root.facts)]


def _roots(
    chain: Sequence[bytes],
    read: Sequence[CertificateFacts],
    anchors: TrustAnchors,
    named: Sequence[bytes],
    grading: Grading,
) -> Iterator[Root]:
    """Give the certificates that may be at the end of a chain, each once."""
    exact = anchors.exact(chain[0])
    found = [exact] if exact is not None else []
    for each in read:
        found += of_name(anchors, each.authority_key, each.issuer)
    seen: set[bytes] = set()
    for anchor in found[: MAX_CANDIDATES * _LONGEST]:
        if anchor.der not in seen and stands(anchor, anchors, grading):
            seen.add(anchor.der)
            yield Root(anchor.der, anchor.facts, anchor.kind)
    issuers = {each.issuer for each in read}
    for certificate in named[:MAX_NAMED]:
        if certificate in seen:
            continue
        seen.add(certificate)
        try:
            root = facts.read(certificate)
        except ValueError:
            continue
        if certificate == chain[0] or root.subject in issuers:
            yield Root(certificate, root, Kind.ISSUING_CA)


def of_name(anchors: TrustAnchors, key: bytes | None, name: bytes) -> list[Anchor]:
    """Return the anchors that a key identifier and a name (DER) may mean."""
    found = [*anchors.candidates(key, name), *anchors.named(name)]
    return list(dict.fromkeys(found))[:MAX_CANDIDATES]


def stands(anchor: Anchor, anchors: TrustAnchors, grading: Grading = AS_WRITTEN) -> bool:
    """Say whether an anchor counts by itself, or is a link that an older anchor signed."""
    if not anchor.usable:
        return False
    linking = anchor.facts
    if not path.is_link(linking):
        return True
    return any(
        older is not anchor and older.usable and not path.link_findings(linking, older.facts, grading)
        for older in of_name(anchors, linking.authority_key, linking.issuer)
    )
