"""Rounds of the fetcher: what is due, what is brought again, and what a kill at any call leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from list_server import Server, plain, silent, with_validators

from mdoc_reader.edge import fetch, plan, schedule, spool
from mdoc_reader.edge.codes import FetchCode, FetchError, SpoolError, SpoolTrouble
from mdoc_reader.edge.http import Limits
from mdoc_reader.edge.spool import Spool
from mdoc_reader.edge.told import Outcome, Teller

HERE = Path(__file__).parent
POWER_CUT = HERE.parent / "trust" / "power_cut.py"
DAY = 86400.0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


class Desk:
    """A spool, a plan, and a world with a clock of its own and fair dice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = Spool(folder)
        self.at = 1_800_000_000.0
        self.pauses: list[float] = []
        limits = Limits(connect=2, read=0.3, total=2)
        self.world = fetch.World(lambda: self.at, lambda: self.at, self.pauses.append, lambda: 0.5, limits)
        (folder / "asked").mkdir()

    def ask(self, *sources: dict[str, object], **follow: object) -> None:
        rows = [{"kind": "vical", "insecure": True, "every": DAY, **source} for source in sources]
        (self.folder / "asked" / "sources.json").write_text(json.dumps({"sources": rows, "follow": follow}))

    def want(self, *wanted: dict[str, str], held: tuple[str, ...] = ()) -> None:
        (self.folder / "asked" / "wanted.json").write_text(json.dumps({"wanted": wanted, "held": held}))

    def run(self, *, everything: bool = False) -> tuple[Outcome, ...]:
        given = plan.read(self.folder / "asked" / "sources.json", self.folder / "asked" / "wanted.json")
        with self.spool.held():
            return fetch.one_round(given, self.spool, Teller(as_json=True), self.world, everything=everything)

    @property
    def waiting(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "incoming").iterdir())}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_list_is_brought_once(desk: Desk, server: Server) -> None:
    server.acts["/list"] = with_validators(b"one", '"1"')
    desk.ask({"name": "utopia", "url": server.url("/list")})
    (first,) = desk.run()
    digest = hashlib.sha256(b"one").hexdigest()
    assert (first.what, first.bytes) == ("fetched", 3)
    assert desk.waiting == {f"utopia-{digest[:16]}.list": b"one"}
    assert desk.run()[0].what == "waiting"
    desk.at += DAY
    assert desk.run()[0].what == "unchanged"
    assert server.asked[-1][1]["if-none-match"] == '"1"'
    # The importer took it, and says so.
    (desk.folder / "incoming" / f"utopia-{digest[:16]}.list").unlink()
    desk.want(held=(digest,))
    assert desk.run(everything=True)[0].what == "unchanged"
    assert "if-none-match" in server.asked[-1][1]
    # It refused it, or its store was lost: the list is brought again, whatever the server thinks we have.
    desk.want()
    assert desk.run(everything=True)[0].what == "fetched"
    assert "if-none-match" not in server.asked[-1][1]
    # A new issue takes the place of one that still waits.
    server.acts["/list"] = with_validators(b"two", '"2"')
    assert desk.run(everything=True)[0].what == "fetched"
    assert list(desk.waiting.values()) == [b"two"]


def test_the_same_list_without_validators_is_not_brought_again(desk: Desk, server: Server) -> None:
    server.acts["/list"] = plain(b"one")
    desk.ask({"name": "utopia", "url": server.url("/list")})
    assert [desk.run(everything=True)[0].what for _ in range(2)] == ["fetched", "unchanged"]
    desk.ask({"name": "utopia", "url": server.url("/elsewhere")})
    assert desk.run()[0].code == "fetch_not_found"


def test_failures_come_back_later_and_later(desk: Desk, server: Server) -> None:
    desk.ask({"name": "utopia", "url": server.url("/list")})
    waits = []
    for _ in range(14):
        (outcome,) = desk.run()
        assert (outcome.what, outcome.code) == ("failed", "fetch_not_found")
        waits.append(outcome.due - desk.at)
        desk.at = outcome.due
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == DAY
    assert desk.pauses == []  # what is not there now is not there in a second
    server.acts["/list"] = plain(b"one")
    (outcome,) = desk.run()
    assert (outcome.what, outcome.due - desk.at) == ("fetched", 0.95 * DAY)


