"""The importer's side of a sync: a hostile spool, and a kill or a power cut at any call."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from mdoc_reader.lab import crls, vical
from mdoc_reader.lab.certificates import Changes, Credential, make_iaca, now
from mdoc_reader.trust import generation, spool, store, sync
from mdoc_reader.trust.generation import StoreError
from mdoc_reader.trust.importer import Orders, import_files
from mdoc_reader.trust.lists import ListKind

HERE = Path(__file__).parent
PROVIDER = vical.make_provider()
FIRST, SECOND = make_iaca(), make_iaca()
HELD = vical.make_vical(PROVIDER, [FIRST], vicalIssueID=7)
NEWER = vical.make_vical(PROVIDER, [FIRST, SECOND], vicalIssueID=8)
NEXT = vical.make_vical(PROVIDER, [SECOND], vicalIssueID=9)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.store, self.spool = folder / "store", folder / "spool"
        (self.spool / "incoming").mkdir(parents=True)
        import_files(self.store, [("held", HELD)], Orders(now(), (("root", PROVIDER.root.der),)))

    def put(self, data: bytes, source: str = "utopia", more: str = "") -> Path:
        path = self.spool / "incoming" / f"{source}-{hashlib.sha256(data).hexdigest()[:16]}.list{more}"
        path.write_bytes(data)
        return path

    def run(self, **kinds: ListKind) -> list[tuple[str, bool, list[str]]]:
        done = sync.import_spool(self.spool, self.store, now(), kinds)
        return [(one.source, one.report.accepted, [str(found.code) for found in one.report.findings]) for one in done]

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in (self.spool / "incoming").iterdir())

    @property
    def believed(self) -> tuple[int, int]:
        found = store.load(self.store)
        return found.number, len(found.anchors)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_list_is_taken_and_removed(desk: Desk) -> None:
    desk.put(NEWER)
    ((source, accepted, _),) = desk.run(utopia=ListKind.VICAL)
    assert (source, accepted, desk.left, desk.believed) == ("utopia", True, [], (2, 2))
    assert desk.run() == []


def test_nobody_vouches_for_bare_certificates(desk: Desk) -> None:
    desk.put(SECOND.der)
    assert desk.run() == [("utopia", False, ["import_not_signed"])]
    assert (desk.left, desk.believed) == ([], (1, 1))


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(spool.MAX_FILE + 1)


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("utopia-0123456789abcdef.list", link, "spool_not_a_file"),
        ("utopia-0123456789abcdef.list", pipe, "spool_not_a_file"),
        ("utopia-0123456789abcdef.list", folder, "spool_not_a_file"),
        ("utopia-0123456789abcdef.list", huge, "spool_too_large"),
        ("utopia-0123456789abcdef.list", lambda path: path.write_bytes(b"other"), "spool_digest"),
        ("utopia-0123456789abcdef.list.try2", lambda path: path.write_bytes(b"other"), "spool_given_up"),
        ("utopia-0123456789abcdef.list.try3", lambda path: path.write_bytes(b"other"), "spool_name"),
        ("Utopia-0123456789abcdef.list", lambda path: path.write_bytes(b"other"), "spool_name"),
        ("utopia-0123456789abcdef.list\n", lambda path: path.write_bytes(b"other"), "spool_name"),
        (f"{'u' * 41}-0123456789abcdef.list", lambda path: path.write_bytes(b"other"), "spool_name"),
        ("\udcff\x1b[2J", link, "spool_name"),
    ],
)
def test_what_no_fetcher_puts_there_is_dropped_and_the_rest_goes_on(
    desk: Desk, name: str, make: Callable[[Path], object], code: str
) -> None:
    make(desk.spool / "incoming" / name)
    desk.put(NEWER, "zz")
    done = desk.run()
    assert [codes for _, accepted, codes in done if not accepted] == [[code]]
    assert (desk.left, desk.believed) == ([], (2, 2))
    assert all(source.isascii() and source.isprintable() for source, _, _ in done)


def test_what_is_unfinished_is_left_alone(desk: Desk) -> None:
    (desk.spool / "incoming" / ".unfinished").write_bytes(b"half")
    assert (desk.run(), desk.left) == ([], [".unfinished"])


def test_one_source_has_one_kind(desk: Desk) -> None:
    desk.put(NEWER, "status")
    assert desk.run(status=ListKind.STATUS_LIST) == [("status", False, ["spool_other_kind"])]
    assert desk.believed == (1, 1)


def test_too_many_wait_for_the_next_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_FILES", 3)
    for number in range(5):
        desk.put(b"rubbish %d" % number, f"a{number}")
    done = desk.run()
    assert [codes[0] for _, _, codes in done].count("import_unknown_kind") == 3
    assert ["spool_too_many"] in [codes for _, _, codes in done]
    assert len(desk.left) == 2
    desk.run()
    assert desk.left == []


def test_many_lists_go_in_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_BATCH_FILES", 2)
    for number in range(4):
        desk.put(b"rubbish %d" % number, f"a{number}")
    desk.put(NEWER)
    assert len(desk.run()) == 5
    assert (desk.left, desk.believed) == ([], (2, 2))


def test_what_killed_the_importer_once_is_tried_alone_and_then_given_up(desk: Desk) -> None:
    desk.put(NEWER, "b", ".try1")
    desk.put(b"poison", "a", ".try2")
    done = desk.run()
    assert [(source, codes) for source, accepted, codes in done if not accepted] == [("a", ["spool_given_up"])]
    assert (desk.left, desk.believed) == ([], (2, 2))


def test_a_store_that_is_busy_costs_nothing(desk: Desk) -> None:
    path = desk.put(NEWER)
    with generation.locked(desk.store), pytest.raises(StoreError):
        desk.run()
    assert desk.left == [path.name]
    assert desk.run()[0][1]
    assert desk.believed == (2, 2)


def wants(desk: Desk) -> dict[str, object]:
    found: dict[str, object] = json.loads((desk.spool / "asked" / "wanted.json").read_bytes())
    return found


def pointed(*urls: str) -> Credential:
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    points = x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])
    return make_iaca(changes=Changes(put=[(points, False)]))


def test_what_the_store_would_have_fetched(desk: Desk) -> None:
    wrong = (
        "http://me:word@lists.example/",
        "ldap://lists.example/",
        "http://[1/",
        "http://lists.example/" + "x" * 3000,
    )
    issuer = pointed("http://lists.example/crl", *wrong)
    desk.put(vical.make_vical(PROVIDER, [issuer], vicalIssueID=8))
    desk.put(crls.make_crl(issuer), "crl")
    assert sync.want(desk.spool, desk.store)
    desk.run()
    assert sync.want(desk.spool, desk.store)
    assert {"url": "http://lists.example/crl", "kind": "crl"} in wants(desk)["wanted"]  # type: ignore[operator]
    assert not any("word" in str(row) or "ldap" in str(row) for row in wants(desk)["wanted"])  # type: ignore[attr-defined]
    held = wants(desk)["held"]
    assert hashlib.sha256(crls.make_crl(issuer)).hexdigest() not in held  # type: ignore[operator]
    assert len(held) == 2  # type: ignore[arg-type]
    before = (desk.spool / "asked" / "wanted.json").stat().st_mtime_ns
    assert not sync.want(desk.spool, desk.store)
    assert (desk.spool / "asked" / "wanted.json").stat().st_mtime_ns == before


def test_an_empty_store_wants_nothing_and_a_damaged_one_says_so(desk: Desk, tmp_path: Path) -> None:
    assert sync.want(desk.spool, tmp_path / "none")
    assert wants(desk) == {"wanted": [], "held": []}
    (generation.current(desk.store).folder / "manifest.json").write_bytes(b"")
    with pytest.raises(StoreError):
        sync.want(desk.spool, desk.store)


def program(folder: str) -> None:
    """What the killed process does: a whole import."""
    at = Path(folder)
    sync.import_spool(at / "spool", at / "store", now())
    sync.want(at / "spool", at / "store")


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_killed_at_any_call_the_store_is_the_old_one_or_the_new_one(tmp_path: Path, mode: str) -> None:
    seen = set()
    came_to_its_end = False
    for calls in range(200):
        desk = Desk(tmp_path / str(calls))
        desk.put(NEWER)
        desk.put(b"rubbish", "other")
        ended = subprocess.run(
            [
                sys.executable,
                HERE / "power_cut.py",
                str(calls),
                mode,
                "test_sync",
                "program",
                str(tmp_path / str(calls)),
            ],
            check=False,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        seen.add(desk.believed)
        # The next sync finds nothing in its way.
        desk.put(NEXT)
        desk.run()
        sync.want(desk.spool, desk.store)
        contents = store.load(desk.store).contents
        assert {one.order.number for one in contents.lists if one.order is not None} == {9}
        assert desk.left == []
        if ended.returncode == 0:
            came_to_its_end = True
            break
        assert ended.returncode == -signal.SIGKILL
    assert came_to_its_end
    assert calls > 20
    assert seen == {(1, 1), (2, 2)}
