"""A rule: when a document opens. A small language, total and typed, in three values; only yes opens.

A rule is read once, when settings are read, and refused there if anything about it is wrong: judging it never fails.
It runs nothing, has no loops, and asks each document alone. What was not shared is not known, and the opposite of what
is not known is not known: holding something back opens nothing. docs/rules.md has the language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from mdoc_reader.model.badge import Badge
from mdoc_reader.model.verdict import DocumentVerdict
from mdoc_reader.policy.facts import Facts
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.policy.rule_steps import Step, steps
from mdoc_reader.policy.rule_text import RuleError, parse
from mdoc_reader.policy.rule_tree import Ask, Condition, Flag, Listed, conditions, written
from mdoc_reader.policy.rule_words import words
from mdoc_reader.policy.site import Site
from mdoc_reader.policy.truth import Truth, truth_of
from mdoc_reader.trust.clock import BUILT, Moment

__all__ = ["Judgement", "Rule", "RuleError"]

MAX_REASONS = 8


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule says to a document.

    Attributes:
        truth: only TRUE opens.
        reasons: what decided, in the order of the rule, each once, `MAX_REASONS` at most.
    """

    truth: Truth
    reasons: tuple[RuleCode, ...]


_MET = Judgement(Truth.TRUE, (RuleCode.RULE_MET,))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. Make one with `parse`.

    Attributes:
        tree: what it asks.
        site: what it may lean on.
    """

    tree: Condition
    site: Site
    _step: Step = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, site: Site | None = None) -> Self:
        """Read a rule. Raises RuleError, which says where, what was found and what would be right."""
        site = site or Site()
        tree = parse(text, site.lists.keys(), hours=site.hours is not None)
        return cls(tree, site, steps(tree))

    def at(self, site: Site) -> Self:
        """Return the same rule at another site, or at this one with its lists read again. Raises RuleError."""
        return type(self).parse(str(self), site)

    def judge(self, document: DocumentVerdict, moment: Moment, floor: datetime | None = None) -> Judgement:
        """Ask a document. Never raises, and says the same to the same.

        Args:
            document: as verified, and as far as its elements were asked for.
            moment: what time it is.
            floor: what is certainly over (`Clock.floor`): all that counts of the time where the moment is in doubt.
        """
        facts = Facts(document, moment, self.site, floor or BUILT)
        known = self._step.answer(facts)
        if known is True:
            return _MET
        return Judgement(truth_of(known), tuple(dict.fromkeys(self._step.why(facts, known)))[:MAX_REASONS])

    def badge(self, document: DocumentVerdict) -> Badge | None:
        """Return the badge that the first list of the rule has for a document; None where none has one."""
        facts = Facts(document, Moment(BUILT), self.site)
        for condition, negated in conditions(self.tree):
            if isinstance(condition, Listed) and not negated:
                entry = facts.entry(condition.name)
                if entry is not None and entry.badge is not None:
                    return entry.badge
        return None

    def words(self) -> str:
        """Say in plain English when it opens: several lines."""
        asked = Ask(Flag.OPEN) in {condition for condition, _ in conditions(self.tree)}
        return words(self.tree, self.site.hours if asked else None)

    def __str__(self) -> str:
        """Return the rule as it is written, on one line."""
        return written(self.tree)
