"""A whole sync against a server on loopback: whatever it serves, only a good newer list changes what is believed."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from list_server import Act, Server, bomb, plain, raw, redirect, silent, with_validators

from mdoc_reader.app import sync_command
from mdoc_reader.edge import fetch, http
from mdoc_reader.lab import lote, vical
from mdoc_reader.lab.certificates import make_iaca, now
from mdoc_reader.trust import store
from mdoc_reader.trust.importer import Orders, import_files

PROVIDER = vical.make_provider()
OTHER_PROVIDER = vical.make_provider(name="Elsewhere")
OPERATOR = lote.make_operator()
FIRST, SECOND = make_iaca(), make_iaca()
HELD = vical.make_vical(PROVIDER, [FIRST], vicalIssueID=7)
NEWER = vical.make_vical(PROVIDER, [FIRST, SECOND], vicalIssueID=8)
LONG_AGO = now() - timedelta(days=200)


class Desk:
    """A reader that believes issue 7 of one list, and a server that this list is fetched from."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.store, self.spool = folder / "store", folder / "spool"
        pins = (("root", PROVIDER.root.der), ("operator", OPERATOR.certificate))
        (report,) = import_files(self.store, [("held", HELD)], Orders(now(), pins))
        assert report.accepted
        self.config = folder / "reader.toml"
        self.settings()

    def settings(self, more: str = "", follow: str = "") -> None:
        self.config.write_text(
            f"""[profile]
name = "test"
[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
elements = {{ "org.iso.18013.5.1" = {{ age_over_18 = false }} }}
[trust]
{follow}
[[trust.sources]]
name = "utopia"
url = "{self.server.url("/list")}"
kind = "vical"
max_bytes = 100_000
insecure = true
{more}
"""
        )

    def sync(self, *more: str) -> int:
        parser = argparse.ArgumentParser()
        sync_command.add_sync(parser.add_subparsers())
        folders = ["--config", str(self.config), "--spool", str(self.spool), "--store", str(self.store)]
        chosen = parser.parse_args(["sync", *folders, *more])
        code: int = chosen.function(chosen)
        return code

    @property
    def believed(self) -> tuple[int, int]:
        found = store.load(self.store)
        return found.number, len(found.anchors)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with Server() as server:
        yield Desk(tmp_path, server)


def codes(text: str) -> set[str]:
    (row,) = json.loads(text)["sources"]
    findings = [each for report in row["imported"] for each in report["findings"] if each["severity"] == "error"]
    return {each["code"] for each in findings} | ({row["fetch"]["code"]} - {""})


