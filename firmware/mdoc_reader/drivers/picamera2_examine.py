"""What `mdoc-reader doctor` says of a camera on the Pi's connector: the library, the cameras it finds, and this one.

Opens the camera where nobody else has it, and takes no picture.
"""

from __future__ import annotations

import asyncio

from mdoc_reader.drivers.picamera2_camera import (
    INSTALL,
    TROUBLE,
    Options,
    configure,
    library,
    open_device,
    shut,
    tuning_of,
)
from mdoc_reader.model.check import Check, Health

_PART = "camera"
_MOST_NAMED = 4
_CABLE = (
    "see that the cable is in the camera's connector the right way round, that config.txt has camera_auto_detect=1 "
    "(or the dtoverlay of a camera that is not of Raspberry Pi's), and what `rpicam-hello --list-cameras` finds; "
    "the reader's user must be in the group `video`"
)
_HEAP = "let the reader's user open /dev/dma_heap/*: group `video`, and the unit's DeviceAllow"
_BUSY = "where that is the running reader, all is well: stop it to look closer"


async def examine(options: Options) -> tuple[Check, ...]:
    """Look at the camera. Never raises OSError."""
    return tuple(await asyncio.to_thread(_examine, options))


def _examine(options: Options) -> list[Check]:
    try:
        picamera2 = library()
    except OSError as error:
        return [Check(_PART, Health.FAULT, str(error).removesuffix(f": {INSTALL}"), INSTALL)]
    try:
        models = [str(one.get("Model", "?")) for one in picamera2.global_camera_info()]
    except TROUBLE as error:
        return [Check(_PART, Health.FAULT, f"libcamera does not start: {error}", INSTALL)]
    if options.camera >= len(models):
        found = ", ".join(models[:_MOST_NAMED]) or "none"
        return [Check(_PART, Health.FAULT, f"there is no camera {options.camera}; libcamera finds {found}", _CABLE)]
    model = models[options.camera]
    try:
        device = open_device(options)
    except OSError as error:
        return [_not_open(f"camera {options.camera} ({model}): {error}")]
    try:
        stream = configure(device, options)
        width, height = device.camera_configuration()[stream]["size"]
        known = device.camera_controls
    except TROUBLE as error:
        return [Check(_PART, Health.FAULT, f"camera {options.camera} ({model}) cannot be set: {error}", _CABLE)]
    finally:
        shut(device)
    focus = "autofocus" if "AfMode" in known else "fixed focus"
    checks = [Check(_PART, Health.OK, f"camera {options.camera}, {model}, {focus}, looked at in {width}x{height}")]
    if tuning_of(picamera2, model, options) is None:
        what = f"there is no tuning file for {model}: its exposure is not capped, and a moving phone smears"
        checks.append(Check(_PART, Health.WARNING, what, "use a camera libcamera has a tuning for, or light the place"))
    if stream != "lores":
        what = "the camera has one stream only: it is not on the Pi's own connector"
        checks.append(Check(_PART, Health.WARNING, what, "use the driver `v4l2` for a USB camera"))
    return checks


def _not_open(said: str) -> Check:
    if "busy" in said.lower():
        return Check(_PART, Health.WARNING, said, _BUSY)
    return Check(_PART, Health.FAULT, said, _HEAP if "heap" in said.lower() else _CABLE)
