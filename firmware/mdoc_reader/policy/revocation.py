"""What revocation means to a profile: whether a reader opens where no list tells, or one that is too old.

A document or a signer that is revoked is never accepted, and nothing here can change that. For the rest each type of
document has its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, ResponseVerdict, Validity
from mdoc_reader.trust.revocation import ANY_DOCTYPE
from mdoc_reader.trust.revocation_codes import RevocationCode as Code


class Reaction(StrEnum):
    """What a doubt does to a document: nothing, no decision, or no."""

    ACCEPT = "accept"
    UNDETERMINED = "undetermined"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class RevocationRule:
    """What each doubt means for one type of document.

    Attributes:
        unknown: the document names a list that this reader does not have, or that does not count for it.
        stale: the list it has is past its end, or older than `max_age`.
        none: the document names no list.
        application: the list gives it a status whose meaning is the issuer's.
        signer_unknown, signer_stale, signer_none: the same of the revocation list of its signer.
        max_age: how long after its issue a list is believed at most, whatever it says itself; None for as it says.
    """

    unknown: Reaction = Reaction.UNDETERMINED
    stale: Reaction = Reaction.UNDETERMINED
    none: Reaction = Reaction.ACCEPT
    application: Reaction = Reaction.UNDETERMINED
    signer_unknown: Reaction = Reaction.UNDETERMINED
    signer_stale: Reaction = Reaction.UNDETERMINED
    signer_none: Reaction = Reaction.ACCEPT
    max_age: timedelta | None = None

    def reaction(self, code: ReasonCode) -> Reaction:
        """Return what a finding means; ACCEPT for one that is not about a doubt over revocation."""
        name = _DOUBTS.get(code)
        return Reaction.ACCEPT if name is None else getattr(self, name)


_DOUBTS: Mapping[ReasonCode, str] = {
    Code.STATUS_UNKNOWN: "unknown",
    Code.STATUS_OTHER_ISSUER: "unknown",
    Code.STATUS_RESERVED: "unknown",
    Code.STATUS_MALFORMED: "unknown",
    Code.STATUS_UNSUPPORTED: "unknown",
    Code.STATUS_STALE: "stale",
    Code.STATUS_NONE: "none",
    Code.STATUS_APPLICATION: "application",
    Code.SIGNER_CRL_MISSING: "signer_unknown",
    Code.SIGNER_CRL_STALE: "signer_stale",
    Code.SIGNER_NO_LIST: "signer_none",
}


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """The rules of a reader: by document type, and for all others."""

    otherwise: RevocationRule = field(default_factory=RevocationRule)
    by_doctype: Mapping[str, RevocationRule] = field(default_factory=dict)

    def rule(self, doctype: str) -> RevocationRule:
        """Return the rule for a document type."""
        return self.by_doctype.get(doctype, self.otherwise)

    @property
    def ages(self) -> Mapping[str, timedelta]:
        """How long lists are believed, by document type, as `trust.revocation.Revocations` takes it."""
        rules = {**self.by_doctype, ANY_DOCTYPE: self.otherwise}
        return {doctype: rule.max_age for doctype, rule in rules.items() if rule.max_age is not None}


def weigh(document: DocumentVerdict, rule: RevocationRule) -> DocumentVerdict:
    """Return a verdict with what doubts about revocation mean: as it was, undetermined, or invalid."""
    reactions = {rule.reaction(finding.code) for finding in document.findings}
    if Reaction.REFUSE in reactions:
        return replace(
            document,
            validity=Validity.INVALID,
            checks={**document.checks, Check.REVOCATION: CheckState.FAILED},
            findings=_raised(document.findings, rule),
        )
    if Reaction.UNDETERMINED not in reactions:
        return document
    settled = document.checks.get(Check.REVOCATION) is CheckState.FAILED
    return replace(
        document,
        validity=Validity.UNDETERMINED if document.validity is Validity.VALID else document.validity,
        checks=document.checks if settled else {**document.checks, Check.REVOCATION: CheckState.UNDETERMINED},
        findings=_raised(document.findings, rule),
    )


_LEAST = {
    Reaction.ACCEPT: (),
    Reaction.UNDETERMINED: (Severity.INFO,),
    Reaction.REFUSE: (Severity.INFO, Severity.WARNING),
}
_RAISED = {Reaction.UNDETERMINED: Severity.WARNING, Reaction.REFUSE: Severity.ERROR}


def _raised(findings: tuple[Finding, ...], rule: RevocationRule) -> tuple[Finding, ...]:
    """Have findings weigh as much as what they bring about: decisions are explained by them."""
    told = []
    for finding in findings:
        reaction = rule.reaction(finding.code)
        too_light = finding.severity in _LEAST[reaction]
        told.append(replace(finding, severity=_RAISED[reaction]) if too_light else finding)
    return tuple(told)


_WORST_FIRST = (Validity.INVALID, Validity.UNDETERMINED, Validity.VALID)


def weigh_response(verdict: ResponseVerdict, policy: RevocationPolicy) -> ResponseVerdict:
    """Return a response's verdict with every document weighed by the rule of its type."""
    documents = tuple(weigh(document, policy.rule(document.doctype)) for document in verdict.documents)
    if documents == verdict.documents:
        return verdict
    found = {document.validity for document in documents} | ({verdict.validity} & {Validity.INVALID})
    return replace(
        verdict, validity=next(validity for validity in _WORST_FIRST if validity in found), documents=documents
    )
