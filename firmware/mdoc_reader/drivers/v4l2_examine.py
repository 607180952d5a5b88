"""What `mdoc-reader doctor` says of a Video4Linux2 camera: which there are, who may open it, and what it offers.

Opens the device and asks; it sets nothing where the camera is in use, and starts no stream.
"""

from __future__ import annotations

import asyncio
import grp
import os
from errno import EACCES, EBUSY, EPERM
from pathlib import Path

from mdoc_reader.drivers import v4l2_wire as wire
from mdoc_reader.drivers.v4l2_camera import AUTO, MJPEG, PLACES, Options, choose, devices
from mdoc_reader.model.check import Check, Health

_PART = "camera"
_MOST_NAMED = 6
_PLUG = "plug the camera in and see `v4l2-ctl --list-devices` (package v4l-utils)"
_PI = "a camera on a Pi's own connector is for the driver `picamera2`"
_NAME = "set `options.device` to a path of /dev/v4l/by-id: numbers change with the order of plugging"


async def examine(options: Options) -> tuple[Check, ...]:
    """Look at the camera. Bounded by the kernel's answers; never raises OSError."""
    return tuple(await asyncio.to_thread(_examine, options))


def _examine(options: Options) -> list[Check]:
    if options.device != AUTO:
        return _checks(options.device, options)
    found = devices()
    for path in found:
        checks = _checks(path, options)
        if checks[0].health is not Health.FAULT:
            usable = [other for other in found if other != path and _captures(other)]
            if usable:
                what = f"{path} is used, and there is {', '.join(usable[:_MOST_NAMED])}"
                checks.append(Check(_PART, Health.WARNING, what, _NAME))
            return checks
    if not found:
        return [Check(_PART, Health.FAULT, "there is no video device", f"{_PLUG}; {_PI}")]
    return [_checks(path, options)[0] for path in found[:_MOST_NAMED]]


def _captures(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return wire.capability(fd).captures and any(code in PLACES or code == MJPEG for code in wire.formats(fd))
    except OSError:
        return False
    finally:
        os.close(fd)


def _checks(path: str, options: Options) -> list[Check]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return [_not_open(error, path)]
    try:
        return _asked(fd, path, options)
    except OSError as error:
        return [_not_open(error, path)]
    finally:
        os.close(fd)


def _asked(fd: int, path: str, options: Options) -> list[Check]:
    who = wire.capability(fd)
    named = f"{path}, {who.card} ({who.driver})"
    try:
        taken = choose(fd, options)
    except OSError as error:
        if error.errno == EBUSY:
            raise
        return [Check(_PART, Health.FAULT, f"{named}: {error.strerror or error}", f"use another camera; {_PI}")]
    letters = taken.code.to_bytes(4, "little").decode("ascii", "replace").strip()
    checks = [Check(_PART, Health.OK, f"{named}: {taken.width}x{taken.height} {letters}")]
    if taken.code == MJPEG:
        what = "the camera offers JPEG alone: each picture is decoded before it is looked at"
        checks.append(Check(_PART, Health.WARNING, what, "a camera with YUYV or NV12 takes less of the processor"))
    return checks


def _not_open(error: OSError, path: str) -> Check:
    said = f"{path}: {error.strerror or error}"
    if error.errno == EBUSY:
        advice = "where that is the running reader, all is well: stop it to look closer"
        return Check(_PART, Health.WARNING, said, advice)
    if error.errno in {EACCES, EPERM}:
        return Check(_PART, Health.FAULT, said, f"add the reader's user to the group {_group(path)!r}")
    return Check(_PART, Health.FAULT, said, _PLUG)


def _group(path: str) -> str:
    try:
        return grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "video"
