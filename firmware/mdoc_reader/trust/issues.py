"""Whether an issue of a list may be taken now: not when it is overdue, not before its day, and not in place of a newer.

A list that is held goes on being believed past its next update, because a reader may have been alone for a month. One
that is brought or fetched then is refused: whoever hands out an old list may be holding the new one back. A person at
the device may say otherwise, on record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust.held import Contents, Held
from mdoc_reader.trust.import_codes import ImportCode
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind, Order, Origin

_ROOTED = frozenset({ListKind.VICAL, ListKind.LOTE})


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue of a list that was opened, and what was found in it. `digest` is of the file, as in `Held`."""

    origin: Origin
    order: Order | None
    digest: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of an issue.

    Attributes:
        findings: all of them; with one of severity ERROR it is refused.
        overridden: a person had it taken against the rules.
        unchanged: it is held already.
        replaced: lists that it takes the place of beside its own earlier issue, because a person said so.
    """

    findings: tuple[Finding, ...]
    overridden: bool = False
    unchanged: bool = False
    replaced: tuple[Held, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether anything found means that it is not taken."""
        return any(each.severity is Severity.ERROR for each in self.findings)


def judge(new: Issue, contents: Contents, *, override: str = "", sure: bool = True) -> Judgement:
    """Judge an issue beside what is held.

    Args:
        new: the issue. What is an error already stays one, and nobody can override it.
        contents: what is held.
        override: why a person wants it all the same; empty where nobody does.
        sure: the time can be relied on. If not, a list of tomorrow may be one of today.
    """
    if any(each.severity is Severity.ERROR for each in new.findings):
        return Judgement(new.findings)
    before = contents.of(new.origin.identity)
    unchanged = before is not None and before.digest == new.digest
    told = [each for each in new.findings if not _untimely(each, sure=sure)]
    barred = [replace(each, severity=Severity.ERROR) for each in new.findings if _untimely(each, sure=sure)]
    problem = None if before is None or unchanged else out_of_order(new, before)
    if problem is not None:
        barred.append(finding(problem, Severity.ERROR))
    if unchanged:
        told.append(finding(ImportCode.UNCHANGED, Severity.INFO))
    namesakes = () if unchanged else _namesakes(new.origin, contents)
    if namesakes:
        told.append(finding(ImportCode.OTHER_ROOT, Severity.WARNING))
    # Only the first list of a new root takes another's place: two that are held side by side stay so.
    replaced = namesakes if before is None else ()
    if not override or not (barred or replaced):
        return Judgement((*told, *barred), unchanged=unchanged)
    told += [replace(each, severity=Severity.WARNING) for each in barred]
    if not unchanged:
        told.append(finding(ImportCode.OVERRIDDEN, Severity.WARNING))
    return Judgement(tuple(told), overridden=not unchanged, unchanged=unchanged, replaced=replaced)


def _untimely(found: Finding, *, sure: bool) -> bool:
    return found.code is ListCode.STALE or (sure and found.code is ListCode.NOT_YET_ISSUED)


def out_of_order(new: Issue, before: Held) -> ImportCode | None:
    """Return why an issue cannot follow the one that is held, or None.

    A number alone orders issues that both count them, whatever their dates: two of one number cannot both be that
    issue. Without one the dates do, and between revocation lists of one number: an authority that miscounts must not
    hide whom it revoked.
    """
    order, held = new.order, before.order
    if order is None or held is None:
        return None
    if order.field == held.field and order.number is not None and held.number is not None:
        later = order.number - held.number
        if later or new.origin.kind is not ListKind.CRL:
            return _compared(later)
    issued, known = new.origin.issued, before.origin.issued
    if order.field == held.field:
        issued, known = order.moment or issued, held.moment or known
    if issued is None or known is None:
        return None
    return _compared((issued > known) - (issued < known))


def _compared(later: int) -> ImportCode | None:
    return None if later > 0 else ImportCode.ROLLED_BACK if later < 0 else ImportCode.SAME_ORDER


def _namesakes(origin: Origin, contents: Contents) -> tuple[Held, ...]:
    """Return lists that people would take for the same one, and that lead to another root."""
    if origin.kind not in _ROOTED:
        return ()
    return tuple(
        held
        for held in contents.lists
        if (held.origin.kind, held.origin.name) == (origin.kind, origin.name)
        and held.origin.identity != origin.identity
    )


def finding(code: ImportCode, severity: Severity) -> Finding:
    """Make a finding with the code's own sentence."""
    return Finding(code, severity, code.operator)
