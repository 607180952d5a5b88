"""The kernel's structures and numbers, as this machine's own header has them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mdoc_reader.drivers import v4l2_wire as wire

HEADER = Path("/usr/include/linux/videodev2.h")
STRUCTURES = {
    "CAPABILITY": "v4l2_capability",
    "FORMAT_DESCRIPTION": "v4l2_fmtdesc",
    "FRAME_SIZE": "v4l2_frmsizeenum",
    "FORMAT": "v4l2_format",
    "STREAM_PARAMETERS": "v4l2_streamparm",
    "REQUEST_BUFFERS": "v4l2_requestbuffers",
    "BUFFER": "v4l2_buffer",
    "CONTROL": "v4l2_control",
}
NUMBERS = {
    **{
        name: f"VIDIOC_{name}"
        for name in (
            "QUERYCAP",
            "ENUM_FMT",
            "S_FMT",
            "REQBUFS",
            "QUERYBUF",
            "QBUF",
            "DQBUF",
            "STREAMON",
            "STREAMOFF",
            "S_PARM",
            "S_CTRL",
            "ENUM_FRAMESIZES",
        )
    },
    "CAPTURE": "V4L2_BUF_TYPE_VIDEO_CAPTURE",
    "MEMORY_MMAP": "V4L2_MEMORY_MMAP",
    "FIELD_NONE": "V4L2_FIELD_NONE",
    "CAP_VIDEO_CAPTURE": "V4L2_CAP_VIDEO_CAPTURE",
    "CAP_STREAMING": "V4L2_CAP_STREAMING",
    "CAP_DEVICE_CAPS": "V4L2_CAP_DEVICE_CAPS",
    "BUFFER_ERROR": "V4L2_BUF_FLAG_ERROR",
    "TIMESTAMP_MASK": "V4L2_BUF_FLAG_TIMESTAMP_MASK",
    "TIMESTAMP_MONOTONIC": "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC",
    "FRAME_SIZE_DISCRETE": "V4L2_FRMSIZE_TYPE_DISCRETE",
    "CAPTURE_TIME_PER_FRAME": "V4L2_CAP_TIMEPERFRAME",
    "CID_POWER_LINE_FREQUENCY": "V4L2_CID_POWER_LINE_FREQUENCY",
    "CID_EXPOSURE_AUTO_PRIORITY": "V4L2_CID_EXPOSURE_AUTO_PRIORITY",
    "CID_FOCUS_AUTO": "V4L2_CID_FOCUS_AUTO",
}
# Where our own packing puts a field, by filling that one alone.
PLACES = {
    "v4l2_capability.device_caps": (wire.CAPABILITY.pack(b"", b"", b"", 0, 0, 0xA5A5), 0xA5A5),
    "v4l2_capability.card": (wire.CAPABILITY.pack(b"", b"\xa5\xa5", b"", 0, 0, 0), 0xA5A5),
    "v4l2_fmtdesc.pixelformat": (wire.FORMAT_DESCRIPTION.pack(0, 0, 0, b"", 0xA5A5, 0), 0xA5A5),
    "v4l2_frmsizeenum.discrete.width": (wire.FRAME_SIZE.pack(0, 0, 0, 0xA5A5, *[0] * 5), 0xA5A5),
    "v4l2_format.fmt.pix.width": (wire.FORMAT.pack(0, 0xA5A5, *[0] * 11), 0xA5A5),
    "v4l2_format.fmt.pix.pixelformat": (wire.FORMAT.pack(0, 0, 0, 0xA5A5, *[0] * 9), 0xA5A5),
    "v4l2_format.fmt.pix.bytesperline": (wire.FORMAT.pack(0, 0, 0, 0, 0, 0xA5A5, *[0] * 7), 0xA5A5),
    "v4l2_format.fmt.pix.sizeimage": (wire.FORMAT.pack(0, 0, 0, 0, 0, 0, 0xA5A5, *[0] * 6), 0xA5A5),
    "v4l2_streamparm.parm.capture.capability": (wire.STREAM_PARAMETERS.pack(0, 0xA5A5, 0, 0, 0), 0xA5A5),
    "v4l2_streamparm.parm.capture.timeperframe.denominator": (wire.STREAM_PARAMETERS.pack(0, 0, 0, 0, 0xA5A5), 0xA5A5),
    "v4l2_buffer.index": (wire.BUFFER.pack(0xA5A5, *[0] * 22), 0xA5A5),
    "v4l2_buffer.bytesused": (wire.BUFFER.pack(0, 0, 0xA5A5, *[0] * 20), 0xA5A5),
    "v4l2_buffer.timestamp.tv_sec": (wire.BUFFER.pack(*[0] * 5, 0xA5A5, *[0] * 17), 0xA5A5),
    "v4l2_buffer.timestamp.tv_usec": (wire.BUFFER.pack(*[0] * 6, 0xA5A5, *[0] * 16), 0xA5A5),
    "v4l2_buffer.memory": (wire.BUFFER.pack(*[0] * 18, 0xA5A5, 0, 0, 0, 0), 0xA5A5),
    "v4l2_buffer.m.offset": (wire.BUFFER.pack(*[0] * 19, 0xA5A5, 0, 0, 0), 0xA5A5),
    "v4l2_buffer.length": (wire.BUFFER.pack(*[0] * 20, 0xA5A5, 0, 0), 0xA5A5),
}


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What a C program prints that was compiled against the kernel's header."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not HEADER.exists():
        pytest.skip("needs a C compiler and the kernel's headers")
    folder = tmp_path_factory.mktemp("v4l2")
    lines = [f'printf("size {name} %zu\\n", sizeof(struct {name}));' for name in STRUCTURES.values()]
    lines += [f'printf("number {name} %u\\n", (unsigned) {name});' for name in NUMBERS.values()]
    for place in PLACES:
        structure, _, field = place.partition(".")
        lines.append(f'printf("place {place} %zu\\n", offsetof(struct {structure}, {field}));')
    lines += [
        f'printf("code {name} %u\\n", V4L2_PIX_FMT_{constant});'
        for name, constant in (("GREY", "GREY"), ("YU12", "YUV420"), ("YUYV", "YUYV"), ("RGB3", "RGB24"))
    ]
    source = "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\nint main(void) {\n"
    (folder / "told.c").write_text(source + "\n".join(lines) + "\nreturn 0; }\n")
    subprocess.run([compiler, "-w", "-o", folder / "told", folder / "told.c"], check=True, timeout=60)
    told = subprocess.run([folder / "told"], check=True, capture_output=True, text=True, timeout=60).stdout
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in told.splitlines()}


@pytest.mark.parametrize(("ours", "theirs"), STRUCTURES.items())
def test_sizes(header: dict[str, int], ours: str, theirs: str) -> None:
    assert getattr(wire, ours).size == header[f"size {theirs}"]


@pytest.mark.parametrize(("ours", "theirs"), NUMBERS.items())
def test_numbers(header: dict[str, int], ours: str, theirs: str) -> None:
    assert getattr(wire, ours) == header[f"number {theirs}"]


@pytest.mark.parametrize("place", PLACES)
def test_places(header: dict[str, int], place: str) -> None:
    packed, value = PLACES[place]
    found = re.search(value.to_bytes(2, "little"), bytes(packed))
    assert found is not None
    assert found.start() == header[f"place {place}"]


@pytest.mark.parametrize("name", ["GREY", "YU12", "YUYV", "RGB3"])
def test_four_letters(header: dict[str, int], name: str) -> None:
    assert wire.fourcc(name) == header[f"code {name}"]


def test_a_buffer_is_named_by_its_number_kind_and_memory() -> None:
    named = wire.BUFFER.unpack(wire._buffer(3))
    assert (named[0], named[1], named[18]) == (3, wire.CAPTURE, wire.MEMORY_MMAP)
    assert not any(named[2:18])
    assert not any(named[19:])


def test_what_is_no_video_device_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\0" * 4096)
    with file.open("r+b") as stream:
        with pytest.raises(OSError):
            wire.capability(stream.fileno())
        assert wire.formats(stream.fileno()) == []
        assert wire.sizes(stream.fileno(), wire.fourcc("GREY")) == []
