"""The peers as callables: give each a response, it says whether it holds and how long it took by its own clock."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.mdoc import cbor

FOLDER = Path(__file__).resolve().parent


class Auth0:
    """@auth0/mdl in a Node.js process that stays for the whole run, so that its code is compiled and warm."""

    name = "@auth0/mdl 3.0.1"
    skips = "key usage, extended key usage, docType against the request"

    def __init__(self, roots: Sequence[bytes]) -> None:
        """Install its packages from the lock file where they are missing, start it, and hand it the roots."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise SystemExit("Node.js is missing: ./dev setup test")
        lock, done = (FOLDER / "package-lock.json").read_bytes(), FOLDER / "node_modules" / ".installed-lock.json"
        if not done.is_file() or done.read_bytes() != lock:
            command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=FOLDER, check=True, timeout=300)
            done.write_bytes(lock)
        self._process = subprocess.Popen(
            [node, "verify.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        self.platform = f"Node.js {version.stdout.strip().lstrip('v')}"
        self._ask({"roots": [x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in roots]})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, task: dict[str, object]) -> dict[str, object]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if not isinstance(answer, dict):
            raise RuntimeError("an unexpected answer")
        return answer

    def verify(self, response: bytes, transcript: bytes, times: int) -> tuple[list[int], bool]:
        """Verify `times` times; return the nanoseconds of each, and whether the response holds."""
        answer = self._ask({"response": response.hex(), "transcript": cbor.embed(transcript).hex(), "times": times})
        nanoseconds = answer["ns"]
        if not isinstance(nanoseconds, list):
            raise RuntimeError("an unexpected answer")
        return [int(number) for number in nanoseconds], not answer["failed"]


class PyMdocCbor:
    """pymdoccbor, in this very process."""

    name = "pymdoccbor"
    skips = "device authentication, validity of the document, key usage, docType"

    def __init__(self, roots: Sequence[bytes]) -> None:
        """Load the roots once: it takes certificate objects."""
        from importlib.metadata import version

        self.name = f"pymdoccbor {version('pymdoccbor')}"
        self._roots = [x509.load_der_x509_certificate(der) for der in roots]
        logging.getLogger("pymdoccbor").setLevel(logging.CRITICAL)

    def verify(self, response: bytes, _transcript: bytes, times: int) -> tuple[list[int], bool]:
        """Verify `times` times; return the nanoseconds of each, and whether the response holds."""
        from pymdoccbor.mdoc.verifier import MdocCbor

        nanoseconds, holds = [], False
        for _ in range(times):
            started = time.perf_counter_ns()
            mdoc = MdocCbor()
            mdoc.loads(response)
            holds = bool(mdoc.verify(self._roots))
            nanoseconds.append(time.perf_counter_ns() - started)
        return nanoseconds, holds
