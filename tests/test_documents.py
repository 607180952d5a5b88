"""What the documents say is what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_generated_documents_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_links_in_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


def test_lock_files_carry_hashes_and_no_addresses() -> None:
    locks = [*(ROOT / "requirements").glob("*.lock"), *ROOT.glob("*/**/package-lock.json")]
    assert len(locks) >= 3
    for lock in locks:
        if "node_modules" in lock.parts or ".venv" in lock.parts:
            continue
        text = lock.read_text()
        assert "--hash=sha256:" in text or '"integrity"' in text
        assert not re.search(r'"resolved"|index-url|find-links|://\S+\.(whl|tgz|tar\.gz)', text), lock
