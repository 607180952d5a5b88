"""Which issue of a list is taken: none that is overdue or of tomorrow, none in place of a newer or of another root."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.lab import certificates, crls, lote, status_lists, vical
from mdoc_reader.lab.certificates import Credential
from mdoc_reader.mdoc import cbor
from mdoc_reader.trust import authority, generation, importer, packed, store
from mdoc_reader.trust.importer import Orders, Report
from mdoc_reader.trust.list_codes import ListCode

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
STALE, EARLY = str(ListCode.STALE), str(ListCode.NOT_YET_ISSUED)


@functools.cache
def iaca(number: int) -> Credential:
    return certificates.make_iaca(common_name=f"Authority {number}")


@functools.cache
def provider(number: int) -> vical.Provider:
    return vical.make_provider(name=f"Provider {number}")


@functools.cache
def operator() -> lote.Operator:
    return lote.make_operator()


def pins() -> tuple[tuple[str, bytes], ...]:
    return (("one", provider(0).root.der), ("two", provider(1).root.der), ("operator", operator().issuer))


def listed(number: int, *iacas: Credential, issued: datetime = NOW, by: int = 0) -> bytes:
    return vical.make_vical(
        provider(by), iacas or (iaca(0),), issued=issued, vicalIssueID=number, nextUpdate=vical.tdate(issued + 30 * DAY)
    )


def brought(folder: Path, data: bytes, at: datetime = NOW, override: str = "", *, sure: bool = True) -> Report:
    return importer.import_files(folder, [("list", data)], Orders(at, pins(), override, sure=sure))[0]


def severities(report: Report) -> dict[str, str]:
    return {str(each.code): each.severity.value for each in report.findings}


def believed(folder: Path) -> list[bytes]:
    return [each.der for each in store.load(folder).anchors.anchors]


OVERDUE = {
    "vical": listed(7, issued=NOW - 31 * DAY),
    "lote": lote.make_lote(
        operator(), [iaca(0).der], ListIssueDateTime=NOW - 31 * DAY, NextUpdate=NOW - timedelta(minutes=1)
    ),
    "crl": crls.make_crl(iaca(0), [5], crls.CrlShape(issued=NOW - 31 * DAY, next_update=30 * DAY)),
}
EARLIER = {
    "vical": listed(7, issued=NOW + DAY),
    "lote": lote.make_lote(operator(), [iaca(0).der], ListIssueDateTime=NOW + DAY, NextUpdate=NOW + 30 * DAY),
    "crl": crls.make_crl(iaca(0), [5], crls.CrlShape(issued=NOW + DAY)),
    "status list": status_lists.make_status_list(
        status_lists.make_list_signer(iaca(0)), b"\0", 1, shape=status_lists.TokenShape(issued=NOW + DAY)
    ),
}


@pytest.mark.parametrize("kind", OVERDUE)
def test_an_overdue_list_is_refused_and_taken_on_record_where_a_person_says_so(tmp_path: Path, kind: str) -> None:
    importer.import_files(tmp_path, [("iaca", iaca(0).der)], Orders(NOW, pins()))
    report = brought(tmp_path, OVERDUE[kind])
    assert not report.accepted
    assert severities(report)[STALE] == "error"
    assert store.load(tmp_path).number == 1
    forced = brought(tmp_path, OVERDUE[kind], override="the provider is late")
    assert forced.accepted
    assert {STALE, "import_overridden"} <= {
        code for code, severity in severities(forced).items() if severity == "warning"
    }
    assert store.load(tmp_path).contents.history[-1].override == "the provider is late"


@pytest.mark.parametrize("kind", OVERDUE)
def test_the_time_is_the_one_that_is_told(tmp_path: Path, kind: str) -> None:
    importer.import_files(tmp_path, [("iaca", iaca(0).der)], Orders(NOW, pins()))
    report = brought(tmp_path, OVERDUE[kind], at=NOW - 5 * DAY)
    assert report.accepted
    assert STALE not in severities(report)
    again = brought(tmp_path, OVERDUE[kind])
    assert (again.accepted, severities(again)[STALE]) == (False, "error"), (
        "though it is held, and goes on being believed"
    )
    assert store.load(tmp_path).number == 2


@pytest.mark.parametrize("kind", EARLIER)
def test_a_list_of_tomorrow_is_refused_by_a_clock_that_is_right(tmp_path: Path, kind: str) -> None:
    importer.import_files(tmp_path, [("iaca", iaca(0).der)], Orders(NOW, pins()))
    report = brought(tmp_path, EARLIER[kind])
    assert (report.accepted, severities(report)[EARLY]) == (False, "error")
    unsure = brought(tmp_path, EARLIER[kind], sure=False)
    assert (unsure.accepted, severities(unsure)[EARLY]) == (True, "warning")
    assert store.load(tmp_path).number == 2


def test_clocks_differ_a_little(tmp_path: Path) -> None:
    report = brought(tmp_path, listed(7, issued=NOW + timedelta(minutes=5)))
    assert (report.accepted, report.findings) == (True, ())


def test_nobody_can_override_a_signature_or_an_end(tmp_path: Path) -> None:
    over = vical.make_vical(provider(0), [iaca(0)], issued=NOW - 60 * DAY, notAfter=vical.tdate(NOW - DAY))
    altered = listed(7).replace(b"Utopia", b"Utopio")
    for data in (over, altered):
        report = brought(tmp_path, data, override="let it in")
        assert not report.accepted
        assert "import_overridden" not in severities(report)


def test_a_number_orders_alone(tmp_path: Path) -> None:
    """ISO 18013-5 C.1.7: the number grows with each issue. A later date does not make an issue of one that is held."""
    assert brought(tmp_path, listed(7, issued=NOW - 2 * DAY)).accepted
    same = brought(tmp_path, listed(7, iaca(1), issued=NOW - DAY))
    assert severities(same) == {"import_same_order": "error"}
    assert brought(tmp_path, listed(8, iaca(1), issued=NOW - 3 * DAY)).accepted, "whatever its date"
    older = brought(tmp_path, listed(7, issued=NOW))
    assert severities(older) == {"import_rolled_back": "error"}
    assert believed(tmp_path) == [iaca(1).der]


def test_between_revocation_lists_of_one_number_the_date_orders(tmp_path: Path) -> None:
    importer.import_files(tmp_path, [("iaca", iaca(0).der)], Orders(NOW, pins()))

    def numbered(number: int, issued: datetime, *revoked: int) -> bytes:
        return crls.make_crl(iaca(0), revoked, crls.CrlShape(issued=issued, number=number))

    assert brought(tmp_path, numbered(4, NOW - 2 * DAY)).accepted
    assert brought(tmp_path, numbered(4, NOW - DAY, 5)).accepted
    assert severities(brought(tmp_path, numbered(4, NOW - 2 * DAY))) == {"import_rolled_back": "error"}
    assert severities(brought(tmp_path, numbered(4, NOW - DAY, 6))) == {"import_same_order": "error"}
    assert severities(brought(tmp_path, numbered(3, NOW))) == {"import_rolled_back": "error"}


def test_without_a_number_the_date_orders(tmp_path: Path) -> None:
    def dated(issued: datetime, number: int | None = None) -> bytes:
        return vical.make_vical(provider(0), [iaca(0)], issued=issued, vicalIssueID=number)

    assert brought(tmp_path, dated(NOW - 2 * DAY)).accepted
    assert severities(brought(tmp_path, dated(NOW - 3 * DAY)))["import_rolled_back"] == "error"
    assert brought(tmp_path, dated(NOW - DAY, 7)).accepted
    assert severities(brought(tmp_path, dated(NOW - 2 * DAY)))["import_rolled_back"] == "error", "nor by leaving it out"


def test_another_root_moves_nothing_of_a_provider_of_the_same_name(tmp_path: Path) -> None:
    assert brought(tmp_path, listed(7)).accepted
    foreign = brought(tmp_path, listed(9000, iaca(1), by=1))
    assert (foreign.accepted, severities(foreign)) == (True, {"import_other_root": "warning"})
    assert believed(tmp_path) == [iaca(0).der, iaca(1).der], "each for itself"
    assert brought(tmp_path, listed(8, iaca(2))).accepted, "the first one's counter is its own"
    assert set(believed(tmp_path)) == {iaca(1).der, iaca(2).der}
    assert brought(tmp_path, listed(7, iaca(3)), override="back to the one before").accepted
    assert set(believed(tmp_path)) == {iaca(1).der, iaca(3).der}, "what is held side by side stays so"


def test_a_provider_that_changed_its_root_takes_its_place_where_a_person_says_so(tmp_path: Path) -> None:
    brought(tmp_path, listed(7))
    report = brought(tmp_path, listed(1, iaca(1), by=1), override="the provider has a new root")
    assert report.accepted
    assert believed(tmp_path) == [iaca(1).der]
    contents = store.load(tmp_path).contents
    assert len(contents.lists) == 1
    assert [(each.what, each.override) for each in contents.history[-2:]] == [
        ("removed", "the provider has a new root"),
        ("imported", "the provider has a new root"),
    ]
    assert len([name for name in generation.current(tmp_path).files if name.startswith("vical")]) == 1


def test_lists_of_the_first_format_are_bound_to_their_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = listed(7, issued=NOW - DAY)
    assert brought(tmp_path, data, NOW - timedelta(hours=1)).accepted
    now = generation.current(tmp_path)
    (held,) = store.load(tmp_path).contents.lists
    identity, before = held.origin.identity, "vical:Utopia Lab"
    facts = {key: value for key, value in now.facts.items() if key not in {"format", "number"}}
    facts["lists"] = [{**row, "identity": before} for row in facts["lists"]]  # type: ignore[attr-defined]
    rows = [[before, [[iaca(0).der, [vical.MDL], False, ""]]]]
    files = {name: now.read(name) for name in now.files if name != packed.NAME} | {packed.FIRST_NAME: cbor.encode(rows)}
    with monkeypatch.context() as first, generation.locked(tmp_path):
        first.setattr(generation, "FORMAT", 1)
        generation.write(tmp_path, 2, facts, files, lambda _: None)
    assert believed(tmp_path) == [iaca(0).der]
    assert severities(brought(tmp_path, data)) == {"import_unchanged": "info"}
    assert severities(brought(tmp_path, listed(6))) == {"import_rolled_back": "error"}
    assert brought(tmp_path, listed(8, iaca(1))).accepted
    assert believed(tmp_path) == [iaca(1).der], "in the place of the earlier issue"
    (after,) = store.load(tmp_path).contents.lists
    assert (
        after.origin.identity == identity == f"vical:{authority.identity(provider(0).root.der).hex()[:32]}:Utopia Lab"
    )
