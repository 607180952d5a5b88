"""What `mdoc-reader verify` prints for people: verdict, checks, findings, and the elements whose digest matched."""

from __future__ import annotations

from cbor2 import CBORTag

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import CheckState, DocumentVerdict, Finding, ResponseVerdict, Validity

_COLOURS = {
    Validity.VALID: "32;1",
    Validity.INVALID: "31;1",
    Validity.UNDETERMINED: "33;1",
    CheckState.PASSED: "32",
    CheckState.FAILED: "31;1",
    CheckState.UNCHECKED: "2",
    CheckState.UNDETERMINED: "33",
    Severity.ERROR: "31",
    Severity.WARNING: "33",
    Severity.INFO: "2",
}
_LONGEST = 60


def report(verdict: ResponseVerdict, *, colour: bool) -> str:
    """Return the report; `colour` adds terminal colours."""

    def painted(text: str, kind: object) -> str:
        code = _COLOURS.get(kind) if colour else None  # type: ignore[call-overload]
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def findings(items: tuple[Finding, ...], indent: str) -> list[str]:
        return [
            f"{indent}{painted(f'{item.severity:8}', item.severity)} {item.code}: {_safe(item.message)}"
            + (f" [{_safe(item.where)}]" if item.where else "")
            for item in items
        ]

    def document_lines(document: DocumentVerdict) -> list[str]:
        lines = [f"{_safe(document.doctype)}: {painted(document.validity, document.validity)}"]
        lines += [f"  {check:22} {painted(state, state)}" for check, state in document.checks.items()]
        lines += findings(document.findings, "  ")
        for namespace, elements in document.elements.items():
            lines.append(f"  {_safe(namespace)}")
            lines += [f"    {_safe(name):28} {_shown(value)}" for name, value in elements.items()]
        return lines

    lines = [painted(verdict.validity.upper(), verdict.validity)]
    lines += findings(verdict.findings, "")
    for document in verdict.documents:
        lines += document_lines(document)
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        kind = "JPEG" if value[:2] == b"\xff\xd8" else "JPEG 2000" if value[4:8] == b"jP  " else "bytes"
        return f"{kind}, {len(value)} bytes" if len(value) > 16 else f"h'{value.hex()}'"
    if isinstance(value, CBORTag):
        return _shown(value.value)
    text = _safe(repr(value) if not isinstance(value, str) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _safe(text: str) -> str:
    """Return text without control characters: it comes from a phone and goes to a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
