"""Pictures out of files, as a camera."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from mdoc_reader.app import wiring
from mdoc_reader.app.settings import DriverSettings, SettingsError
from mdoc_reader.drivers import file_camera, zxing_decoder
from mdoc_reader.drivers.file_camera import Options, open_camera
from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.lab.frames import CONDITIONS, draw, example_text

FAST = 60.0


def picture(path: Path, level: int, size: tuple[int, int] = (60, 40), mode: str = "L") -> Path:
    Image.new(mode, size, level if mode == "L" else (level,) * 3).save(path)
    return path


def taken(camera: Camera) -> Frame:
    frame = camera.read(5)
    assert frame is not None
    return frame


def test_a_folder_is_shown_in_order_and_again(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", 200, mode="RGB")
    picture(tmp_path / "a.JPG", 100, size=(30, 20))
    (tmp_path / "notes.txt").write_text("not shown")
    camera = open_camera(Options(path=str(tmp_path), fps=FAST))
    frames = [taken(camera) for _ in range(4)]
    assert [(frame.width, frame.height, frame.pixels[0]) for frame in frames] == [(30, 20, 100), (60, 40, 200)] * 2
    assert all(len(frame.pixels) == frame.stride * frame.height for frame in frames)


def test_a_code_is_read_from_a_file(tmp_path: Path) -> None:
    text = example_text(200, 1)
    Image.fromarray(draw(text, CONDITIONS["clean"], seed=1)).save(tmp_path / "phone.png")
    camera = open_camera(Options(path=str(tmp_path / "phone.png"), fps=FAST))
    decoder = zxing_decoder.open_decoder(zxing_decoder.Options())
    assert decoder.decode(taken(camera)) == [text]
    assert decoder.decode(taken(camera)) == [text]


def test_pictures_come_at_their_rate(tmp_path: Path) -> None:
    camera = open_camera(Options(path=str(picture(tmp_path / "a.png", 1)), fps=20))
    began = time.monotonic()
    for _ in range(5):
        taken(camera)
    assert 0.15 < time.monotonic() - began < 2
    slow = open_camera(Options(path=str(tmp_path / "a.png"), fps=0.1))
    taken(slow)
    began = time.monotonic()
    assert slow.read(0.05) is None
    assert time.monotonic() - began < 1


def test_what_is_no_picture_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    picture(tmp_path / "b.png", 7)
    camera = open_camera(Options(path=str(tmp_path), fps=FAST))
    assert camera.read(5) is None
    assert taken(camera).pixels[0] == 7


def test_nothing_but_broken_pictures_is_a_lost_camera(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"broken")
    camera = open_camera(Options(path=str(tmp_path), fps=FAST))
    assert camera.read(5) is None
    with pytest.raises(OSError, match="nothing here"):
        camera.read(5)


def test_a_picture_larger_than_a_cameras_is_not_decoded(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1, size=(20_000, 2_000))
    assert file_camera.load(tmp_path / "a.png") is None


@pytest.mark.parametrize("what", ["missing", "empty folder"])
def test_no_file_is_an_error(tmp_path: Path, what: str) -> None:
    with pytest.raises(OSError):
        open_camera(Options(path=str(tmp_path / "missing" if what == "missing" else tmp_path)))


def test_close_ends_a_read_in_another_thread(tmp_path: Path) -> None:
    camera = open_camera(Options(path=str(picture(tmp_path / "a.png", 1)), fps=0.01))
    taken(camera)
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(OSError, match="closed"):
            camera.read(60)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    camera.close()
    thread.join(10)
    assert ended.is_set()


def test_a_product_refuses_it(tmp_path: Path) -> None:
    chosen = DriverSettings(driver="file", options={"path": str(tmp_path)})
    assert wiring.load_driver("camera", chosen, product=False, file="x.toml").name == "file"
    with pytest.raises(SettingsError, match="simulated"):
        wiring.load_driver("camera", chosen, product=True, file="x.toml")


@pytest.mark.parametrize(
    "given", [{}, {"path": "x", "fps": 0}, {"path": "x", "fps": 1000}, {"path": "x", "loop": True}]
)
def test_options_are_checked(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Options)


def test_rows_are_tight(tmp_path: Path) -> None:
    levels = np.arange(33 * 17, dtype=np.uint8).reshape(17, 33)
    Image.fromarray(levels).save(tmp_path / "a.png")
    frame = taken(open_camera(Options(path=str(tmp_path / "a.png"))))
    assert (frame.width, frame.height, frame.stride) == (33, 17, 33)
    assert bytes(frame.pixels) == levels.tobytes()
