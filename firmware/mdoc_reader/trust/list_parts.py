"""What reading any list of trust needs: its dates judged, its entries gathered, its oddities counted and told once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mdoc_reader.model.reasons import Malformed, MalformedCode, ReasonCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import facts
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.lists import Entry, SkippedEntry

MAX_ENTRIES = 20_000
MAX_DOCTYPES = 64
_CLOCKS_DIFFER = timedelta(minutes=10)
_LONGEST_TEXT = 120


def items_in(size: int) -> int:
    """Return how many items a list of so many bytes may hold: real ones take far more bytes for each than an attack."""
    return min(1_000_000, 50_000 + size // 16)


def shown(text: str) -> str:
    """Return text from outside as it may be shown to people: short, and without what a terminal would act upon."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:_LONGEST_TEXT])


class Notes:
    """Findings as they come up. One that comes up again is counted, so that a list of oddities stays a short one."""

    def __init__(self) -> None:
        """Begin with nothing found."""
        self._found: dict[tuple[ReasonCode, Severity], tuple[str, int]] = {}
        self._ready: list[Finding] = []

    def add(self, code: ReasonCode, severity: Severity = Severity.WARNING, where: str = "") -> None:
        """Take down one more of a kind; the first place is told."""
        place, count = self._found.get((code, severity), (where, 0))
        self._found[code, severity] = (place, count + 1)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Take findings made elsewhere as they are."""
        self._ready += findings

    @property
    def refused(self) -> bool:
        """Whether anything found so far means that the list is not to be believed."""
        return any(each.severity is Severity.ERROR for each in self.findings())

    def findings(self) -> tuple[Finding, ...]:
        """Return all findings, those made elsewhere first."""
        counted = [
            Finding(code, severity, code.operator if count == 1 else f"{code.operator} ({count} times)", place)
            for (code, severity), (place, count) in self._found.items()
        ]
        return (*self._ready, *counted)


def judge_dates(
    notes: Notes, at: datetime, issued: datetime | None, next_update: datetime | None, not_after: datetime | None
) -> None:
    """Note what is wrong with a list's dates by themselves and at `at`. Only a list past its end is an ERROR."""
    if issued is not None and issued > at + _CLOCKS_DIFFER:
        notes.add(ListCode.NOT_YET_ISSUED)
    if next_update is None:
        notes.add(ListCode.NO_NEXT_UPDATE, Severity.INFO)
    elif at > next_update:
        notes.add(ListCode.STALE)
    if not_after is not None and at > not_after:
        notes.add(ListCode.EXPIRED, Severity.ERROR)
    ends = [moment for moment in (next_update, not_after) if moment is not None]
    if issued is not None and any(moment < issued for moment in ends):
        notes.add(ListCode.DATES_ORDER)


class Entries:
    """The entries of a list as they are taken. A certificate that comes again counts once, for all its doctypes."""

    def __init__(self) -> None:
        """Begin with none."""
        self._taken: dict[bytes, Entry] = {}
        self.skipped: list[SkippedEntry] = []
        self._seen = 0

    def skip(self, name: str, code: EntryCode) -> None:
        """Say that an entry was not taken. Raises Malformed once there were more entries than a list may have."""
        self._count()
        self.skipped.append(SkippedEntry(shown(name), code))

    def take(self, der: bytes, read: CertificateFacts, doctypes: frozenset[str] | None, name: str = "") -> None:
        """Take a certificate for these document types, None for all. Raises Malformed as `skip` does."""
        before = self._taken.get(der)
        if before is not None:
            wider = None if before.doctypes is None or doctypes is None else before.doctypes | doctypes
            if wider == before.doctypes:
                self.skip(before.subject, EntryCode.DUPLICATE)
                return
            doctypes = wider
        self._count()
        self._taken[der] = Entry(der, doctypes, not read.authority, before.subject if before else _subject(read, name))

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MAX_ENTRIES:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, detail=f"at most {MAX_ENTRIES} entries")

    def taken(self) -> tuple[Entry, ...]:
        """Return the entries in the order of the list."""
        return tuple(self._taken.values())


def _subject(read: CertificateFacts, name: str) -> str:
    parts = [part for part in (read.common_name, read.state, read.country) if part]
    return shown(", ".join(parts) or name)


def usable(der: bytes) -> CertificateFacts | EntryCode:
    """Read an entry's certificate; an EntryCode where it cannot stand for an issuer."""
    try:
        read = facts.read(der)
    except ValueError:
        return EntryCode.NOT_A_CERTIFICATE
    return EntryCode.UNSUPPORTED_KEY if read.curve is None or not read.curve.signature else read
