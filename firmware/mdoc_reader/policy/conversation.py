"""The conversation: pure, bounded. Verdicts so far in, the next question or the decision out.

A rule draws on one document alone: what one document says and what another says are never put together, because nothing
proves that both belong to one person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import CheckState, DocumentVerdict, ResponseVerdict, Validity
from mdoc_reader.policy.profile import PolicyCode, Profile, Question


@dataclass(frozen=True, slots=True)
class Ask:
    """Send one more request."""

    question: Question


# What one document alone amounts to, best first: the best document of a response decides, unless one is forged.
_RANK = (Outcome.GRANTED, Outcome.REFUSED, Outcome.UNDETERMINED, Outcome.PARTIAL)


def proceed(profile: Profile, verdicts: Sequence[ResponseVerdict]) -> Ask | Decision:
    """Return the next step after the verdicts on the answers so far. `verdicts` hold requested elements only."""
    if not verdicts:
        return Ask(profile.questions[0])
    last = verdicts[-1]
    if last.documents:
        return _decide(profile, last)
    asked = len(verdicts)
    if asked < len(profile.questions):
        if asked >= profile.max_rounds:
            return Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,))
        return Ask(profile.questions[asked])
    if all(verdict.declined for verdict in verdicts):
        return Decision(Outcome.DECLINED, (PolicyCode.DECLINED,))
    return Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,))


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


def _decide(profile: Profile, verdict: ResponseVerdict) -> Decision:
    # One forged document spoils the whole answer, whatever the others say.
    forged = [document for document in verdict.documents if document.validity is Validity.INVALID]
    if forged:
        return Decision(Outcome.INVALID, _errors(forged[0]))
    decisions = [_judge(profile, document) for document in verdict.documents]
    return min(decisions, key=lambda decision: _RANK.index(decision.outcome))


def _errors(document: DocumentVerdict) -> tuple[ReasonCode, ...]:
    codes = [finding.code for finding in document.findings if finding.severity is Severity.ERROR]
    return tuple(dict.fromkeys(codes))[:8]


def _judge(profile: Profile, document: DocumentVerdict) -> Decision:
    if any(identifier not in document.elements.get(namespace, {}) for namespace, identifier in profile.required):
        return Decision(Outcome.PARTIAL, (PolicyCode.ELEMENT_MISSING,))
    if profile.age_over is not None:
        answer = document.age.get(profile.age_over, CheckState.UNDETERMINED)
        if answer is CheckState.FAILED:
            return Decision(Outcome.REFUSED, (PolicyCode.UNDER_AGE,))
        if answer is not CheckState.PASSED:
            return Decision(Outcome.PARTIAL, (PolicyCode.AGE_NOT_STATED,))
    if document.validity is not Validity.VALID:
        warnings = tuple(f.code for f in document.findings if f.severity is Severity.WARNING)[:8]
        return Decision(Outcome.UNDETERMINED, warnings)
    return Decision(Outcome.GRANTED, (PolicyCode.RULE_MET,))
