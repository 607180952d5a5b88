"""Wallets this project did not write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import auth0
import pytest


@pytest.fixture(scope="session")
def auth0_wallet() -> Callable[..., auth0.Presented]:
    """Return `auth0.present`, with its packages installed."""
    auth0.install()
    return auth0.present


@pytest.fixture(scope="session")
def auth0_response(auth0_wallet: Callable[..., auth0.Presented]) -> Callable[[auth0.Kind], auth0.Presented]:
    """Return a function from "signature" or "mac" to one small presentation, the same each time it is called."""
    return cache(auth0_wallet)
