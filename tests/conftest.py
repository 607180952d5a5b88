"""Options of the whole suite, and how a coroutine is run so that nothing it leaves behind goes unseen."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Runner = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Runner:
    """Run a coroutine to its end, then insist that no task is left and that no error went unseen."""

    def runner(work: Coroutine[Any, Any, Any]) -> Any:
        complaints: list[str] = []

        async def guarded() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(f"{context}"))
            result = await work
            for _ in range(5):
                await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, left
            return result

        result = asyncio.run(guarded())
        gc.collect()
        assert not complaints, complaints
        return result

    return runner


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the system tests."""
    parser.addoption(
        "--whole-matrix", action="store_true", help="system tests: every case with every release, not a choice of them"
    )
    parser.addoption("--guest-arch", default="amd64", choices=["amd64", "arm64"], help="system tests: the guests' kind")
    parser.addoption("--matrix-page", metavar="FILE", help="system tests: write the figures to this page")
