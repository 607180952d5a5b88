"""Portraits are decoded by a real process: what it shows, what it refuses, what it cannot do, and its end."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mdoc_reader.outputs.ports import Picture
from mdoc_reader.pictures import decoder as room
from mdoc_reader.pictures.decoder import DecoderLimits, PortraitDecoder
from mdoc_reader.pictures.wire import MAX_OCTETS


def portrait(form: str, size: tuple[int, int] = (300, 400), mode: str = "RGB", **options: object) -> bytes:
    picture = Image.new(mode, size)
    half = Image.new(mode, (size[0] // 2, size[1]), "white")
    picture.paste(half, (0, 0))
    stream = io.BytesIO()
    picture.save(stream, form, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def decoded(*portraits: bytes, limits: DecoderLimits | None = None) -> tuple[list[Picture | None], int]:
    async def run() -> tuple[list[Picture | None], int]:
        decoder = PortraitDecoder(limits or DecoderLimits(start_s=60, decode_s=20, width=120, height=160))
        assert await decoder.start()
        try:
            return [await decoder.decode(each) for each in portraits], decoder.replaced
        finally:
            await decoder.close()

    return asyncio.run(run())


def test_jpeg_and_jpeg_2000_are_shown_in_their_proportions() -> None:
    given = [
        portrait("JPEG"),
        portrait("JPEG2000"),
        portrait("JPEG", (600, 200)),
        portrait("JPEG", mode="L"),
        portrait("JPEG2000", mode="RGBA"),
        portrait("JPEG", progressive=True),
        portrait("JPEG", mode="CMYK"),
    ]
    pictures, replaced = decoded(*given)
    assert [(p.width, p.height) for p in pictures if p] == [(120, 160)] * 2 + [(120, 40)] + [(120, 160)] * 4
    assert replaced == 0
    first = pictures[0]
    assert first is not None
    assert len(first.rgb) == 120 * 160 * 3
    assert min(first.rgb[: 10 * 3]) > 200
    assert max(first.rgb[110 * 3 : 120 * 3]) < 50
    assert "rgb" not in repr(first)


def test_what_is_no_portrait_is_refused_and_the_next_one_is_shown() -> None:
    good = portrait("JPEG")
    bad = [
        b"",
        b"\xff\xd8\xff",
        good[: len(good) // 2],
        portrait("PNG"),
        portrait("GIF", mode="L"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        bytes(MAX_OCTETS + 1),
        portrait("JPEG2000")[:200],
        good[:20] + bytes(100) + good[120:],
    ]
    pictures, replaced = decoded(*bad, good)
    assert pictures[-1] is not None
    assert [p is None for p in pictures[:6]] == [True, True, True, True, True, True]
    assert pictures[6] is None
    assert replaced == 0


def test_pixels_are_bounded() -> None:
    large = portrait("JPEG", (6000, 5000))
    # The same head with another size: little to send, and much to decode.
    at = large.index(b"\xff\xc0") + 5
    bomb = large[:at] + b"\xff\xff\xff\xff" + large[at + 4 :]
    pictures, _ = decoded(large, bomb, portrait("JPEG"))
    assert pictures[0] is None
    assert pictures[1] is None
    assert pictures[2] is not None


async def _spoilt(spoil: Callable[[int], None]) -> tuple[Picture | None, Picture | None, int]:
    decoder = PortraitDecoder(DecoderLimits(start_s=60, decode_s=0.5, width=120, height=160))
    assert await decoder.start()
    assert decoder._hand is not None
    try:
        spoil(decoder._hand.process.pid)
        first = await decoder.decode(portrait("JPEG"))
        return first, await decoder.decode(portrait("JPEG")), decoder.replaced
    finally:
        await decoder.close()


def test_a_decoder_that_hangs_is_replaced() -> None:
    first, second, replaced = asyncio.run(_spoilt(lambda pid: os.kill(pid, signal.SIGSTOP)))
    assert first is None
    assert second is not None
    assert replaced == 1


def test_a_decoder_that_dies_is_replaced() -> None:
    first, second, _ = asyncio.run(_spoilt(lambda pid: os.kill(pid, signal.SIGKILL)))
    assert first is None or first.width == 120
    assert second is not None


PROBE = """
import errno, os, socket, sys
from mdoc_reader.pictures import sandbox
line = socket.socket(fileno=int(sys.argv[1]))
filtered = sandbox.enter(1 << 30)
def denied(call):
    try:
        call()
    except OSError as error:
        return error.errno in (errno.EPERM, errno.EMFILE, errno.EAGAIN)
    return False
calls = [
    lambda: open("/etc/passwd"), lambda: socket.socket(), lambda: os.fork(), lambda: os.execv("/bin/true", ["true"]),
    lambda: os.listdir("/"), lambda: os.kill(os.getppid(), 0), lambda: os.pipe(), lambda: os.mkdir("/tmp/never-made"),
]
told = "".join("1" if denied(call) else "0" for call in calls)
line.sendall(f"{int(filtered)} {told}".encode())
"""


def test_the_sandbox_denies_files_sockets_and_processes(tmp_path: Path) -> None:
    """A process locked in the same way tries what a decoder gone wrong would."""
    import socket
    import subprocess
    import sys

    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, str(script), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            check=False,
            timeout=60,
            capture_output=True,
            text=True,
        )
        theirs.close()
        told = ours.recv(100).decode()
    assert done.returncode == 0, done.stderr
    filtered, denials = told.split()
    if filtered == "0":
        pytest.skip("this kernel or architecture has no filters of system calls")
    assert denials == "1" * len(denials)


def _looked_into(pid: int) -> tuple[str, list[str]]:
    if os.geteuid() != 0:  # it is not dumpable: nobody but the superuser may look
        return "", []
    home = Path(f"/proc/{pid}")
    return (home / "environ").read_bytes().decode(), [each.name for each in (home / "fd").iterdir()]


def test_the_process_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/secret")

    async def run() -> tuple[str, list[str], bool]:
        decoder = PortraitDecoder(DecoderLimits(start_s=60))
        assert await decoder.start()
        assert decoder._hand is not None
        try:
            return *_looked_into(decoder._hand.process.pid), decoder.filtered
        finally:
            await decoder.close()

    environment, files, filtered = asyncio.run(run())
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert len(files) <= 4, "standard input, output, error, and the line"
    assert filtered or os.uname().machine not in {"x86_64", "aarch64"}


def test_a_reader_without_the_library_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.sys, "executable", "/nonexistent/python")

    async def run() -> tuple[bool, Picture | None]:
        decoder = PortraitDecoder()
        return await decoder.start(), await decoder.decode(portrait("JPEG"))

    assert asyncio.run(run()) == (False, None)
