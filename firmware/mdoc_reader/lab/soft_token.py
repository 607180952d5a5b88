"""A token in software: SoftHSM2 with a folder of its own, that can be taken away and brought back.

The far end of the PKCS#11 driver for tests and for trying things out. It protects nothing: a door uses a real one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/arm-linux-gnueabihf/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((place for place in _PLACES if Path(place).is_file()), "")
_TOOL_S = 30.0


class SoftToken:
    """Tokens in a folder. `SOFTHSM2_CONF` of this process names it until `close`: there is one at a time."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and its configuration; there is no token yet."""
        self._tokens = folder / "tokens"
        self._away = folder / "tokens-away"
        self._tokens.mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\n")
        self._before = os.environ.get("SOFTHSM2_CONF")
        os.environ["SOFTHSM2_CONF"] = str(configuration)

    @staticmethod
    def missing() -> str:
        """Return what keeps it from running, or an empty text."""
        if not MODULE or shutil.which("softhsm2-util") is None:
            return "SoftHSM2 is not installed (apt-get install softhsm2)"
        if find_spec("pkcs11") is None:
            return "python-pkcs11 is not installed"
        return ""

    def make(self, label: str, pin: str) -> None:
        """Make a token. Raises subprocess.CalledProcessError."""
        line = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", f"so-{pin}"]
        subprocess.run(line, check=True, capture_output=True, timeout=_TOOL_S)

    def take_away(self) -> None:
        """Take every token out."""
        self._tokens.rename(self._away)

    def bring_back(self) -> None:
        """Put them back."""
        self._away.rename(self._tokens)

    def close(self) -> None:
        """Let the module go, so that another folder can be used."""
        self._tokens.mkdir(exist_ok=True)
        from pkcs11 import lib

        lib(MODULE).finalize()
        if self._before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = self._before