def test_a_newer_list_is_believed_and_the_same_one_is_not_brought_again(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.server.acts["/list"] = with_validators(NEWER, '"8"')
    assert desk.sync() == 0
    assert desk.believed == (2, 2)
    shown = capsys.readouterr()
    assert "utopia  vical  fetched; taken, 2 anchors" in shown.out
    assert "1 of 1 well; the store holds generation 2" in shown.out
    assert shown.err == "[1/1] utopia ...\n"
    assert desk.sync() == 0
    assert "utopia  vical  unchanged" in capsys.readouterr().out
    assert desk.server.asked[-1][1]["if-none-match"] == '"8"'
    assert desk.server.asked[-1][1]["accept"].startswith("application/cwt")
    assert desk.believed == (2, 2)
    assert list((desk.spool / "incoming").iterdir()) == []


ROWS: list[tuple[str, Act, set[str]]] = [
    ("older", plain(vical.make_vical(PROVIDER, [SECOND], vicalIssueID=6)), {"import_rolled_back"}),
    ("same issue", plain(vical.make_vical(PROVIDER, [SECOND], vicalIssueID=7)), {"import_same_order"}),
    (
        "past its end",
        plain(
            vical.make_vical(
                PROVIDER,
                [SECOND],
                vicalIssueID=8,
                issued=LONG_AGO,
                nextUpdate=vical.tdate(LONG_AGO + timedelta(days=30)),
                notAfter=vical.tdate(LONG_AGO + timedelta(days=60)),
            )
        ),
        {"list_expired"},
    ),
    (
        "overdue",
        plain(
            vical.make_vical(
                PROVIDER,
                [SECOND],
                vicalIssueID=8,
                issued=LONG_AGO,
                nextUpdate=vical.tdate(LONG_AGO + timedelta(days=30)),
            )
        ),
        {"list_stale"},
    ),
    ("of another provider", plain(vical.make_vical(OTHER_PROVIDER, [SECOND], vicalIssueID=8)), {"list_not_pinned"}),
    (
        "altered",
        plain(
            vical.make_vical(
                PROVIDER, [SECOND], vicalIssueID=8, wrap=vical.Wrap(alter=lambda raw: raw.replace(b"Lab", b"Laa"))
            )
        ),
        {"list_signature"},
    ),
    ("cut off, and told so", plain(NEWER[:-40], Content_Length=str(len(NEWER))), {"fetch_cut_off"}),
    ("cut off silently", plain(NEWER[:-40]), {"import_unknown_kind"}),
    ("another kind", plain(lote.make_lote(OPERATOR, [SECOND.der])), {"spool_other_kind"}),
    ("bare certificates", plain(SECOND.der), {"spool_other_kind"}),
    ("rubbish", plain(bytes(1000)), {"import_unknown_kind"}),
    ("oversized", plain(NEWER + bytes(200_000)), {"fetch_too_large"}),
    ("a bomb on the way", plain(bomb(5_000_000), Content_Encoding="gzip"), {"fetch_bomb"}),
    ("a bomb in itself", plain(bomb(70_000_000)), {"import_unknown_kind"}),
    ("a page to log in", plain(b"<html>", Content_Type="text/html"), {"fetch_wrong_type"}),
    ("gone", plain(b"", status=404), {"fetch_not_found"}),
    ("in a circle", redirect("/list"), {"fetch_redirect_loop"}),
    ("elsewhere, and private", redirect("http://localhost:9/"), {"fetch_private_address"}),
    ("with a password", redirect("http://me:word@127.0.0.1/"), {"fetch_bad_url"}),
    ("to a file", redirect("file:///etc/shadow"), {"fetch_bad_url"}),
]


@pytest.mark.parametrize(("act", "wanted"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_nothing_else_changes_what_is_believed(
    desk: Desk, act: Act, wanted: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    desk.server.acts["/list"] = act
    before = desk.believed
    assert desk.sync("--json") == 1
    assert codes(capsys.readouterr().out) == wanted
    assert desk.believed == before
    assert list((desk.spool / "incoming").iterdir()) == []
    # And once the server has come to its senses, so has the reader.
    desk.server.acts["/list"] = plain(gzip.compress(NEWER), Content_Encoding="gzip")
    assert desk.sync("--json") == 0
    assert desk.believed == (before[0] + 1, 2)


@pytest.mark.parametrize(
    ("act", "code"),
    [(silent, "fetch_timed_out"), (raw(b"HTTP/1.1 200 OK\r\n\r\n", every=0.05, forever=b"x"), "fetch_timed_out")],
)
def test_a_slow_server_neither(
    desk: Desk, act: Act, code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, with less patience than a fetcher of its own would have.
    hurried = fetch.World(sleep=lambda _: None, limits=http.Limits(connect=1, read=0.3, total=0.6))
    monkeypatch.setattr(fetch, "World", lambda: hurried)
    desk.server.acts["/list"] = act
    assert desk.sync("--import-only") == 0  # writes what is asked for
    capsys.readouterr()
    sources = desk.spool / "asked" / "sources.json"
    assert fetch.main(["--sources", str(sources), "--spool", str(desk.spool), "--once", "--json"]) == 1
    assert code in capsys.readouterr().out
    assert desk.sync("--import-only") == 0
    assert desk.believed == (1, 1)


def test_what_was_refused_is_fetched_again_when_its_root_was_pinned(desk: Desk) -> None:
    desk.server.acts["/list"] = with_validators(
        vical.make_vical(OTHER_PROVIDER, [SECOND], vicalProvider="Elsewhere"), '"other"'
    )
    assert desk.sync() == 1
    import_files(desk.store, (), Orders(now(), (("other", OTHER_PROVIDER.root.der),)))
    assert desk.sync() == 0
    assert desk.believed[1] == 2


def test_import_only_needs_no_server(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.server.acts["/list"] = plain(NEWER)
    assert desk.sync("--import-only") == 0
    sources = desk.spool / "asked" / "sources.json"
    assert fetch.main(["--sources", str(sources), "--spool", str(desk.spool), "--once"]) == 0
    asked = len(desk.server.asked)
    assert desk.sync("--import-only") == 0
    assert desk.believed == (2, 2)
    assert len(desk.server.asked) == asked == 1
    capsys.readouterr()


def test_a_fetcher_that_cannot_work_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.settings('tls_pin = ["sha256//' + "A" * 42 + 'A="]')
    desk.server.acts["/list"] = plain(NEWER)
    assert desk.sync("--json") == 1  # pinned, and plain http
    assert codes(capsys.readouterr().out) == {"fetch_insecure_url"}
    (desk.spool / "fetcher" / "lock").unlink()
    (desk.spool / "fetcher" / "lock").mkdir()
    assert desk.sync() == 2
    assert "fetch_spool_not_writable" in capsys.readouterr().err