def test_what_may_pass_is_tried_again_at_once(desk: Desk, server: Server) -> None:
    server.acts["/list"] = silent
    desk.ask({"name": "utopia", "url": server.url("/list")})
    (outcome,) = desk.run()
    assert (outcome.code, len(server.asked)) == ("fetch_timed_out", 3)
    assert desk.pauses == [1, 2]
    server.acts["/list"] = plain(b"", status=503, Retry_After="3000")
    (outcome,) = desk.run(everything=True)
    assert (outcome.code, len(server.asked), outcome.due - desk.at) == ("fetch_busy", 4, 3000)


def test_one_that_fails_costs_the_others_nothing(desk: Desk, server: Server) -> None:
    server.acts |= {"/a": silent, "/b": plain(b"b"), "/c": plain(b"c" * 5000)}
    desk.ask(
        {"name": "a", "url": server.url("/a")},
        {"name": "b", "url": server.url("/b")},
        {"name": "c", "url": server.url("/c"), "max_bytes": 4999},
        {"name": "d", "url": server.url("/b").replace("http:", "ftp:")},
    )
    outcomes = desk.run()
    assert [(each.what, each.code) for each in outcomes] == [
        ("failed", "fetch_timed_out"),
        ("fetched", ""),
        ("failed", "fetch_too_large"),
        ("failed", "fetch_bad_url"),
    ]
    assert list(desk.waiting.values()) == [b"b"]


def test_a_round_has_an_end(desk: Desk, server: Server) -> None:
    server.acts["/a"] = plain(b"a")
    desk.world = replace(desk.world, seconds=0)
    desk.ask({"name": "a", "url": server.url("/a")})
    assert desk.run()[0].code == "fetch_out_of_time"
    assert server.asked == []


def test_what_certificates_name_is_fetched_only_where_settings_say_so(desk: Desk, server: Server) -> None:
    server.acts["/crl"] = plain(b"revoked")
    desk.want({"url": server.url("/crl"), "kind": "crl"}, {"url": server.url("/crl"), "kind": "crl"})
    desk.ask()
    assert desk.run() == ()
    for follow, code in (
        ({}, "fetch_insecure_url"),
        ({"insecure": True}, "fetch_private_address"),
        ({"insecure": True, "private": True}, ""),
    ):
        desk.ask(enabled=True, **follow)
        (outcome,) = desk.run(everything=True)
        assert (outcome.kind, outcome.code) == ("crl", code)
    assert list(desk.waiting.values()) == [b"revoked"]
    assert len(server.asked) == 1


def test_a_plan_that_is_none(desk: Desk) -> None:
    asked = desk.folder / "asked"
    good = {"name": "a", "url": "https://lists.example/", "kind": "vical"}
    for text in (
        "",
        "[]",
        "[" * 100_000,
        json.dumps({"sources": [{**good, "name": "../a"}]}),
        json.dumps({"sources": [{**good, "name": "a\n"}]}),
        json.dumps({"sources": [good, good]}),
        json.dumps({"sources": [{**good, "tls_pin": ["00"]}]}),
        json.dumps({"sources": [{**good, "more": 1}]}),
        json.dumps({"sources": [{**good, "name": f"a{number}"} for number in range(65)]}),
        " " * (plan.MAX_FILE + 1),
    ):
        (asked / "sources.json").write_text(text)
        with pytest.raises(SpoolError) as error:
            plan.read(asked / "sources.json", asked / "wanted.json")
        assert error.value.code is SpoolTrouble.PLAN_UNREADABLE
    # What is wanted beside may be anything: it costs itself alone.
    desk.ask(good, enabled=True)
    for text in ("", "[]", '{"wanted": 1}', json.dumps({"wanted": [{"url": "u", "kind": "crl"}] * 1001})):
        (asked / "wanted.json").write_text(text)
        assert len(plan.read(asked / "sources.json", asked / "wanted.json").errands) == 1
    (asked / "wanted.json").unlink()
    (asked / "wanted.json").symlink_to("/dev/zero")
    assert len(plan.read(asked / "sources.json", asked / "wanted.json").errands) == 1


def test_a_full_spool_takes_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.spool.held():
        desk.spool.put("a", b"a")
        monkeypatch.setattr(spool, "MAX_WAITING", 1)
        desk.spool.put("a", b"newer")  # takes the place of its own
        with pytest.raises(FetchError) as error:
            desk.spool.put("b", b"b")
        assert error.value.code is FetchCode.SPOOL_FULL
        monkeypatch.setattr(spool, "MAX_WAITING", 10)
        monkeypatch.setattr(spool, "MAX_WAITING_BYTES", 7)
        with pytest.raises(FetchError):
            desk.spool.put("b", b"bbb")
    assert list(desk.waiting.values()) == [b"newer"]


