"""Write what documents say from the code itself: the state diagram in the README, and the catalogue of reasons.

`python tools/docs.py` rewrites; `python tools/docs.py --check` fails when anything would change.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mdoc_reader.edge.codes import FetchCode
from mdoc_reader.engagement.tap import TapCode
from mdoc_reader.model.reasons import MalformedCode, ReasonCode
from mdoc_reader.model.signer import SignerTrouble
from mdoc_reader.nfc.ports import FieldCode, NfcTrouble
from mdoc_reader.policy.profile import PolicyCode
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.reader.events import ReaderCode
from mdoc_reader.reader.phases import BUSY, TRANSITIONS, Phase
from mdoc_reader.transport.ports import LinkCode, RadioTrouble
from mdoc_reader.trust.anchors import TrustCode
from mdoc_reader.trust.clock import ClockCode
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.generation import StoreCode
from mdoc_reader.trust.importer import ImportCode
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.revocation_codes import RevocationCode, RevocationListCode
from mdoc_reader.trust.spool import SpoolCode
from mdoc_reader.verification.codes import VerificationCode

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- state diagram: made by tools/docs.py -->", "<!-- end of state diagram -->"
CATALOGUE: tuple[tuple[str, type[ReasonCode]], ...] = (
    ("Reading bytes", MalformedCode),
    ("Taps", TapCode),
    ("Cards and phones at the NFC reader", FieldCode),
    ("The NFC reader itself", NfcTrouble),
    ("Links", LinkCode),
    ("Verification", VerificationCode),
    ("Certificates", CertificateCode),
    ("Conversations", PolicyCode),
    ("Rules", RuleCode),
    ("The reader", ReaderCode),
    ("Trust anchors", TrustCode),
    ("Lists of trust", ListCode),
    ("Entries of lists of trust", EntryCode),
    ("Revocation", RevocationCode),
    ("Lists of revocation", RevocationListCode),
    ("Imports", ImportCode),
    ("The store of trust", StoreCode),
    ("Fetching lists", FetchCode),
    ("What the fetcher handed over", SpoolCode),
    ("The clock", ClockCode),
    ("Bluetooth", RadioTrouble),
    ("The reader's key", SignerTrouble),
)

GRADED = (
    "An operator may take those marked so for an `error`, a `warning` or an `info`; what is an error of itself stays at"
    " least a warning. The others can be raised and never lowered."
)


def diagram() -> str:
    """Return the state machine as a Mermaid state diagram; what every busy phase can do is drawn once."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> idle"]
    lines += ["    state presentation {"]
    for phase in Phase:
        if phase in BUSY:
            lines += [
                f"        {phase} --> {target}: {label}"
                for target, label in TRANSITIONS[phase].items()
                if target in BUSY
            ]
    lines += ["    }"]
    lines += [
        f"    {phase} --> {target}: {label}"
        for phase in Phase
        if phase not in BUSY
        for target, label in TRANSITIONS[phase].items()
    ]
    lines += [
        f"    {phase} --> {target}: {label}"
        for phase in Phase
        if phase in BUSY
        for target, label in TRANSITIONS[phase].items()
        if target not in BUSY and label != "ended"
    ]
    lines += ["    presentation --> showing: deadline, failure, cancelled", "```"]
    return "\n".join(lines)


def reasons() -> str:
    """Return the catalogue of reasons as Markdown."""
    parts = ["# Reasons", "", "Every code the reader gives, made by `tools/docs.py` from the code. Codes are stable."]
    for title, kind in CATALOGUE:
        parts += ["", f"## {title}", ""]
        if issubclass(kind, CertificateCode):
            parts += [GRADED, "", "| code | weight | may be graded | what it says |", "|---|---|---|---|"]
            parts += [
                f"| `{member}` | {member.severity} | {'yes' if member.gradable else 'never'} | {member.operator} |"
                for member in kind
            ]
            continue
        parts += ["| code | what it says |", "|---|---|"]
        parts += [f"| `{member}` | {member.operator} |" for member in kind]
    return "\n".join(parts) + "\n"


def written() -> dict[Path, str]:
    """Return every generated file with its content."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return {
        readme: f"{head}{BEGIN}\n{diagram()}\n{END}{tail}",
        ROOT / "docs" / "reasons.md": reasons(),
    }


def main() -> int:
    """Rewrite, or check."""
    stale = [path for path, content in written().items() if not path.exists() or path.read_text("utf-8") != content]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the code says: run python tools/docs.py")
        return 1 if stale else 0
    for path, content in written().items():
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
