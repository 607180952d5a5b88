"""The simulated camera's near end against far ends that behave, dawdle, lie and leave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdoc_reader.drivers import disabled_camera, simulated_camera
from mdoc_reader.drivers.simulated_camera import HEADER, MAGIC, Options, open_camera
from mdoc_reader.engagement.ports import Camera

PIXELS = bytes(range(200)) * 3
PICTURE = HEADER.pack(MAGIC, 18, 30, 20) + PIXELS


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Camera, socket.socket]]:
    """A camera, and the far end of its wire."""
    path = tmp_path / "camera.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        camera = open_camera(Options(wire=str(path)))
        far, _ = listener.accept()
        with far:
            yield camera, far
            camera.close()


def test_is_marked_as_simulated() -> None:
    assert simulated_camera.SIMULATED
    assert not disabled_camera.SIMULATED


def test_delivers_pictures_in_order(ends: tuple[Camera, socket.socket]) -> None:
    camera, far = ends
    far.sendall(PICTURE + HEADER.pack(MAGIC, 2, 1, 2) + b"\x01\x02")
    first = camera.read(5)
    assert first is not None
    assert (first.width, first.height, first.stride, bytes(first.pixels)) == (18, 30, 20, PIXELS)
    second = camera.read(5)
    assert second is not None
    assert bytes(second.pixels) == b"\x01\x02"
    assert camera.read(0.01) is None


@pytest.mark.parametrize("cut", [1, 9, 10, 11, 300])
def test_a_slow_picture_is_none_and_then_complete(ends: tuple[Camera, socket.socket], cut: int) -> None:
    camera, far = ends
    far.sendall(PICTURE[:cut])
    began = time.monotonic()
    assert camera.read(0.05) is None
    assert time.monotonic() - began < 2
    far.sendall(PICTURE[cut:])
    frame = camera.read(5)
    assert frame is not None
    assert bytes(frame.pixels) == PIXELS


@pytest.mark.parametrize("cut", [0, 4, 10, 300])
def test_a_far_end_that_leaves_is_a_lost_device(ends: tuple[Camera, socket.socket], cut: int) -> None:
    camera, far = ends
    far.sendall(PICTURE[:cut])
    far.close()
    with pytest.raises(OSError, match="gone"):
        camera.read(5)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.pack(b"GRY2", 10, 10, 10),
        HEADER.pack(MAGIC, 0, 10, 10),
        HEADER.pack(MAGIC, 10, 0, 10),
        HEADER.pack(MAGIC, 10, 10, 9),
        HEADER.pack(MAGIC, 10, 10, 2049),
        HEADER.pack(MAGIC, 1921, 10, 1921),
        HEADER.pack(MAGIC, 10, 1089, 10),
        b"\xff" * 10,
    ],
)
def test_a_broken_format_is_a_lost_device(ends: tuple[Camera, socket.socket], header: bytes) -> None:
    camera, far = ends
    far.sendall(header + bytes(64))
    for _ in range(2):
        with pytest.raises(OSError, match="format"):
            camera.read(5)


def test_close_ends_a_read_in_another_thread(ends: tuple[Camera, socket.socket]) -> None:
    camera, _ = ends
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(OSError):
            camera.read(60)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    camera.close()
    thread.join(10)
    assert ended.is_set()
    assert time.monotonic() - began < 2
    camera.close()  # again does no harm
    with pytest.raises(OSError):
        camera.read(0.1)


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        open_camera(Options(wire=str(tmp_path / "nobody.sock")))


def test_the_disabled_camera_waits_and_can_be_closed() -> None:
    camera = disabled_camera.open_camera(disabled_camera.Options())
    assert camera.read(0.01) is None
    camera.close()
    with pytest.raises(OSError, match="closed"):
        camera.read(60)