def test_one_fetcher_at_a_time(desk: Desk) -> None:
    with desk.spool.held(), pytest.raises(SpoolError) as error, Spool(desk.folder).held():
        pass
    assert error.value.code is SpoolTrouble.BUSY


def test_a_memory_that_is_lost_or_wrong_is_begun_anew(desk: Desk, server: Server) -> None:
    server.acts["/list"] = with_validators(b"one", '"1"')
    desk.ask({"name": "utopia", "url": server.url("/list")})
    desk.run()
    for text in ("", "[]", "{" * 5000, '{"fetched": {"utopia": {"url": 1}}}'):
        (desk.folder / "fetcher" / "fetched.json").write_text(text)
        assert desk.run()[0].what == "unchanged"


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_schedule(chance: float) -> None:
    assert 0.9 * DAY <= schedule.after_success(0, DAY, chance) <= DAY
    waits = [schedule.after_failure(0, DAY, failures, chance) for failures in (1, 2, 5, 50, 10**6)]
    assert waits == sorted(waits)
    assert 30 <= waits[0] <= 90
    assert waits[-1] <= 1.5 * DAY
    assert schedule.pause(schedule.RETRIES, chance) is None
    assert schedule.pause(1, chance, 31) is None
    assert schedule.pause(1, chance, 30) == 30
    # A clock that was wrong once does not put fetching off for years.
    assert schedule.is_due(10 * DAY, 0, DAY)
    assert not schedule.is_due(1, 0, DAY)


def test_the_command(desk: Desk, server: Server) -> None:
    server.acts["/list"] = plain(b"one")
    desk.ask({"name": "utopia", "url": server.url("/list")}, {"name": "gone", "url": server.url("/gone")})
    sources = desk.folder / "asked" / "sources.json"
    command = [sys.executable, "-m", "mdoc_reader.edge.fetch", "--sources", sources, "--spool", desk.folder, "--once"]
    told = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True)
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert (told.returncode, told.stderr) == (1, "")
    assert events[-1] == {"event": "summary", "fetched": 1, "unchanged": 0, "failed": 1, "waiting": 0}
    assert [each["code"] for each in events if each["event"] == "end"] == ["", "fetch_not_found"]
    told = subprocess.run([*command, "--now"], check=False, capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stdout.startswith("utopia: unchanged, 3 bytes; next 2")
    assert told.stdout.endswith("0 fetched, 1 unchanged, 1 failed, 0 waiting\n")
    sources.unlink()
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (2, "")
    assert "fetch_plan_unreadable" in told.stderr


def test_the_process_with_the_network_sees_nothing_of_the_reader() -> None:
    look = "import sys, mdoc_reader.edge.fetch; print(*sorted(name for name in sys.modules if 'mdoc_reader' in name))"
    told = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    rooms = {name.split(".")[1] for name in told.stdout.split() if "." in name}
    assert rooms == {"edge", "model"}


def program(folder: str, text: str) -> None:
    """What the killed process does: one list put, and what is remembered of it."""
    one = Spool(Path(folder))
    with one.held():
        one.put("utopia", text.encode() * 1000)
        one.remember({"utopia": spool.Fetched(url=text)})


@pytest.mark.parametrize("mode", ["kill", "power"])
def test_killed_at_any_call_the_spool_holds_whole_lists(tmp_path: Path, mode: str) -> None:
    seen: set[str] = set()
    for calls in range(200):
        folder = tmp_path / str(calls)
        program(str(folder), "old")
        ended = subprocess.run(
            [sys.executable, POWER_CUT, str(calls), mode, "test_fetch_round", "program", str(folder), "new"],
            check=False,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        found = sorted(path.read_bytes()[:3].decode() for path in (folder / "incoming").iterdir())
        seen.add(" ".join(found))
        for path in (folder / "incoming").iterdir():
            assert path.name == f"utopia-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.list"
        # The cut takes a file back that took another's place, and the other with it: a memory that is lost is allowed.
        remembered = Spool(folder).remembered()
        assert mode == "power" or remembered
        assert {each.url for each in remembered.values()} <= {"old", "new"}
        program(str(folder), "next")
        assert [path.read_bytes()[:4] for path in (folder / "incoming").iterdir()] == [b"next"]
        assert sorted(path.name for path in (folder / "fetcher").iterdir()) == ["fetched.json", "lock"]
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert calls > 8
    assert seen == {"old", "new old", "new"}
