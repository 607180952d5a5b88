"""The reader under test."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest
from reader_door import OVER_18, Nfc, Play, standing

from mdoc_reader.mdoc.request import ReaderIdentity
from mdoc_reader.policy.profile import Profile


@pytest.fixture
def at_the_door(tmp_path: Path) -> Callable[..., None]:
    """Run a play in front of a reader, then insist that nothing is left behind."""

    def run(
        play: Play,
        *,
        profile: Profile = OVER_18,
        identity: ReaderIdentity | None = None,
        prefer_server: bool = True,
        armed: bool = False,
        nfc: Nfc | None = None,
    ) -> None:
        complaints: list[str] = []

        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
            async with standing(tmp_path, profile, identity, prefer_server=prefer_server, armed=armed, nfc=nfc) as door:
                await play(door)
            await asyncio.sleep(0.05)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, left

        asyncio.run(whole())
        gc.collect()
        assert not complaints, complaints

    return run
