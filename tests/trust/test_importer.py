"""The importer: each file by itself, no issue goes back unless a person says so, all or nothing on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.lab import certificates
from mdoc_reader.lab import vical as lab_vical
from mdoc_reader.lab.certificates import Credential
from mdoc_reader.trust import generation, importer, store
from mdoc_reader.trust.generation import StoreCode, StoreError
from mdoc_reader.trust.importer import ImportCode, Orders, Report
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.lists import ListKind

HERE = Path(__file__).parent
NOW = datetime.now(UTC).replace(microsecond=0)
IACA, OTHER = certificates.make_iaca(), certificates.make_iaca(common_name="Other IACA")


def brought(folder: Path, *files: bytes, at: datetime = NOW, **orders: object) -> tuple[Report, ...]:
    named = [(f"file {number}", data) for number, data in enumerate(files)]
    return importer.import_files(folder, named, replace(Orders(at), **orders))  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    return {str(found.code) for found in report.findings}


def test_certificates_by_hand_and_not_otherwise(tmp_path: Path) -> None:
    (report,) = brought(tmp_path, IACA.pem + OTHER.pem)
    assert (report.kind, report.accepted, report.anchors) == (ListKind.CERTIFICATES, True, 2)
    believed = store.load(tmp_path)
    assert len(believed.anchors) == 2
    assert believed.number == 1
    (alone,) = brought(tmp_path, OTHER.pem, by_hand=False)
    assert not alone.accepted
    assert codes(alone) == {ImportCode.NOT_SIGNED}
    assert store.load(tmp_path).number == 1


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 1000, b"{}", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_nothing_changes_nothing(tmp_path: Path, data: bytes) -> None:
    brought(tmp_path, IACA.pem)
    junk, good = brought(tmp_path, data, OTHER.pem)
    assert not junk.accepted
    assert good.accepted
    assert len(store.load(tmp_path).anchors) >= 1
    assert store.load(tmp_path).number == 2


def test_the_same_again_makes_no_generation(tmp_path: Path) -> None:
    brought(tmp_path, IACA.pem)
    brought(tmp_path, IACA.pem)
    assert store.load(tmp_path).number == 1
    assert len(store.load(tmp_path).anchors) == 1


class Publisher:
    """Publishes VICALs."""

    def __init__(self) -> None:
        self.provider = lab_vical.make_provider()
        self.root = self.provider.root

    def issue(self, number: int, *iacas: Credential, at: datetime = NOW) -> bytes:
        return lab_vical.make_vical(
            self.provider,
            iacas,
            issued=at,
            vicalIssueID=number,
            nextUpdate=lab_vical.tdate(at + timedelta(days=30)),
        )


@pytest.fixture(scope="module")
def publisher() -> Publisher:
    return Publisher()


def test_a_list_is_believed_to_its_pin_alone(tmp_path: Path, publisher: Publisher) -> None:
    first = publisher.issue(1, IACA)
    (unpinned,) = brought(tmp_path, first)
    assert not unpinned.accepted
    assert ListCode.NO_PINS in codes(unpinned)
    (pinned,) = brought(tmp_path, first, pins=(("root", publisher.root.der),))
    assert pinned.accepted, pinned
    assert pinned.anchors == 1
    (strange,) = brought(tmp_path, Publisher().issue(9, OTHER))
    assert not strange.accepted
    assert len(store.load(tmp_path).anchors) == 1
    (later,) = brought(tmp_path, publisher.issue(2, IACA, OTHER), by_hand=False)
    assert later.accepted, "the pin stays"
    assert len(store.load(tmp_path).anchors) == 2


def test_no_issue_goes_back_unless_a_person_says_so(tmp_path: Path, publisher: Publisher) -> None:
    old, new = publisher.issue(1, IACA), publisher.issue(2, IACA, OTHER)
    brought(tmp_path, new, pins=(("root", publisher.root.der),))
    (back,) = brought(tmp_path, old)
    assert not back.accepted
    assert ImportCode.ROLLED_BACK in codes(back)
    (twin,) = brought(tmp_path, publisher.issue(2, OTHER))
    assert ImportCode.SAME_ORDER in codes(twin)
    (again,) = brought(tmp_path, new)
    assert again.accepted
    assert ImportCode.UNCHANGED in codes(again)
    assert store.load(tmp_path).number == 1
    (forced,) = brought(tmp_path, old, override="the new one was a mistake")
    assert forced.accepted
    believed = store.load(tmp_path)
    assert len(believed.anchors) == 1
    assert believed.contents.history[-1].override == "the new one was a mistake"


def test_a_damaged_store_is_not_written_over(tmp_path: Path) -> None:
    brought(tmp_path, IACA.pem)
    made = generation.current(tmp_path)
    (made.folder / "anchors.packed").write_bytes(b"\x80")
    with pytest.raises(StoreError) as damaged:
        brought(tmp_path, OTHER.pem)
    assert damaged.value.code is StoreCode.DAMAGED


def program(folder: str) -> None:
    """What the killed process does."""
    root, data = (Path(folder) / "root").read_bytes(), (Path(folder) / "list").read_bytes()
    importer.import_files(Path(folder) / "store", [("list", data)], Orders(NOW, (("root", root),)))


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_killed_at_any_call_what_is_believed_is_old_or_new(tmp_path: Path, publisher: Publisher, mode: str) -> None:
    seen = set()
    for calls in range(200):
        folder = tmp_path / str(calls)
        folder.mkdir()
        (folder / "root").write_bytes(publisher.root.der)
        (folder / "list").write_bytes(publisher.issue(1, OTHER))
        brought(folder / "store", IACA.pem)
        ended = subprocess.run(
            [sys.executable, HERE / "power_cut.py", str(calls), mode, "test_importer", "program", str(folder)],
            check=False,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        believed = store.load(folder / "store")
        assert (believed.number, len(believed.anchors)) in {(1, 1), (2, 2)}
        seen.add(believed.number)
        brought(folder / "store", OTHER.pem)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert seen == {1, 2}
