"""The document signer's certificate: is it one we have reason to believe? (ISO 18013-5 Annex B; RFC 5280)

A path is exactly one step: a signer issued by an anchor, which may be a link from a newer root to an older one we
trust. What depends neither on the clock nor on the document is settled once for each signer certificate and
remembered; a presentation looks at times, document type and lists alone.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mdoc_reader.mdoc.keys import Curve, SignaturePublicKey
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import path
from mdoc_reader.trust.anchors import MAX_CANDIDATES, Anchor, TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.codes import CertificateCode as Rule
from mdoc_reader.trust.facts import CertificateFacts, read
from mdoc_reader.trust.profile import Kind
from mdoc_reader.trust.profile import judge as judge_profile
from mdoc_reader.trust.profile_rules import MDL, MDL_SIGNER, signer_kind, wrong_purpose
from mdoc_reader.verification.codes import VerificationCode as Code

MAX_LINKS = 2
"""How many links may lead from a new root to the one we trust."""
_MAX_OLDER = 4  # roots that are tried for one link
_CACHED_SIGNERS = 512
# What depends on the document type is asked of each document.
_BY_DOCTYPE = frozenset({Rule.SIGNER_EKU_MISSING, Rule.SIGNER_EKU_OTHER})


@dataclass(frozen=True, slots=True)
class Step:
    """One anchor that vouches for a signer.

    Attributes:
        line: the anchor, and those it is linked to, up to the root.
        findings: what the two and the anchor by itself have against them, whatever the time.
        limits: of each of the line: not before, not after, and the codes for these.
    """

    line: tuple[Anchor, ...]
    findings: tuple[Finding, ...]
    limits: tuple[tuple[datetime, datetime, Rule, Rule], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """When and for what nothing but a signer's findings is to be said: what a presentation asks first.

    `doctypes` None: for all.
    """

    since: datetime
    until: datetime
    doctypes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Signer:
    """What a signer certificate says, and which anchor vouches for it. Nothing here depends on the time.

    `anchor` is None where none fits; `findings` explains. `eku` holds dotted purposes, None where there is none.
    `issuer` is the issuer's name, DER. `steps` are all the ways to an anchor, that of `anchor` first.
    """

    public_key: SignaturePublicKey = field(repr=False)
    curve: Curve
    not_before: datetime
    not_after: datetime
    country: str | None
    state: str | None
    eku: frozenset[str] | None
    anchor: Anchor | None
    findings: tuple[Finding, ...]
    serial: int = 0
    issuer: bytes = field(default=b"", repr=False)
    own: tuple[Finding, ...] = field(default=(), repr=False)
    steps: tuple[Step, ...] = field(default=(), repr=False)
    window: Window | None = field(default=None, repr=False)
    grading: Grading = field(default=AS_WRITTEN, repr=False)


class SignerCache:
    """Remembers signers by their DER, for one set of anchors: the second document of an issuer costs one look-up."""

    __slots__ = ("_anchors", "_grading", "_known")

    def __init__(self, anchors: TrustAnchors, grading: Grading = AS_WRITTEN) -> None:
        """Begin empty."""
        self._anchors = anchors
        self._grading = grading
        self._known: OrderedDict[bytes, Signer] = OrderedDict()

    @property
    def anchors(self) -> TrustAnchors:
        """The anchors the signers were judged by."""
        return self._anchors

    @property
    def grading(self) -> Grading:
        """How much findings weigh."""
        return self._grading

    def signer(self, der: bytes) -> Signer:
        """Return the signer of a leaf certificate. Raises ValueError or Malformed when it cannot be read."""
        found = self._known.get(der)
        if found is None:
            found = read_signer(der, self._anchors, self._grading)
            # Only vouched-for signers are kept: strangers must not push them out.
            if found.anchor is not None:
                self._known[der] = found
                if len(self._known) > _CACHED_SIGNERS:
                    self._known.popitem(last=False)
        return found


def read_signer(der: bytes, anchors: TrustAnchors, grading: Grading = AS_WRITTEN) -> Signer:
    """Read a leaf certificate and find its anchor. Raises ValueError (unreadable) or Malformed (unsupported key)."""
    facts = read(der)
    key, curve = facts.public_key, facts.curve
    if key is None or curve is None or not curve.signature:
        raise Malformed(MalformedCode.UNSUPPORTED, detail="a key type that the protocol does not use")
    kind = signer_kind(facts.purposes)
    own = tuple([each for each in judge_profile(facts, kind, grading) if each.code not in _BY_DOCTYPE])
    anchor = anchors.exact(der)
    if anchor is not None:
        severity = Severity.INFO if anchor.direct else Severity.WARNING
        told = Finding(Code.DIRECT_TRUST, severity, Code.DIRECT_TRUST.operator)
        steps: tuple[Step, ...] = (Step((anchor,), (told,), ()),)
    else:
        steps, failure = _steps(facts, kind, anchors, grading)
        if failure is not None:
            own += (failure,)
    return Signer(
        key,  # type: ignore[arg-type]  # a key with a curve is one for signatures
        curve,
        facts.not_before,
        facts.not_after,
        facts.country,
        facts.state,
        facts.purposes,
        steps[0].line[0] if steps else None,
        own + steps[0].findings if steps else own,
        facts.serial,
        facts.issuer,
        own,
        steps,
        _window(facts, steps[0]) if steps else None,
        grading,
    )


def _window(facts: CertificateFacts, first: Step) -> Window | None:
    """Return when the first way to an anchor is as good as any."""
    if MDL_SIGNER not in (facts.purposes or ()) or _errors(first):
        return None
    since, until = facts.not_before, facts.not_after
    for not_before, not_after, _, _ in first.limits:
        since, until = max(since, not_before), min(until, not_after)
    doctypes: frozenset[str] | None = None
    for anchor in first.line:
        for grant in anchor.grants:
            if grant.origin.not_after is not None:
                until = min(until, grant.origin.not_after)
        listed = anchor.doctypes
        if listed is not None:
            doctypes = listed if doctypes is None else doctypes & listed
    return Window(since, until, doctypes)


def _candidates(facts: CertificateFacts, anchors: TrustAnchors) -> Iterator[tuple[Anchor, CertificateFacts | None]]:
    """Give the anchors that may have issued a certificate, each with its facts where they can be read."""
    seen = set()
    for anchor in (*anchors.candidates(facts.authority_key, facts.issuer), *anchors.named(facts.issuer)):
        if anchor not in seen:
            seen.add(anchor)
            yield anchor, anchor.facts if anchor.usable else None


def _steps(
    facts: CertificateFacts, kind: Kind, anchors: TrustAnchors, grading: Grading
) -> tuple[tuple[Step, ...], Finding | None]:
    """Return every way to an anchor, the one to tell of first; or none and why."""
    steps: list[Step] = []
    failure: Finding | None = None
    for tried, (anchor, above) in enumerate(_candidates(facts, anchors)):
        if tried == MAX_CANDIDATES:
            failure = failure and grading.finding(Rule.TOO_MANY_ISSUERS)
            break
        fault = grading.finding(Rule.ANCHOR_UNREADABLE) if above is None else path.signed_by(facts, above, grading)
        if fault is None and above is not None:
            line = _line(anchor, above, anchors, grading, MAX_LINKS)
            if line is not None:
                found = (*path.step(facts, above, kind, grading), *_of_itself(anchor, above, grading))
                steps.append(Step(line, found, _limits(line)))
                continue
            fault = grading.finding(Rule.PATH_NOT_ROOTED)
        if fault is not None and (failure is None or _told(fault) > _told(failure)):
            failure = fault
    if steps:
        steps.sort(key=_errors)
        return tuple(steps), None
    return (), failure or Finding(Code.ISSUER_UNKNOWN, Severity.ERROR, Code.ISSUER_UNKNOWN.operator)


def _told(fault: Finding) -> int:
    """An anchor that failed by itself tells more than one with another key, and that more than one of another name."""
    return 0 if fault.code is Rule.ISSUER_NAME else 1 if fault.code is Rule.PATH_SIGNATURE else 2


def _errors(step: Step) -> int:
    return sum(finding.severity is Severity.ERROR for finding in step.findings)


def _of_itself(anchor: Anchor, facts: CertificateFacts, grading: Grading) -> tuple[Finding, ...]:
    """A link was judged against its root; the rest have their own errors. `direct` ones issue nothing."""
    own = () if path.is_link(facts) else anchor.errors(grading)
    return (grading.finding(Rule.ANCHOR_NOT_AUTHORITY), *own) if anchor.direct else own


def _line(
    anchor: Anchor, facts: CertificateFacts, anchors: TrustAnchors, grading: Grading, links: int
) -> tuple[Anchor, ...] | None:
    """Return an anchor and those it is linked to, up to a root; None for a link that hangs in the air."""
    if not path.is_link(facts):
        return (anchor,)
    if links == 0:
        return None
    for older, above in itertools.islice(_candidates(facts, anchors), _MAX_OLDER):
        if older is anchor or above is None or older.direct or path.link_findings(facts, above, grading):
            continue
        line = _line(older, above, anchors, grading, links - 1)
        if line is not None:
            return (anchor, *line)
    return None


def _limits(line: tuple[Anchor, ...]) -> tuple[tuple[datetime, datetime, Rule, Rule], ...]:
    limits = []
    for anchor in line:
        facts = anchor.facts
        codes = path.codes_of_times(Kind.LINK if path.is_link(facts) else Kind.IACA)
        limits.append((facts.not_before, facts.not_after, *codes))
    return tuple(limits)


def judge(signer: Signer, doctype: str, at: datetime) -> Sequence[Finding]:
    """Return all findings on a signer for one document: what it is by itself, the moment, the type, the lists.

    Where several anchors vouch for it, the first that has nothing against it counts.
    """
    window = signer.window
    if (
        window is not None
        and window.since <= at <= window.until
        and (window.doctypes is None or doctype in window.doctypes)
    ):
        return signer.findings
    found = list(signer.own)
    _own_times(signer, at, found)
    wrong = purpose(signer, doctype)
    if wrong is not None:
        found.append(wrong)
    first: list[Finding] | None = None
    for step in signer.steps:
        given = list(step.findings)
        _step_times(step, at, signer.grading, given)
        for anchor in step.line:
            fault = anchor.fault(doctype, at)
            if fault is not None:
                given.append(signer.grading.finding(fault))
        if first is None:
            first = given
        if not given or all(each.severity is not Severity.ERROR for each in given):
            first = given
            break
    return found + first if first else found


def _own_times(signer: Signer, at: datetime, found: list[Finding]) -> None:
    if at < signer.not_before:
        found.append(signer.grading.finding(Rule.SIGNER_NOT_YET_VALID))
    elif at > signer.not_after:
        found.append(signer.grading.finding(Rule.SIGNER_EXPIRED))


def _step_times(step: Step, at: datetime, grading: Grading, found: list[Finding]) -> None:
    for not_before, not_after, early, late in step.limits:
        if at < not_before:
            found.append(grading.finding(early))
        elif at > not_after:
            found.append(grading.finding(late))


def times(signer: Signer, at: datetime) -> list[Finding]:
    """Return what the moment `at` says against a signer and its anchor."""
    findings: list[Finding] = []
    _own_times(signer, at, findings)
    if signer.steps:
        _step_times(signer.steps[0], at, signer.grading, findings)
    return findings


def purpose(signer: Signer, doctype: str) -> Finding | None:
    """Return what is wrong with the signer's extended key usage for a document type, or None.

    The mDL's purpose is fixed. Other profiles are not public in full: a missing purpose is a warning there, and one of
    another kind an error.
    """
    if not wrong_purpose(signer.eku, doctype):
        return None
    if signer.eku is not None:
        return signer.grading.finding(Rule.SIGNER_EKU_OTHER)
    return signer.grading.finding(Rule.SIGNER_EKU_MISSING, severity=None if doctype == MDL else Severity.WARNING)
