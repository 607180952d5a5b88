"""Status lists of an issuer this project did not write: @sd-jwt/jwt-status-list on Node.js, from its lock file."""

from __future__ import annotations

import base64
import fcntl
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdoc_reader.lab.certificates import Credential

FOLDER = Path(__file__).with_name("sd_jwt_status")


def install() -> None:
    """Install the packages of the lock file once; later runs see that it is done."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is missing: ./dev test installs it")
    done = FOLDER / "node_modules" / ".installed-lock.json"
    with (FOLDER / "package-lock.json").open("rb") as guard:
        lock = guard.read()
        fcntl.flock(guard, fcntl.LOCK_EX)  # several test runs may begin at once
        if done.is_file() and done.read_bytes() == lock:
            return
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)
        if result.returncode:
            raise RuntimeError(f"npm ci failed in {FOLDER}: {result.stderr.strip() or result.stdout.strip()}")
        done.write_bytes(lock)


def _run(task: Mapping[str, object]) -> Any:
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("node is missing: ./dev test installs it")
    result = subprocess.run(
        [node, "status_list.mjs"],
        cwd=FOLDER,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"the issuer failed: {result.stderr.strip()}")
    return json.loads(result.stdout)


def make(signer: Credential, values: Sequence[int], bits: int, claims: Mapping[str, object]) -> bytes:
    """Have the peer make and sign a list; the signer's key is on P-256."""
    chain = [base64.b64encode(signer.der).decode()]
    task = {"do": "make", "key": signer.key_pem.decode(), "chain": chain, "values": values, "bits": bits}
    return str(_run({**task, "claims": claims})["token"]).encode()


def read(token: bytes, places: Sequence[int]) -> list[int]:
    """Have the peer read values of a list."""
    return list(_run({"do": "read", "token": token.decode(), "places": places})["values"])
