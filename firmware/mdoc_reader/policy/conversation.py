"""The conversation: pure, bounded. Verdicts so far in, the next question or the decision out.

A rule draws on one document alone: what one document says and what another says are never put together, because nothing
proves that both belong to one person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import DocumentVerdict, ResponseVerdict, Validity
from mdoc_reader.policy.profile import PolicyCode, Profile, Question
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.policy.truth import Truth
from mdoc_reader.trust.clock import Moment


@dataclass(frozen=True, slots=True)
class Ask:
    """Send one more request."""

    question: Question


@dataclass(frozen=True, slots=True)
class Settled:
    """The conversation is over. `document` is the one that decided, where one did."""

    decision: Decision
    document: DocumentVerdict | None = field(default=None, repr=False)


# What one document alone amounts to, best first: the best document of a response decides, unless one is forged.
_RANK = (Outcome.GRANTED, Outcome.REFUSED, Outcome.UNDETERMINED, Outcome.PARTIAL)
_NOT_SHARED = frozenset({RuleCode.ELEMENT_MISSING, RuleCode.AGE_NOT_STATED})
_MAX_REASONS = 8


def proceed(
    profile: Profile,
    asking: Sequence[Question],
    verdicts: Sequence[ResponseVerdict],
    moment: Moment,
    floor: datetime | None = None,
) -> Ask | Settled:
    """Return the next step after the verdicts on the answers so far.

    Args:
        profile: whose rule decides.
        asking: what this wallet is asked, in order: `Profile.asking`.
        verdicts: on the answers, in order; they hold requested elements only.
        moment: what time it is.
        floor: what is certainly over; as `Rule.judge` takes it.
    """
    if not verdicts:
        return Ask(asking[0])
    last = verdicts[-1]
    if last.documents:
        return _decide(profile, last, moment, floor)
    asked = len(verdicts)
    if asked < len(asking):
        if asked >= profile.max_rounds:
            return Settled(Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,)))
        return Ask(asking[asked])
    if all(verdict.declined for verdict in verdicts):
        return Settled(Decision(Outcome.DECLINED, (PolicyCode.DECLINED,)))
    return Settled(Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,)))


def in_doubt(decision: Decision, doubt: ReasonCode | None, times: Collection[ReasonCode], *, refuse: bool) -> Decision:
    """Return what a decision is worth where the time cannot be relied on.

    Nothing opens then, unless the profile lets it; and what only the time speaks against is not settled either.

    Args:
        decision: as the evidence has it.
        doubt: why the time is not to be trusted; None where it is.
        times: the reasons that depend on what time it is.
        refuse: whether the profile refuses to open; otherwise the doubt is told beside the decision.
    """
    if doubt is None:
        return decision
    if decision.outcome is Outcome.INVALID and all(reason in times for reason in decision.reasons):
        return Decision(Outcome.UNDETERMINED, (doubt, *decision.reasons))
    if not decision.granted:
        return decision
    if refuse:
        return Decision(Outcome.UNDETERMINED, (doubt,))
    return Decision(decision.outcome, (*decision.reasons, doubt))


def _decide(profile: Profile, verdict: ResponseVerdict, moment: Moment, floor: datetime | None) -> Settled:
    # One forged document spoils the whole answer, whatever the others say.
    forged = [document for document in verdict.documents if document.validity is Validity.INVALID]
    if forged:
        return Settled(Decision(Outcome.INVALID, _findings(forged[0], Severity.ERROR)), forged[0])
    settled = [Settled(_judge(profile, document, moment, floor), document) for document in verdict.documents]
    return min(settled, key=lambda each: _RANK.index(each.decision.outcome))


def _findings(document: DocumentVerdict, severity: Severity) -> tuple[ReasonCode, ...]:
    codes = [finding.code for finding in document.findings if finding.severity is severity]
    return tuple(dict.fromkeys(codes))[:_MAX_REASONS]


def _judge(profile: Profile, document: DocumentVerdict, moment: Moment, floor: datetime | None) -> Decision:
    judgement = profile.rule.judge(document, moment, floor)
    if judgement.truth is Truth.FALSE:
        return Decision(Outcome.REFUSED, judgement.reasons)
    doubts = () if document.validity is Validity.VALID else _findings(document, Severity.WARNING)
    if judgement.truth is Truth.UNKNOWN:
        shared = _NOT_SHARED.isdisjoint(judgement.reasons)
        reasons = (*judgement.reasons, *doubts)[:_MAX_REASONS]
        return Decision(Outcome.UNDETERMINED if shared else Outcome.PARTIAL, reasons)
    if document.validity is not Validity.VALID:
        return Decision(Outcome.UNDETERMINED, doubts)
    return Decision(Outcome.GRANTED, judgement.reasons)
