"""Write the drawing and the table in docs/door.md from the state machine. `--check` only says whether they fit."""

from __future__ import annotations

import sys
from pathlib import Path

from mdoc_reader.outputs.door import TRANSITIONS, DoorPhase, DoorRules, alarm_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "door.md"
BEGIN, END = "<!-- door states: made by tools/door_docs.py -->", "<!-- end of door states -->"


def drawing() -> str:
    """Return the machine as a Mermaid state diagram and as a table; fire is drawn once for all states."""
    inside = [phase for phase in DoorPhase if phase is not DoorPhase.FIRE]
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> closed", "    state door {"]
    lines += [
        f"        {phase} --> {target}: {label}"
        for phase in inside
        for target, label in TRANSITIONS[phase].items()
        if target is not DoorPhase.FIRE
    ]
    lines += ["    }", "    door --> fire: fire"]
    lines += [f"    fire --> {target}: {label}" for target, label in TRANSITIONS[DoorPhase.FIRE].items()]
    lines += ["```", "", "| state | alarm | goes to |", "|---|---|---|"]
    for phase in DoorPhase:
        alarm = alarm_of(phase, DoorRules())
        ways = "; ".join(f"{target} ({label})" for target, label in TRANSITIONS[phase].items())
        lines.append(f"| {phase} | {alarm or ''} | {ways} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with the drawing in its place. ValueError for a page without that place."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{drawing()}\n{END}{tail}"


def main() -> int:
    """Rewrite, or check."""
    text = PAGE.read_text(encoding="utf-8")
    fits = page(text) == text
    if "--check" in sys.argv[1:]:
        if not fits:
            print("docs/door.md is not what the code says: run python tools/door_docs.py")
        return 0 if fits else 1
    PAGE.write_text(page(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
