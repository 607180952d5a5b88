"""The units of the three hands: systemd reads them without a complaint, and each hand is shut in as it should be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = ("mdoc-reader-fetch.service", "mdoc-reader-fetch.path", "mdoc-reader-import.service", "mdoc-reader-sync.timer")
SERVICES = {"mdoc-reader-fetch.service": 2.0, "mdoc-reader-import.service": 1.0}
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with this interpreter in the place of the installed one: systemd looks whether it is there."""
    for name in UNITS:
        text = (SYSTEMD / name).read_text().replace("/opt/mdoc-reader/bin", str(Path(sys.executable).parent))
        (tmp_path / name).write_text(text)
    return tmp_path


def unit(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n\s*", "", (SYSTEMD / name).read_text()).splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@needs_systemd
def test_systemd_reads_them_without_a_complaint(units: Path) -> None:
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_LOG_LEVEL": "warning"},
    )
    ours = [line for line in told.stderr.splitlines() if "mdoc-reader" in line]
    assert ours == []
    assert told.returncode == 0, told.stderr


@needs_systemd
@pytest.mark.parametrize(("name", "most"), SERVICES.items())
def test_how_exposed_they_are(units: Path, name: str, most: float) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--json=short", units / name],
        check=False,
        capture_output=True,
        text=True,
    )
    rows = json.loads(told.stdout)
    overall = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", units / name],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", overall)
    assert match is not None, overall
    assert float(match[1]) <= most, [row for row in rows if row.get("exposure") not in {None, "0.0"}]


def test_only_one_hand_has_a_network_and_only_the_other_the_store() -> None:
    fetcher, importer = unit("mdoc-reader-fetch.service"), unit("mdoc-reader-import.service")
    assert fetcher["User"] != importer["User"]
    assert importer["PrivateNetwork"] == ["yes"]
    assert importer["RestrictAddressFamilies"] == ["none"]
    assert "PrivateNetwork" not in fetcher
    assert "-/var/lib/mdoc-reader-trust" in fetcher["InaccessiblePaths"][0].split()
    assert fetcher["ReadWritePaths"] == ["/var/lib/mdoc-reader-spool"]
    assert " ".join(fetcher["ExecStart"]).count("-m mdoc_reader.edge.fetch") == 1
    assert "trust sync --import-only" in importer["ExecStart"][0]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
def test_users_and_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for command in (
        ["systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "sysusers.d" / "mdoc-reader.conf"],
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", SYSTEMD / "tmpfiles.d" / "mdoc-reader.conf"],
    ):
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
    names = {line.split(":")[0] for line in (tmp_path / "etc" / "passwd").read_text().splitlines()}
    assert {"mdoc-fetch", "mdoc-trust"} <= names
    modes = {
        path.name: oct(path.stat().st_mode & 0o7777) for path in (tmp_path / "var/lib/mdoc-reader-spool").iterdir()
    }
    assert modes == {"incoming": "0o2770", "fetcher": "0o700", "asked": "0o2750"}
