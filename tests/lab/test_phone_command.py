"""`mdoc-lab phone`: a lab phone as a process of its own on a controller, read by our reader."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reader"))

from reader_door import Door, standing

from mdoc_reader.model.decision import Outcome


@pytest.mark.parametrize("mode", ["central", "peripheral"])
def test_the_phone_shows_a_code_and_answers(tmp_path: Path, mode: str) -> None:
    async def play(door: Door) -> None:
        phone = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; from mdoc_reader.lab.cli import main; sys.exit(main())",
            "phone",
            "--transport",
            f"unix:{tmp_path / 'hci.sock'}",
            "--mode",
            mode,
            "--consent",
            "0.1",
            "--write-anchor",
            str(tmp_path / "anchor.pem"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert phone.stdout is not None
        text = ""
        while not text.startswith("mdoc:"):
            line = await asyncio.wait_for(phone.stdout.readline(), 20)
            assert line, "the phone ended without showing a code"
            text = line.decode().strip()
        door.engine.offer_text(text, time.monotonic())
        record = await asyncio.wait_for(door.watcher.concluded.get(), 20)
        # The phone's issuer bears the name of the trusted one and has another key; everything else was right.
        assert record.decision.outcome is Outcome.INVALID
        assert record.decision.reasons == ("path_signature",)
        told = await asyncio.wait_for(phone.stdout.read(), 20)
        assert b"answered 1 request" in told
        assert await phone.wait() == 0

    async def whole() -> None:
        from reader_door import OVER_18

        async with standing(tmp_path, OVER_18, None, prefer_server=True) as door:
            await play(door)

    asyncio.run(whole())
    assert (tmp_path / "anchor.pem").read_bytes().startswith(b"-----BEGIN CERTIFICATE")


def test_a_controller_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mdoc_reader.lab.cli import main

    run: Callable[[list[str]], int] = main
    assert run(["phone", "--transport", f"unix:{tmp_path / 'none.sock'}"]) == 2
    assert "none.sock" in capsys.readouterr().err
