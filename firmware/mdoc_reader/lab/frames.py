"""What a camera sees of a phone that shows its QR code: grey pictures, drawn from a seed and so made again exactly.

A phone stands before a cluttered background: bezel, screen, a line of text, and the code with its quiet zone, turned
in the picture's plane and in depth, drawn at twice the resolution and averaged down. Light, lens and sensor follow in
their order: moire of the two pixel grids, reflections, blur, movement, exposure, noise. `CONDITIONS` names the mixtures
by which decoders are judged, `SIZES` the resolutions and the sizes of the code in them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import segno
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""Rows x columns, 0 black to 255 white."""
_Plane = NDArray[np.float32]

DARK_MODULE, LIGHT_MODULE = 20, 245
DARK_SCREEN, LIGHT_SCREEN, BEZEL = 25, 235, 8
BEZEL_SIDE, BEZEL_END = 12, 30  # texture px
SCREEN_WIDTH, SCREEN_HEIGHT, CODE_TOP = 1.12, 2.1, 0.3  # of the code's width, and of the screen's height
VIEWING_DISTANCE = 2.2  # of the code's width: how close the camera is, and so how strong the perspective
WANDER = 0.05  # of the picture: how far off its middle the code is put
MOIRE_LEVELS = 60
CAPTION = "Present your ID"


@dataclass(frozen=True, slots=True)
class Distortion:
    """How a picture differs from a perfect one. The defaults are a still phone, held straight, in good light."""

    roll_deg: float = 0.0  # turn in the picture's plane
    yaw_rad: float = 0.0  # turn in depth
    blur_px: float = 0.0  # standard deviation
    motion_px: int = 0  # length of a horizontal smear, odd
    noise: float = 4.0  # standard deviation, grey levels
    gain: float = 1.0  # exposure; what exceeds white is lost
    glare_spots: int = 0
    moire: float = 0.0
    inverted: bool = False  # dark mode: light modules on dark ground
    quiet_zone: int = 4  # modules


CONDITIONS: Mapping[str, Distortion] = MappingProxyType(
    {
        "clean": Distortion(),
        "rolled-and-turned": Distortion(roll_deg=30, yaw_rad=0.44),
        "turned-45": Distortion(yaw_rad=0.785),
        "blur": Distortion(blur_px=1.2),
        "strong-blur": Distortion(blur_px=2.0),
        "motion": Distortion(motion_px=5),
        "noise": Distortion(noise=20),
        "low-light": Distortion(gain=0.15, noise=7),
        "glare": Distortion(glare_spots=2),
        "dark-mode": Distortion(inverted=True),
        "dark-mode-turned": Distortion(inverted=True, yaw_rad=0.44),
        "moire": Distortion(moire=0.7),
        "thin-quiet-zone": Distortion(quiet_zone=1),
        "overexposed": Distortion(gain=1.8, blur_px=1.0),
        "everything-a-little": Distortion(roll_deg=8, yaw_rad=0.3, blur_px=1.0, noise=10, gain=0.6, moire=0.3),
    }
)

SIZES: Mapping[tuple[int, int], tuple[int, ...]] = MappingProxyType(
    {
        (640, 480): (150, 200, 250, 300, 400),
        (1280, 720): (200, 250, 300, 400, 600),
        (1920, 1080): (250, 300, 400, 600),
    }
)
"""Resolution in px to the widths of the code in px, quiet zone included."""


def example_text(length: int, seed: int) -> str:
    """Return something that looks like a device engagement to a decoder: `length` characters, no meaning."""
    return "mdoc:" + base64.urlsafe_b64encode(np.random.default_rng(seed).bytes(length)).decode()[: length - 5]


def draw_background(seed: int, width: int = 640, height: int = 480) -> Picture:
    """Return a picture without a phone."""
    rng = np.random.default_rng(seed)
    return _expose(_clutter(rng, width, height), Distortion(), rng)


