"""`mdoc-reader trust import` as it is relied on from outside: exit codes, the JSON, `--at`, `--override`."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.app import trust_command
from mdoc_reader.lab import certificates, vical
from mdoc_reader.lab.certificates import now
from mdoc_reader.trust import store

PROVIDER, IACA = vical.make_provider(), certificates.make_iaca()
ISSUED = now() - timedelta(days=40)
DUE = ISSUED + timedelta(days=30)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        (folder / "root.der").write_bytes(PROVIDER.root.der)

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def run(self, *more: str) -> int:
        parser = argparse.ArgumentParser()
        trust_command.add_parser(parser.add_subparsers())
        chosen = parser.parse_args(["trust", *more, "--store", str(self.store)])
        code: int = chosen.function(chosen)
        return code

    def bring(self, *more: str) -> int:
        return self.run("import", "--pin", str(self.folder / "root.der"), "--json", *more)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return Desk(tmp_path)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_accepted_refused_and_unreadable_each_have_their_exit_code(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    good = desk.put("good.cbor", vical.make_vical(PROVIDER, [IACA], vicalIssueID=8))
    older = desk.put("older.cbor", vical.make_vical(PROVIDER, [IACA], vicalIssueID=7))
    rubbish = desk.put("rubbish", b"hello")
    assert desk.bring(good) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["file"] == good
    assert (row["kind"], row["accepted"], row["anchors"], row["skipped"]) == ("vical", True, 1, [])
    assert row["issued"].endswith("Z")
    assert row["next_update"] > row["issued"]
    assert desk.bring(older) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert [(each["code"], each["severity"]) for each in row["findings"]] == [("import_rolled_back", "error")]
    assert desk.bring(good, rubbish, older) == 2
    assert [row["accepted"] for row in json.loads(capsys.readouterr().out)] == [True, False, False]
    assert desk.bring(str(desk.folder / "nowhere")) == 2


def test_a_list_is_judged_as_of_the_time_that_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    overdue = desk.put("overdue.cbor", vical.make_vical(PROVIDER, [IACA], issued=ISSUED, nextUpdate=vical.tdate(DUE)))
    assert desk.bring(overdue) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert [(each["code"], each["severity"]) for each in row["findings"]] == [("list_stale", "error")]
    assert desk.bring(overdue, "--at", stamp(ISSUED - timedelta(days=2))) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert [each["code"] for each in row["findings"]] == ["list_not_yet_issued"]
    assert desk.bring(overdue, "--override", "nothing newer on the stick") == 0
    assert desk.run("history") == 0
    assert "AGAINST THE RULES: nothing newer on the stick" in capsys.readouterr().out


def test_the_same_list_before_it_was_due(desk: Desk) -> None:
    overdue = desk.put("overdue.cbor", vical.make_vical(PROVIDER, [IACA], issued=ISSUED, nextUpdate=vical.tdate(DUE)))
    assert desk.bring(overdue, "--at", stamp(DUE)) == 0
    assert len(store.load(desk.store).anchors) == 1
