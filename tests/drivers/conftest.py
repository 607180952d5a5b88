"""Running coroutines in tests of the drivers, and noticing what they leave behind."""

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
