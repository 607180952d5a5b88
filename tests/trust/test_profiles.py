"""Certificates wrong in one way each, and what is said of them: one primary code, and its consequences as such."""

from __future__ import annotations

import pytest

from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab.wrong_certificates import Specimen
from mdoc_reader.lab.wrong_table import TABLE, Row
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import codes, path
from mdoc_reader.trust.consequences import derived, primary
from mdoc_reader.trust.facts import read
from mdoc_reader.trust.profile_rules import PROFILES, Kind

BETWEEN = {Kind.VICAL_SIGNER: Kind.VICAL_CA, Kind.VICAL_CA: Kind.VICAL_CA}


def examine(specimen: Specimen) -> tuple[Finding, ...]:
    """Say all that is wrong with a specimen, as an import or a presentation would."""
    facts, above = read(specimen.der), read(specimen.above)
    kind = specimen.kind
    if kind is Kind.LINK:
        return path.link(read(specimen.newer), facts, above, specimen.at)
    if kind not in wrong.ABOVE:
        late = path.times(facts, kind, specimen.at)
        return (*path.root_findings(facts, kind), *(() if late is None else (codes.AS_WRITTEN.finding(late),)))
    root = wrong.ABOVE[kind]
    return path.walk([facts], [above], (kind, BETWEEN.get(kind, root), root), specimen.at)[1]


@pytest.mark.parametrize("kind", Kind)
def test_a_good_one_of_each_kind_passes_clean(kind: Kind) -> None:
    assert examine(wrong.specimen(kind)) == ()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.kind}: {row.name}")
def test_wrong_in_one_way(row: Row) -> None:
    findings = examine(row.make())
    first = primary(findings)
    assert first is not None, "nothing was found"
    assert first.code is row.code
    assert first.severity is row.code.severity
    assert {finding.code for finding in findings} == {row.code, *row.consequences}
    assert derived(findings) == row.consequences, "what follows from it is marked as such"


def test_the_table_is_large_and_knows_every_rule() -> None:
    assert len(TABLE) >= 60
    assert len({(row.kind, row.name) for row in TABLE}) == len(TABLE)
    judged = {rule.code for rule in __import__("mdoc_reader.trust.profile", fromlist=["RULES"]).RULES}
    assert judged <= {row.code for row in TABLE}, judged - {row.code for row in TABLE}
    assert {row.kind for row in TABLE} == set(PROFILES)
