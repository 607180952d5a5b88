"""The daemon's tests use the benches of the drivers' tests too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "drivers"))
