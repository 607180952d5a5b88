"""Generations: one pointer, whole generations, and what a kill or a power cut at any call leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mdoc_reader.trust import generation
from mdoc_reader.trust.generation import StoreCode, StoreError

HERE = Path(__file__).parent


def put(store: Path, number: int, **files: bytes) -> generation.Generation:
    with generation.locked(store):
        return generation.write(store, number, {"note": f"of {number}"}, files, lambda _: None)


def program(store: str, number: str) -> None:
    """What the killed process does: one generation of three files."""
    put(Path(store), int(number), **{name: f"{name} of {number}".encode() * 100 for name in ("a", "b", "c")})


def test_a_generation_is_read_as_it_was_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as empty:
        generation.current(tmp_path)
    assert empty.value.code is StoreCode.EMPTY
    put(tmp_path, 1, anchors=b"one")
    put(tmp_path, 2, anchors=b"two", more=b"")
    found = generation.current(tmp_path)
    assert (found.number, found.facts["note"]) == (2, "of 2")
    assert found.read("anchors") == b"two"
    assert found.read("more") == b""
    with pytest.raises(StoreError):
        found.read("other")


def test_old_generations_go_and_who_reads_one_can_finish(tmp_path: Path) -> None:
    put(tmp_path, 1, anchors=b"one")
    first = generation.current(tmp_path)
    put(tmp_path, 2, anchors=b"two")
    assert first.read("anchors") == b"one"
    for number in range(3, 8):
        put(tmp_path, number, anchors=b"more")
    assert len(list((tmp_path / "generations").iterdir())) == 3


def test_one_changes_it_at_a_time(tmp_path: Path) -> None:
    with generation.locked(tmp_path), pytest.raises(StoreError) as busy, generation.locked(tmp_path):
        pass
    assert busy.value.code is StoreCode.BUSY


def test_what_does_not_verify_is_never_pointed_to(tmp_path: Path) -> None:
    put(tmp_path, 1, anchors=b"one")

    def refuse(_: generation.Generation) -> None:
        raise StoreError(StoreCode.DAMAGED)

    with generation.locked(tmp_path), pytest.raises(StoreError):
        generation.write(tmp_path, 2, {}, {"anchors": b"two"}, refuse)
    assert generation.current(tmp_path).number == 1
    put(tmp_path, 2, anchors=b"two again")
    assert generation.current(tmp_path).read("anchors") == b"two again"


def test_damage_is_noticed(tmp_path: Path) -> None:
    made = put(tmp_path, 1, anchors=b"one")
    (made.folder / "anchors").write_bytes(b"two")
    with pytest.raises(StoreError) as damaged:
        generation.current(tmp_path).read("anchors")
    assert damaged.value.code is StoreCode.DAMAGED
    (made.folder / "anchors").unlink()
    with pytest.raises(StoreError):
        generation.current(tmp_path).read("anchors")


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (b"", StoreCode.DAMAGED),
        (b"[]", StoreCode.DAMAGED),
        (b"{}", StoreCode.DAMAGED),
        (b"[" * 100_000, StoreCode.DAMAGED),
        (b'{"format": 3, "number": 1, "files": {}}', StoreCode.NEWER_FORMAT),
        (b'{"format": 0, "number": 1, "files": {}}', StoreCode.DAMAGED),
        (b'{"format": null, "number": 1, "files": {}}', StoreCode.DAMAGED),
        (b'{"format": 1, "number": 2, "files": {}}', StoreCode.DAMAGED),
        (b'{"format": 1, "number": 1, "files": {"../x": ["00", 1]}}', StoreCode.DAMAGED),
        (b'{"format": 1, "number": 1, "files": {"x": ["00", 99999999999]}}', StoreCode.DAMAGED),
        (b'{"format": 1, "number": 1, "files": 7}', StoreCode.DAMAGED),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, manifest: bytes, code: StoreCode) -> None:
    made = put(tmp_path, 1)
    (made.folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(StoreError) as error:
        generation.current(tmp_path)
    assert error.value.code is code


def test_a_pointer_that_leads_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, 1)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("/etc")
    with pytest.raises(StoreError):
        generation.current(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_nobody_may_write_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError) as error, generation.locked(tmp_path / "store"):
        pass
    assert error.value.code is StoreCode.NOT_WRITABLE


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_killed_at_any_call_the_store_is_the_old_one_or_the_new_one(tmp_path: Path, mode: str) -> None:
    came_to_its_end = False
    seen = set()
    for calls in range(200):
        store = tmp_path / str(calls)
        put(store, 1, a=b"old")
        ended = subprocess.run(
            [sys.executable, HERE / "power_cut.py", str(calls), mode, "test_generation", "program", str(store), "2"],
            check=False,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        found = generation.current(store)
        seen.add(found.number)
        if found.number == 1:
            assert found.read("a") == b"old"
        else:
            assert {name: found.read(name) for name in "abc"} == {name: f"{name} of 2".encode() * 100 for name in "abc"}
        # And the next one to come finds nothing in its way.
        assert put(store, 3, a=b"next").number == generation.current(store).number == 3
        if ended.returncode == 0:
            came_to_its_end = True
            break
        assert ended.returncode == -signal.SIGKILL
    assert came_to_its_end
    assert calls > 15
    assert seen == {1, 2}
