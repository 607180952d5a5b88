"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the system tests."""
    parser.addoption(
        "--whole-matrix", action="store_true", help="system tests: every case with every release, not a choice of them"
    )
    parser.addoption("--guest-arch", default="amd64", choices=["amd64", "arm64"], help="system tests: the guests' kind")
    parser.addoption("--matrix-page", metavar="FILE", help="system tests: write the figures to this page")
