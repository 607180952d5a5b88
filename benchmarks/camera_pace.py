"""What looking costs while nobody is there: pictures per second and processor time, at the full pace and when idle.

The reader's own scanner and decoder on a still scene with a sensor's noise, at 30 pictures a second. The camera's own
work is left out: the pictures are in memory.

    python benchmarks/camera_pace.py             10 s a figure
    python benchmarks/camera_pace.py --quick     0.5 s a figure
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import threading
import time
from dataclasses import replace

import numpy as np

from mdoc_reader.drivers import zxing_decoder
from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.engagement.scanner import Scanner, ScannerLimits
from mdoc_reader.lab.frames import draw_background

FPS = 30
SIZES = ((640, 360), (960, 540))
NOISE = 4.0
PICTURES = 8


class StillCamera:
    """Shows the same scene at 30 pictures a second, each with noise of its own."""

    def __init__(self, width: int, height: int) -> None:
        """Draw the pictures."""
        rng = np.random.default_rng(1)
        scene = draw_background(1, width, height).astype(np.float32)
        noisy = (np.clip(scene + rng.normal(0, NOISE, scene.shape), 0, 255).astype(np.uint8) for _ in range(PICTURES))
        self._frames = [Frame(width, height, width, memoryview(picture.tobytes())) for picture in noisy]
        self._due = time.monotonic()
        self._closed = threading.Event()
        self._turn = 0

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture when it is due."""
        now = time.monotonic()
        self._due = max(self._due + 1 / FPS, now - 1 / FPS)
        if self._closed.wait(max(0.0, min(self._due - now, timeout_s))):
            raise OSError("closed")
        self._turn += 1
        return self._frames[self._turn % PICTURES]

    def close(self) -> None:
        """Abort a `read`."""
        self._closed.set()


async def measure(camera: Camera, limits: ScannerLimits, settle_s: float, seconds: float) -> tuple[float, float]:
    """Return pictures per second and processor time in percent of one core, after `settle_s`."""
    scanner = Scanner(
        lambda: camera, zxing_decoder.open_decoder(zxing_decoder.Options()), lambda _: None, limits=limits
    )
    scanner.start()
    await asyncio.sleep(settle_s)
    frames, spent, began = scanner.frames, time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    rate, cpu = (scanner.frames - frames) / took, 100 * (time.process_time() - spent) / took
    await scanner.close()
    return rate, cpu


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="What looking costs while nothing moves.")
    parser.add_argument("--quick", action="store_true", help="short, for figures of no meaning")
    seconds = 0.5 if parser.parse_args().quick else 10.0
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print("| picture | pace | pictures/s | CPU, % of one core |\n|---|---|---|---|")
    for width, height in SIZES:
        always = replace(ScannerLimits(), idle_after_s=3600.0)
        for name, limits in (("full", always), ("idle", replace(ScannerLimits(), idle_after_s=0.2))):
            rate, cpu = asyncio.run(measure(StillCamera(width, height), limits, 0.8, seconds))
            print(f"| {width}x{height} | {name} | {rate:.1f} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