def draw(
    text: str,
    distortion: Distortion,
    *,
    seed: int,
    width: int = 640,
    height: int = 480,
    size: float = 300,
    centre: tuple[float, float] | None = None,
) -> Picture:
    """Return a picture of `text` as a QR code, ECC M, `size` px wide with its quiet zone.

    `centre` is the code's middle in px, and may lie outside; without it the seed puts it near the picture's middle.
    """
    rng = np.random.default_rng(seed)
    plane = _clutter(rng, width, height)
    if centre is None:
        centre = (
            width * (0.5 + rng.uniform(-WANDER, WANDER)),
            height * (0.5 + rng.uniform(-WANDER, WANDER)),
        )
    # In steps of 50 px, so that a phone on its way in needs a few textures and not one for each frame.
    phone = _phone(text, distortion.inverted, distortion.quiet_zone, -(-int(size) // 50) * 50)
    quad = _place(phone, distortion, size, centre)
    left, top = np.maximum(np.floor(quad.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(quad.max(axis=0)), (width, height)).astype(int)
    if left < right and top < bottom:
        box = (slice(top, bottom), slice(left, right))
        cover, seen = _project(phone.texture, quad - (left, top), right - left, bottom - top)
        patch = plane[box]
        patch += (seen - patch) * cover
        if distortion.moire:
            patch += cover * (distortion.moire * MOIRE_LEVELS) * _moire(left, top, right, bottom)
        for _ in range(distortion.glare_spots):
            patch += cover * _glare(rng, centre, size, (left, top, right, bottom))
    return _expose(plane, distortion, rng)


def _clutter(rng: np.random.Generator, width: int, height: int) -> _Plane:
    rough = rng.integers(20, 150, (height // 8, width // 8)).astype(np.float32)
    small = Image.fromarray(_smooth(rough, 1.5).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32).copy()


@lru_cache(maxsize=16)
def _modules(text: str) -> Picture:
    code = segno.make(text, error="m", micro=False, boost_error=False)
    return np.array([list(row) for row in code.matrix], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class _Phone:
    """A phone seen straight on, and where the code is in it: its width and its centre, in px."""

    texture: Image.Image
    code_width: int
    code_centre: tuple[float, float]


@lru_cache(maxsize=16)
def _phone(text: str, inverted: bool, quiet_zone: int, size: int) -> _Phone:
    """Return the phone for a code `size` px wide in the picture, at two texture px or more for each of these."""
    modules = np.pad(_modules(text), quiet_zone)
    code = np.where(modules > 0, DARK_MODULE, LIGHT_MODULE).astype(np.uint8)
    if inverted:
        code = 255 - code
    scale = max(1, -(-2 * size // len(code)))
    code = code.repeat(scale, axis=0).repeat(scale, axis=1)
    code_width = len(code)
    screen_width, screen_height = int(code_width * SCREEN_WIDTH), int(code_width * SCREEN_HEIGHT)
    ground = DARK_SCREEN if inverted else LIGHT_SCREEN
    phone = Image.new("L", (screen_width + 2 * BEZEL_SIDE, screen_height + 2 * BEZEL_END), BEZEL)
    phone.paste(ground, (BEZEL_SIDE, BEZEL_END, BEZEL_SIDE + screen_width, BEZEL_END + screen_height))
    x = BEZEL_SIDE + (screen_width - code_width) // 2
    y = BEZEL_END + int(screen_height * CODE_TOP)
    phone.paste(Image.fromarray(code), (x, y))
    font = ImageFont.load_default(size=code_width / 12)
    ImageDraw.Draw(phone).text((x, y - 40), CAPTION, fill=255 - ground, font=font, anchor="ls")
    return _Phone(phone, code_width, (x + code_width / 2, y + code_width / 2))


def _place(phone: _Phone, distortion: Distortion, size: float, centre: tuple[float, float]) -> NDArray[np.float64]:
    """Return where the phone's corners come to lie in the picture, clockwise from its top left, in px."""
    width, height = phone.texture.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    roll = np.deg2rad(distortion.roll_deg)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    flat = (corners - phone.code_centre) @ turn.T * (size / phone.code_width)
    depth = flat[:, 0] * np.sin(distortion.yaw_rad)
    distance = VIEWING_DISTANCE * size
    seen = np.stack([flat[:, 0] * np.cos(distortion.yaw_rad), flat[:, 1]], axis=1)
    placed: NDArray[np.float64] = seen * (distance / (distance + depth))[:, None] + centre
    return placed


def _project(texture: Image.Image, quad: NDArray[np.float64], width: int, height: int) -> tuple[_Plane, _Plane]:
    """Return how much of each px the phone covers (0 to 1), and the phone, drawn twice as large and averaged down."""
    fine = (2 * width, 2 * height)
    x, y = texture.size
    phone = texture.transform(
        fine,
        Image.Transform.PERSPECTIVE,
        _homography(2 * quad, np.array([(0, 0), (x, 0), (x, y), (0, y)], dtype=np.float64)),
        Image.Resampling.BILINEAR,
        fillcolor=BEZEL,
    )
    mask = Image.new("L", fine)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in 2 * quad], fill=255)
    return (
        np.asarray(mask.reduce(2), dtype=np.float32) / np.float32(255),
        np.asarray(phone.reduce(2), dtype=np.float32),
    )


def _homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> list[float]:
    """Return the eight numbers that map the four corners `source` onto `target`."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return [float(value) for value in np.linalg.solve(np.array(rows), target.reshape(8))]


def _moire(left: int, top: int, right: int, bottom: int) -> _Plane:
    # sin(ax + by) by the addition theorem, so that sines are taken along two edges and not over the whole area
    x, y = np.arange(left, right)[None, :], np.arange(top, bottom)[:, None]
    first = np.sin(0.83 * x) * np.cos(0.11 * y) + np.cos(0.83 * x) * np.sin(0.11 * y)
    second = np.cos(0.07 * x) * np.sin(0.79 * y) - np.sin(0.07 * x) * np.cos(0.79 * y)
    waves: _Plane = (first * second).astype(np.float32)
    return waves


def _glare(
    rng: np.random.Generator, centre: tuple[float, float], size: float, box: tuple[int, int, int, int]
) -> _Plane:
    left, top, right, bottom = box
    at_x, at_y = centre[0] + rng.uniform(-0.35, 0.35) * size, centre[1] + rng.uniform(-0.35, 0.35) * size
    twice_variance = 2 * (size * rng.uniform(0.12, 0.22)) ** 2
    along = np.exp(-((np.arange(left, right) - at_x) ** 2) / twice_variance)
    down = np.exp(-((np.arange(top, bottom) - at_y) ** 2) / twice_variance)
    spot: _Plane = (255 * down[:, None] * along[None, :]).astype(np.float32)
    return spot


def _expose(plane: _Plane, distortion: Distortion, rng: np.random.Generator) -> Picture:
    if distortion.blur_px:
        plane = _smooth(plane, distortion.blur_px)
    if distortion.motion_px > 1:
        plane = _along(plane, np.full(distortion.motion_px, 1 / distortion.motion_px), axis=1)
    grain = rng.standard_normal(plane.shape, dtype=np.float32)
    grain *= np.float32(distortion.noise)
    if distortion.gain == 1:
        grain += plane
    else:
        grain += plane * np.float32(distortion.gain)
    return np.clip(grain, 0, 255, out=grain).astype(np.uint8)


def _smooth(plane: _Plane, sigma: float) -> _Plane:
    reach = round(4 * sigma)
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-(steps**2) / (2 * sigma * sigma))
    weights /= weights.sum()
    return _along(_along(plane, weights, axis=0), weights, axis=1)


def _along(plane: _Plane, weights: NDArray[np.float64], axis: int) -> _Plane:
    """Return the plane filtered along one axis, mirrored at its edges."""
    reach = len(weights) // 2
    padded = np.pad(plane, [(reach, reach) if each == axis else (0, 0) for each in (0, 1)], mode="reflect")
    length = plane.shape[axis]
    result = np.zeros_like(plane)
    term = np.empty_like(plane)
    for shift, weight in enumerate(weights):
        window = padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length]
        np.multiply(window, np.float32(weight), out=term)
        result += term
    return result
