"""How what is believed ages, told in plain words: nobody, ended, soon to end, overdue, and nothing new for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.lab import certificates, vical
from mdoc_reader.model.check import Check, Health
from mdoc_reader.trust import ageing, anchors, importer, store
from mdoc_reader.trust.anchors import Grant, Offer, TrustAnchors
from mdoc_reader.trust.held import Contents, Held
from mdoc_reader.trust.importer import Orders
from mdoc_reader.trust.lists import ListKind, Origin
from mdoc_reader.trust.store import Believed

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
IACA = certificates.make_iaca()
ENDS = IACA.certificate.not_valid_after_utc


def origin(name: str = "List", kind: ListKind = ListKind.VICAL, **dates: datetime) -> Origin:
    return replace(Origin(kind, name, f"{kind}:{name}", NOW - DAY), **dates)  # type: ignore[arg-type]


def believed(*origins: Origin, made: datetime = NOW, der: bytes = IACA.der) -> Believed:
    contents = Contents(made=made)
    for each in origins:
        contents = contents.with_list(Held(each, None, "", made, "raw"))
    trusted = anchors.collect([Offer(der, Grant(each), each.name) for each in origins])[0]
    return Believed(3, contents, trusted)


def told(found: tuple[Check, ...]) -> list[tuple[str, str]]:
    assert all(check.part == "lists" and len(check.what) < 400 and check.what.isprintable() for check in found)
    assert all(check.advice or check.health is Health.OK for check in found), "who is warned is told what to do"
    return [(check.health.value, check.what) for check in found]


def test_all_is_well() -> None:
    good = origin(next_update=NOW + 30 * DAY, not_after=NOW + 90 * DAY)
    day = f"{NOW:%Y-%m-%d}"
    assert told(ageing.checks(believed(good), NOW)) == [("ok", f"1 trusted issuer, 1 list; last changed on {day}")]
    fixed = anchors.build([("iaca.pem", IACA.der)])[0]
    assert told(ageing.checks(None, NOW, fixed)) == [("ok", "1 trusted issuer")]


def test_nobody_is_trusted() -> None:
    assert told(ageing.checks(None, NOW)) == [("fault", "no issuer is trusted: no document can open")]
    empty = ageing.checks(Believed(1, Contents(), anchors.NONE), NOW)
    assert [health for health, _ in told(empty)] == ["fault"]


LATER = NOW + 300 * DAY
LISTS: dict[str, tuple[Origin, list[tuple[str, str]]]] = {
    "due soon": (
        origin(next_update=NOW + 6 * DAY),
        [("warning", "1 list will have to be replaced within a week: List (vical)")],
    ),
    "overdue": (origin(next_update=NOW - DAY), [("warning", "1 list should have been replaced by now: List (vical)")]),
    "ends soon": (
        origin(next_update=NOW + 3 * DAY, not_after=NOW + 20 * DAY),
        [("warning", "1 list will end within a month: List (vical)")],
    ),
    "ended": (
        origin(next_update=NOW - 9 * DAY, not_after=NOW - DAY),
        [
            ("fault", "no trusted issuer counts any more: each of them, or its list, ended"),
            ("warning", "1 list ended: what it said counts no more: List (vical)"),
        ],
    ),
    "of revocation, due soon": (origin(kind=ListKind.STATUS_LIST, next_update=NOW + timedelta(hours=1)), []),
    "of revocation, overdue": (
        origin(kind=ListKind.STATUS_LIST, next_update=NOW - timedelta(hours=1), not_after=LATER),
        [("warning", "1 list should have been replaced by now: List (status list)")],
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str) -> None:
    one, wanted = LISTS[name]
    assert [each for each in told(ageing.checks(believed(one), NOW)) if each[0] != "ok"] == wanted


def test_nothing_new_for_long() -> None:
    fresh, old = (believed(origin(next_update=NOW + 30 * DAY), made=NOW - age * DAY) for age in (44, 46))
    assert [health for health, _ in told(ageing.checks(fresh, NOW))] == ["ok"]
    words = "nothing new was imported for 46 days: who was removed since is still believed"
    assert told(ageing.checks(old, NOW)) == [("warning", words)]
    by_hand = believed(origin(kind=ListKind.CERTIFICATES), made=NOW - 400 * DAY)
    assert [health for health, _ in told(ageing.checks(by_hand, NOW))] == ["ok"], "certificates have no next issue"


def test_anchors_that_end() -> None:
    one = believed(origin(kind=ListKind.CERTIFICATES, name="iaca.pem"))
    assert told(ageing.checks(one, ENDS - 89 * DAY)) == [
        ("warning", f"1 trusted issuer will end, the first on {ENDS:%Y-%m-%d}, from iaca.pem")
    ]
    over = told(ageing.checks(one, ENDS + DAY))
    assert over == [("fault", "no trusted issuer counts any more: each of them, or its list, ended")]
    other = certificates.make_iaca(not_after=ENDS + 900 * DAY)
    fixed = anchors.build([("other.pem", other.der)])[0]
    assert told(ageing.checks(one, ENDS + DAY, fixed)) == [("warning", "1 trusted issuer ended, from iaca.pem")]


def many() -> TrustAnchors:
    return anchors.build((f"\x1b[2J{number}" + "x" * 500, IACA.der[:-1] + bytes((number,))) for number in range(50))[0]


def test_however_many_there_are_the_words_are_few() -> None:
    origins = [origin(name=f"\u202e{number}" + "x" * 500, next_update=NOW - DAY) for number in range(900)]
    found = ageing.checks(believed(*origins, made=NOW - 90 * DAY), NOW, many())
    assert len(found) == 2
    assert told(found)[0][1].startswith("900 lists should have been replaced by now: ")
    assert "and 897 more" in found[0].what
    assert ageing.checks(believed(*origins), ENDS + DAY, many())


def test_a_store_is_looked_at_whatever_it_is(tmp_path: Path) -> None:
    (empty, nobody) = ageing.look(tmp_path, NOW)
    assert (empty.health, nobody.health) == (Health.FAULT, Health.FAULT)
    fixed = anchors.build([("iaca.pem", IACA.der)])[0]
    assert [check.health for check in ageing.look(tmp_path, NOW, fixed)] == [Health.WARNING, Health.OK]
    provider = vical.make_provider()
    data = vical.make_vical(provider, [IACA], nextUpdate=vical.tdate(NOW + 20 * DAY))
    importer.import_files(tmp_path, [("list", data)], Orders(NOW, (("root", provider.root.der),)))
    assert [check.health for check in ageing.look(tmp_path, NOW)] == [Health.OK]
    assert store.load(tmp_path).number == 1
    (tmp_path / "generations" / "00000001" / "anchors.packed").write_bytes(b"")
    damaged = ageing.look(tmp_path, NOW)[0]
    assert (damaged.health, "store_damaged" in damaged.what) == (Health.FAULT, True)
    assert damaged.advice
